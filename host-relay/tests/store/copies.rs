//! Back-up, check, restore.

use std::sync::Arc;

use hushwire_relay::store::{BackupError, Embedded, Store, Table, backup, check, restore};

use crate::contract::{messages, open, put};
use crate::faults::{script, state_after};
use crate::faulty_disk::FaultyDisk;

#[test]
fn a_backup_of_a_store_in_use_is_one_moment_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let store = Arc::new(Embedded::open(&data, 1 << 20).unwrap());
    // Each commit writes two rows: a copy with one of them is no moment of the store.
    let writer = {
        let store = Arc::clone(&store);
        std::thread::spawn(move || {
            for n in 0..200 {
                let pair = [put(n * 2, &[1; 100]), put(n * 2 + 1, &[2; 100])];
                store.commit(&pair).unwrap();
            }
        })
    };
    for copy in 0..5 {
        let before = store.count(Table::Messages).unwrap();
        let to = folder.path().join(format!("copy-{copy}"));
        backup(&store, &to).unwrap();
        let after = store.count(Table::Messages).unwrap();

        let elsewhere = folder.path().join(format!("restored-{copy}"));
        std::fs::create_dir(&elsewhere).unwrap();
        restore(&to, &elsewhere, false).unwrap();
        let copied = Embedded::open(&elsewhere, 1 << 20).unwrap();
        let count = copied.count(Table::Messages).unwrap();
        assert!(count.is_multiple_of(2), "half a commit was copied");
        assert!((before..=after).contains(&count));
        assert_eq!(check(&copied, false).unwrap().unreadable, 0);
    }
    writer.join().unwrap();
}

#[test]
fn a20_a_restored_store_has_another_epoch_and_overwrites_nothing_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let copy = data.join("copy");
    let store = Embedded::open(data, 1 << 20).unwrap();
    let epoch = store.epoch();
    store.commit(&[put(1, b"before")]).unwrap();
    backup(&store, &copy).unwrap();
    assert!(matches!(
        backup(&store, &copy),
        Err(BackupError::Exists(..))
    ));
    store.commit(&[put(2, b"after")]).unwrap();
    let busy = restore(&copy, data, true).unwrap_err();
    assert!(busy.to_string().contains("another process"), "{busy}");
    drop(store);

    let refused = restore(&copy, data, false).unwrap_err();
    assert!(refused.to_string().contains("--force"), "{refused}");
    restore(&copy, data, true).unwrap();
    let store = Embedded::open(data, 1 << 20).unwrap();
    assert_ne!(store.epoch(), epoch);
    assert_eq!(messages(&store), [(1, b"before".to_vec())]);
    assert!(data.join("store.redb.old").exists());
}

#[test]
fn a_check_finds_an_altered_row_and_takes_it_out_when_asked() {
    let disk = FaultyDisk::default();
    let store = open(&disk).unwrap();
    for writes in script() {
        store.commit(&writes).unwrap();
    }
    drop(store);
    for at in disk.find(&[11; 300]) {
        disk.damage(at, 1);
    }
    let store = open(&disk).unwrap();
    let report = check(&store, false).unwrap();
    assert_eq!(report.unreadable, 3);
    assert!(!report.is_well());
    assert_eq!(check(&store, true).unwrap().removed, 3);
    let after = check(&store, false).unwrap();
    assert_eq!((after.unreadable, after.removed), (0, 0));
    assert_eq!(messages(&store).len(), state_after(12).len() - 3);
}
