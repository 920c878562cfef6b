//! The store that the settings name.

use std::sync::Arc;

use tokio::sync::watch;

use crate::config::Config;
use crate::key::RelayKey;
use crate::start::StartError;
use crate::store::{Embedded, Store};

/// An opened store.
pub(crate) struct Engine {
    pub(crate) store: Arc<dyn Store>,
    /// The file in the data folder: the store itself, or this relay's copy of it.
    pub(crate) file: Arc<Embedded>,
    taken: Option<watch::Receiver<bool>>,
}

impl Engine {
    /// Opens it. One on a cluster is waited for while another relay serves it.
    pub(crate) async fn open(config: &Config, key: &RelayKey) -> Result<Self, StartError> {
        #[cfg(feature = "cluster")]
        if let Some(url) = &config.store {
            return cluster(url, config, key).await;
        }
        let _ = key;
        let file = Arc::new(Embedded::open(&config.data, config.cache)?);
        Ok(Self {
            store: Arc::<Embedded>::clone(&file),
            file,
            taken: None,
        })
    }

    /// Ends when another relay has taken the store over.
    pub(crate) fn taken(&self) -> impl Future<Output = ()> + use<> {
        let taken = self.taken.clone();
        async move {
            let gone = match taken {
                Some(mut taken) => taken.wait_for(|taken| *taken).await.is_err(),
                None => true,
            };
            if gone {
                std::future::pending::<()>().await;
            }
        }
    }

    pub(crate) fn is_taken(&self) -> bool {
        self.taken.as_ref().is_some_and(|taken| *taken.borrow())
    }
}

#[cfg(feature = "cluster")]
async fn cluster(
    url: &crate::store::nats::ClusterUrl,
    config: &Config,
    key: &RelayKey,
) -> Result<Engine, StartError> {
    use crate::store::nats::Cluster;
    use crate::store::{Key, Write};

    const RELAY: Key = Key::Meta("relay");

    let (url, data, cache) = (url.clone(), config.data.clone(), config.cache);
    let open = move || Cluster::open_when_free(&url, &data, cache);
    let opened = tokio::task::spawn_blocking(open).await;
    let cluster = opened.map_err(|error| StartError::Machine(error.to_string()))??;

    // Clients pin the key, and nicknames are stored under it: all relays of a store have the same.
    let own = key.public();
    match cluster.get(&RELAY)? {
        None => cluster.commit(&[Write::Put(RELAY, own.as_bytes().into())])?,
        Some(there) if there == own.as_bytes() => {}
        // A rotation: the file that all of them share has both.
        Some(there)
            if key
                .known()
                .iter()
                .any(|known| there == known.public.as_bytes()) =>
        {
            cluster.commit(&[Write::Put(RELAY, own.as_bytes().into())])?;
        }
        Some(_) => return Err(StartError::OtherKey(config.key.clone())),
    }
    Ok(Engine {
        file: cluster.copy(),
        taken: Some(cluster.taken()),
        store: Arc::new(cluster),
    })
}
