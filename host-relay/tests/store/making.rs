//! R2 while a new store is made: nothing was accepted yet, and the next start has a store.

use std::path::Path;

use hushwire_relay::store::{Embedded, Key, Store, StoreError, Table, Write};

use crate::contract::{messages, open, put};
use crate::faulty_disk::{Dice, FaultyDisk, Part};

/// How every file of the engine begins, once what it says is on the disk.
const MAGIC: &[u8] = b"redb";

/// Takes rows, and is the same store when it is opened again.
fn assert_usable(open: &dyn Fn() -> Result<Embedded, StoreError>, context: &str) -> u64 {
    let opened = || open().unwrap_or_else(|error| panic!("{context}: {error}"));
    let store = opened();
    for table in Table::ALL {
        let rows = store.count(table).unwrap();
        let known = if table == Table::Meta { 2 } else { 0 };
        assert_eq!(rows, known, "{context}: {}", table.name());
    }
    store.commit(&[put(1, b"first")]).unwrap();
    let epoch = store.epoch();
    drop(store);
    let store = opened();
    assert_eq!(store.epoch(), epoch, "{context}");
    assert_eq!(messages(&store), [(1, b"first".to_vec())], "{context}");
    store.commit(&[Write::Delete(Key::Message(1))]).unwrap();
    epoch
}

/// The start after the cut, with this file under that name.
fn start(folder: &Path, name: &str, file: &[u8], context: &str) -> u64 {
    std::fs::write(folder.join(name), file).unwrap();
    let epoch = assert_usable(&|| Embedded::open(folder, 1 << 20), context);
    assert!(!folder.join("store.redb.new").exists(), "{context}");
    epoch
}

/// At every write, sync and change of length from an empty file to a store that is closed. A file that the
/// engine had not finished is still under its other name, and is made anew, whether it could be opened or not;
/// one that it had finished is whole under either.
#[test]
fn r2_power_cut_while_the_store_is_made() {
    let whole = FaultyDisk::default();
    drop(open(&whole).unwrap());
    let operations = whole.operations();

    let (mut cuts, mut refused, mut lengths) = (0, 0, 0);
    // After the last one nothing fails: what was not synced by then may still be lost.
    for cut in 0..=operations {
        let disk = FaultyDisk::default();
        disk.cut_after(cut);
        let made = open(&disk).ok().map(|store| store.epoch());
        assert!(made.is_some() || cut < operations);
        lengths += u64::from(disk.unsynced_lengths() > 0);
        for variant in 0..8u64 {
            let mut dice = Dice::new(cut * 8 + variant);
            let after = disk.power_up_with(|part| match variant {
                0 => false,
                1 => true,
                2 => part == Part::Length,
                3 => part == Part::Sector,
                _ => dice.roll().is_multiple_of(2),
            });
            let context = format!("cut {cut} of {operations}, variant {variant}");
            let file = after.contents();
            match (made, open(&after)) {
                (Some(epoch), _) => {
                    let again = assert_usable(&|| open(&after), &context);
                    assert_eq!(again, epoch, "{context}");
                }
                (None, Ok(store)) => {
                    drop(store);
                    assert_usable(&|| open(&after), &context);
                }
                // Why it has another name until it is whole.
                (None, Err(StoreError::Damaged(_))) if !file.starts_with(MAGIC) => refused += 1,
                (None, Err(error)) => panic!("{context}: {error}"),
            }
            if variant < 2 {
                let folder = tempfile::tempdir().unwrap();
                let anew = start(folder.path(), "store.redb.new", &file, &context);
                assert_ne!(Some(anew), made, "{context}");
            }
            if let Some(epoch) = made.filter(|_| variant < 2) {
                let folder = tempfile::tempdir().unwrap();
                let again = start(folder.path(), "store.redb", &file, &context);
                assert_eq!(again, epoch, "{context}");
            }
            cuts += 1;
        }
    }
    println!("{cuts} power cuts at {operations} operations, {refused} files that are none");
    assert!(
        refused > 0 && lengths > 0,
        "no cut came before the store's first bytes"
    );
}

/// Under its own name the file is there from one moment to the next, or not at all.
#[test]
fn a_store_is_made_under_another_name() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing can be written under that one, nor can it be cleared away.
    std::fs::create_dir_all(folder.path().join("store.redb.new/in the way")).unwrap();
    let opened = Embedded::open(folder.path(), 1 << 20);
    assert!(matches!(opened, Err(StoreError::Io(_))));
    assert!(!folder.path().join("store.redb").exists());
}
