//! F9: what 10,000 messages cost the flash, and for how many years 64 KiB bear one a minute.
//!
//! Every day 1,000 of each kind are counted and scaled; `HUSHWIRE_F9=10000` counts them all. The
//! figures stand in `flash-store/FORMAT.md`.

mod common;

use common::{
    node::{Counter, Flash, Node, PAGE},
    size,
    world::World,
};
use hushwire_core::identity::Address;

/// Erases that a page is rated for.
const RATED: f64 = 10_000.0;
const MINUTES_A_YEAR: f64 = 365.25 * 24.0 * 60.0;

struct Figures {
    bytes: f64,
    writes: f64,
    erases: f64,
    years: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Talk {
    /// The host writes, the device receipts.
    In,
    /// The device writes, the host receipts.
    Out,
    /// A question and its answer: two messages.
    Both,
}

/// The device is node 0; a message of 32 bytes each minute.
fn measure(talk: Talk, pages: usize, receipt_pause: u64, unread: bool) -> Figures {
    let now = 1_000_000;
    let nodes = vec![
        Node::on(Flash::new(pages), 1, false, now, Counter(None)),
        Node::on(Flash::new(256), 2, false, now, Counter(None)),
    ];
    let mut world = World {
        nodes,
        relay: std::collections::BTreeMap::new(),
        now,
        rng: rand_chacha::rand_core::SeedableRng::seed_from_u64(1),
        recorded: Vec::new(),
        record: false,
    };
    let all: Vec<Address> = world.nodes.iter().map(|node| node.address).collect();
    world.nodes[0].add_contact(all[1]);
    world.nodes[1].add_contact(all[0]);
    world.nodes[0]
        .store
        .flash()
        .set_receipt_pause(receipt_pause);
    world.nodes[1]
        .store
        .flash()
        .set_receipt_pause(receipt_pause);
    world.nodes[0].store.reading = !unread;
    let total = size("HUSHWIRE_F9", 1_000);
    let mut before = (0, 0, 0, 0.0);
    let counters = |world: &World| {
        let flash = world.nodes[0].chip.get();
        // The page that is worn most decides.
        let worst = flash.pages.iter().max().copied().unwrap_or(0);
        (flash.written, flash.writes, flash.erases, worst as f64)
    };
    for n in 0..total + 200 {
        if n == 200 {
            before = counters(&world);
        }
        let body = [n as u8; 32];
        match talk {
            Talk::In => {
                if world.send(1, 0, &body).is_none() {
                    for e in world.nodes[1].store.outbox() {
                        println!("{n} {} {e:?}", world.now);
                    }
                    for e in world.nodes[0].store.outbox() {
                        println!("dev {} {e:?}", world.now);
                    }
                    panic!();
                }
            }
            Talk::Out => drop(world.send(0, 1, &body).unwrap()),
            Talk::Both if n % 2 == 0 => drop(world.send(1, 0, &body).unwrap()),
            Talk::Both => drop(world.send(0, 1, &body).unwrap()),
        }
        for at in [1, 0, 1, 0, 1, 0] {
            world.connect(at);
            world.pump(at, 64);
        }
        world.now += 60_000;
    }
    let after = counters(&world);
    let scale = 10_000.0 / total as f64;
    let erases = (after.2 - before.2) as f64 * scale;
    // Bytes that one round over all pages bears, times the rounds that they are rated for.
    let even = RATED * pages as f64 / (erases / 10_000.0);
    Figures {
        bytes: (after.0 - before.0) as f64 * scale,
        writes: (after.1 - before.1) as f64 * scale,
        erases,
        years: even / MINUTES_A_YEAR,
    }
}

fn show(what: &str, pages: usize, figures: &Figures) {
    let Figures {
        bytes,
        writes,
        erases,
        years,
    } = figures;
    println!(
        "| {what} | {} KiB | {:.0} | {bytes:.0} | {writes:.0} | {erases:.0} | {years:.1} |",
        pages * PAGE / 1024,
        bytes / 10_000.0,
    );
}

#[test]
fn f9_flash_wear() {
    println!(
        "| workload, one message of 32 bytes a minute | region | bytes a message | bytes | writes | erases per 10,000 | years |"
    );
    println!("| --- | --- | ---: | ---: | ---: | ---: | ---: |");
    const HOUR: u64 = 3_600_000;
    let runs = [
        ("in, receipts at once", Talk::In, 0),
        ("in, receipts each 10 minutes", Talk::In, HOUR / 6),
        ("in, receipts each hour", Talk::In, HOUR),
        ("question and answer", Talk::Both, 0),
        ("out, receipts at once", Talk::Out, 0),
        ("out, receipts each hour", Talk::Out, HOUR),
    ];
    for (what, talk, pause) in runs {
        let figures = measure(talk, 16, pause, false);
        show(what, 16, &figures);
    }
}
