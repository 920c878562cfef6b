//! Two programs that know all three places of their relay talk while any relay or NATS server is
//! killed.

use std::time::{Duration, Instant};

use crate::{
    common::PATIENCE,
    fleet::{Fleet, RELAYS},
    nats::{NODES, Nats},
    talk::Talk,
};

/// Kills: 6 in the everyday run; `HUSHWIRE_CLUSTER_KILLS=100` is the full one.
fn kills() -> usize {
    let given = std::env::var("HUSHWIRE_CLUSTER_KILLS").ok();
    given.map_or(6, |text| text.parse().expect("a number"))
}

/// Numbers that look random, the same in every run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for end in (1..all.len()).rev() {
            all.swap(end, self.below(end as u64 + 1) as usize);
        }
    }
}

/// Whom the next kill hits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Victim {
    /// The relay that has the store.
    Owner,
    /// The relay at which this person's client is.
    PlaceOf(usize),
    AnyRelay,
    AnyServer,
}

/// Six kills. They come in any order, and each of them in every six.
const SIX: [Victim; 6] = [
    Victim::Owner,
    Victim::PlaceOf(0),
    Victim::PlaceOf(1),
    Victim::AnyRelay,
    Victim::AnyServer,
    Victim::AnyServer,
];

#[test]
fn nothing_is_lost_or_doubled_between_two_programs() {
    let (began, kills) = (Instant::now(), kills());
    let mut nats = Nats::start();
    let mut fleet = Fleet::start(nats.url("mail"));
    let deadline = Instant::now() + PATIENCE;
    while fleet.owner().is_none() {
        assert!(Instant::now() < deadline, "nobody has the store");
        // Three that start at once may take over from each other first.
        fleet.supervise();
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut talk = Talk::begin(fleet, Dice(0x9e37_79b9_7f4a_7c15));
    talk.go_on_until_heard();

    let (mut of_owners, mut of_relays, mut of_servers) = (0, 0, 0);
    let mut victims = Vec::new();
    for _ in 0..kills {
        if victims.is_empty() {
            victims.extend(SIX);
            talk.dice.shuffle(&mut victims);
        }
        let wait = 300 + talk.dice.below(1200);
        talk.go_on_for(Duration::from_millis(wait));
        let relay = match victims.pop().expect("they are six") {
            Victim::Owner => {
                of_owners += 1;
                Some(talk.go_on_until("one has the store", |talk| talk.fleet.owner()))
            }
            Victim::PlaceOf(side) => {
                let place = |talk: &Talk| talk.sides[side].place();
                Some(talk.go_on_until("the client is somewhere", place))
            }
            Victim::AnyRelay => Some(talk.dice.below(RELAYS as u64) as usize),
            Victim::AnyServer => None,
        };
        let server = talk.dice.below(NODES as u64) as usize;
        talk.hurry();
        match relay {
            Some(relay) => talk.fleet.kill(relay),
            None => nats.kill(server),
        }
        // Those that are left are enough; but a place may also come back while its clients look for another.
        if talk.dice.below(3) > 0 {
            talk.go_on_until_heard();
        } else {
            let wait = talk.dice.below(1500);
            talk.go_on_for(Duration::from_millis(wait));
        }
        if let Some(relay) = relay {
            of_relays += 1;
            talk.fleet.start_one(relay);
        } else {
            of_servers += 1;
            nats.start_node(server);
            nats.wait_for(server);
        }
        // The next kill is a single one only when the cluster is whole.
        talk.go_on_until_heard();
    }

    let messages = talk.end();
    let places = talk.sides.each_ref().map(|side| side.places.len());
    println!(
        "{kills} kills ({of_relays} of relays, {of_owners} of them had the store for certain; {of_servers} of \
         servers), {} relays ended by themselves: {messages} messages, each recorded once and receipted; the \
         clients were at {places:?} places; longest pause {:?}; all in {:?}",
        talk.fleet.ended,
        talk.longest_pause(),
        began.elapsed(),
    );
    assert!(messages > 10 * kills);
    // The dice are the same each time.
    assert!(kills < SIX.len() || of_owners > 0 && of_servers > 0);
    assert!(
        kills < SIX.len() || places.iter().all(|places| *places > 1),
        "a client stayed where it was: {places:?}"
    );
}
