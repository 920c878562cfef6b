//! Frames to requests and answers to frames.

use hushwire_core::crypto::Software;
use hushwire_core::identity::Address;
use hushwire_core::wire::answer::Answer as Frame;
use hushwire_core::wire::bundle::{Bundle, BundleError};
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::Request as Borrowed;
use hushwire_core::wire::{EnvelopeId, WireError};

use crate::request::{Answer, Command, Reply, Request, Submission};
use crate::store::record::{MESSAGE_HEADER, MessageHeader};

/// Reads one frame of the client with this address. The costly checks are done here, on the
/// connection's own task: an envelope's id is computed, a bundle's signature verified, the latter
/// only when `may_verify` does not say in how many seconds there is work left for it.
pub(crate) fn parse(
    frame: &[u8],
    client: &Address,
    may_verify: impl FnOnce() -> Result<(), u32>,
) -> Result<Request, WireError> {
    let numbered = |number, command| Ok(Request::Numbered(number, command));
    match Borrowed::parse(frame)? {
        Borrowed::Submit { to, envelope } => {
            let id = EnvelopeId::of(envelope);
            Ok(Request::Submit(Submission::new(to, id, envelope)))
        }
        Borrowed::Ack(id) => Ok(Request::Ack(id)),
        Borrowed::Refuse(id) => Ok(Request::Refuse(id)),
        Borrowed::Noted { kind, peer, count } => Ok(Request::Noted { kind, peer, count }),
        Borrowed::Publish { number, bundle } => {
            let command = match may_verify() {
                Ok(()) => publish(bundle, client),
                Err(retry_s) => Command::BadBundle {
                    reason: Reason::RateLimited,
                    retry_s,
                },
            };
            numbered(number, command)
        }
        Borrowed::Prekeys { number, keys } => {
            numbered(number, Command::Prekeys(keys.bytes().into()))
        }
        Borrowed::Fetch { number, address } => numbered(number, Command::Fetch(address)),
        Borrowed::Mode { number, mode } => numbered(number, Command::Mode(mode)),
        Borrowed::Contacts {
            number,
            change,
            addresses,
        } => numbered(
            number,
            Command::Contacts(change, addresses.iter().collect()),
        ),
        Borrowed::Claim {
            number,
            owner,
            name,
        } => numbered(
            number,
            Command::Claim {
                owner,
                name: name.into(),
            },
        ),
        Borrowed::LookUp { number, name } => numbered(number, Command::LookUp(name.into())),
        Borrowed::Leave { number } => numbered(number, Command::Leave),
        Borrowed::Ping { number } => numbered(number, Command::Ping),
        Borrowed::Status { number } => numbered(number, Command::Status),
        Borrowed::Invite { number, invite } => numbered(number, Command::Invite(invite)),
    }
}

/// Nobody else's bundle is stored, and none that clients would refuse.
fn publish(bytes: &[u8], client: &Address) -> Command {
    let bad = |reason| Command::BadBundle { reason, retry_s: 0 };
    let Ok(bundle) = Bundle::parse(bytes) else {
        return bad(Reason::Malformed);
    };
    match bundle.verify(&mut Software, client) {
        Ok(verified) => Command::Publish {
            counter: verified.counter(),
            bundle: bytes.into(),
        },
        Err(BundleError::Wire(_)) => bad(Reason::Malformed),
        Err(_) => bad(Reason::NotYours),
    }
}

/// At least the length of the frame, without writing it.
pub(crate) fn max_len(answer: &Answer) -> usize {
    /// Above every frame whose parts are all of fixed length.
    const FIXED: usize = 96;
    match answer {
        Answer::Deliver(record) => record.len(),
        Answer::Frame(frame) => frame.len(),
        Answer::Numbered(_, reply) => match &**reply {
            Reply::Bundle { bundle, .. } => FIXED + bundle.len(),
            _ => FIXED,
        },
        _ => FIXED,
    }
}

/// Writes opcode and body; returns their length, or an error where the room does not suffice.
pub(crate) fn emit(answer: &Answer, room: &mut [u8]) -> Result<usize, WireError> {
    match answer {
        Answer::Accepted(id) => Frame::Accepted(*id).emit(room),
        Answer::Rejected {
            id,
            reason,
            retry_s,
        } => Frame::Rejected {
            id: *id,
            reason: *reason,
            retry_after: *retry_s,
        }
        .emit(room),
        Answer::Deliver(record) => {
            let header = MessageHeader::parse(record).map_err(|_| WireError::Length)?;
            let envelope = record.get(MESSAGE_HEADER..).unwrap_or_default();
            let MessageHeader {
                sequence,
                stored_at_unix_s: stored_at,
                sender,
                ..
            } = header;
            Frame::Deliver {
                sequence,
                stored_at,
                sender,
                envelope,
            }
            .emit(room)
        }
        Answer::Frame(frame) => {
            let room = room.get_mut(..frame.len()).ok_or(WireError::Length)?;
            room.copy_from_slice(frame);
            Ok(frame.len())
        }
        Answer::Notice { kind, peer, count } => Frame::Notice {
            kind: *kind,
            peer: *peer,
            count: *count,
        }
        .emit(room),
        Answer::Welcome(welcome) => Frame::Welcome(**welcome).emit(room),
        Answer::RelayKey(key) => Frame::RelayKey(*key.bytes()).emit(room),
        Answer::Numbered(number, reply) => emit_reply(*number, reply, room),
    }
}

fn emit_reply(number: u16, reply: &Reply, room: &mut [u8]) -> Result<usize, WireError> {
    match reply {
        Reply::Bundle {
            address,
            prekey,
            bundle,
        } => {
            let prekey = prekey.map(|prekey| (prekey.id, prekey.point));
            Frame::Bundle {
                number,
                address: *address,
                prekey,
                bundle: bundle.as_ref(),
            }
            .emit(room)
        }
        Reply::Name { owner, name } => Frame::Name {
            number,
            owner: *owner,
            name,
        }
        .emit(room),
        Reply::Done => Frame::Done { number }.emit(room),
        Reply::Failed { reason, retry_s } => Frame::Failed {
            number,
            reason: *reason,
            retry_after: *retry_s,
        }
        .emit(room),
        Reply::Status(status) => Frame::Status {
            number,
            status: *status,
        }
        .emit(room),
        Reply::Pong => Frame::Pong { number }.emit(room),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_record_becomes_the_frame() {
        let (to, sender) = (Address([1; 20]), Address([2; 20]));
        let id = EnvelopeId::of(b"sealed");
        let submission = Submission::new(to, id, b"sealed");
        let mut record = submission.record.to_vec();
        let header = MessageHeader {
            to,
            id,
            stored_on_clock_s: 1,
            sequence: 77,
            stored_at_unix_s: 99,
            sender,
        };
        header.emit(&mut record);

        let mut room = [0; 256];
        let deliver = Answer::Deliver(record.into());
        let len = emit(&deliver, &mut room).unwrap();
        let frame = Frame::parse(&room[..len]).unwrap();
        let expected = Frame::Deliver {
            sequence: 77,
            stored_at: 99,
            sender,
            envelope: b"sealed",
        };
        assert_eq!(frame, expected);
        assert!(len <= max_len(&deliver));
    }

    #[test]
    fn the_id_is_computed_from_the_envelope() {
        let mut room = [0; 64];
        let to = Address([1; 20]);
        let len = Borrowed::Submit {
            to,
            envelope: b"sealed",
        }
        .emit(&mut room)
        .unwrap();
        let Ok(Request::Submit(submission)) = parse(&room[..len], &to, || Ok(())) else {
            panic!()
        };
        assert_eq!(submission.id, EnvelopeId::of(b"sealed"));
        assert_eq!(&submission.record[MESSAGE_HEADER..], b"sealed");
    }

    #[test]
    fn a_bundle_that_is_none_is_malformed() {
        let mut room = [0; 64];
        let client = Address([1; 20]);
        let len = Borrowed::Publish {
            number: 1,
            bundle: b"none",
        }
        .emit(&mut room)
        .unwrap();
        for (may_verify, expected) in [
            (Ok(()), (Reason::Malformed, 0)),
            (Err(3), (Reason::RateLimited, 3)),
        ] {
            let parsed = parse(&room[..len], &client, || may_verify);
            let Ok(Request::Numbered(1, Command::BadBundle { reason, retry_s })) = parsed else {
                panic!("{parsed:?}")
            };
            assert_eq!((reason, retry_s), expected);
        }
    }
}
