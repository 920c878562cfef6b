//! One seed: bad weather, then good, then the count.

use std::{cell::RefCell, collections::BTreeMap, fmt, rc::Rc, time::Duration};

use hushwire_core::{
    crypto::{PublicKey, Software},
    identity::Address,
    storage::Event,
};
use hushwire_relay::key::RelayKey;
use turmoil::{Builder, Sim};

use crate::{
    common::node::Node,
    faulty_disk::FaultyDisk,
    person::{self, Person, Shared},
    relay,
    weather::{KINDS, NAMES, Weather},
};

const PEOPLE: u8 = 3;
/// Messages of each to each other.
const MESSAGES: usize = 14;
const BAD_WEATHER: Duration = Duration::from_secs(60);
/// Simulated; what has not come by then never comes.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);

/// What happened, over one seed or many.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) promised: u64,
    pub(crate) before_healing: u64,
    pub(crate) unpromised: u64,
    pub(crate) faults: [u64; KINDS],
    pub(crate) power_cuts: u64,
    pub(crate) restarts: u64,
    pub(crate) given_up: u64,
    pub(crate) simulated: Duration,
    pub(crate) longest: Duration,
}

impl Report {
    pub(crate) fn add(&mut self, other: &Self) {
        self.promised += other.promised;
        self.before_healing += other.before_healing;
        self.unpromised += other.unpromised;
        for (sum, count) in self.faults.iter_mut().zip(other.faults) {
            *sum += count;
        }
        self.power_cuts += other.power_cuts;
        self.restarts += other.restarts;
        self.given_up += other.given_up;
        self.simulated += other.simulated;
        self.longest = self.longest.max(other.longest);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, longest) = (self.simulated.as_secs() / 3600, self.longest.as_secs());
        write!(
            f,
            "{} messages promised, each came exactly once; ",
            self.promised
        )?;
        write!(
            f,
            "{} in bad weather, {} more without a promise; ",
            self.before_healing, self.unpromised
        )?;
        for (name, count) in NAMES.iter().zip(self.faults) {
            write!(f, "{count} {name}, ")?;
        }
        let (cuts, restarts) = (self.power_cuts, self.restarts);
        write!(
            f,
            "{cuts} people's power cuts, {restarts} conversations begun anew, "
        )?;
        write!(f, "{} places of chains given up; ", self.given_up)?;
        write!(f, "{hours} h simulated, the longest seed {longest} s")
    }
}

/// Runs a seed; panics where a promise is broken.
pub(crate) fn run(seed: u64) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key");
    let key = public_key(&RelayKey::load_or_create(&key_file).unwrap().public());
    let mut sim = Builder::new()
        .rng_seed(seed)
        .tick_duration(Duration::from_millis(5))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(120))
        .simulation_duration(PATIENCE * 2)
        .tcp_capacity(4096)
        .repair_rate(1.0)
        .build();
    let disk: relay::Disk = Rc::new(RefCell::new(FaultyDisk::default()));
    let machine = Rc::clone(&disk);
    sim.host(relay::NAME, move || {
        relay::run(Rc::clone(&machine), key_file.clone())
    });
    let people = people(seed);
    for (name, person) in &people {
        let person = Rc::clone(person);
        sim.host(name.as_str(), move || person::run(Rc::clone(&person), key));
    }

    let mut weather = Weather::new(seed);
    while sim.elapsed() < BAD_WEATHER {
        step(&mut sim);
        weather.blow(&mut sim, &people, &disk);
    }
    let before_healing = received(&people).values().sum();
    weather.clear_up(&mut sim, &people);
    while !people.iter().all(|(_, person)| person.borrow().is_quiet()) {
        assert!(
            sim.elapsed() < PATIENCE,
            "it never comes to rest: {}",
            state(&people)
        );
        step(&mut sim);
    }
    count(&people, before_healing, &weather, sim.elapsed())
}

fn step(sim: &mut Sim<'_>) {
    sim.step().expect("no machine stops by itself");
}

fn people(seed: u64) -> Vec<(String, Shared)> {
    let seeds = 1..=PEOPLE;
    let nodes = seeds.map(|at| (at, Node::new(at, false, 0)));
    let mut people: Vec<_> = nodes
        .map(|(at, mut node)| {
            node.rng = crate::common::rng(seed * 16 + u64::from(at));
            Person {
                node,
                seed: at,
                friends: Vec::new(),
                wanted: Vec::new(),
                promised: Vec::new(),
                power_cuts: 0,
            }
        })
        .collect();
    let all: Vec<Address> = people.iter().map(|person| person.node.address).collect();
    for person in &mut people {
        let own = person.node.address;
        person.friends = all.iter().copied().filter(|other| *other != own).collect();
        for friend in person.friends.clone() {
            person.node.add_contact(friend);
        }
        for n in (0..MESSAGES).rev() {
            let bodies = person
                .friends
                .iter()
                .map(|to| (*to, format!("{} to {to:?}: {n}", person.seed)));
            person
                .wanted
                .extend(bodies.map(|(to, body)| (to, body.into_bytes())));
        }
    }
    let names = (1..).map(|n| format!("person-{n}"));
    names
        .zip(
            people
                .into_iter()
                .map(|person| Rc::new(RefCell::new(person))),
        )
        .collect()
}

/// How often each body came to whose application.
fn received(people: &[(String, Shared)]) -> BTreeMap<(Address, Vec<u8>), u64> {
    let mut received = BTreeMap::new();
    for (_, person) in people {
        let person = person.borrow();
        for message in &person.node.store.durable.inbox {
            *received
                .entry((person.node.address, message.body.clone()))
                .or_default() += 1;
        }
    }
    received
}

fn count(
    people: &[(String, Shared)],
    before_healing: u64,
    weather: &Weather,
    end: Duration,
) -> Report {
    let received = received(people);
    let (mut promised, mut restarts, mut given_up) = (0, 0, 0);
    for (name, person) in people {
        let told = told(name, &person.borrow().node);
        (restarts, given_up) = (restarts + told.0, given_up + told.1);
        for (to, body) in &person.borrow().promised {
            let text = String::from_utf8_lossy(body);
            let came = received.get(&(*to, body.clone())).copied().unwrap_or(0);
            assert_eq!(came, 1, "{name}: {text:?} came {came} times");
            promised += 1;
        }
    }
    // What was not promised may have been kept all the same, once.
    for ((_, body), came) in &received {
        assert_eq!(*came, 1, "{:?}", String::from_utf8_lossy(body));
    }
    Report {
        promised,
        before_healing,
        unpromised: received.len() as u64 - promised,
        faults: weather.counts,
        power_cuts: people
            .iter()
            .map(|(_, person)| person.borrow().power_cuts)
            .sum(),
        restarts,
        given_up,
        simulated: end,
        longest: end,
    }
}

/// Nobody was told that a message failed, or that the relay forgot what it had said: its store only
/// goes forward. Returns how often a conversation began anew, and how many places of a chain were
/// given up (power cuts skip those that were reserved; what was in them is sent again).
fn told(name: &str, node: &Node) -> (u64, u64) {
    let (mut restarts, mut given_up) = (0, 0);
    for event in node.lasting_events.iter().chain(&node.store.events) {
        match event {
            Event::Restarted { .. } => restarts += 1,
            Event::Lost { count, .. } => given_up += u64::from(*count),
            Event::RelayWentBack { .. } | Event::BadBundle { .. } | Event::Failed { .. } => {
                panic!("{name} was told: {event:?}")
            }
            _ => {}
        }
    }
    (restarts, given_up)
}

fn state(people: &[(String, Shared)]) -> String {
    let line = |(name, person): &(String, Shared)| {
        let person = person.borrow();
        let outbox: Vec<_> = person.node.store.outbox().collect();
        format!("{name}: {outbox:?}, {:?}", person.node.store.events.last())
    };
    people.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn public_key(digits: &str) -> PublicKey {
    let mut bytes = [0; 33];
    hex::decode_to_slice(digits, &mut bytes).expect("66 lower-case digits");
    PublicKey::parse(&mut Software, &bytes).expect("a point of the curve")
}
