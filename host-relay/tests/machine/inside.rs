//! What runs on the machine: the servers of a store, relays, who sends and who reads. All that anybody was told is
//! said on the console, before anything follows from it: the console outlives the power.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::Answer;
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::Request;

use tokio::task::JoinSet;
use tokio::time::error::Elapsed;

use crate::book::{Message, Said};
use crate::process::{self, Process, WIDE};
use crate::support::{Client, Target, address_of};

/// Where its programs are.
pub(crate) const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// What tells the program that it runs there, and what to do.
pub(crate) const SETTING: &str = "HUSHWIRE_MACHINE";

const BOB: u16 = 2;
const SENDERS: std::ops::Range<u16> = 10..14;
/// What each sender has under way at once.
const UNDER_WAY: u32 = 16;
const PATIENCE: Duration = Duration::from_secs(60);

/// Not a test: what the others' machine does once it is on, in the folder where its disk is.
///
/// `BOOT embedded`, or `BOOT cluster SERVER always|late FIRST`: the number of the boot, the NATS servers' program,
/// when they sync, and the relay that is started first.
#[test]
#[ignore = "runs on the machine of the others"]
fn inside() {
    let words = std::env::var(SETTING).expect("it runs on the machine of the others");
    let words: Vec<_> = words.split(' ').collect();
    let boot: u32 = words[0].parse().unwrap();
    let unsynced = |boot: u32| format!("unsynced-{boot}");
    let is_gone = |path: String| std::fs::read(path).unwrap_or_default().is_empty();
    // The line is the test program's until here.
    println!();
    Said::Cut(boot > 0 && is_gone(unsynced(boot - 1))).say();
    // Never synced: a cut takes it.
    std::fs::write(unsynced(boot), [1; 4096]).unwrap();
    Said::Wrote.say();
    let running = match words[1..] {
        ["embedded"] => {
            let (mut running, folder) = (Running::new(), Path::new("relay"));
            if folder.join("store.redb").exists() {
                is_sound(folder);
            }
            let mut command = process::command(folder);
            running.start_relay(command.args(WIDE).args(["--log", "warn"]));
            running
        }
        ["cluster", server, sync, first] => cluster(server, sync == "always", first),
        _ => panic!("{words:?}"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(serve(boot, running));
}

/// It ends with the machine.
struct Running {
    servers: Vec<Child>,
    relays: Vec<Process>,
}

impl Running {
    fn new() -> Self {
        let (servers, relays) = Default::default();
        Self { servers, relays }
    }

    /// Waits until it serves.
    fn start_relay(&mut self, command: &mut Command) {
        let relay = Process::spawn(command.stderr(Stdio::inherit()));
        self.relays.push(relay);
    }

    /// Where clients come: the last, which passes them on where there are two.
    fn target(&self) -> Target {
        self.relays.last().expect("a relay").target
    }

    /// Whoever ends by itself ends the machine, and that its test.
    async fn ends(mut self) -> ! {
        loop {
            for relay in &mut self.relays {
                assert!(!relay.has_ended(), "a relay ended by itself");
            }
            for server in &mut self.servers {
                let ended = server.try_wait().unwrap();
                assert!(ended.is_none(), "a server ended by itself");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// As its operator would ask after a power cut, before the relay looks at it.
fn is_sound(folder: &Path) {
    let mut check = Command::new(env!("CARGO_BIN_EXE_hushwire-relay"));
    let check = check.arg("check").arg("--data").arg(folder).output();
    let check = check.expect("the program runs");
    assert!(check.status.success(), "{check:?}");
}

/// Three servers, the relay that is first, and when that one has the store the other.
fn cluster(server: &str, sync_always: bool, first: &str) -> Running {
    let mut running = Running::new();
    let routes = [6_000, 6_001, 6_002].map(|port| format!("nats://127.0.0.1:{port}"));
    for n in 0..3 {
        let sync = if sync_always {
            ", sync_interval: always"
        } else {
            ""
        };
        let config = format!(
            "server_name: n{n}\nlisten: 127.0.0.1:{clients}\n\
             jetstream {{ store_dir: n{n}, max_mem: 64MB, max_file: 256MB{sync} }}\n\
             cluster {{ name: test, listen: 127.0.0.1:600{n}, routes: [{routes}] }}\n",
            clients = 5_000 + n,
            routes = routes.join(", "),
        );
        let path = format!("../memory/n{n}.conf");
        std::fs::write(&path, config).unwrap();
        let log = std::fs::File::create(format!("../memory/n{n}.log")).unwrap();
        let mut command = Command::new(server);
        command.args(["--config", &path]).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        running
            .servers
            .push(command.spawn().expect("the server starts"));
    }
    // Elections take their time here.
    let option = if sync_always {
        "?patience-s=60&servers-sync=always"
    } else {
        "?patience-s=60"
    };
    let store = format!("nats://127.0.0.1:5000,127.0.0.1:5001,127.0.0.1:5002/mail{option}");
    let other = if first == "a" { "b" } else { "a" };
    for (name, port) in [(first, 4_000), (other, 4_001)] {
        let mut command = process::command_at(Path::new(name), port);
        command.args(["--key", "key", "--store", &store]).args(WIDE);
        running.start_relay(command.args(["--log", "warn"]));
    }
    running
}

/// Bob reads what waits for him, and then others write to him until the power goes.
async fn serve(boot: u32, running: Running) {
    let target = running.target();
    let mut bob = connect(&target, BOB).await;
    if boot == 0 {
        bob.register().await.unwrap();
    }
    Said::Serves.say();
    for _ in 0..bob.welcome.waiting {
        receive(&mut bob).await;
    }
    // Its answer rests on durable state, and so do the acks before it (docs/PROTOCOL.md).
    let bundle = bob.bundle(u64::from(boot) + 2);
    bob.publish(&bundle).await.unwrap().unwrap();
    Said::Drained.say();

    let mut senders = JoinSet::new();
    for seed in SENDERS {
        let sender = connect(&target, seed).await;
        senders.spawn(send(sender, seed, boot));
    }
    let reads = async {
        // He is there at every other boot, so that the cut meets both kinds of traffic.
        if boot.is_multiple_of(2) {
            drop(bob);
            return std::future::pending().await;
        }
        loop {
            receive(&mut bob).await;
        }
    };
    tokio::select! {
        ended = senders.join_next() => panic!("a sender ended: {ended:?}"),
        () = reads => {}
        never = running.ends() => never,
    }
}

/// A relay that begins to pass clients on may refuse the first.
async fn connect(target: &Target, seed: u16) -> Client {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Client::connect(target, seed).await {
            Ok(client) => return client,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn receive(bob: &mut Client) {
    let envelope = match bob.delivery().await {
        Ok((_, envelope)) => envelope,
        // Nothing came for long.
        Err(error) if error.is::<Elapsed>() => return,
        Err(error) => panic!("{error}"),
    };
    Said::Got(Message::parse(&envelope)).say();
    let ack = Request::Ack(EnvelopeId::of(&envelope));
    bob.send(&ack).await.unwrap();
}

/// Keeps some messages under way, and says again what is refused for a while.
async fn send(mut client: Client, sender: u16, boot: u32) {
    let to = address_of(BOB);
    for n in 0.. {
        let fresh = (n * UNDER_WAY..(n + 1) * UNDER_WAY).map(|n| Message { sender, boot, n });
        let mut under_way: Vec<_> = fresh.map(|message| (message, message.envelope())).collect();
        while !under_way.is_empty() {
            let submits: Vec<_> = under_way
                .iter()
                .map(|(_, envelope)| Request::Submit { to, envelope })
                .collect();
            client.send_all(&submits).await.unwrap();
            for _ in 0..submits.len() {
                let word = client.wait(|answer| match answer {
                    Answer::Accepted(id) => Some((*id, Ok(()))),
                    Answer::Rejected { id, reason, .. } => Some((*id, Err(*reason))),
                    _ => None,
                });
                let (id, word) = word.await.unwrap();
                let of = |(_, envelope): &(Message, Vec<u8>)| EnvelopeId::of(envelope) == id;
                match word {
                    Ok(()) => {
                        let at = under_way.iter().position(of).expect("it was sent");
                        Said::Accepted(under_way.swap_remove(at).0).say();
                    }
                    Err(Reason::ShareFull | Reason::MailboxFull | Reason::RateLimited) => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    Err(reason) => panic!("{reason}"),
                }
            }
        }
    }
}
