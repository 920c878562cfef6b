//! Stores on one cluster that the tests of this program share: a cluster costs seconds, a store little.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use tempfile::tempdir;

use crate::contract::open;
use crate::logic::Open;
use crate::nats::Nats;

/// A store that every second opening finds as another relay does, whose folder is empty, and the others with a
/// copy of their own.
pub(crate) fn fresh() -> Open {
    static SHARED: OnceLock<Nats> = OnceLock::new();
    static STORES: AtomicU32 = AtomicU32::new(0);
    let nats = SHARED.get_or_init(Nats::start_shared);
    let name = format!("logic-{}", STORES.fetch_add(1, Ordering::Relaxed));
    let (opened, folder) = (AtomicU32::new(0), Mutex::new(tempdir().unwrap()));
    Box::new(move || {
        let mut folder = folder.lock().unwrap();
        if opened.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
            *folder = tempdir().unwrap();
        }
        Box::new(open(nats, &name, folder.path()).unwrap())
    })
}
