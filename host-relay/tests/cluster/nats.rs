//! Three NATS servers with JetStream on the loopback interface, each with a folder of its own.

#[path = "../support/tools.rs"]
mod tools;

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use async_nats::jetstream::stream::{Info, PeerInfo};
use tempfile::TempDir;

/// Longest wait for a cluster that was just started, or that lost a member.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const NODES: usize = 3;

/// The servers. They are killed, by their own process ids, and their folders removed when it is
/// dropped.
pub(crate) struct Nats {
    folder: TempDir,
    ports: [Ports; NODES],
    running: [Option<Child>; NODES],
    ways: Ways,
}

/// Debian's server, or with `HUSHWIRE_NATS=today` the one that `cargo xtask setup` brings.
fn program() -> PathBuf {
    match std::env::var("HUSHWIRE_NATS").as_deref() {
        Ok("today") => tools::nats_of_today(),
        Ok(other) => panic!("HUSHWIRE_NATS={other}: it can be `today`"),
        Err(_) => tools::nats_of_debian(),
    }
}

/// How the servers are run.
#[derive(Default)]
struct Ways {
    is_shared: bool,
    /// Certificate and key, where clients come by TLS.
    tls: Option<[PathBuf; 2]>,
    /// What clients have to know.
    password: Option<&'static str>,
    /// Before they acknowledge, which Debian's cannot.
    sync_always: bool,
}

impl Ways {
    fn program(&self) -> PathBuf {
        if self.sync_always {
            tools::nats_of_today()
        } else {
            program()
        }
    }
}

/// Whoever has to know a password has this name.
pub(crate) const USER: &str = "relay";

#[derive(Clone, Copy, Debug)]
struct Ports {
    clients: u16,
    routes: u16,
}

impl Nats {
    /// Starts all of them, and returns when each takes clients. That JetStream has a leader yet is
    /// the user's to wait for.
    pub(crate) fn start() -> Self {
        Self::start_as(Ways::default())
    }

    /// The same, for clients that come by TLS.
    #[cfg(all(feature = "websocket", feature = "tls"))]
    pub(crate) fn start_with_tls(cert: &Path, key: &Path) -> Self {
        let tls = Some([cert, key].map(Path::to_owned));
        Self::start_as(Ways {
            tls,
            ..Ways::default()
        })
    }

    /// The same, for clients that know a password.
    pub(crate) fn start_with_password(password: &'static str) -> Self {
        Self::start_as(Ways {
            password: Some(password),
            ..Ways::default()
        })
    }

    /// Servers of today that sync before they acknowledge.
    pub(crate) fn start_that_sync() -> Self {
        Self::start_as(Ways {
            sync_always: true,
            ..Ways::default()
        })
    }

    /// The same for the whole program: a static is not dropped, so shells that outlive the program see
    /// its end, kill the servers and remove their folder.
    pub(crate) fn start_shared() -> Self {
        Self::start_as(Ways {
            is_shared: true,
            ..Ways::default()
        })
    }

    fn start_as(ways: Ways) -> Self {
        let mut nats = Self {
            folder: tempfile::tempdir().unwrap(),
            ports: free_ports(),
            running: Default::default(),
            ways,
        };
        (0..NODES).for_each(|node| nats.start_node(node));
        (0..NODES).for_each(|node| nats.wait_for(node));
        nats
    }

    /// Starts one that was killed; it comes back with its folder and its ports.
    pub(crate) fn start_node(&mut self, node: usize) {
        assert!(self.running[node].is_none(), "node {node} runs");
        let folder = self.folder.path().join(format!("n{node}"));
        let config = self.folder.path().join(format!("n{node}.conf"));
        std::fs::write(&config, self.config(node, &folder.display().to_string())).unwrap();
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log(node))
            .unwrap();
        let server = self
            .server(&config)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        // A test without its servers is no test: it fails.
        self.running[node] = Some(server.expect("nats-server is not here: cargo xtask setup"));
    }

    fn server(&self, config: &Path) -> Command {
        if !self.ways.is_shared {
            let mut server = Command::new(self.ways.program());
            server.arg("--config").arg(config).stdin(Stdio::null());
            return server;
        }
        let script = r#""$2" --config "$0" & read -r _; kill -9 $!; sleep 1; rm -rf "$1""#;
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).arg(config);
        shell.arg(self.folder.path()).arg(self.ways.program());
        shell.stdin(Stdio::piped());
        shell
    }

    fn config(&self, node: usize, folder: &str) -> String {
        let Ports { clients, routes } = self.ports[node];
        let sync = if self.ways.sync_always {
            ", sync_interval: always"
        } else {
            ""
        };
        let mut config = format!(
            "server_name: n{node}\nlisten: 127.0.0.1:{clients}\n\
             jetstream {{ store_dir: \"{folder}\", max_mem: 64MB, max_file: 4GB{sync} }}\n\
             cluster {{\n  name: test\n  listen: 127.0.0.1:{routes}\n  routes: ["
        );
        for other in self.ports {
            let _ = write!(config, "\n    nats://127.0.0.1:{}", other.routes);
        }
        // Who comes by another way is not told of this one.
        config.push_str("\n  ]\n  no_advertise: true\n}\n");
        if let Some(password) = self.ways.password {
            let _ = writeln!(
                config,
                "authorization {{ user: {USER}, password: {password:?} }}"
            );
        }
        if let Some([cert, key]) = &self.ways.tls {
            let _ = writeln!(config, "tls {{ cert_file: {cert:?}, key_file: {key:?} }}");
        }
        config
    }

    /// Until the server takes a client.
    pub(crate) fn wait_for(&self, node: usize) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports[node].clients));
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(
                Instant::now() < deadline,
                "node {node} takes no clients: {}",
                std::fs::read_to_string(self.log(node)).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGKILL, as nearly a power cut as a process can have: its page cache stays.
    pub(crate) fn kill(&mut self, node: usize) {
        let mut server = self.running[node].take().expect("the node runs");
        server.kill().expect("it was running");
        server.wait().expect("it ended");
    }

    /// The disk of a killed node is lost.
    pub(crate) fn wipe(&mut self, node: usize) {
        assert!(self.running[node].is_none(), "node {node} runs");
        std::fs::remove_dir_all(self.folder.path().join(format!("n{node}"))).unwrap();
    }

    /// A copy of every node's disk as it is now, or its return. Nothing runs meanwhile.
    pub(crate) fn copy_disks(&self, from: &str, to: &str) {
        assert!(self.running.iter().all(Option::is_none), "a node runs");
        for node in 0..NODES {
            let path = |name: &str| self.folder.path().join(format!("{name}{node}"));
            let _ = std::fs::remove_dir_all(path(to));
            let copied = Command::new("cp")
                .arg("-a")
                .arg(path(from))
                .arg(path(to))
                .status();
            assert!(copied.expect("cp runs").success());
        }
    }

    /// Does something to the streams beneath the store.
    pub(crate) fn on_jetstream<T>(&self, work: impl AsyncFnOnce(jetstream::Context) -> T) -> T {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async { work(jetstream::new(self.client().await)).await })
    }

    pub(crate) async fn client(&self) -> async_nats::Client {
        let server = format!("nats://127.0.0.1:{}", self.ports[0].clients);
        async_nats::connect(server).await.unwrap()
    }

    /// Messages in a store's journal: what a relay with an old copy has to read.
    pub(crate) fn journal_entries(&self, name: &str) -> u64 {
        self.journal(name).expect("a journal").state.messages
    }

    /// Until the journal has a leader and all its replicas: the next kill must not be a second one.
    pub(crate) fn wait_until_whole(&self, name: &str) {
        let deadline = Instant::now() + PATIENCE;
        let is_whole = || {
            let cluster = self.journal(name).ok()?.cluster?;
            let current = |other: &PeerInfo| other.current && !other.offline;
            let all = cluster.replicas.len() + 1 == NODES && cluster.replicas.iter().all(current);
            (cluster.leader.is_some() && all).then_some(())
        };
        while is_whole().is_none() {
            assert!(Instant::now() < deadline, "a replica does not catch up");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The server that has a journal's newest entries first.
    pub(crate) fn leader(&self, name: &str) -> usize {
        self.wait_until_whole(name);
        let cluster = self.journal(name).expect("a journal").cluster;
        let leader = cluster.and_then(|cluster| cluster.leader);
        let leader = leader.expect("a leader");
        let node = leader.strip_prefix('n').and_then(|node| node.parse().ok());
        node.expect("servers are n0, n1, n2")
    }

    fn journal(&self, name: &str) -> Result<Info, async_nats::Error> {
        self.on_jetstream(async |context| {
            let stream = context.get_stream(format!("hushwire-{name}-journal"));
            Ok(stream.await?.get_info().await?)
        })
    }

    /// Of the processor, by all servers so far. Linux counts it in hundredths of a second for programs.
    #[allow(dead_code, reason = "the bench's")]
    pub(crate) fn cpu(&self) -> Duration {
        let ticks = |server: &Child| {
            let path = format!("/proc/{}/stat", server.id());
            let stat = std::fs::read_to_string(path).expect("the server runs");
            // Behind the name, which may hold anything: user's ticks are the 12th field, the kernel's the next.
            let fields = stat
                .rsplit(')')
                .next()
                .unwrap_or_default()
                .split_whitespace();
            fields
                .skip(11)
                .take(2)
                .filter_map(|field| field.parse::<u64>().ok())
                .sum::<u64>()
        };
        let ticks: u64 = self.running.iter().flatten().map(ticks).sum();
        Duration::from_millis(ticks * 10)
    }

    fn log(&self, node: usize) -> PathBuf {
        self.folder.path().join(format!("n{node}.log"))
    }

    /// What `--store` takes for a store of that name.
    pub(crate) fn url(&self, name: &str) -> String {
        url_of(self.client_ports(), name)
    }

    /// Where each takes clients.
    pub(crate) fn client_ports(&self) -> [u16; NODES] {
        self.ports.map(|ports| ports.clients)
    }
}

/// The URL of a store on servers at these ports.
pub(crate) fn url_of(ports: [u16; NODES], name: &str) -> String {
    let hosts = ports.map(|port| format!("127.0.0.1:{port}"));
    format!("nats://{}/{name}", hosts.join(","))
}

impl Drop for Nats {
    fn drop(&mut self) {
        for server in self.running.iter_mut().flatten() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// Ports that nobody has now. All are held until the last is found, so that no two are the same.
fn free_ports() -> [Ports; NODES] {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let held: Vec<_> = (0..NODES).map(|_| (bind(), bind())).collect();
    let port = |listener: &TcpListener| listener.local_addr().expect("bound").port();
    std::array::from_fn(|node| Ports {
        clients: port(&held[node].0),
        routes: port(&held[node].1),
    })
}
