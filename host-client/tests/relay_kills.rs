//! A conversation of two programs through a relay that is killed again and again.

mod common;
mod program;

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use program::{Program, Running};

const MESSAGES: usize = 1000;
const KILLS: usize = 10;
const RELAY: &str = "HUSHWIRE_TEST_RELAY";

/// Not a test: the relay of the test below, as a process of its own.
#[test]
#[ignore = "the other test starts it"]
fn relay_process() {
    let Ok(settings) = std::env::var(RELAY) else {
        return;
    };
    let (listen, data) = settings.split_once(' ').unwrap();
    let (listen, data) = (listen.parse().unwrap(), Path::new(data));
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(serve(listen, data));
}

async fn serve(listen: std::net::SocketAddr, data: &Path) {
    use hushwire_relay::{
        Service, entrance::Entrance, key::RelayKey, metrics::Metrics, store::Embedded,
    };
    let key = RelayKey::load_or_create(&data.join("key")).unwrap();
    let store = std::sync::Arc::new(Embedded::open(data, 1 << 20).unwrap());
    let metrics = std::sync::Arc::new(Metrics::new().unwrap());
    let listener = tokio::net::TcpListener::bind(listen).await.unwrap();
    println!("hush://{listen}/#{}", key.public());
    let entrances = vec![Entrance::plain(listener)];
    let service = Service {
        store,
        key,
        limits: Default::default(),
        metrics,
    };
    hushwire_relay::run(entrances, None, service, std::future::pending())
        .await
        .unwrap();
}

struct RelayProcess {
    settings: String,
    running: Running,
    url: String,
}

impl RelayProcess {
    fn start(data: &Path) -> Self {
        // The port has to stay the same over kills: one that was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let settings = format!("{free} {}", data.display());
        let (running, url) = Self::spawn(&settings);
        Self {
            settings,
            running,
            url,
        }
    }

    fn spawn(settings: &str) -> (Running, String) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "relay_process", "--nocapture"]);
        command.env(RELAY, settings);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut running = Running::start(command);
        loop {
            let line = running.next_line();
            // The test harness's own words may stand before it on the line.
            if let Some(at) = line.find("hush://") {
                return (running, line[at..].to_owned());
            }
        }
    }

    fn kill_and_restart(&mut self) {
        self.running.kill();
        (self.running, _) = Self::spawn(&self.settings);
    }
}

/// Counts texts that come in; own states are passed over.
#[derive(Default)]
struct Inbox(BTreeMap<String, usize>);

impl Inbox {
    fn read(&mut self, listening: &mut Running, until: usize) {
        while self.0.values().sum::<usize>() < until {
            let message = listening.line(|line| line["type"] == "message");
            *self.0.entry(program::text(&message, "text")).or_default() += 1;
        }
    }
}

#[test]
fn conversation_survives_ten_relay_kills() {
    let data = tempfile::tempdir().unwrap();
    let mut relay = RelayProcess::start(data.path());
    let (alice, bob) = Program::friends_at(&relay.url);
    let mut at_alice = alice.start(&["listen"]);
    let mut at_bob = bob.start(&["listen"]);
    alice.json(&["send", "bob", "first", "--wait"]);
    bob.json(&["send", "alice", "first", "--wait"]);

    // Both write to the running programs, a line for each message.
    let mut from_alice = alice.start(&["send", "bob", "--lines", "--queue"]);
    let mut from_bob = bob.start(&["send", "alice", "--lines", "--queue"]);
    let (mut of_alice, mut of_bob) = (Inbox::default(), Inbox::default());
    let part = MESSAGES / KILLS;
    for kill in 0..KILLS {
        for n in kill * part..(kill + 1) * part {
            from_alice.write(&format!("a {n}\n"));
            from_bob.write(&format!("b {n}\n"));
        }
        // In the midst of it: some of this part has come, and most is on its way.
        of_bob.read(&mut at_bob, 1 + kill * part + part / 4);
        of_alice.read(&mut at_alice, 1 + kill * part + part / 4);
        relay.kill_and_restart();
    }
    of_bob.read(&mut at_bob, 1 + MESSAGES);
    of_alice.read(&mut at_alice, 1 + MESSAGES);

    // Receipts of everything: then nothing is on its way that could still come twice.
    let drained = |program: &Program, to: &str| {
        program.json(&["send", to, "last", "--wait", "--timeout", "120"]);
        let mut tries = 0;
        while program.json(&["status", "--offline"])["waiting"] != 0 {
            tries += 1;
            assert!(tries < 600, "receipts come");
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    drained(&alice, "bob");
    drained(&bob, "alice");
    of_bob.read(&mut at_bob, 2 + MESSAGES);
    of_alice.read(&mut at_alice, 2 + MESSAGES);

    for (program, letter, came) in [(&alice, "b", of_alice), (&bob, "a", of_bob)] {
        let texts = (0..MESSAGES).map(|n| format!("{letter} {n}"));
        let wanted: BTreeMap<_, _> = texts
            .chain(["first".into(), "last".into()])
            .map(|text| (text, 1))
            .collect();
        assert!(came.0 == wanted, "each came once");
        let stored = program.lines(&["inbox", "--offline", "--limit", "100000"]);
        let incoming = stored
            .iter()
            .filter(|message| message["direction"] == "in")
            .count();
        assert_eq!(incoming, MESSAGES + 2, "none lost, none doubled");
    }
}
