//! Stores on disks in memory.

use crate::contract::open;
use crate::faulty_disk::FaultyDisk;
use crate::logic::Open;

pub(crate) fn fresh() -> Open {
    let disk = FaultyDisk::default();
    Box::new(move || Box::new(open(&disk).unwrap()))
}
