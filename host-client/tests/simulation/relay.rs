//! The relay's machine: the real connections, logic and store, on a disk that outlives it.

use std::{cell::RefCell, net::Ipv4Addr, rc::Rc, sync::Arc, time::Duration};

use hushwire_relay::{
    Service,
    key::RelayKey,
    limits::Limits,
    metrics::Metrics,
    simulation::{Machine, serve},
    store::Embedded,
};
use turmoil::net::TcpListener;

use crate::faulty_disk::FaultyDisk;

pub(crate) const NAME: &str = "relay";
pub(crate) const AUTHORITY: &str = "relay:7117";
const PORT: u16 = 7117;
const CACHE: usize = 1 << 20;
const UNIX_S: u64 = 1_800_000_000;

/// The disk that is in the machine; a crash puts in what survived.
pub(crate) type Disk = Rc<RefCell<FaultyDisk>>;

/// Everything that a stranger may do is bounded in time, and shortly, so that seeds are short.
fn limits() -> Limits {
    Limits {
        handshake_timeout: Duration::from_secs(4),
        idle_timeout: Duration::from_secs(15),
        write_timeout: Duration::from_secs(5),
        ..Limits::default()
    }
}

/// From power-on to a crash.
pub(crate) async fn run(disk: Disk, key_file: std::path::PathBuf) -> turmoil::Result {
    let disk = disk.borrow().clone();
    let store = Embedded::open_on(CACHE, move || Ok(Box::new(disk.clone())))?;
    let service = Service {
        store: Arc::new(store),
        key: RelayKey::load_or_create(&key_file)?,
        limits: limits(),
        metrics: Arc::new(Metrics::new()?),
    };
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    let accept = async || listener.accept().await.map(|(stream, _)| stream);
    let elapsed = turmoil::sim_elapsed().unwrap_or_default();
    let machine = Machine {
        unix_s: UNIX_S + elapsed.as_secs(),
        disk_latency: Duration::from_millis(4),
    };
    Ok(serve(accept, service, machine).await?)
}
