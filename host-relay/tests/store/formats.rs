//! Stores that earlier relays wrote are opened by this one.
//!
//! A fixture is the file's sectors that are not empty: length u64, then (number u32, 512 bytes) each.

use hushwire_core::identity::Address;
use hushwire_relay::store::{Key, Store, Table, Write};

use crate::contract::{messages, open};
use crate::faults::{script, state_after};
use crate::faulty_disk::FaultyDisk;

const SECTOR: usize = 512;
const FORMAT_1: &[u8] = include_bytes!("fixtures/format-1.sectors");

fn unpack(fixture: &[u8]) -> Vec<u8> {
    let (len, sectors) = fixture.split_first_chunk().unwrap();
    let mut file = vec![0; u64::from_be_bytes(*len) as usize];
    for sector in sectors.chunks(4 + SECTOR) {
        let (number, bytes) = sector.split_first_chunk().unwrap();
        let at = u32::from_be_bytes(*number) as usize * SECTOR;
        file[at..at + SECTOR].copy_from_slice(bytes);
    }
    file
}

#[test]
fn a_store_of_format_1_is_opened_and_written() {
    let disk = FaultyDisk::holding(unpack(FORMAT_1));
    let store = open(&disk).unwrap();
    assert_eq!(store.epoch(), 0x0102_0304_0506_0708);
    assert_eq!(messages(&store), state_after(12));
    let bundle = store.get(&Key::Bundle(Address([1; 20]))).unwrap();
    assert_eq!(bundle.unwrap(), b"bundle");
    store.commit(&[Write::Delete(Key::Message(1))]).unwrap();
    // The table of who may come is younger than this store.
    assert_eq!(store.count(Table::Access).unwrap(), 0);
    let ban = Write::Put(Key::Access(0), b"ban".as_slice().into());
    store.commit(&[ban]).unwrap();
    assert_eq!(store.get(&Key::Access(0)).unwrap().unwrap(), b"ban");
}

/// Writes the fixture of the present format: run once, before the format changes.
#[test]
#[ignore = "writes a fixture"]
fn write_the_fixture() {
    let disk = FaultyDisk::default();
    let store = open(&disk).unwrap();
    for writes in script() {
        store.commit(&writes).unwrap();
    }
    let epoch = 0x0102_0304_0506_0708u64.to_be_bytes();
    let bundle = Write::Put(Key::Bundle(Address([1; 20])), b"bundle".as_slice().into());
    store
        .commit(&[
            Write::Put(Key::Meta("epoch"), epoch.as_slice().into()),
            bundle,
        ])
        .unwrap();
    drop(store);
    let file = disk.contents();
    let mut fixture = (file.len() as u64).to_be_bytes().to_vec();
    for (number, sector) in (0u32..).zip(file.chunks(SECTOR)) {
        if sector.iter().any(|byte| *byte != 0) {
            fixture.extend(number.to_be_bytes());
            fixture.extend(sector);
        }
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/store/fixtures");
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(format!("{folder}/format-1.sectors"), fixture).unwrap();
}
