//! What happens to the network and the machines, one thing after the other, from a seed.

use std::time::Duration;

use turmoil::Sim;

use crate::{faulty_disk::Dice, person::Shared, relay};

pub(crate) const KINDS: usize = 7;
pub(crate) const NAMES: [&str; KINDS] = [
    "partitions",
    "one-way",
    "holds",
    "10 % loss",
    "relay crashes",
    "person crashes",
    "cuts inside a commit",
];

/// What is wrong now, and what ends it.
enum Trouble {
    Network(String),
    Loss,
    Relay,
    Person(String),
}

pub(crate) struct Weather {
    dice: Dice,
    next: Duration,
    troubles: Vec<(Duration, Trouble)>,
    pub(crate) counts: [u64; KINDS],
}

impl Weather {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            next: Duration::from_secs(2),
            troubles: Vec::new(),
            counts: [0; KINDS],
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.dice.roll() % bound
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }

    /// Ends what is over; begins something new when it is time. At most one trouble for each place.
    pub(crate) fn blow(
        &mut self,
        sim: &mut Sim<'_>,
        people: &[(String, Shared)],
        disk: &relay::Disk,
    ) {
        let now = sim.elapsed();
        self.end(sim, |until| until <= now);
        if now < self.next {
            return;
        }
        self.next = now + self.millis(300, 4_000);
        let at = self.below(people.len() as u64) as usize;
        let (name, person) = &people[at];
        let kind = self.below(KINDS as u64) as usize;
        // Explicit breaks and random loss would mend each other.
        let network = |(_, trouble): &(Duration, Trouble)| match trouble {
            Trouble::Network(of) => of == name || kind == 3,
            Trouble::Loss => true,
            _ => false,
        };
        let taken = match kind {
            0..=3 => self.troubles.iter().any(network),
            4 => self
                .troubles
                .iter()
                .any(|(_, t)| matches!(t, Trouble::Relay)),
            _ => {
                let down = |t: &Trouble| matches!(t, Trouble::Person(of) if of == name);
                self.troubles.iter().any(|(_, trouble)| down(trouble))
            }
        };
        if taken {
            return;
        }
        self.counts[kind] += 1;
        let (trouble, longest) = match kind {
            0 => {
                sim.partition(name.as_str(), relay::NAME);
                (Trouble::Network(name.clone()), 20_000)
            }
            1 => {
                match self.below(2) {
                    0 => sim.partition_oneway(name.as_str(), relay::NAME),
                    _ => sim.partition_oneway(relay::NAME, name.as_str()),
                }
                (Trouble::Network(name.clone()), 20_000)
            }
            2 => {
                sim.hold(name.as_str(), relay::NAME);
                (Trouble::Network(name.clone()), 10_000)
            }
            3 => {
                sim.set_fail_rate(0.1);
                (Trouble::Loss, 15_000)
            }
            4 => {
                let survived = disk
                    .borrow()
                    .power_up(|| self.dice.roll().is_multiple_of(2));
                sim.crash(relay::NAME);
                *disk.borrow_mut() = survived;
                (Trouble::Relay, 4_000)
            }
            5 => {
                sim.crash(name.as_str());
                let keep = self.below(4) as usize;
                person.borrow_mut().crash(keep);
                (Trouble::Person(name.clone()), 4_000)
            }
            _ => {
                let (after, keep) = (self.below(6) as u32, self.below(4) as usize);
                person.borrow_mut().node.store.fail_commit = Some((after, keep));
                return;
            }
        };
        let until = now + self.millis(200, longest);
        self.troubles.push((until, trouble));
    }

    pub(crate) fn clear_up(&mut self, sim: &mut Sim<'_>, people: &[(String, Shared)]) {
        self.end(sim, |_| true);
        for (_, person) in people {
            person.borrow_mut().node.store.fail_commit = None;
        }
    }

    fn end(&mut self, sim: &mut Sim<'_>, over: impl Fn(Duration) -> bool) {
        let troubles = std::mem::take(&mut self.troubles);
        let (ended, lasting) = troubles.into_iter().partition(|(until, _)| over(*until));
        self.troubles = lasting;
        let ended: Vec<(Duration, Trouble)> = ended;
        for (_, trouble) in ended {
            match trouble {
                Trouble::Network(name) => {
                    sim.release(name.as_str(), relay::NAME);
                    sim.repair(name.as_str(), relay::NAME);
                }
                Trouble::Loss => sim.set_fail_rate(0.0),
                Trouble::Relay => sim.bounce(relay::NAME),
                Trouble::Person(name) => sim.bounce(name.as_str()),
            }
        }
    }
}
