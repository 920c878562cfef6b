//! Stores on one cluster that the tests of this program share: a cluster costs seconds, a store little.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::tempdir;

use crate::contract::open;
use crate::logic::Open;
use crate::nats::Nats;

pub(crate) fn fresh() -> Open {
    static SHARED: OnceLock<Nats> = OnceLock::new();
    static STORES: AtomicU32 = AtomicU32::new(0);
    let nats = SHARED.get_or_init(Nats::start_shared);
    let name = format!("logic-{}", STORES.fetch_add(1, Ordering::Relaxed));
    let folder = tempdir().unwrap();
    Box::new(move || Box::new(open(nats, &name, folder.path()).unwrap()))
}
