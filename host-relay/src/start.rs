//! From settings to a running relay: what the binary does.

use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::back_up;
use crate::config::{Config, ConfigError, Invocation};
use crate::entrances::{self, Certificate, Entrances};
use crate::http;
use crate::key::{KeyError, RelayKey};
use crate::metrics::Metrics;
use crate::operator::{self, BackUp, Door};
use crate::server::{Doors, Loaded, Owner, RunError, load, run_owner};
use crate::store::{Embedded, Key, Store, StoreError, Write};

/// Why the relay does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The key file.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The store is that of a relay with another key.
    #[error(
        "the store belongs to a relay with another key file than {0}: give it that one (it is in every back-up); all relays \
         of a store on a cluster have the same key file"
    )]
    OtherKey(std::path::PathBuf),
    /// There is a store and no key.
    #[error(
        "there is a store and no key file {0}: with another key every client is shut out, and nobody's \
         nickname is known. Put the key back (it is in every back-up), or move the store away to begin anew"
    )]
    NoKey(std::path::PathBuf),
    /// The data folder.
    #[error("the data folder {0} cannot be used: {1}")]
    Folder(String, io::Error),
    /// A port.
    #[error("cannot listen on {0}: {1}; is another relay running there?")]
    Listen(std::net::SocketAddr, io::Error),
    /// Where other relays are to call.
    #[error(
        "cannot listen at --trunk {0}: {1}; give an address of this machine that the other relays reach"
    )]
    Trunk(String, io::Error),
    /// The certificate of TLS.
    #[cfg(feature = "tls")]
    #[error("{0}")]
    Tls(#[from] crate::tls::TlsError),
    /// The log's filter.
    #[error("--log is no filter ({0}); try info, or hushwire_relay=debug")]
    Log(String),
    /// The machine.
    #[error("the machine does not let the relay start: {0}")]
    Machine(String),
    /// Afterwards.
    #[error("{0}")]
    Run(#[from] RunError),
}

/// The whole program, see [`main_of`], with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    main_of(std::env::args_os())
}

/// The whole program with these arguments, its name first: 0 after an orderly stop or a command that worked, 2 for wrong settings, 1 for
/// everything else.
pub fn main_of(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let config = match Config::invocation(arguments) {
        Ok(Invocation::Serve(config)) => *config,
        Ok(Invocation::Tool(tool)) => return tool.run(),
        Err(ConfigError::Arguments(error)) => error.exit(),
        Err(error) => return fail(&error, 2),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let started = runtime
        .map_err(|error| StartError::Machine(error.to_string()))
        .and_then(|runtime| {
            let ended = runtime.block_on(start(config));
            // A disk that hangs has a thread for ever: the process ends without it.
            runtime.shutdown_background();
            ended
        });
    match started {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("hushwire-relay: {error}");
    ExitCode::from(code)
}

async fn start(config: Config) -> Result<(), StartError> {
    start_log(&config)?;
    make_folder(&config.data)
        .map_err(|error| StartError::Folder(config.data.display().to_string(), error))?;
    raise_descriptors(config.limits.connections);
    let has_store = Embedded::is_in(&config.data);
    if has_store && !config.key.exists() {
        return Err(StartError::NoKey(config.key));
    }
    let key = RelayKey::load_or_create(&config.key)?;
    for former in key.known().into_iter().skip(1) {
        let until = former.until_unix_s.unwrap_or_default();
        tracing::info!(
            key = former.public,
            until,
            "the relay had another key before"
        );
    }
    let mut machine = Machine::new(config, key)?;
    #[cfg(feature = "cluster")]
    if let Some(url) = machine.config.store.clone() {
        return crate::roles::run(&url, machine).await;
    }
    let file = Arc::new(Embedded::open(&machine.config.data, machine.config.cache)?);
    // Not before: a relay that has the folder may be making one.
    back_up::sweep(&machine.config.data);
    if !is_of_this_key(&*file, &machine.key)? {
        return Err(StartError::OtherKey(machine.config.key));
    }
    machine.watch().await?;
    let Some(loaded) = machine.load(Arc::<Embedded>::clone(&file)).await? else {
        return Ok(());
    };
    let doors = machine.doors(machine.back_up(&file)).await?;
    run_owner(doors, Owner::alone(loaded), machine.stopped()).await?;
    machine.ended();
    Ok(())
}

/// What the relay runs on, whatever its store.
pub(crate) struct Machine {
    pub(crate) config: Config,
    pub(crate) key: Arc<RelayKey>,
    pub(crate) metrics: Arc<Metrics>,
    terminate: Signal,
    interrupt: Signal,
    /// Metrics and health are served.
    is_watched: bool,
    /// The URL was printed.
    has_said: bool,
    certificate: Certificate,
}

impl Machine {
    /// From here on a signal to stop waits for [`Self::stopped`].
    fn new(config: Config, key: RelayKey) -> Result<Self, StartError> {
        let machine = |error: &dyn std::error::Error| StartError::Machine(error.to_string());
        Ok(Self {
            certificate: Certificate::load(&config)?,
            config,
            key: Arc::new(key),
            metrics: Arc::new(Metrics::new().map_err(|error| machine(&error))?),
            terminate: signal(SignalKind::terminate()).map_err(|error| machine(&error))?,
            interrupt: signal(SignalKind::interrupt()).map_err(|error| machine(&error))?,
            is_watched: false,
            has_said: false,
        })
    }

    /// Returns when the relay is told to stop.
    pub(crate) async fn stopped(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        tracing::info!("the relay stops");
    }

    /// Serves metrics and health from now on.
    pub(crate) async fn watch(&mut self) -> Result<(), StartError> {
        if let Some(address) = self.config.metrics
            && !self.is_watched
        {
            let listener = TcpListener::bind(address).await;
            let listener = listener.map_err(|error| StartError::Listen(address, error))?;
            tokio::spawn(http::serve(listener, Arc::clone(&self.metrics)));
        }
        self.is_watched = true;
        Ok(())
    }

    /// Reads what the store holds; `None` where the relay is told to stop meanwhile.
    pub(crate) async fn load(
        &mut self,
        store: Arc<dyn Store>,
    ) -> Result<Option<Loaded>, StartError> {
        let (key, limits) = (Arc::clone(&self.key), self.config.limits.clone());
        Ok(load(store, key, limits, self.stopped()).await?)
    }

    /// Opens everything that clients and the operator come in by. Opened once more, it is where it was.
    pub(crate) async fn doors(&mut self, back_up: BackUp) -> Result<Doors, StartError> {
        let Entrances { entrances, urls } =
            entrances::open(&mut self.config, &self.key, &self.certificate).await?;
        let config = &self.config;
        if config.advertise.is_none() && config.listen.ip().is_unspecified() {
            tracing::warn!(
                "clients cannot use this URL: give --advertise with a name they can reach"
            );
        }

        // A path too long for a socket, or a file system without them, is no reason to serve nobody.
        let operator = operator::listen(&config.data)
            .inspect_err(|error| {
                tracing::warn!(%error, "no operator.sock: status, mailbox and backup of the \
                    running relay do not work")
            })
            .ok();
        if !self.has_said {
            // Whoever reads the first line from a pipe waits for it, and may not wait for more.
            // Whoever started it may not listen: clients are served all the same.
            let _ = write!(io::stdout(), "{urls}").and_then(|()| io::stdout().flush());
            self.has_said = true;
        }
        tracing::info!(listen = %config.listen, metrics = ?config.metrics, "the relay takes connections");
        Ok(Doors {
            entrances,
            operator: operator.map(|listener| Door { listener, back_up }),
            key: Arc::clone(&self.key),
            limits: config.limits.clone(),
            metrics: Arc::clone(&self.metrics),
        })
    }

    /// Copies the file, in which all rows are, and the key.
    pub(crate) fn back_up(&self, file: &Arc<Embedded>) -> BackUp {
        let (kept, key_file) = (Arc::clone(file), self.config.key.clone());
        // Names are told from this folder on: who asks may know it by another path.
        let folder = self.config.data.clone();
        Arc::new(move |to| {
            let made = back_up::back_up(&kept, &key_file, &folder.join(to));
            made.map_err(|error| error.to_string())
        })
    }

    /// After an orderly stop.
    pub(crate) fn ended(&self) {
        // A leftover does no harm: the next start replaces it.
        let _ = fs::remove_file(operator::path(&self.config.data));
        tracing::info!("the relay has stopped");
    }
}

/// The public key of the relay that had the store last: clients pin it.
const RELAY: Key = Key::Meta("relay");
/// What all relay keys of a store have in common.
const LINEAGE: Key = Key::Meta("lineage");

/// Clients pin the key, and nicknames are stored under what every rotation keeps: a store goes with a key file,
/// and with those that follow it by rotation. The store then says so.
pub(crate) fn is_of_this_key(store: &dyn Store, key: &RelayKey) -> Result<bool, StoreError> {
    if !may_be_of(store, key)? {
        return Ok(false);
    }
    let (own, lineage) = (key.public(), key.lineage());
    let mut writes = Vec::new();
    for (name, row) in [(RELAY, own.as_bytes()), (LINEAGE, &lineage[..])] {
        if store.get(&name)?.as_deref() != Some(row) {
            writes.push(Write::Put(name, row.into()));
        }
    }
    store.commit(&writes)?;
    Ok(true)
}

/// Whether nothing in the store says that it is of another key file.
pub(crate) fn may_be_of(store: &dyn Store, key: &RelayKey) -> Result<bool, StoreError> {
    if let Some(there) = store.get(&LINEAGE)? {
        return Ok(there == key.lineage());
    }
    // Of a relay that did not write it yet: the key itself, or one of those before it.
    let Some(there) = store.get(&RELAY)? else {
        return Ok(true);
    };
    let known = key.known();
    Ok(known.iter().any(|known| there == known.public.as_bytes()))
}

/// Takes as many descriptors as the machine allows, and says where they are fewer than connections.
fn raise_descriptors(connections: u32) {
    /// The store, listeners, standard streams, operators.
    const BESIDE: u64 = 64;
    let mut allowed = getrlimit(Resource::Nofile);
    allowed.current = allowed.maximum;
    // What cannot be raised stays.
    let _ = setrlimit(Resource::Nofile, allowed);
    if let Some(most) = getrlimit(Resource::Nofile).current
        && most < u64::from(connections) + BESIDE
    {
        tracing::warn!(
            descriptors = most,
            connections,
            "the machine allows fewer descriptors than connections: raise LimitNOFILE of the unit, or lower \
             --connections"
        );
    }
}

fn start_log(config: &Config) -> Result<(), StartError> {
    let filter = EnvFilter::try_new(&config.log);
    let filter = filter.map_err(|error| StartError::Log(error.to_string()))?;
    let colours = io::stderr().is_terminal();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    let log = log.with_ansi(colours);
    let set = match config.log_json {
        true => log.json().try_init(),
        false => log.try_init(),
    };
    set.map_err(|error| StartError::Log(error.to_string()))
}

/// What is in it is nobody else's business.
fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder)
}
