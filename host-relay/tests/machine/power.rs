//! The plug is pulled, again and again, and everything that was accepted is there.

use std::time::{Duration, Instant};

use crate::book::{Book, Said};
use crate::kernel::{FileSystem, Machine, Running};

/// Cuts: 3 in the everyday run; `HUSHWIRE_CUTS=25` is the full one.
const EVERYDAY: u32 = 3;

fn cuts() -> u32 {
    let given = std::env::var("HUSHWIRE_CUTS").ok();
    given.map_or(EVERYDAY, |text| text.parse().expect("a number"))
}

/// When the power goes.
enum Moment {
    /// So long after it was switched on: while it starts, recovers, writes back.
    AfterBoot(Duration),
    /// So long after the first message was accepted.
    UnderLoad(Duration),
}

/// Moments that look random, the same in every run.
fn moment(boot: u32) -> Moment {
    let mixed = (boot + 1).wrapping_mul(0x9e37_79b9) >> 8;
    if boot % 3 == 2 {
        Moment::AfterBoot(Duration::from_millis(u64::from(500 + mixed % 6_000)))
    } else {
        Moment::UnderLoad(Duration::from_millis(u64::from(mixed % 2_000)))
    }
}

/// Runs until that moment.
fn run_until(machine: Running, moment: &Moment, book: &mut Book) {
    let mut deadline = match moment {
        Moment::AfterBoot(time) => Some(Instant::now() + *time),
        Moment::UnderLoad(_) => None,
    };
    while let Some(line) = machine.line(deadline) {
        let said = book.enter(&line);
        if let (Moment::UnderLoad(time), Some(Said::Accepted(_)), None) = (moment, said, deadline) {
            deadline = Some(Instant::now() + *time);
        }
    }
    assert!(
        deadline.is_some_and(|at| at <= Instant::now()),
        "it ended by itself: {:#?}",
        book.others
    );
    for line in machine.cut() {
        book.enter(&line);
    }
}

/// Cuts the power of a machine that runs `words(boot)`, and then lets Bob read what is left.
fn power_cuts(file_system: FileSystem, name: &str, words: impl Fn(u32) -> String) -> Book {
    let machine = Machine::with(file_system);
    let mut book = Book::default();
    let cuts = cuts();
    let boot = |boot: u32| machine.boot(&[&boot.to_string(), &words(boot)]);
    for number in 0..cuts {
        run_until(boot(number), &moment(number), &mut book);
    }
    let last = boot(cuts);
    loop {
        let line = last.line(None);
        let line = line.unwrap_or_else(|| panic!("it ended by itself: {:#?}", book.others));
        if book.enter(&line) == Some(Said::Drained) {
            break;
        }
    }
    println!("{name}: the power cut {cuts} times: {book}");
    assert!(book.accepted() > 100, "hardly anything was accepted");
    assert!(book.cuts_that_took > 0, "a cut that takes nothing is none");
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
        nothing_is_lost(&power_cuts(file_system, name, |_| "embedded".to_owned()));
    }
}

/// Debian's servers acknowledge before they sync. What a cut takes from them the relay that served last gives
/// back, if it starts first.
#[cfg(feature = "cluster")]
#[test]
fn all_power_of_a_cluster_is_cut() {
    let late = |_| "cluster nats-server late a".to_owned();
    let book = power_cuts(FileSystem::Ext4, "a cluster whose servers sync late", late);
    nothing_is_lost(&book);
    assert!(
        book.written_back > 0,
        "the servers lost nothing: {:#?}",
        book.others
    );
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
    let book = power_cuts(
        FileSystem::Ext4,
        "a cluster whose servers sync always",
        always,
    );
    nothing_is_lost(&book);
}
