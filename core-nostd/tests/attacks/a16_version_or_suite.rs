//! A16: any other version, suite or kind is refused, in every object and at every value.

use hushwire_core::{
    link::{PREAMBLE_LEN, Responder},
    wire::{WireError, envelope::Envelope},
};

use crate::common::{Party, encode, open, pair, seal};
use crate::link;

#[test]
fn of_an_envelope() {
    let (mut alice, _, mut a, mut b) = pair(1);
    let message = seal(&mut a, &mut alice.rng, b"message");
    let (mut carol, mut dan) = (Party::new(3), Party::new(4));
    let start = {
        let mut c = carol.start(&mut dan, true);
        seal(&mut c, &mut carol.rng, b"start")
    };
    let without = {
        let mut c = carol.start(&mut dan, false);
        seal(&mut c, &mut carol.rng, b"start")
    };
    let before = encode(&mut b);
    let mut tried = 0;
    for envelope in [&message, &start, &without] {
        for at in 0..3 {
            for byte in (0..=u8::MAX).filter(|byte| *byte != envelope[at]) {
                let mut bad = envelope.clone();
                bad[at] = byte;
                let error = Envelope::parse(&bad).err();
                match at {
                    0 => assert_eq!(error, Some(WireError::Version)),
                    1 => assert_eq!(error, Some(WireError::Suite)),
                    _ if byte > 3 || byte == 0 => assert_eq!(error, Some(WireError::Unknown)),
                    _ => {}
                }
                assert_eq!(open(&mut b, &bad), None);
                assert!(dan.respond(&bad).is_none());
                tried += 1;
            }
        }
    }
    assert_eq!(encode(&mut b), before);
    assert_eq!(open(&mut b, &message).unwrap(), b"message");
    assert!(dan.respond(&start).is_some() && dan.respond(&without).is_some());
    println!("{tried} envelopes of another version, suite or kind refused");
}

#[test]
fn of_a_link() {
    let world = {
        let mut good = [0; PREAMBLE_LEN];
        let hello = link::World::new(1);
        let bytes = hello.hello(&hello.relay).1;
        good.copy_from_slice(&bytes[..PREAMBLE_LEN]);
        good
    };
    assert!(Responder::greet(&world).is_ok());
    let mut tried = 0;
    for at in 0..PREAMBLE_LEN {
        for byte in (0..=u8::MAX).filter(|byte| *byte != world[at]) {
            let mut bad = world;
            bad[at] = byte;
            assert!(Responder::greet(&bad).is_err(), "byte {at} as {byte:02x}");
            tried += 1;
        }
    }
    println!("{tried} preambles refused");
}
