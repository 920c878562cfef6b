//! A relay of a test's own.

use std::sync::Arc;

use hushwire_relay::entrance::Entrance;
use hushwire_relay::key::RelayKey;
use hushwire_relay::limits::Limits;
use hushwire_relay::metrics::Metrics;
use hushwire_relay::store::{Embedded, Store};
use hushwire_relay::{RunError, Service, run};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{PATIENCE, Target, public_key};

pub(crate) struct Relay {
    pub(crate) target: Target,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) folder: TempDir,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), RunError>>,
}

impl Relay {
    pub(crate) async fn start() -> Self {
        Self::start_with(Limits::default()).await
    }

    pub(crate) async fn start_with(limits: Limits) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), limits).await
    }

    /// On a store that may have been used before.
    pub(crate) async fn start_in(folder: TempDir, limits: Limits) -> Self {
        Self::start_at(folder, limits, Vec::new()).await
    }

    /// With more listeners than TCP's.
    pub(crate) async fn start_at(folder: TempDir, limits: Limits, more: Vec<Entrance>) -> Self {
        let store = Arc::new(Embedded::open(folder.path(), 1 << 20).unwrap());
        Self::start_all(folder, limits, store, more).await
    }

    /// On any store; the folder has the key.
    pub(crate) async fn start_on(folder: TempDir, limits: Limits, store: Arc<dyn Store>) -> Self {
        Self::start_all(folder, limits, store, Vec::new()).await
    }

    async fn start_all(
        folder: TempDir,
        limits: Limits,
        store: Arc<dyn Store>,
        more: Vec<Entrance>,
    ) -> Self {
        let key = RelayKey::load_or_create(&folder.path().join("relay.key")).unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = Target {
            address,
            key: public_key(&key.public()),
        };
        let service = Service {
            store,
            key,
            limits,
            metrics: Arc::clone(&metrics),
        };
        let (stop, stopped) = oneshot::channel();
        let entrances = std::iter::once(Entrance::plain(listener))
            .chain(more)
            .collect();
        let task = tokio::spawn(run(entrances, None, service, async {
            // A dropped sender stops the relay, too.
            let _ = stopped.await;
        }));
        Self {
            target,
            metrics,
            folder,
            stop,
            task,
        }
    }

    /// An orderly stop; gives the folder back for another start.
    pub(crate) async fn stop(self) -> TempDir {
        let _ = self.stop.send(());
        tokio::time::timeout(PATIENCE, self.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        self.folder
    }

    /// Its end, when it ends by itself.
    pub(crate) async fn ended(self) -> Result<(), RunError> {
        let ended = tokio::time::timeout(PATIENCE, self.task);
        ended.await.expect("it ends").unwrap()
    }

    /// Whether a figure gets a value in so many times 50 ms.
    pub(crate) async fn has_within(&self, line: &str, looks: u32) -> bool {
        for _ in 0..looks {
            if self.metrics.render().lines().any(|of| of == line) {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        false
    }

    /// Whether a figure has a value all the time, in so many looks 50 ms apart.
    pub(crate) async fn stays(&self, line: &str, looks: u32) -> bool {
        for _ in 0..looks {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            if !self.metrics.render().lines().any(|of| of == line) {
                return false;
            }
        }
        true
    }

    /// Waits until a figure has a value.
    pub(crate) async fn wait_for(&self, line: &str) {
        if self.has_within(line, 600).await {
            return;
        }
        panic!("{line} never came:\n{}", self.metrics.render());
    }
}
