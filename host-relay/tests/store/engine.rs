//! Stores on disks in memory.

use hushwire_relay::store::Store;

use crate::contract::open;
use crate::faulty_disk::FaultyDisk;

/// Opens one and the same store, again and again.
pub(crate) type Open = Box<dyn Fn() -> Box<dyn Store> + Send + Sync>;

pub(crate) fn fresh() -> Open {
    let disk = FaultyDisk::default();
    Box::new(move || Box::new(open(&disk).unwrap()))
}
