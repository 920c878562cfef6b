//! F9: what 10,000 messages cost the flash, and for how many years a region bears one a minute.
//!
//! Every day 800 of each kind are counted and scaled; `HUSHWIRE_F9=10000` counts them all. The
//! figures, and where they miss the aim of ten years in 64 KiB and why, stand in
//! `flash-store/FORMAT.md`.

use std::collections::BTreeMap;

use hushwire_core::identity::Address;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use crate::common::{
    node::{Counter, Flash, Node, PAGE},
    size,
    world::World,
};

/// Erases that a page is rated for.
const RATED: f64 = 10_000.0;
const MINUTES_A_YEAR: f64 = 365.25 * 24.0 * 60.0;
/// Until the conversation is under way and the pages turn.
const WARM_UP: u64 = 400;

/// Each for 10,000 messages.
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

#[derive(Clone, Copy, Default)]
struct Counters {
    bytes: u64,
    writes: u64,
    /// Of the pages of keys, and of the others.
    keys: u64,
    items: u64,
}

const fn key_pages(pages: usize) -> usize {
    if pages < 32 { 2 } else { pages / 16 }
}

fn counters(world: &World) -> Counters {
    let flash = world.nodes[0].chip.get();
    Counters {
        bytes: flash.written,
        writes: flash.writes,
        keys: flash.pages[..key_pages(flash.pages.len())].iter().sum(),
        items: flash.pages[key_pages(flash.pages.len())..].iter().sum(),
    }
}

/// The device is node 0; a message of 32 bytes each minute.
fn measure(talk: Talk, pages: usize, receipt_pause: u64) -> Figures {
    let now = 1_000_000;
    let nodes = vec![
        Node::on(Flash::new(pages), 1, false, now, Counter(None)),
        Node::on(Flash::new(256), 2, false, now, Counter(None)),
    ];
    let mut world = World {
        epoch: 1,
        nodes,
        relay: BTreeMap::new(),
        now,
        rng: ChaCha20Rng::seed_from_u64(1),
        recorded: Vec::new(),
        record: false,
    };
    let all: Vec<Address> = world.nodes.iter().map(|node| node.address).collect();
    world.nodes[0].add_contact(all[1]);
    world.nodes[1].add_contact(all[0]);
    let total = size("HUSHWIRE_F9", 800);
    let mut before = Counters::default();
    for n in 0..total + WARM_UP {
        if n == 20 {
            for node in &mut world.nodes {
                node.store.flash().set_receipt_pause(receipt_pause);
            }
        }
        if n == WARM_UP {
            before = counters(&world);
        }
        let (from, to) = match talk {
            Talk::In => (1, 0),
            Talk::Out => (0, 1),
            Talk::Both => (1 - n as usize % 2, n as usize % 2),
        };
        world.send(from, to, &[n as u8; 32]).unwrap();
        for at in [1, 0, 1, 0, 1, 0] {
            world.connect(at);
            world.pump(at, 64);
        }
        world.now += 60_000;
    }
    let after = counters(&world);
    let scaled = |after: u64, before: u64| (after - before) as f64 * 10_000.0 / total as f64;
    let keys = scaled(after.keys, before.keys);
    let items = scaled(after.items, before.items);
    let bytes = scaled(after.bytes, before.bytes);
    // Pages of a kind are worn evenly; the kind that is worn more ends the device. A short count of
    // a large region sees few erases: its bytes tell more.
    let items = items.max(bytes / PAGE as f64);
    let worst = (keys / key_pages(pages) as f64).max(items / (pages - key_pages(pages)) as f64);
    Figures {
        bytes,
        writes: scaled(after.writes, before.writes),
        erases: keys + items,
        years: RATED / worst * 10_000.0 / MINUTES_A_YEAR,
    }
}

#[test]
fn f9_flash_wear() {
    println!(
        "| a message of 32 bytes a minute | region | bytes a message | writes a message | erases for 10,000 | years |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    const HOUR: u64 = 3_600_000;
    let runs = [
        ("in, receipted at once", Talk::In, 0, 16),
        ("in, receipted in eights", Talk::In, HOUR, 16),
        ("question and answer", Talk::Both, 0, 16),
        ("out, receipted at once", Talk::Out, 0, 16),
        ("out, receipted in eights", Talk::Out, HOUR, 16),
        ("in, receipted at once", Talk::In, 0, 64),
        ("in, receipted in eights", Talk::In, HOUR, 64),
        ("question and answer", Talk::Both, 0, 64),
        ("out, receipted in eights", Talk::Out, HOUR, 64),
    ];
    for (what, talk, pause, pages) in runs {
        let Figures {
            bytes,
            writes,
            erases,
            years,
        } = measure(talk, pages, pause);
        println!(
            "| {what} | {} KiB | {:.0} | {:.1} | {erases:.0} | {years:.1} |",
            pages * PAGE / 1024,
            bytes / 10_000.0,
            writes / 10_000.0,
        );
        // What this build was measured at, and a tenth: wear does not grow unnoticed.
        let most = match (talk, pause) {
            (Talk::In, 0) => 690.0,
            (Talk::Both, _) => 640.0,
            (Talk::Out, 0) => 1120.0,
            _ => 275.0,
        };
        assert!(bytes / 10_000.0 < most, "{what}");
    }
}
