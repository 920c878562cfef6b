//! PROTOCOL 6: the Double Ratchet, as plain as it can be written.

mod open;
mod seal;

use crate::{
    json::Object,
    primitives::{Pair, hkdf, join},
    script::Script,
};

pub(crate) use seal::{Content, Message};

/// Who seals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    FromInitiator = 0x01,
    FromResponder = 0x02,
}

impl Way {
    fn reverse(self) -> Self {
        match self {
            Self::FromInitiator => Self::FromResponder,
            Self::FromResponder => Self::FromInitiator,
        }
    }
}

/// The chain that seals.
#[derive(Clone, Debug)]
pub(crate) struct Sending {
    pub(crate) key: Vec<u8>,
    pub(crate) header: Vec<u8>,
    pub(crate) pair: Pair,
    pub(crate) n: u32,
}

/// The chain that opens.
#[derive(Clone, Debug)]
pub(crate) struct Receiving {
    pub(crate) key: Vec<u8>,
    pub(crate) header: Vec<u8>,
    pub(crate) n: u32,
}

/// The key of a message that has not come yet.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) header: Vec<u8>,
    pub(crate) n: u32,
    pub(crate) key: Vec<u8>,
}

/// One side's session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) way: Way,
    pub(crate) id: Vec<u8>,
    pub(crate) tag: Vec<u8>,
    pub(crate) opening: Option<Vec<u8>>,
    pub(crate) one_time: Option<u32>,
    pub(crate) confirmed: bool,
    pub(crate) root: Vec<u8>,
    pub(crate) peer: Vec<u8>,
    pub(crate) sending: Option<Sending>,
    pub(crate) next_sending_header: Vec<u8>,
    pub(crate) pn: u32,
    pub(crate) receiving: Option<Receiving>,
    pub(crate) next_receiving_header: Vec<u8>,
    pub(crate) kept: Vec<Kept>,
    last_step: Option<Object>,
}

impl Session {
    pub(crate) fn new(way: Way, id: &[u8], tag: &[u8], root: &[u8], peer: &[u8]) -> Self {
        Self {
            way,
            id: id.to_vec(),
            tag: tag.to_vec(),
            opening: None,
            one_time: None,
            confirmed: false,
            root: root.to_vec(),
            peer: peer.to_vec(),
            sending: None,
            next_sending_header: Vec::new(),
            pn: 0,
            receiving: None,
            next_receiving_header: Vec::new(),
            kept: Vec::new(),
            last_step: None,
        }
    }

    /// PROTOCOL 6.1: a new ratchet key of one's own.
    pub(crate) fn step_to_send(&mut self, script: &mut Script) {
        let pair = script.pair();
        let dh = pair.agree(&self.peer);
        let [root, key, next_header] = step(&self.root, &dh, self.way);
        let json = Object::new()
            .hex("ratchet_scalar", pair.scalar)
            .hex("ratchet_key", &pair.point)
            .hex("dh", dh)
            .hex("root", &root)
            .hex("CK", &key)
            .hex("NHK", &next_header);
        self.last_step = Some(json);
        self.root = root;
        let header = std::mem::replace(&mut self.next_sending_header, next_header);
        self.sending = Some(Sending {
            key,
            header,
            pair,
            n: 0,
        });
    }

    /// The secrets of the last step, once.
    pub(crate) fn last_step(&mut self) -> Object {
        self.last_step.take().unwrap()
    }
}

/// PROTOCOL 6.1: root', CK, NHK.
fn step(root: &[u8], dh: &[u8], way: Way) -> [Vec<u8>; 3] {
    let info = join(&[b"hushwire v1 step", &[way as u8]]);
    let out = hkdf(root, dh, &info, 96);
    [0, 1, 2].map(|i| out[32 * i..32 * (i + 1)].to_vec())
}

/// PROTOCOL 6.3: key, nonce, commitment.
fn body_key(key: &[u8], salt: &[u8], way: Way) -> [Vec<u8>; 3] {
    let info = join(&[b"hushwire v1 message", &[way as u8]]);
    let out = hkdf(salt, key, &info, 60);
    [out[..32].to_vec(), out[32..44].to_vec(), out[44..].to_vec()]
}

/// PROTOCOL 6.4: key, nonce.
fn header_key(key: &[u8], salt: &[u8], body_tag: &[u8], way: Way) -> [Vec<u8>; 2] {
    let info = join(&[b"hushwire v1 header", &[way as u8]]);
    let out = hkdf(&join(&[salt, body_tag]), key, &info, 44);
    [out[..32].to_vec(), out[32..].to_vec()]
}
