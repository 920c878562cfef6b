//! PROTOCOL 3.5, 3.6: each frame means what the core means by it.

use hushwire_core::{
    identity::{Address, IdentityKeys as _},
    wire::{
        EnvelopeId,
        answer::{Answer, NoticeKind, Status, Welcome},
        reason::Reason,
        request::{Addresses, ContactsChange, MailboxMode, Prekeys, Request},
    },
};

use crate::support::{Vector, hex, read, same};

const ID: EnvelopeId = EnvelopeId([0xe1; 16]);
const POINT: [u8; 33] = [2; 33];

fn bob() -> Address {
    read("bundle.json").identity("owner").public().address()
}

/// Name and bytes of each frame of a list.
fn frames(list: &[Vector<'_>]) -> Vec<(String, Vec<u8>)> {
    let frames = list.iter();
    frames
        .map(|frame| (frame.text("name").to_owned(), hex(frame.text("frame"))))
        .collect()
}

#[test]
fn requests() {
    let (to, none) = (bob(), Address::ZERO);
    let prekey = [&[0, 0, 0, 9][..], &POINT].concat();
    let listed = [to.0];
    let core = [
        Request::Submit {
            to,
            envelope: b"envelope",
        },
        Request::Ack(ID),
        Request::Refuse(ID),
        Request::Publish {
            number: 0x0104,
            bundle: b"bundle",
        },
        Request::Prekeys {
            number: 0x0105,
            keys: Prekeys::new(&prekey).unwrap(),
        },
        Request::Fetch {
            number: 0x0106,
            address: to,
        },
        Request::Mode {
            number: 0x0107,
            mode: MailboxMode::ContactsOnly,
        },
        Request::Contacts {
            number: 0x0108,
            change: ContactsChange::Remove,
            addresses: Addresses::new(&listed),
        },
        Request::Contacts {
            number: 0x0108,
            change: ContactsChange::Clear,
            addresses: Addresses::new(&[]),
        },
        Request::Claim {
            number: 0x0109,
            owner: none,
            name: "bob.1",
        },
        Request::LookUp {
            number: 0x010a,
            name: "bob.1",
        },
        Request::Leave { number: 0x010b },
        Request::Ping { number: 0x010c },
        Request::Status { number: 0x010d },
        Request::Noted {
            kind: NoticeKind::SentExpired,
            peer: to,
            count: 3,
        },
    ];
    let file = read("frames.json");
    let frames = frames(&file.list("requests"));
    assert_eq!(frames.len(), core.len());
    for ((name, frame), request) in frames.iter().zip(core) {
        let mut buffer = [0; 128];
        let len = request.emit(&mut buffer).unwrap();
        same(name, &buffer[..len], frame);
        assert_eq!(Request::parse(frame), Ok(request), "{name}");
    }
}

#[test]
fn answers() {
    let (peer, none) = (bob(), Address::ZERO);
    let status = Status {
        messages: 4,
        bytes: 2,
        prekeys: 5,
        bundle_counter: 6,
        mode: MailboxMode::Closed,
    };
    let welcome = Welcome {
        epoch: 1,
        next_sequence: 2,
        unix_seconds: 3,
        waiting: 4,
        prekeys: 5,
        bundle_counter: 6,
    };
    let bundle = |prekey| Answer::Bundle {
        number: 0x0106,
        address: peer,
        prekey,
        bundle: b"bundle",
    };
    let core = [
        Answer::Accepted(ID),
        Answer::Rejected {
            id: ID,
            reason: Reason::ShareFull,
            retry_after: 4,
        },
        Answer::Deliver {
            sequence: 1,
            stored_at: 2,
            sender: peer,
            envelope: b"envelope",
        },
        Answer::Notice {
            kind: NoticeKind::Unopened,
            peer,
            count: 4,
        },
        Answer::Notice {
            kind: NoticeKind::Superseded,
            peer: none,
            count: 0,
        },
        bundle(Some((9, POINT))),
        bundle(None),
        Answer::Name {
            number: 0x010a,
            owner: peer,
            name: "bob.1",
        },
        Answer::Done { number: 0x0104 },
        Answer::Failed {
            number: 0x0106,
            reason: Reason::RateLimited,
            retry_after: 4,
        },
        Answer::Status {
            number: 0x010d,
            status,
        },
        Answer::Pong { number: 0x010c },
        Answer::Welcome(welcome),
        Answer::RelayKey(POINT),
    ];
    let file = read("frames.json");
    let frames = frames(&file.list("answers"));
    assert_eq!(frames.len(), core.len());
    for ((name, frame), answer) in frames.iter().zip(core) {
        let mut buffer = [0; 128];
        let len = answer.emit(&mut buffer).unwrap();
        same(name, &buffer[..len], frame);
        assert_eq!(Answer::parse(frame), Ok(answer), "{name}");
    }
}
