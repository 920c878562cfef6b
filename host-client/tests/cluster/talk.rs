//! Two people who write to each other at random moments, each by a program of their own, and what
//! comes in at either of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{read_dir, read_link, read_to_string},
    time::{Duration, Instant},
};

use crate::{
    common::PATIENCE,
    fleet::{Fleet, RELAYS},
    kills::Dice,
    program::{Program, Running, text},
};

/// Milliseconds between two messages of one person, at most.
const HASTE: u64 = 250;
/// Messages that are written at once before a kill.
const BURST: usize = 10;

/// A person.
pub(crate) struct Side {
    name: &'static str,
    program: Program,
    listening: Running,
    writing: Running,
    ports: [u16; RELAYS],
    /// Messages written so far; the next one has this number.
    written: usize,
    due: Instant,
    /// Texts to how often they came.
    arrived: BTreeMap<String, usize>,
    last_arrival: Instant,
    longest_pause: Duration,
    /// The relays at which this client was when messages came.
    pub(crate) places: BTreeSet<usize>,
}

/// What both know of one message. Lengths differ, up to a few of the wire's buckets.
fn message(from: &str, number: usize) -> String {
    format!("{from} {number} {}", "x".repeat(number * 37 % 700))
}

impl Side {
    fn new(name: &'static str, to: &str, program: Program, ports: [u16; RELAYS]) -> Self {
        let listening = program.start(&["listen"]);
        // The listening program has the link, and what writes hands over to it.
        let deadline = Instant::now() + PATIENCE;
        while place(listening.id(), ports).is_none() {
            assert!(Instant::now() < deadline, "{name} finds no relay");
            std::thread::sleep(Duration::from_millis(10));
        }
        // Whoever asks for keys that are not there yet asks again after ten minutes.
        let has_keys = || program.json(&["status"])["mailbox"]["prekeys"].as_u64() > Some(0);
        while !has_keys() {
            assert!(Instant::now() < deadline, "{name} is not registered");
            std::thread::sleep(Duration::from_millis(20));
        }
        let writing = program.start(&["send", to, "--lines", "--queue"]);
        Self {
            name,
            program,
            listening,
            writing,
            ports,
            written: 0,
            due: Instant::now(),
            arrived: BTreeMap::new(),
            last_arrival: Instant::now(),
            longest_pause: Duration::ZERO,
            places: BTreeSet::new(),
        }
    }

    /// The relay to which this client is connected.
    pub(crate) fn place(&self) -> Option<usize> {
        place(self.listening.id(), self.ports)
    }

    fn write(&mut self) {
        let line = message(self.name, self.written);
        self.writing.write(&format!("{line}\n"));
        self.written += 1;
    }

    /// Takes what comes within that time.
    fn read(&mut self, time: Duration) {
        let Some(line) = self.listening.line_within(time) else {
            return;
        };
        if line["type"] != "message" {
            return;
        }
        let now = Instant::now();
        self.longest_pause = self.longest_pause.max(now - self.last_arrival);
        self.last_arrival = now;
        self.places.extend(self.place());
        *self.arrived.entry(text(&line, "text")).or_default() += 1;
    }

    fn has(&self, from: &str, number: usize) -> bool {
        self.arrived.contains_key(&message(from, number))
    }
}

/// At which of the relays a process has a connection: sockets of its own among those of the machine.
fn place(process: u32, ports: [u16; RELAYS]) -> Option<usize> {
    let files = read_dir(format!("/proc/{process}/fd")).expect("the client runs");
    let own: BTreeSet<_> = files
        .flatten()
        // A file that was closed meanwhile has no name any more.
        .filter_map(|file| {
            read_link(file.path())
                .ok()?
                .into_os_string()
                .into_string()
                .ok()
        })
        .collect();
    let connections = read_to_string(format!("/proc/{process}/net/tcp")).expect("the client runs");
    connections.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (remote, state, inode) = (fields.get(2)?, fields.get(3)?, fields.get(9)?);
        let port = u16::from_str_radix(remote.split_once(':')?.1, 16).ok()?;
        let is_established = *state == "01";
        (is_established && own.contains(&format!("socket:[{inode}]")))
            .then(|| ports.iter().position(|one| *one == port))?
    })
}

pub(crate) struct Talk {
    pub(crate) sides: [Side; 2],
    pub(crate) fleet: Fleet,
    pub(crate) dice: Dice,
}

impl Talk {
    pub(crate) fn begin(fleet: Fleet, dice: Dice) -> Self {
        let (url, ports) = (fleet.url(), fleet.ports());
        let (alice, bob) = Program::friends_at(&url);
        let sides = [
            Side::new("alice", "bob", alice, ports),
            Side::new("bob", "alice", bob, ports),
        ];
        Self { sides, fleet, dice }
    }

    /// A moment: what is due is written, what came is read, who ended is started again.
    fn moment(&mut self, do_write: bool) {
        for side in &mut self.sides {
            if do_write && Instant::now() >= side.due {
                side.write();
                side.due = Instant::now() + Duration::from_millis(self.dice.below(HASTE));
            }
            side.read(Duration::from_millis(5));
        }
        self.fleet.supervise();
    }

    pub(crate) fn go_on_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.moment(true);
        }
    }

    /// Both write several at once: a kill within moments finds some of them under way.
    pub(crate) fn hurry(&mut self) {
        for side in &mut self.sides {
            (0..BURST).for_each(|_| side.write());
        }
        let wait = self.dice.below(40);
        self.go_on_for(Duration::from_millis(wait));
    }

    /// Goes on until there is something.
    pub(crate) fn go_on_until<T>(&mut self, what: &str, find: impl Fn(&Self) -> Option<T>) -> T {
        self.until(true, what, find)
    }

    fn until<T>(&mut self, do_write: bool, what: &str, find: impl Fn(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + 2 * PATIENCE; // A first message may wait for a minute where both write at once.
        loop {
            if let Some(found) = find(self) {
                return found;
            }
            if Instant::now() > deadline {
                let logs = (0..RELAYS).map(|n| self.fleet.said(n));
                let sides = self.sides.iter().map(Side::account);
                let all: Vec<_> = logs.chain(sides).collect();
                panic!("{what}: not in time\n{}", all.join("\n"));
            }
            self.moment(do_write);
        }
    }

    /// Goes on until each has read something that the other wrote after this moment.
    pub(crate) fn go_on_until_heard(&mut self) {
        let next = [self.sides[1].written, self.sides[0].written];
        self.go_on_until("a message of now is read on both sides", |talk| {
            let [alice, bob] = &talk.sides;
            (alice.has("bob", next[0]) && bob.has("alice", next[1])).then_some(())
        });
    }

    /// Nobody writes any more, everything arrives, and every receipt. Checks what the programs have
    /// recorded, and says how many messages there were.
    pub(crate) fn end(&mut self) -> usize {
        let written = [self.sides[1].written, self.sides[0].written];
        self.until(false, "everything is read", |talk| {
            let arrived = |(side, written): (&Side, &usize)| side.arrived.len() >= *written;
            talk.sides.iter().zip(&written).all(arrived).then_some(())
        });
        // With the last receipt nothing is on its way that could still come twice.
        self.until(false, "there are all receipts", |talk| {
            let waiting = |side: &Side| side.program.json(&["status", "--offline"])["waiting"] != 0;
            (!talk.sides.iter().any(waiting)).then_some(())
        });
        // Nor in the pipe from the program to this test.
        for _ in 0..100 {
            self.moment(false);
        }
        let [alice, bob] = &mut self.sides;
        alice.is_complete(bob);
        bob.is_complete(alice);
        written.iter().sum()
    }

    pub(crate) fn longest_pause(&self) -> Duration {
        let pauses = self.sides.iter().map(|side| side.longest_pause);
        pauses.max().unwrap_or_default()
    }
}

impl Side {
    /// Everything of this side's was acknowledged to it, recorded by the other, as it was, once, and has
    /// its receipt.
    fn is_complete(&mut self, other: &Self) {
        for number in 0..self.written {
            // The state is that of the moment in which it was told: receipts may be faster.
            let answer = self.writing.line(|line| line["type"] == "state");
            assert_ne!(answer["state"], "failed", "{} {number}", self.name);
        }
        let all = (0..self.written).map(|number| message(self.name, number));
        let once: BTreeMap<_, _> = all.map(|text| (text, 1)).collect();
        let wrong = |found: &BTreeMap<String, usize>| {
            let lost = once.keys().filter(|text| !found.contains_key(*text));
            let lost: Vec<_> = lost.map(|text| text.trim_end_matches('x')).collect();
            let others = found
                .iter()
                .filter(|(text, times)| once.get(*text) != Some(times));
            let others: Vec<_> = others
                .map(|(text, times)| (times, text.trim_end_matches('x')))
                .collect();
            format!(
                "of {}: lost {lost:?}, doubled or altered {others:?}",
                self.name
            )
        };
        assert!(other.arrived == once, "told, {}", wrong(&other.arrived));
        let recorded = other.recorded("in");
        let recorded = recorded.iter().map(|(text, _)| text.clone());
        let recorded = recorded.fold(BTreeMap::new(), |mut all, text| {
            *all.entry(text).or_default() += 1;
            all
        });
        assert!(recorded == once, "recorded, {}", wrong(&recorded));
        let own = self.recorded("out");
        assert_eq!(own.len(), self.written, "own messages of {}", self.name);
        for (text, state) in own {
            assert_eq!(state, "delivered", "{text} has its receipt");
        }
    }

    /// How far this side is, for who looks for what went wrong.
    fn account(&self) -> String {
        let mut states = BTreeMap::<_, usize>::new();
        for (_, state) in self.recorded("out") {
            *states.entry(state).or_default() += 1;
        }
        let status = &self.program.json(&["status", "--offline"]);
        let (name, written, place) = (self.name, self.written, self.place());
        let heard = self.arrived.len();
        format!("{name}: {written} written, {heard} heard, at {place:?}, own {states:?}, {status}")
    }

    /// Texts and states in the vault, of one direction.
    fn recorded(&self, direction: &str) -> Vec<(String, String)> {
        let all = self
            .program
            .lines(&["inbox", "--offline", "--limit", "1000000"]);
        let of_it = all.iter().filter(|line| line["direction"] == direction);
        of_it
            .map(|line| (text(line, "text"), text(line, "state")))
            .collect()
    }
}
