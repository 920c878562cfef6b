//! What a relay of a store on a cluster is at the moment: the one that has the store, or one that
//! passes its clients on to that one (docs/SCALE.md).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};

use crate::back_up;
use crate::nodes::{Host, Trunk, TrunkError};
use crate::operator::BackUp;
use crate::server::{Ends, Owner, run_front, run_owner};
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
    back_up::sweep(&machine.config.data);
    let following = Following::start(&standby);

    let (mut silence, mut unreachable) = (Silence::default(), Unreachable::default());
    loop {
        let looked = tokio::select! {
            looked = following.look(&standby, &at) => looked,
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
                        if pass_on(&standby, &following, &mut machine, trunk, owner).await? {
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
    following: &Following,
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
    following.goes_on(true);
    let ends = async {
        tokio::select! {
            () = machine.stopped() => Ends::Stopped,
            () = has_lost_it(standby, &owner) => Ends::Lost,
        }
    };
    let ended = run_front(doors, trunk, owner.at.clone(), ends).await;
    following.goes_on(false);
    let ended = ended?;
    if let Ends::Broke(error) = &ended {
        tracing::warn!(%error, "the trunk to the relay that has the store broke");
    }
    Ok(matches!(ended, Ends::Stopped))
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

/// Lets the copy follow the journal while another relay has the store, so that there is little to read when this one
/// claims it.
struct Following {
    /// Whoever works on the copy has it: to fill it anew can take minutes.
    copy: Arc<Mutex<()>>,
    goes_on: watch::Sender<bool>,
}

impl Following {
    fn start(standby: &Arc<Standby>) -> Self {
        let copy = Arc::default();
        let goes_on = watch::Sender::new(false);
        let (own, asks) = (Arc::clone(&copy), goes_on.subscribe());
        // It ends with its sender.
        tokio::spawn(follow(Arc::clone(standby), own, asks));
        Self { copy, goes_on }
    }

    fn goes_on(&self, goes_on: bool) {
        self.goes_on.send_replace(goes_on);
    }

    /// Who has the store; if nobody, this relay claims it, unless its copy is being filled still. One that has
    /// all of its copy comes before it meanwhile, and clients are passed on to that.
    async fn look(&self, standby: &Arc<Standby>, at: &str) -> Result<Role, StoreError> {
        let (standby, at) = (Arc::clone(standby), at.to_owned());
        let copy = Arc::clone(&self.copy).try_lock_owned();
        blocking(move || match copy {
            Ok(_copy) => standby.look(&at),
            Err(_) => standby.holder().map(Role::Served),
        })
        .await
    }
}

async fn follow(standby: Arc<Standby>, copy: Arc<Mutex<()>>, mut goes_on: watch::Receiver<bool>) {
    let mut failures = 0;
    while goes_on.wait_for(|goes_on| *goes_on).await.is_ok() {
        let own = Arc::clone(&copy).lock_owned().await;
        // The store may have been looked at meanwhile, and claimed.
        if !*goes_on.borrow() {
            continue;
        }
        let following = Arc::clone(&standby);
        let followed = blocking(move || {
            let _own = own;
            following.follow()
        });
        match followed.await {
            Ok(()) => failures = 0,
            Err(error) => {
                failures += 1;
                tracing::debug!(%error, "the journal was not followed");
                if failures == FAILURES {
                    tracing::warn!(%error, "this relay's copy does not follow the journal; a take-over takes longer");
                }
            }
        }
        tokio::time::sleep(FOLLOW).await;
    }
}
