//! Everything real: three NATS servers and three relays as processes, load, and any one of the six
//! killed at any moment, every third relay's disk with it.

mod prekeys;

use std::collections::{HashMap, HashSet};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hushwire_core::crypto::PublicKey;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::Request;

use crate::nats::{NODES, Nats, PATIENCE};
use crate::program::{Relays, free_port};
use crate::support::{Client, Target, address_of};

/// What waits for one is never the other's.
const RECIPIENTS: [u16; 2] = [2, 3];
const RELAYS: usize = 3;
const SENDERS: u16 = 4;

/// Kills: 6 in the everyday run; `HUSHWIRE_CLUSTER_KILLS=100` is the full one.
fn kills() -> u64 {
    let given = std::env::var("HUSHWIRE_CLUSTER_KILLS").ok();
    given.map_or(6, |text| text.parse().expect("a number"))
}

/// Numbers that look random, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// The three relays; they are killed, by their own ids, when it is dropped.
struct Fleet {
    relays: Relays,
    targets: Vec<Target>,
    running: Vec<Option<Child>>,
}

impl Fleet {
    fn start(store: String) -> Self {
        let relays = Relays::of(store);
        let key: PublicKey = relays.key();
        let target = |_| Target {
            address: ([127, 0, 0, 1], free_port()).into(),
            key,
        };
        let mut fleet = Self {
            relays,
            targets: (0..RELAYS).map(target).collect(),
            running: (0..RELAYS).map(|_| None).collect(),
        };
        (0..RELAYS).for_each(|n| fleet.start_one(n));
        fleet
    }

    fn start_one(&mut self, n: usize) {
        let port = self.targets[n].address.port();
        let mut command = self.relays.command(n, port);
        command.stdout(std::process::Stdio::null());
        self.running[n] = Some(command.spawn().expect("the relay starts"));
    }

    fn kill(&mut self, n: usize) {
        let mut child = self.running[n].take().expect("it was started");
        // It may have ended by itself: taken over.
        let _ = child.kill();
        child.wait().expect("it ended");
    }

    /// The one that has the store, as far as one says so.
    fn owner(&self) -> Option<usize> {
        (0..RELAYS).find(|n| self.running[*n].is_some() && self.relays.has_said_store(*n))
    }

    /// What a supervisor does: who ended is started again. Returns how many had.
    fn supervise(&mut self) -> usize {
        let mut again = 0;
        for n in 0..RELAYS {
            let ended = |child: &mut Child| child.try_wait().unwrap().is_some();
            if self.running[n].as_mut().is_some_and(ended) {
                self.start_one(n);
                again += 1;
            }
        }
        again
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for child in self.running.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The next relay that takes the client, as a client with a list of places finds it.
async fn connect(targets: &[Target], at: &mut usize, seed: u16) -> Client {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let target = &targets[*at % targets.len()];
        if let Ok(client) = Client::connect(target, seed).await {
            return client;
        }
        assert!(Instant::now() < deadline, "no relay serves");
        *at += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[derive(Default)]
struct Books {
    accepted: HashSet<Vec<u8>>,
    /// Envelope to how often it was delivered.
    received: HashMap<Vec<u8>, u32>,
    /// Delivered again after its removal was durable.
    after_removal: Vec<Vec<u8>>,
    /// Longest time between two accepted ones.
    longest: Duration,
    last: Option<Instant>,
}

impl Books {
    fn accept(&mut self, envelope: Vec<u8>) {
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            self.longest = self.longest.max(now - last);
        }
        self.accepted.insert(envelope);
    }
}

/// Whom an envelope is for, who made it, and its number.
fn envelope_of(recipient: u16, sender: u16, n: u64) -> Vec<u8> {
    let mut envelope = recipient.to_be_bytes().to_vec();
    envelope.extend(sender.to_be_bytes());
    envelope.extend(n.to_be_bytes());
    envelope
}

/// Says each message until it is accepted, over whichever relay serves. Senders begin at different ones.
async fn sender(targets: Vec<Target>, seed: u16, books: Arc<Mutex<Books>>, stop: Arc<AtomicBool>) {
    let mut at = usize::from(seed);
    let mut n = 0u64;
    while !stop.load(Ordering::Relaxed) {
        let mut client = connect(&targets, &mut at, seed).await;
        while !stop.load(Ordering::Relaxed) {
            let recipient = RECIPIENTS[n as usize % RECIPIENTS.len()];
            let envelope = envelope_of(recipient, seed, n);
            match client.submit(address_of(recipient), &envelope).await {
                Ok(Ok(())) => {
                    books.lock().unwrap().accept(envelope);
                    n += 1;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                Ok(Err(
                    Reason::ShareFull
                    | Reason::MailboxFull
                    | Reason::RateLimited
                    | Reason::StoreTrouble
                    | Reason::Stopping,
                )) => tokio::time::sleep(Duration::from_millis(20)).await,
                Ok(Err(reason)) => panic!("{reason}"),
                Err(_) => break,
            }
        }
    }
}

/// Reads and acknowledges until `stop`, and then until nothing waits. A publication's answer rests on
/// durable state, and so do the acks before it (docs/PROTOCOL.md): they count as removed then.
async fn receiver(
    targets: Vec<Target>,
    seed: u16,
    books: Arc<Mutex<Books>>,
    stop: Arc<AtomicBool>,
) {
    let mut at = usize::from(seed);
    let mut counter = 1;
    let mut removed = HashSet::new();
    loop {
        let last = stop.load(Ordering::Relaxed);
        let mut client = connect(&targets, &mut at, seed).await;
        if last && client.welcome.waiting == 0 {
            return;
        }
        let mut fresh = Vec::new();
        let until = Instant::now() + Duration::from_secs(1);
        let lost = loop {
            if Instant::now() > until {
                break false;
            }
            let next = tokio::time::timeout(Duration::from_millis(300), client.delivery()).await;
            let envelope = match next {
                Ok(Ok((_, envelope))) => envelope,
                Ok(Err(_)) => break true,
                Err(_) => break false,
            };
            let whose = &envelope[..2];
            assert_eq!(whose, seed.to_be_bytes(), "another's mailbox");
            let ack = Request::Ack(EnvelopeId::of(&envelope));
            if client.send(&ack).await.is_err() {
                break true;
            }
            let mut books = books.lock().unwrap();
            *books.received.entry(envelope.clone()).or_default() += 1;
            if removed.contains(&envelope) {
                books.after_removal.push(envelope.clone());
            }
            fresh.push(envelope);
        };
        // What is delivered meanwhile is passed over, and comes again with the next connection.
        counter += 1;
        let bundle = client.bundle(counter);
        if !lost && matches!(client.publish(&bundle).await, Ok(Ok(()))) {
            removed.extend(fresh);
        }
    }
}

/// Three that start at once may take over from each other first.
async fn register(fleet: &mut Fleet, seed: u16) {
    let (targets, mut at) = (fleet.targets.clone(), 0);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut client = connect(&targets, &mut at, seed).await;
        if client.register().await.is_ok() {
            return;
        }
        assert!(Instant::now() < deadline, "nobody can register");
        fleet.supervise();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_server_or_relay_is_killed_under_load() {
    let mut nats = Nats::start();
    let mut fleet = Fleet::start(nats.url("mail"));
    let targets = fleet.targets.clone();
    for seed in RECIPIENTS {
        register(&mut fleet, seed).await;
    }

    let books = Arc::new(Mutex::new(Books::default()));
    let (stop, end) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let senders: Vec<_> = (10..10 + SENDERS)
        .map(|seed| {
            let (books, stop) = (Arc::clone(&books), Arc::clone(&stop));
            tokio::spawn(sender(targets.clone(), seed, books, stop))
        })
        .collect();
    let readers = RECIPIENTS.map(|seed| {
        let (books, end) = (Arc::clone(&books), Arc::clone(&end));
        tokio::spawn(receiver(targets.clone(), seed, books, end))
    });

    let (mut dice, kills) = (Dice(0x9e37_79b9_7f4a_7c15), kills());
    let (mut of_relays, mut of_owners, mut of_disks, mut again) = (0, 0, 0, 0);
    for _ in 0..kills {
        tokio::time::sleep(Duration::from_millis(300 + dice.below(1500))).await;
        let victim = dice.below((NODES + RELAYS) as u64) as usize;
        if victim < RELAYS {
            of_relays += 1;
            // Every other time the one that has the store: the others are missed by their clients alone.
            let owner = fleet.owner().filter(|_| of_relays % 2 == 1);
            of_owners += u64::from(owner.is_some());
            let victim = owner.unwrap_or(victim);
            fleet.kill(victim);
            // Another machine in its place: it has the key and nothing else.
            if of_relays % 3 == 1 {
                of_disks += 1;
                fleet.relays.wipe(victim);
            }
            tokio::time::sleep(Duration::from_millis(dice.below(1500))).await;
            fleet.start_one(victim);
        } else {
            nats.kill(victim - RELAYS);
            tokio::time::sleep(Duration::from_millis(dice.below(1500))).await;
            nats.start_node(victim - RELAYS);
            nats.wait_for(victim - RELAYS);
        }
        again += fleet.supervise();
        // The next kill is a single one only when the cluster is whole: acceptance goes on.
        let before = books.lock().unwrap().accepted.len();
        let deadline = Instant::now() + PATIENCE;
        while books.lock().unwrap().accepted.len() < before + 10 {
            assert!(Instant::now() < deadline, "nothing is accepted any more");
            again += fleet.supervise();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for task in senders {
        task.await.unwrap();
    }
    end.store(true, Ordering::Relaxed);
    for task in readers {
        task.await.unwrap();
    }
    again += fleet.supervise();

    let books = std::mem::take(&mut *books.lock().unwrap());
    let lost: Vec<_> = books
        .accepted
        .iter()
        .filter(|one| !books.received.contains_key(*one))
        .collect();
    let twice = books.received.values().filter(|times| **times > 1).count();
    println!(
        "{kills} kills ({of_relays} of relays, of which {of_owners} or more had the store and {of_disks} lost their disk, {} of servers), {again} relays ended by themselves: {} accepted, {} \
         received, {twice} of them again, {} after their removal was durable, {} lost; longest pause {:?}",
        kills - of_relays,
        books.accepted.len(),
        books.received.len(),
        books.after_removal.len(),
        lost.len(),
        books.longest
    );
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
    // A relay that lost its server may be taken over while it lives, and repeats from memory what it
    // had under way until it learns that, and ends: at most a window of 64 each time (docs/SCALE.md).
    assert!(
        books.after_removal.len() <= 64 * RECIPIENTS.len() * again,
        "doubled: {:?}",
        books.after_removal
    );
    assert!(books.accepted.len() as u64 > 10 * kills);
    // The dice are the same each time.
    let of_servers = kills - of_relays;
    assert!(kills < 6 || of_owners > 0 && of_disks > 0 && of_servers > 0);
}
