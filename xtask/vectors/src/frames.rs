//! PROTOCOL 3.5, 3.6: one frame of each opcode.

use crate::{identity::Identity, json::Object, primitives::join};

/// Stands for a point where none is looked at.
const POINT: [u8; 33] = [0x02; 33];

fn frame(name: &str, opcode: u8, fields: &[&[u8]]) -> Object {
    let bytes = join(&[&[opcode], &fields.concat()]);
    Object::new().with("name", name).hex("frame", bytes)
}

fn requests(bob: &[u8]) -> Vec<Object> {
    let id = [0xe1; 16];
    vec![
        frame("submit", 0x01, &[bob, b"envelope"]),
        frame("ack", 0x02, &[&id]),
        frame("refuse", 0x03, &[&id]),
        frame("publish", 0x04, &[&[0x01, 0x04], b"bundle"]),
        frame(
            "prekeys",
            0x05,
            &[&[0x01, 0x05, 0x01], &[0, 0, 0, 9], &POINT],
        ),
        frame("fetch", 0x06, &[&[0x01, 0x06], bob]),
        frame("mode: contacts only", 0x07, &[&[0x01, 0x07], &[0x01]]),
        frame("contacts: remove", 0x08, &[&[0x01, 0x08], &[0x01], bob]),
        frame("contacts: clear", 0x08, &[&[0x01, 0x08], &[0x02]]),
        frame("claim: release", 0x09, &[&[0x01, 0x09], &[0; 20], b"bob.1"]),
        frame("look-up", 0x0a, &[&[0x01, 0x0a], b"bob.1"]),
        frame("leave", 0x0b, &[&[0x01, 0x0b]]),
        frame("ping", 0x0c, &[&[0x01, 0x0c]]),
        frame("status", 0x0d, &[&[0x01, 0x0d]]),
        frame("noted: sent expired", 0x0e, &[&[0x01], bob, &[0, 0, 0, 3]]),
    ]
}

fn answers(bob: &[u8]) -> Vec<Object> {
    let id = [0xe1; 16];
    let (one, two, three) = (
        1_u64.to_be_bytes(),
        2_u64.to_be_bytes(),
        3_u64.to_be_bytes(),
    );
    let (four, five, six) = (
        4_u32.to_be_bytes(),
        5_u16.to_be_bytes(),
        6_u64.to_be_bytes(),
    );
    let prekey = join(&[&[0x01], &[0, 0, 0, 9], &POINT]);
    vec![
        frame("accepted", 0x81, &[&id]),
        frame("rejected: share full", 0x82, &[&id, &[0x02], &four]),
        frame("deliver", 0x83, &[&one, &two, bob, b"envelope"]),
        frame("notice: unopened", 0x84, &[&[0x07], bob, &four]),
        frame("notice: superseded", 0x84, &[&[0x04], &[0; 20], &[0; 4]]),
        frame("bundle", 0x85, &[&[0x01, 0x06], bob, &prekey, b"bundle"]),
        frame(
            "bundle without prekey",
            0x85,
            &[&[0x01, 0x06], bob, &[0x00], b"bundle"],
        ),
        frame("name", 0x86, &[&[0x01, 0x0a], bob, b"bob.1"]),
        frame("done", 0x87, &[&[0x01, 0x04]]),
        frame(
            "failed: rate limited",
            0x88,
            &[&[0x01, 0x06], &[0x05], &four],
        ),
        frame(
            "status",
            0x89,
            &[&[0x01, 0x0d], &four, &two, &five, &six, &[0x02]],
        ),
        frame("pong", 0x8a, &[&[0x01, 0x0c]]),
        frame("welcome", 0x8b, &[&one, &two, &three, &four, &five, &six]),
        frame("relay key", 0x8c, &[&POINT]),
    ]
}

pub(crate) fn file() -> String {
    let bob = Identity::bob().address();
    Object::new()
        .with("about", "One frame of each opcode: opcode and body. Envelopes, bundles and points are stand-ins. PROTOCOL 3.5, 3.6")
        .with("requests", requests(&bob))
        .with("answers", answers(&bob))
        .file()
}
