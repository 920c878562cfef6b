//! The plug is pulled, again and again, and everything that was accepted is there.

use std::time::{Duration, Instant};

use crate::book::{Book, Stage};
use crate::kernel::{FileSystem, Machine, Running};

/// Cuts: 3 in the everyday run; `HUSHWIRE_CUTS=25` is the full one.
const EVERYDAY: u32 = 3;

fn cuts() -> u32 {
    let given = std::env::var("HUSHWIRE_CUTS").ok();
    given.map_or(EVERYDAY, |text| text.parse().expect("a number"))
}

/// Milliseconds within which three servers and two relays have begun to serve here.
#[cfg(feature = "cluster")]
const SLOWEST_START: u64 = 10_000;

/// When the power goes, in milliseconds after something.
#[derive(Clone, Copy)]
enum Moment {
    /// After servers and relays were begun to be started, or under load where that was quicker.
    Starting(u64),
    /// After a relay began to give back what the servers had lost, or under load where none did.
    WritingBack(u64),
    /// After so many were accepted.
    Loaded(u64),
}

/// Accepted before the load counts as one.
const LOAD: u32 = 64;

impl Moment {
    /// It looks random, and is the same in every run.
    fn of(boot: u32, slowest_start: u64) -> Self {
        // SplitMix64's finish.
        let mut mixed = u64::from(boot + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        match boot % 3 {
            1 => Self::WritingBack(mixed % 150),
            2 => Self::Starting(mixed % slowest_start),
            _ => Self::Loaded(mixed % 1_500),
        }
    }

    /// How long from now, if what it waits for is there.
    fn after(self, book: &Book) -> Option<Duration> {
        let is_loaded = book.accepted_now >= LOAD;
        match self {
            Self::Starting(ms) if book.stage == Stage::Starts => Some(ms),
            Self::WritingBack(ms) if book.stage == Stage::WritesBack => Some(ms),
            Self::Starting(ms) | Self::WritingBack(ms) | Self::Loaded(ms) => {
                is_loaded.then_some(ms)
            }
        }
        .map(Duration::from_millis)
    }
}

/// Runs until that moment.
fn run_until(mut machine: Running, moment: Moment, book: &mut Book) {
    book.begin();
    let mut deadline = None;
    while let Some(line) = machine.line(deadline) {
        book.enter(&line);
        deadline = deadline.or(moment.after(book).map(|time| Instant::now() + time));
    }
    for line in machine.cut() {
        book.enter(&line);
    }
    book.cut();
    let troubles = book.troubles();
    assert!(troubles.is_empty(), "{troubles:#?}");
}

/// Cuts the power of a machine that runs `words(boot)`, and then lets Bob read what is left. A start that is cut takes
/// `slowest_start` milliseconds at most.
fn power_cuts(
    file_system: FileSystem,
    name: &str,
    slowest_start: u64,
    words: impl Fn(u32) -> String,
) -> Book {
    let machine = Machine::with(file_system);
    let mut book = Book::default();
    let cuts = cuts();
    let boot = |number: u32| machine.boot(&format!("{number} {}", words(number)));
    for number in 0..cuts {
        run_until(boot(number), Moment::of(number, slowest_start), &mut book);
    }
    let mut last = boot(cuts);
    book.begin();
    while book.stage < Stage::Loaded {
        book.enter(&last.line(None).expect("it is waited for"));
    }
    println!("{name}: the power cut {cuts} times: {book}");
    assert!(
        book.accepted() >= LOAD as usize,
        "hardly anything was accepted"
    );
    // Those that took nothing came when the kernel had just written what was old.
    assert!(
        2 * book.took > book.could_take,
        "a cut that takes nothing is none"
    );
    book
}

fn nothing_is_lost(book: &Book) {
    let lost = book.lost();
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
    let again = book.after_removal();
    assert!(again.is_empty(), "delivered after its removal: {again:?}");
}

#[test]
fn r2_the_power_of_a_relay_is_cut() {
    let all = [
        (FileSystem::Ext4, "one relay on ext4"),
        (FileSystem::Xfs, "one relay on xfs"),
        (FileSystem::Btrfs, "one relay on btrfs"),
    ];
    let these = if cuts() > EVERYDAY {
        &all[..]
    } else {
        &all[..1]
    };
    for &(file_system, name) in these {
        let one = |_| "embedded".to_owned();
        nothing_is_lost(&power_cuts(file_system, name, 500, one));
    }
}

/// Debian's servers acknowledge before they sync. What a cut takes from them the relay that served last gives
/// back, if it starts first.
#[cfg(feature = "cluster")]
#[test]
fn all_power_of_a_cluster_is_cut() {
    let server = crate::tools::nats_of_debian();
    let late = |_| format!("cluster {} late a", server.display());
    let name = "a cluster whose servers sync late";
    let book = power_cuts(FileSystem::Ext4, name, SLOWEST_START, late);
    nothing_is_lost(&book);
    assert!(book.written_back > 0, "the servers lost nothing");
}

/// Servers that sync before they acknowledge: whichever relay starts first, nothing is lost.
#[cfg(feature = "cluster")]
#[test]
fn all_power_of_a_cluster_that_syncs_always_is_cut() {
    let server = crate::tools::nats_of_today();
    let always = |boot: u32| {
        let first = if boot.is_multiple_of(2) { "a" } else { "b" };
        format!("cluster {} always {first}", server.display())
    };
    let name = "a cluster whose servers sync always";
    nothing_is_lost(&power_cuts(FileSystem::Ext4, name, SLOWEST_START, always));
}
