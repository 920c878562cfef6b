//! C8: each wire object at every length from 0 to its largest and 16 more, grown from valid prefixes
//! and filled at random. Nothing panics; no length is taken that the object cannot have, by a table
//! written here and not taken from the crate; what is taken is written back byte for byte.

mod common;
#[path = "common/objects.rs"]
mod objects;
#[path = "common/link.rs"]
mod world;

use common::rng;
use hushwire_core::{
    crypto::Software,
    link::{
        Bounds, HEAD_ROOM, HandshakeError, MESSAGE_1_LEN, MESSAGE_2_LEN, MESSAGE_3_LEN, OpenError,
        PREAMBLE_LEN, SealError, TAIL_ROOM, scan,
    },
    wire::{answer::Answer, bundle::Bundle, envelope::Envelope, frame::Frames, request::Request},
};
use objects::{Samples, takes_answer, takes_request};
use rand_chacha::rand_core::Rng as _;
use world::World;

/// Printed by each test; put another number here to walk elsewhere.
const SEED: u64 = 0x4855_5348;
const MAX_ENVELOPE: usize = 16_384 + 512;
/// The largest body of a frame: a delivery.
const MAX_FRAME: usize = 1 + 8 + 8 + 20 + MAX_ENVELOPE;

fn random(salt: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    rng(SEED ^ salt).fill_bytes(&mut bytes);
    bytes
}

/// Lengths of a bundle with one to four suites.
fn bundle_lengths() -> [usize; 4] {
    [1, 2, 3, 4].map(|suites| 1 + 1 + 33 + 33 + 8 + 2 + 4 + 33 + 1 + suites * 33 + 64)
}

fn is_envelope_length(len: usize, kind: u8) -> bool {
    let around = 3 + 16 + 16 + 41 + 16 + 19 + 16;
    let start = 33 + 4 + 4 + 68 + 16;
    let around = match kind {
        1 => around,
        2 | 3 => around + start,
        _ => return false,
    };
    [32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384]
        .iter()
        .any(|bucket| len == around + bucket)
}

/// Whether a frame with this opcode can have this length, opcode included.
fn is_frame_length(opcode: u8, len: usize) -> bool {
    match opcode {
        0x01 => (1 + 20 + 1..=1 + 20 + MAX_ENVELOPE).contains(&len),
        0x02 | 0x03 | 0x81 => len == 1 + 16,
        // The carried object is judged by its own parser: see `takes_request`, `takes_answer`.
        0x04 => (1 + 2..).contains(&len),
        0x85 => (1 + 2 + 20 + 1..).contains(&len),
        0x05 => (1 + 2 + 1..).contains(&len) && (len - 4).is_multiple_of(37),
        0x06 | 0x0f => len == 1 + 2 + 20,
        0x07 => len == 1 + 2 + 1,
        0x08 => (1 + 2 + 1..).contains(&len) && (len - 4).is_multiple_of(20),
        0x09 | 0x86 => (1 + 2 + 20 + 3..=1 + 2 + 20 + 32).contains(&len),
        0x0a => (1 + 2 + 3..=1 + 2 + 32).contains(&len),
        0x0b..=0x0d | 0x87 | 0x8a => len == 1 + 2,
        0x0e | 0x84 => len == 1 + 1 + 20 + 4,
        0x82 => len == 1 + 16 + 1 + 4,
        0x83 => (1 + 8 + 8 + 20 + 1..=MAX_FRAME).contains(&len),
        0x88 => len == 1 + 2 + 1 + 4,
        0x89 => len == 1 + 2 + 4 + 8 + 2 + 8 + 1,
        0x8b => len == 1 + 8 + 8 + 8 + 4 + 2 + 8,
        0x8c => len == 1 + 33,
        _ => false,
    }
}

/// As above, the carried object included, as far as a length alone can say.
fn is_whole_length(bytes: &[u8]) -> bool {
    let (opcode, len) = (bytes[0], bytes.len());
    let envelope = |at: usize| is_envelope_length(len - at, bytes[at + 2]);
    let bundle = |at: usize| len > at && bundle_lengths().contains(&(len - at));
    is_frame_length(opcode, len)
        && match opcode {
            0x01 => len > 21 + 2 && envelope(21),
            0x83 => len > 37 + 2 && envelope(37),
            0x04 => bundle(3),
            0x85 => bundle(24 + 37 * usize::from(bytes[23])),
            _ => true,
        }
}

/// Parses and writes back; how many lengths were taken.
fn walk(bytes: &[u8], written: &mut [u8], taken: &mut usize) {
    let request = Request::parse(bytes);
    let answer = Answer::parse(bytes);
    assert!(request.is_err() || answer.is_err(), "one object only");
    let len = match (request, answer) {
        (Ok(request), _) => request.emit(written).expect("room enough"),
        (_, Ok(answer)) => answer.emit(written).expect("room enough"),
        _ => return,
    };
    assert_eq!(&written[..len], bytes, "one object has one encoding");
    assert!(
        is_frame_length(bytes[0], bytes.len()),
        "{} of {:02x}",
        bytes.len(),
        bytes[0]
    );
    *taken += 1;
    if takes_request(bytes) || takes_answer(bytes) {
        assert!(
            is_whole_length(bytes),
            "{} of {:02x}",
            bytes.len(),
            bytes[0]
        );
    }
}

#[test]
fn c8_frames() {
    println!("seed {SEED:#x}");
    let samples = Samples::new();
    let mut written = vec![0; MAX_FRAME + 16];
    let (mut walked, mut taken) = (0, 0);
    for (name, sample) in samples.requests().into_iter().chain(samples.answers()) {
        assert!(takes_request(&sample) || takes_answer(&sample), "{name}");
        for filler in [
            vec![0; MAX_FRAME + 16],
            random(u64::from(sample[0]), MAX_FRAME + 16),
        ] {
            let mut bytes = sample.clone();
            bytes.extend_from_slice(&filler[sample.len()..]);
            for len in 0..=bytes.len() {
                walk(&bytes[..len], &mut written, &mut taken);
            }
            walked += bytes.len() + 1;
        }
    }
    for opcode in 0..=u8::MAX {
        let mut bytes = random(0x100 + u64::from(opcode), MAX_FRAME + 16);
        bytes[0] = opcode;
        for len in 0..=bytes.len() {
            walk(&bytes[..len], &mut written, &mut taken);
        }
        walked += bytes.len() + 1;
    }
    println!("{walked} frames walked, {taken} taken and written back");
    assert!(taken > 1000, "the walk must meet lawful frames");
}

#[test]
fn c8_bundle() {
    println!("seed {SEED:#x}");
    let sample = Samples::new().bundle;
    let mut taken = Vec::new();
    for filler in 0..8 {
        let max = bundle_lengths()[3] + 16;
        for suites in 0..=u8::MAX {
            let mut bytes = sample.clone();
            bytes.truncate(115);
            bytes.push(suites);
            bytes.push(1);
            bytes.extend_from_slice(&random(filler, max)[..max - bytes.len()]);
            for len in 0..=max {
                if Bundle::parse(&bytes[..len]).is_ok() {
                    assert_eq!(len, bundle_lengths()[usize::from(suites) - 1]);
                    taken.push(suites);
                }
            }
        }
        let mut noise = random(0x200 + filler, max);
        noise[0] = 0x42;
        for len in 0..=max {
            assert!(Bundle::parse(&noise[..len]).is_err());
        }
    }
    for suites in 1..=4 {
        assert!(taken.contains(&suites), "{suites} suites at their length");
    }
}

#[test]
fn c8_envelope() {
    println!("seed {SEED:#x}");
    let max = MAX_ENVELOPE + 16;
    let mut taken = 0;
    for (name, sample) in Samples::new().envelopes() {
        assert!(Envelope::parse(&sample).is_ok(), "{name}");
        let mut bytes = sample.clone();
        bytes.extend_from_slice(&random(3, max)[sample.len()..]);
        for len in 0..=max {
            let lawful = is_envelope_length(len, sample[2]);
            assert_eq!(
                Envelope::parse(&bytes[..len]).is_ok(),
                lawful,
                "{name} {len}"
            );
            taken += usize::from(lawful);
        }
    }
    assert_eq!(taken, 30, "ten buckets, three kinds");
    for kind in 0..=u8::MAX {
        let mut noise = random(0x300 + u64::from(kind), max);
        noise[..3].copy_from_slice(&[1, 1, kind]);
        for len in 0..=max {
            let parsed = Envelope::parse(&noise[..len]).is_ok();
            assert!(!parsed || is_envelope_length(len, kind), "{kind} {len}");
        }
    }
}

/// A record is whole frames up to its last byte, or it ends in one error.
#[test]
fn c8_frames_of_a_record() {
    println!("seed {SEED:#x}");
    let sample = Samples::new().record();
    let mut ends = vec![0];
    for frame in Frames::new(&sample) {
        ends.push(ends[ends.len() - 1] + 2 + frame.expect("whole").len());
    }
    for len in 0..=sample.len() {
        let whole = Frames::new(&sample[..len]).all(|frame| frame.is_ok());
        assert_eq!(whole, ends.contains(&len), "{len}");
    }
    let empty = [&sample[..], &[0, 0]].concat();
    let last = Frames::new(&empty).last().expect("frames");
    assert!(last.is_err(), "a frame has an opcode");
    let max = usize::from(u16::MAX) + 16;
    for salt in 0..4 {
        let mut noise = random(0x400 + salt, max);
        // Half of the rounds: short frames, so that there are many.
        if salt % 2 == 0 {
            noise.iter_mut().step_by(2).for_each(|byte| *byte = 0);
        }
        for len in (0..=max).rev().step_by(if salt == 0 { 1 } else { 7 }) {
            let (mut sum, mut failed) = (0, false);
            for frame in Frames::new(&noise[..len]).take(64) {
                assert!(!failed, "an error is the last");
                match frame {
                    Ok(frame) => {
                        assert!(!frame.is_empty());
                        sum += 2 + frame.len();
                        assert!(sum <= len);
                    }
                    Err(_) => failed = true,
                }
            }
        }
    }
}

#[test]
fn c8_link_handshake() {
    println!("seed {SEED:#x}");
    let world = World::new(SEED);
    let (_, _, _, (first, second, third)) = world.connect();
    let messages = [
        &first[PREAMBLE_LEN + HEAD_ROOM..],
        &second[HEAD_ROOM..],
        &third[HEAD_ROOM..],
    ];
    let step = |message: usize, bytes: &[u8]| match message {
        0 => world.answer(bytes).map(|_| ()),
        1 => world.login(world.hello(&world.relay).0, bytes).map(|_| ()),
        _ => {
            let (relay, _) = world.answer(messages[0]).expect("our own message");
            relay.read_message_3(&mut Software, bytes).map(|_| ())
        }
    };
    for (i, max) in [MESSAGE_1_LEN, MESSAGE_2_LEN, MESSAGE_3_LEN]
        .into_iter()
        .enumerate()
    {
        assert_eq!(messages[i].len(), max);
        let noise = random(0x500 + i as u64, max + 16);
        let grown = [messages[i], &noise[max..]].concat();
        for len in 0..=max + 16 {
            let expected = if len == max {
                Ok(())
            } else {
                Err(HandshakeError::Length)
            };
            assert_eq!(step(i, &grown[..len]), expected, "message {}, {len}", i + 1);
            let refused = step(i, &noise[..len]).expect_err("noise");
            assert_eq!(refused == HandshakeError::Length, len != max);
        }
    }
}

#[test]
fn c8_link_records() {
    println!("seed {SEED:#x}");
    let mut world = World::new(SEED);
    world.relay_limits = world.client_limits;
    let (max, least) = (1400, 2 + 1 + TAIL_ROOM);
    let lawful = |len| (least..=max).contains(&len);
    let (client, relay, _, _) = world.connect();
    let ((mut to_client, _), (_, mut from_relay)) = (relay.split(), client.split());
    let mut longest = random(0x600, max + 16 + HEAD_ROOM);
    world
        .connect()
        .1
        .split()
        .0
        .seal(&mut longest, max - TAIL_ROOM)
        .expect("lawful");
    for len in 0..=max + 16 {
        let mut record = random(len as u64, max + 16 + HEAD_ROOM);
        let sealed = to_client.seal(&mut record, len.saturating_sub(TAIL_ROOM));
        let expected = match len {
            _ if lawful(len) => Ok(HEAD_ROOM + len),
            0..1400 => Err(SealError::TooShort),
            _ => Err(SealError::TooLong),
        };
        assert_eq!(sealed, expected, "{len}");
        if lawful(len) {
            let opened = from_relay.open(&mut record[HEAD_ROOM..][..len]);
            assert_eq!(opened.map(|p| p.len()), Ok(len - TAIL_ROOM));
        }
        // A valid record cut or with bytes behind it, and noise. A failure kills the half, so each
        // needs a fresh one.
        let (client, relay, _, _) = world.connect();
        let ((_, mut from_relay), (_, mut from_client)) = (client.split(), relay.split());
        let refused = if lawful(len) {
            OpenError::Refused
        } else {
            OpenError::Length
        };
        let cut = if len == max {
            Ok(max - TAIL_ROOM)
        } else {
            Err(refused)
        };
        let opened = from_relay
            .open(&mut longest.clone()[HEAD_ROOM..][..len])
            .map(|p| p.len());
        assert_eq!(opened, cut, "{len}");
        let noise = &mut random(0x700 + len as u64, len)[..];
        assert_eq!(
            from_client.open(noise).map(|p| p.len()),
            Err(refused),
            "{len}"
        );
    }
    for len in 0..=u16::MAX {
        let bounds = Bounds::records(&world.client_limits);
        let taken = scan(&len.to_be_bytes(), bounds).is_ok();
        assert_eq!(taken, lawful(usize::from(len)));
    }
}
