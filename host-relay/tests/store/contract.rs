//! What every engine must do, by the embedded one.

use hushwire_relay::store::{Embedded, Store, StoreError};

use crate::faulty_disk::FaultyDisk;
use crate::promises;
pub(crate) use crate::promises::{messages, put};

pub(crate) fn open(disk: &FaultyDisk) -> Result<Embedded, StoreError> {
    let disk = disk.clone();
    Embedded::open_on(1 << 20, move || Ok(Box::new(disk.clone())))
}

fn boxed(store: Embedded) -> Box<dyn Store> {
    Box::new(store)
}

#[test]
fn rows_are_read_as_they_were_written_over_a_reopening() {
    let disk = FaultyDisk::default();
    promises::rows_are_read_as_they_were_written_over_a_reopening(&|| open(&disk).map(boxed));
}

#[test]
fn stores_have_names_of_their_own() {
    let fresh = || open(&FaultyDisk::default()).map(boxed);
    promises::stores_have_names_of_their_own(&fresh, &fresh);
}

#[test]
fn a_newer_format_is_refused_in_a_sentence() {
    let disk = FaultyDisk::default();
    promises::a_newer_format_is_refused_in_a_sentence(&|| open(&disk).map(boxed));
}

#[test]
fn what_it_takes_of_the_disk_is_known() {
    let disk = FaultyDisk::default();
    promises::what_it_takes_of_the_disk_is_known(&|| open(&disk).map(boxed));
}

#[test]
fn a_store_has_one_user() {
    let folder = tempfile::tempdir().unwrap();
    promises::a_store_has_one_user(&|| Embedded::open(folder.path(), 1 << 20).map(boxed));
}
