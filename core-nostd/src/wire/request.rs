//! What a client asks of its relay. PROTOCOL 3.5
//!
//! | opcode | request | body |
//! | --- | --- | --- |
//! | 01 | submit | recipient 20 ‖ envelope |
//! | 02 | ack | envelope id 16 |
//! | 03 | refuse | envelope id 16 |
//! | 04 | publish | request number u16 ‖ bundle |
//! | 05 | prekeys | number u16 ‖ suite u8 ‖ (id u32 ‖ point 33)* |
//! | 06 | fetch | number u16 ‖ address 20 |
//! | 07 | mode | number u16 ‖ mode u8 |
//! | 08 | contacts | number u16 ‖ operation u8 ‖ address 20 * |
//! | 09 | claim | number u16 ‖ owner 20 ‖ name |
//! | 0a | look-up | number u16 ‖ name |
//! | 0b | leave | number u16 |
//! | 0c | ping | number u16 |
//! | 0d | status | number u16 |
//! | 0e | noted | kind u8 ‖ peer 20 ‖ count u32 |
//! | 0f | invite | number u16 ‖ invitation 20 |
//! | 20 | reserved: fan-out submit | |

use super::{EnvelopeId, Reader, SUITE, WireError, Writer, answer::NoticeKind, invite::Invite};
use crate::{crypto::PublicKey, identity::Address, limits::MAX_ENVELOPE};

/// Who may write to a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum MailboxMode {
    /// Everybody.
    #[default]
    Open = 0,
    /// Only addresses on the owner's list.
    ContactsOnly = 1,
    /// Nobody.
    Closed = 2,
}

impl MailboxMode {
    /// The mode of a byte.
    ///
    /// # Errors
    /// [`WireError::Value`] for bytes that name no mode.
    pub const fn from_byte(byte: u8) -> Result<Self, WireError> {
        match byte {
            0 => Ok(Self::Open),
            1 => Ok(Self::ContactsOnly),
            2 => Ok(Self::Closed),
            _ => Err(WireError::Value),
        }
    }
}

/// What happens to a mailbox's list of contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ContactsChange {
    /// These may write.
    Add = 0,
    /// These may no more.
    Remove = 1,
    /// The list becomes empty; no addresses follow.
    Clear = 2,
}

/// One request, borrowing its variable part from the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// Take this envelope into custody for `to`.
    Submit {
        /// Recipient.
        to: Address,
        /// Its bytes, opaque to the relay.
        envelope: &'a [u8],
    },
    /// The delivery was opened and recorded: delete it.
    Ack(EnvelopeId),
    /// The delivery cannot be opened: delete it and tell its sender.
    Refuse(EnvelopeId),
    /// Publish a signed bundle.
    Publish {
        /// Echoed in the answer.
        number: u16,
        /// See [`crate::wire::bundle`].
        bundle: &'a [u8],
    },
    /// Replace the whole set of one-time prekeys.
    Prekeys {
        /// Echoed in the answer.
        number: u16,
        /// The keys.
        keys: Prekeys<'a>,
    },
    /// Ask for somebody's bundle and one of their one-time prekeys.
    Fetch {
        /// Echoed in the answer.
        number: u16,
        /// Whose.
        address: Address,
    },
    /// Say who may write.
    Mode {
        /// Echoed in the answer.
        number: u16,
        /// From now on.
        mode: MailboxMode,
    },
    /// Change the list of those who may write.
    Contacts {
        /// Echoed in the answer.
        number: u16,
        /// What to do.
        change: ContactsChange,
        /// With whom.
        addresses: Addresses<'a>,
    },
    /// Claim a free name or one that is offered, offer an own one, or release it (owner of zeros).
    Claim {
        /// Echoed in the answer.
        number: u16,
        /// The new owner.
        owner: Address,
        /// 3 to 32 of `a-z 0-9 . _ -`, a letter first.
        name: &'a str,
    },
    /// Whose name is it?
    LookUp {
        /// Echoed in the answer.
        number: u16,
        /// The name.
        name: &'a str,
    },
    /// Delete the mailbox, the bundle, the prekeys and the names.
    Leave {
        /// Echoed in the answer.
        number: u16,
    },
    /// Are you there?
    Ping {
        /// Echoed in the answer.
        number: u16,
    },
    /// What do you hold of me?
    Status {
        /// Echoed in the answer.
        number: u16,
    },
    /// A notice was recorded: subtract it.
    Noted {
        /// Which.
        kind: NoticeKind,
        /// About whom.
        peer: Address,
        /// How much of it.
        count: u32,
    },
    /// Show an invitation, before the first bundle is published.
    Invite {
        /// Echoed in the answer.
        number: u16,
        /// What the relay's operator gave out.
        invite: Invite,
    },
}

/// What stands before the envelope of a submission: so an envelope can be sealed in its place.
#[must_use]
pub fn submit_head(to: &Address) -> [u8; SUBMIT_HEAD] {
    let mut head = [0x01; SUBMIT_HEAD];
    let [_, rest @ ..] = &mut head;
    *rest = to.0;
    head
}

/// Bytes of [`submit_head`].
pub const SUBMIT_HEAD: usize = 1 + Address::LEN;

/// What stands before the list of an upload: so the list can be computed in its place.
#[must_use]
pub const fn prekeys_head(number: u16) -> [u8; PREKEYS_HEAD] {
    let [high, low] = number.to_be_bytes();
    [0x05, high, low, SUITE]
}

/// Bytes of [`prekeys_head`].
pub const PREKEYS_HEAD: usize = 4;

/// A list of one-time prekeys in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prekeys<'a>(&'a [u8]);

/// Bytes of one one-time prekey in an upload.
pub const PREKEY_LEN: usize = 4 + PublicKey::LEN;

impl<'a> Prekeys<'a> {
    /// Takes a list whose length is a multiple of [`PREKEY_LEN`].
    ///
    /// # Errors
    /// [`WireError::Length`] otherwise.
    pub const fn new(bytes: &'a [u8]) -> Result<Self, WireError> {
        if bytes.len().is_multiple_of(PREKEY_LEN) {
            Ok(Self(bytes))
        } else {
            Err(WireError::Length)
        }
    }

    /// The raw list: each entry is id u32 ‖ point 33. Points are *not* checked here: who uses one
    /// checks it.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.0
    }

    /// How many.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.0.len() / PREKEY_LEN
    }

    /// Ids and points, the latter unchecked.
    pub fn iter(&self) -> impl Iterator<Item = (u32, [u8; PublicKey::LEN])> + 'a {
        self.0
            .as_chunks::<PREKEY_LEN>()
            .0
            .iter()
            .filter_map(|entry| {
                let mut reader = Reader::new(entry);
                Some((reader.u32().ok()?, *reader.array().ok()?))
            })
    }
}

/// A list of addresses in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses<'a>(&'a [[u8; Address::LEN]]);

impl<'a> Addresses<'a> {
    /// Takes addresses as raw bytes.
    #[must_use]
    pub const fn new(raw: &'a [[u8; Address::LEN]]) -> Self {
        Self(raw)
    }

    /// The addresses.
    pub fn iter(&self) -> impl Iterator<Item = Address> + 'a {
        self.0.iter().map(|raw| Address(*raw))
    }
}

/// Whether a nickname is one that a relay takes.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    (3..=32).contains(&name.len())
        && name.bytes().all(allowed)
        && name
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_lowercase())
}

fn name<'a>(reader: &mut Reader<'a>) -> Result<&'a str, WireError> {
    let name = core::str::from_utf8(reader.rest()).map_err(|_| WireError::Value)?;
    if is_name(name) {
        Ok(name)
    } else {
        Err(WireError::Value)
    }
}

fn address(reader: &mut Reader<'_>) -> Result<Address, WireError> {
    reader.array().map(|bytes| Address(*bytes))
}

impl<'a> Request<'a> {
    /// Reads one frame (opcode ‖ body).
    ///
    /// # Errors
    /// [`WireError`]: the client is at fault and its connection is closed.
    pub fn parse(frame: &'a [u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(frame);
        let request = match r.u8()? {
            0x01 => {
                let to = address(&mut r)?;
                let envelope = r.rest();
                if envelope.is_empty() || envelope.len() > MAX_ENVELOPE {
                    return Err(WireError::Length);
                }
                Self::Submit { to, envelope }
            }
            0x02 => Self::Ack(EnvelopeId(*r.array()?)),
            0x03 => Self::Refuse(EnvelopeId(*r.array()?)),
            0x04 => Self::Publish {
                number: r.u16()?,
                bundle: r.rest(),
            },
            0x05 => {
                let number = r.u16()?;
                if r.u8()? != SUITE {
                    return Err(WireError::Suite);
                }
                Self::Prekeys {
                    number,
                    keys: Prekeys::new(r.rest())?,
                }
            }
            0x06 => Self::Fetch {
                number: r.u16()?,
                address: address(&mut r)?,
            },
            0x07 => Self::Mode {
                number: r.u16()?,
                mode: MailboxMode::from_byte(r.u8()?)?,
            },
            0x08 => {
                let number = r.u16()?;
                let change = match r.u8()? {
                    0 => ContactsChange::Add,
                    1 => ContactsChange::Remove,
                    2 => ContactsChange::Clear,
                    _ => return Err(WireError::Value),
                };
                let (addresses, torn) = r.rest().as_chunks();
                let clears = change == ContactsChange::Clear;
                if !torn.is_empty() || clears != addresses.is_empty() {
                    return Err(WireError::Length);
                }
                Self::Contacts {
                    number,
                    change,
                    addresses: Addresses(addresses),
                }
            }
            0x09 => {
                let number = r.u16()?;
                Self::Claim {
                    number,
                    owner: address(&mut r)?,
                    name: name(&mut r)?,
                }
            }
            0x0a => Self::LookUp {
                number: r.u16()?,
                name: name(&mut r)?,
            },
            0x0b => Self::Leave { number: r.u16()? },
            0x0c => Self::Ping { number: r.u16()? },
            0x0d => Self::Status { number: r.u16()? },
            0x0e => Self::Noted {
                kind: NoticeKind::from_byte(r.u8()?)?,
                peer: address(&mut r)?,
                count: r.u32()?,
            },
            0x0f => Self::Invite {
                number: r.u16()?,
                invite: Invite(*r.array()?),
            },
            _ => return Err(WireError::Unknown),
        };
        r.finish()?;
        Ok(request)
    }

    /// Writes opcode and body; returns their length.
    ///
    /// # Errors
    /// [`WireError::Length`] where the buffer is too small.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, WireError> {
        let mut w = Writer::new(buffer);
        w.u8(self.opcode())?;
        match *self {
            Self::Submit { to, envelope } => {
                w.put(&to.0)?;
                w.put(envelope)?;
            }
            Self::Ack(id) | Self::Refuse(id) => w.put(&id.0)?,
            Self::Publish { number, bundle } => {
                w.u16(number)?;
                w.put(bundle)?;
            }
            Self::Prekeys { number, keys } => {
                w.u16(number)?;
                w.u8(SUITE)?;
                w.put(keys.0)?;
            }
            Self::Fetch { number, address } => {
                w.u16(number)?;
                w.put(&address.0)?;
            }
            Self::Mode { number, mode } => {
                w.u16(number)?;
                w.u8(mode as u8)?;
            }
            Self::Contacts {
                number,
                change,
                addresses,
            } => {
                w.u16(number)?;
                w.u8(change as u8)?;
                addresses.0.iter().try_for_each(|raw| w.put(raw))?;
            }
            Self::Claim {
                number,
                owner,
                name,
            } => {
                w.u16(number)?;
                w.put(&owner.0)?;
                w.put(name.as_bytes())?;
            }
            Self::LookUp { number, name } => {
                w.u16(number)?;
                w.put(name.as_bytes())?;
            }
            Self::Leave { number } | Self::Ping { number } | Self::Status { number } => {
                w.u16(number)?;
            }
            Self::Noted { kind, peer, count } => {
                w.u8(kind as u8)?;
                w.put(&peer.0)?;
                w.u32(count)?;
            }
            Self::Invite { number, invite } => {
                w.u16(number)?;
                w.put(&invite.0)?;
            }
        }
        Ok(w.len())
    }

    const fn opcode(&self) -> u8 {
        match self {
            Self::Submit { .. } => 0x01,
            Self::Ack(_) => 0x02,
            Self::Refuse(_) => 0x03,
            Self::Publish { .. } => 0x04,
            Self::Prekeys { .. } => 0x05,
            Self::Fetch { .. } => 0x06,
            Self::Mode { .. } => 0x07,
            Self::Contacts { .. } => 0x08,
            Self::Claim { .. } => 0x09,
            Self::LookUp { .. } => 0x0a,
            Self::Leave { .. } => 0x0b,
            Self::Ping { .. } => 0x0c,
            Self::Status { .. } => 0x0d,
            Self::Noted { .. } => 0x0e,
            Self::Invite { .. } => 0x0f,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> std::vec::Vec<Request<'static>> {
        static RAW: [[u8; 20]; 2] = [[1; 20], [2; 20]];
        let a = Address([7; 20]);
        std::vec![
            Request::Submit {
                to: a,
                envelope: b"opaque"
            },
            Request::Ack(EnvelopeId([1; 16])),
            Request::Refuse(EnvelopeId([2; 16])),
            Request::Publish {
                number: 3,
                bundle: b"bundle"
            },
            Request::Prekeys {
                number: 4,
                keys: Prekeys::new(&[5; 74]).unwrap()
            },
            Request::Fetch {
                number: 5,
                address: a
            },
            Request::Mode {
                number: 6,
                mode: MailboxMode::ContactsOnly
            },
            Request::Contacts {
                number: 7,
                change: ContactsChange::Add,
                addresses: Addresses(&RAW)
            },
            Request::Contacts {
                number: 7,
                change: ContactsChange::Clear,
                addresses: Addresses(&[])
            },
            Request::Claim {
                number: 8,
                owner: a,
                name: "alice"
            },
            Request::LookUp {
                number: 9,
                name: "bob-2"
            },
            Request::Leave { number: 10 },
            Request::Ping { number: 11 },
            Request::Status { number: 12 },
            Request::Noted {
                kind: NoticeKind::SentExpired,
                peer: a,
                count: 13
            },
            Request::Invite {
                number: 14,
                invite: Invite([6; 20]),
            },
        ]
    }

    #[test]
    fn each_request_survives_the_wire() {
        for request in samples() {
            let mut buffer = [0; 128];
            let len = request.emit(&mut buffer).unwrap();
            assert_eq!(Request::parse(&buffer[..len]).unwrap(), request);
            for short in 0..len {
                assert_eq!(request.emit(&mut [0; 128][..short]), Err(WireError::Length));
            }
        }
    }

    #[test]
    fn fixed_requests_have_one_length() {
        for request in samples() {
            let mut buffer = [0; 128];
            let len = request.emit(&mut buffer).unwrap();
            let open_ended = matches!(
                request,
                Request::Submit { .. }
                    | Request::Publish { .. }
                    | Request::Prekeys { .. }
                    | Request::Contacts { .. }
                    | Request::Claim { .. }
                    | Request::LookUp { .. }
            );
            for other in (0..buffer.len()).filter(|n| *n != len && !open_ended) {
                assert!(
                    Request::parse(&buffer[..other]).is_err(),
                    "{request:?} at {other}"
                );
            }
        }
    }

    #[test]
    fn heads_are_what_emit_writes() {
        let mut buffer = [0; 64];
        let to = Address([7; 20]);
        Request::Submit { to, envelope: b"e" }
            .emit(&mut buffer)
            .unwrap();
        assert_eq!(buffer[..SUBMIT_HEAD], submit_head(&to));
        let keys = Prekeys::new(&[]).unwrap();
        let len = Request::Prekeys {
            number: 0x8123,
            keys,
        }
        .emit(&mut buffer)
        .unwrap();
        assert_eq!(buffer[..len], prekeys_head(0x8123));
    }

    #[test]
    fn names() {
        for good in ["abc", "a-1", "a.b_c", "z2345678901234567890123456789012"] {
            assert!(is_name(good), "{good}");
        }
        for bad in [
            "",
            "ab",
            "1ab",
            "Abc",
            "a b",
            "ab\u{e9}",
            "-ab",
            "a23456789012345678901234567890123",
        ] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
