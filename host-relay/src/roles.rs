//! What a relay of a store on a cluster is at the moment: the one that has the store, or one that
//! passes its clients on to that one (docs/SCALE.md).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::nodes::{Host, Trunk, TrunkError};
use crate::operator::BackUp;
use crate::server::{Owner, run_front, run_owner};
use crate::silence::Silence;
use crate::start::{Machine, StartError, is_of_this_key};
use crate::store::StoreError;
use crate::store::nats::{Cluster, ClusterUrl, Holder, Role, Standby, Word};

/// Between two questions who has the store. It bounds how late a dead relay is noticed.
const ASK: Duration = Duration::from_millis(200);
/// Between two looks at the journal, while another relay has the store.
const FOLLOW: Duration = Duration::from_secs(1);
/// So many looks in turn that fail are no passing trouble.
const FAILURES: u32 = 30;
/// How long the cluster may give no answer before the relay ends.
const PATIENCE: Duration = Duration::from_secs(60);
/// A relay that stops takes no calls any more, for no longer than this.
const MAY_STOP: Duration = Duration::from_secs(5);

/// Serves clients as one or the other, until the relay stops or the store is taken from it.
pub(crate) async fn run(url: &ClusterUrl, mut machine: Machine) -> Result<(), StartError> {
    machine.watch().await?;
    let (listener, at) = call_at(&machine.config.trunk).await?;
    let (url, data, cache) = (
        url.clone(),
        machine.config.data.clone(),
        machine.config.cache,
    );
    let opened = tokio::select! {
        opened = blocking(move || Standby::open(&url, &data, cache)) => opened?,
        () = machine.stopped() => return Ok(()),
    };
    let standby = Arc::new(opened);

    let (mut silence, mut unreachable) = (Silence::default(), Unreachable::default());
    loop {
        let (looking, called) = (Arc::clone(&standby), at.clone());
        let looked = tokio::select! {
            looked = blocking(move || looking.look(&called)) => looked,
            () = machine.stopped() => return Ok(()),
        };
        match looked {
            Ok(Role::Owner(cluster)) => return own(cluster, machine, listener).await,
            Ok(Role::Served(Some(owner))) => {
                silence.ends();
                let key = Arc::clone(&machine.key);
                let dialed = tokio::select! {
                    dialed = Trunk::dial(&owner.at, &key) => dialed,
                    () = machine.stopped() => return Ok(()),
                };
                match dialed {
                    Ok(trunk) => {
                        unreachable = Unreachable::default();
                        let begun = Instant::now();
                        if pass_on(&standby, &mut machine, trunk, owner).await? {
                            machine.ended();
                            return Ok(());
                        }
                        // One that takes no more relays closes the trunk at once.
                        if begun.elapsed() > ASK {
                            continue;
                        }
                    }
                    Err(error) => unreachable.tell(&owner.at, &error),
                }
            }
            Ok(Role::Served(None)) => silence.ends(),
            Err(StoreError::Io(error)) if silence.goes_on() < PATIENCE => {
                tracing::debug!(%error, "nobody says who has the store");
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = tokio::time::sleep(ASK) => {}
            () = machine.stopped() => return Ok(()),
        }
    }
}

/// Since when the relay that has the store cannot be called. One that stops says that it has the store
/// until its last commit.
#[derive(Default)]
struct Unreachable {
    silence: Silence,
    is_told: bool,
}

impl Unreachable {
    fn tell(&mut self, owner: &str, error: &TrunkError) {
        if self.silence.goes_on() < MAY_STOP || self.is_told {
            return tracing::debug!(%error, owner, "it cannot be called");
        }
        self.is_told = true;
        tracing::warn!(
            %error,
            owner,
            "the relay that has the store cannot be called; this one takes no clients"
        );
    }
}

/// Opens the listener for other relays, and says what they are told.
async fn call_at(trunk: &str) -> Result<(TcpListener, String), StartError> {
    let failed = |error| StartError::Trunk(trunk.to_owned(), error);
    let listener = TcpListener::bind(trunk).await.map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    let host = trunk.rsplit_once(':').map_or(trunk, |(host, _)| host);
    Ok((listener, format!("{host}:{port}")))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(StoreError::Io(error.to_string())))
}

/// Serves clients out of the store, until the relay stops or another one has taken the store.
async fn own(
    cluster: Cluster,
    mut machine: Machine,
    listener: TcpListener,
) -> Result<(), StartError> {
    let cluster = Arc::new(cluster);
    let (checked, key) = (Arc::clone(&cluster), Arc::clone(&machine.key));
    let key_file = machine.config.key.clone();
    let checked = tokio::select! {
        checked = blocking(move || is_of_this_key(&*checked, &key)) => checked?,
        () = machine.stopped() => return Ok(()),
    };
    if !checked {
        return Err(StartError::OtherKey(key_file));
    }
    let Some(loaded) = machine.load(Arc::<Cluster>::clone(&cluster)).await? else {
        return Ok(());
    };
    let doors = machine.doors(machine.back_up(&cluster.copy())).await?;
    let owner = Owner {
        loaded,
        host: Some(Host { listener }),
    };
    let ends = async {
        tokio::select! {
            () = machine.stopped() => {}
            () = cluster.lost() => {}
        }
    };
    run_owner(doors, owner, ends).await?;
    machine.ended();
    match cluster.loss() {
        Some(loss) => Err(loss.into()),
        None => Ok(()),
    }
}

/// Serves clients out of the store that another relay has, until the trunk to it breaks or the cluster says
/// that it has the store no more. Returns whether the relay is to stop.
async fn pass_on(
    standby: &Arc<Standby>,
    machine: &mut Machine,
    trunk: Trunk,
    owner: Holder,
) -> Result<bool, StartError> {
    let refuse: BackUp = Arc::new(|_| {
        Err("the store is another relay's at the moment: make the back-up there".into())
    });
    let doors = machine.doors(refuse).await?;
    tracing::info!(
        owner = owner.at,
        "clients are passed on to the relay that has the store"
    );
    let (stop, stops) = watch::channel(false);
    let following = tokio::spawn(follow(Arc::clone(standby), stops));
    let mut stopped = false;
    let ends = async {
        tokio::select! {
            () = machine.stopped() => stopped = true,
            () = has_lost_it(standby, &owner) => {}
        }
    };
    let ended = run_front(doors, trunk, owner.at.clone(), ends).await;
    let _ = stop.send(true);
    let ended = ended?;
    if stopped {
        return Ok(true);
    }
    if let Some(error) = ended {
        tracing::warn!(%error, "the trunk to the relay that has the store broke");
    }
    // The copy is nobody else's before the store is looked at again.
    standby.leave_off(true);
    let stopped = tokio::select! {
        _ = following => false,
        () = machine.stopped() => true,
    };
    standby.leave_off(false);
    Ok(stopped)
}

/// Returns when the cluster says that another relay has claimed the store since `owner` was called, or, though
/// it answers, has heard nothing of `owner` for as long as a server's death may make it silent.
async fn has_lost_it(standby: &Arc<Standby>, owner: &Holder) {
    let mut silence = Silence::default();
    loop {
        tokio::time::sleep(FOLLOW).await;
        let (asked, of) = (Arc::clone(standby), owner.clone());
        match blocking(move || asked.word_of(&of)).await {
            Ok(Word::Another) => {
                tracing::warn!(
                    "another relay has claimed the store: clients are passed on to that one"
                );
                return;
            }
            Ok(Word::Silent) => {
                if silence.goes_on() >= standby.silence() {
                    tracing::warn!(
                        owner = owner.at,
                        "the relay that has the store is cut off from the cluster"
                    );
                    return;
                }
            }
            Ok(Word::Same) => silence.ends(),
            // Then it cannot be told who is cut off.
            Err(error) => {
                silence.ends();
                tracing::debug!(%error, "nobody says who has the store");
            }
        }
    }
}

/// Lets the copy follow the journal, so that there is little to read when this relay claims the store.
async fn follow(standby: Arc<Standby>, mut stops: watch::Receiver<bool>) {
    let mut failures = 0;
    loop {
        let following = Arc::clone(&standby);
        match blocking(move || following.follow()).await {
            Ok(()) => failures = 0,
            Err(error) => {
                failures += 1;
                tracing::debug!(%error, "the journal was not followed");
                if failures == FAILURES {
                    tracing::warn!(%error, "this relay's copy does not follow the journal; a take-over takes longer");
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(FOLLOW) => {}
            _ = stops.wait_for(|stops| *stops) => return,
        }
    }
}
