//! One sample, at least, of each object that crosses a wire.
#![allow(unreachable_pub, reason = "a module of several test binaries")]
#![allow(dead_code, reason = "each test uses the part that it needs")]

use hushwire_core::{
    crypto::PublicKey,
    identity::Address,
    wire::{
        EnvelopeId,
        answer::{Answer, NoticeKind, Status, Welcome},
        bundle::Bundle,
        envelope::Envelope,
        frame,
        reason::Reason,
        request::{Addresses, ContactsChange, MailboxMode, PREKEY_LEN, Prekeys, Request},
    },
};

use super::common::{Party, seal};

/// A whole wire object and its name.
pub type Object = (&'static str, Vec<u8>);

/// A real bundle, and real envelopes of each kind.
pub struct Samples {
    pub bundle: Vec<u8>,
    pub message: Vec<u8>,
    pub start: Vec<u8>,
    pub start_without: Vec<u8>,
}

impl Samples {
    pub fn new() -> Self {
        let (mut alice, mut bob) = (Party::new(1), Party::new(2));
        let mut session = alice.start(&mut bob, true);
        let start = seal(&mut session, &mut alice.rng, b"start");
        let (mut answering, ..) = bob.respond(&start).expect("a session");
        let message = seal(&mut answering, &mut bob.rng, b"message");
        let mut without = alice.start(&mut bob, false);
        Self {
            bundle: bob.bundle(),
            message,
            start,
            start_without: seal(&mut without, &mut alice.rng, b"start"),
        }
    }

    pub fn envelopes(&self) -> Vec<Object> {
        vec![
            ("message", self.message.clone()),
            ("start", self.start.clone()),
            ("start without", self.start_without.clone()),
        ]
    }

    pub fn requests(&self) -> Vec<Object> {
        let (address, id) = (Address([0x21; 20]), EnvelopeId([0x22; 16]));
        let list = [0x23; 3 * PREKEY_LEN];
        let keys = Prekeys::new(&list).expect("a multiple");
        let contacts = [[0x24; Address::LEN]; 3];
        let contacts = |change, count: usize| Request::Contacts {
            number: 0x0708,
            change,
            addresses: Addresses::new(&contacts[..count]),
        };
        let number = 0x0708;
        [
            (
                "submit",
                Request::Submit {
                    to: address,
                    envelope: &self.message,
                },
            ),
            ("ack", Request::Ack(id)),
            ("refuse", Request::Refuse(id)),
            (
                "publish",
                Request::Publish {
                    number,
                    bundle: &self.bundle,
                },
            ),
            ("prekeys", Request::Prekeys { number, keys }),
            ("fetch", Request::Fetch { number, address }),
            (
                "mode",
                Request::Mode {
                    number,
                    mode: MailboxMode::ContactsOnly,
                },
            ),
            ("contacts", contacts(ContactsChange::Add, 3)),
            ("no contacts", contacts(ContactsChange::Clear, 0)),
            (
                "claim",
                Request::Claim {
                    number,
                    owner: address,
                    name: "alice-1",
                },
            ),
            (
                "look-up",
                Request::LookUp {
                    number,
                    name: "alice-1",
                },
            ),
            ("leave", Request::Leave { number }),
            ("ping", Request::Ping { number }),
            ("status?", Request::Status { number }),
            (
                "noted",
                Request::Noted {
                    kind: NoticeKind::Refused,
                    peer: address,
                    count: 7,
                },
            ),
        ]
        .map(|(name, request)| (name, emitted(|buffer| request.emit(buffer))))
        .into()
    }

    pub fn answers(&self) -> Vec<Object> {
        let (address, id) = (Address([0x21; 20]), EnvelopeId([0x22; 16]));
        let (number, reason, retry_after) = (0x0708, Reason::RateLimited, 60);
        let bundle = |prekey| Answer::Bundle {
            number,
            address,
            prekey,
            bundle: &self.bundle,
        };
        let status = Status {
            messages: 1,
            bytes: 2,
            prekeys: 3,
            bundle_counter: 4,
            mode: MailboxMode::Open,
        };
        let welcome = Welcome {
            epoch: 1,
            next_sequence: 2,
            unix_seconds: 3,
            waiting: 4,
            prekeys: 5,
            bundle_counter: 6,
        };
        let delivery = Answer::Deliver {
            sequence: 1,
            stored_at: 2,
            sender: address,
            envelope: &self.start,
        };
        [
            ("accepted", Answer::Accepted(id)),
            (
                "rejected",
                Answer::Rejected {
                    id,
                    reason,
                    retry_after,
                },
            ),
            ("deliver", delivery),
            (
                "notice",
                Answer::Notice {
                    kind: NoticeKind::Refused,
                    peer: address,
                    count: 7,
                },
            ),
            ("bundle with", bundle(Some((9, [2; PublicKey::LEN])))),
            ("bundle without", bundle(None)),
            (
                "name",
                Answer::Name {
                    number,
                    owner: address,
                    name: "alice-1",
                },
            ),
            ("done", Answer::Done { number }),
            (
                "failed",
                Answer::Failed {
                    number,
                    reason,
                    retry_after,
                },
            ),
            ("status", Answer::Status { number, status }),
            ("pong", Answer::Pong { number }),
            ("welcome", Answer::Welcome(welcome)),
        ]
        .map(|(name, answer)| (name, emitted(|buffer| answer.emit(buffer))))
        .into()
    }

    /// The plaintext of a record: every request, one frame each.
    pub fn record(&self) -> Vec<u8> {
        let mut record = vec![0; 8192];
        let mut len = 0;
        for (_, request) in self.requests() {
            len = frame::append(&mut record, len, |room| {
                room[..request.len()].copy_from_slice(&request);
                Ok(request.len())
            })
            .expect("room enough");
        }
        record.truncate(len);
        record
    }
}

fn emitted(emit: impl Fn(&mut [u8]) -> Result<usize, hushwire_core::wire::WireError>) -> Vec<u8> {
    let mut buffer = vec![0; 32_768];
    let len = emit(&mut buffer).expect("room enough");
    buffer.truncate(len);
    // A buffer that is too small, by any number of bytes, is an error and nothing else.
    for room in 0..len {
        assert!(
            emit(&mut buffer.clone()[..room]).is_err(),
            "{room} of {len}"
        );
    }
    buffer
}

/// A request as its relay takes it: the frame, and the object that it carries.
pub fn takes_request(bytes: &[u8]) -> bool {
    match Request::parse(bytes) {
        Ok(Request::Submit { envelope, .. }) => Envelope::parse(envelope).is_ok(),
        Ok(Request::Publish { bundle, .. }) => Bundle::parse(bundle).is_ok(),
        Ok(_) => true,
        Err(_) => false,
    }
}

/// An answer as its client takes it: the frame, and the object that it carries.
pub fn takes_answer(bytes: &[u8]) -> bool {
    match Answer::parse(bytes) {
        Ok(Answer::Deliver { envelope, .. }) => Envelope::parse(envelope).is_ok(),
        Ok(Answer::Bundle { bundle, .. }) => Bundle::parse(bundle).is_ok(),
        Ok(_) => true,
        Err(_) => false,
    }
}
