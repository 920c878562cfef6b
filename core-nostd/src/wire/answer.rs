//! What a relay says to its client. PROTOCOL 3.6
//!
//! | opcode | answer | body |
//! | --- | --- | --- |
//! | 81 | accepted | envelope id 16 |
//! | 82 | rejected | envelope id 16 ‖ reason u8 ‖ retry after s u32 |
//! | 83 | deliver | sequence u64 ‖ stored at unix s u64 ‖ sender 20 ‖ envelope |
//! | 84 | notice | kind u8 ‖ peer 20 ‖ count u32 |
//! | 85 | bundle | number u16 ‖ address 20 ‖ flag u8 ‖ \[id u32 ‖ point 33\] ‖ bundle |
//! | 86 | name | number u16 ‖ owner 20 ‖ name |
//! | 87 | done | number u16 |
//! | 88 | failed | number u16 ‖ reason u8 ‖ retry after s u32 |
//! | 89 | status | number u16 ‖ messages u32 ‖ bytes u64 ‖ prekeys u16 ‖ bundle counter u64 ‖ mode u8 |
//! | 8a | pong | number u16 |
//! | 8b | welcome | store epoch u64 ‖ next sequence u64 ‖ unix s u64 ‖ waiting u32 ‖ prekeys u16 ‖ bundle counter u64 |
//! | 8c | relay key | point 33 |

use super::{EnvelopeId, Reader, WireError, Writer, reason::Reason, request::MailboxMode};
use crate::{crypto::PublicKey, identity::Address, limits::MAX_ENVELOPE};

/// What a notice is about. Kinds 1, 2, 3 and 7 wait for the client, coalesced by kind and peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum NoticeKind {
    /// Messages to the peer expired in its mailbox.
    SentExpired = 1,
    /// Messages from the peer expired in this mailbox.
    ReceivedExpired = 2,
    /// This mailbox had no room for messages of the peer.
    Refused = 3,
    /// Another connection of this identity took over; this one ends.
    Superseded = 4,
    /// The relay stops; come back later.
    Stopping = 5,
    /// So many one-time prekeys are left.
    PrekeysLeft = 6,
    /// The peer could not open messages of this client.
    Unopened = 7,
    /// The relay turns this identity away and ends the link: the count is a
    /// [`Reason`]'s byte. It stands in place of the welcome, or comes later.
    TurnedAway = 8,
}

impl NoticeKind {
    /// The kind of a byte.
    ///
    /// # Errors
    /// [`WireError::Value`] for bytes that name no kind.
    pub const fn from_byte(byte: u8) -> Result<Self, WireError> {
        Ok(match byte {
            1 => Self::SentExpired,
            2 => Self::ReceivedExpired,
            3 => Self::Refused,
            4 => Self::Superseded,
            5 => Self::Stopping,
            6 => Self::PrekeysLeft,
            7 => Self::Unopened,
            8 => Self::TurnedAway,
            _ => return Err(WireError::Value),
        })
    }

    /// Whether the relay keeps notices of this kind until they are noted.
    #[must_use]
    pub const fn is_stored(self) -> bool {
        matches!(
            self,
            Self::SentExpired | Self::ReceivedExpired | Self::Refused | Self::Unopened
        )
    }
}

/// A mailbox as its relay sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Messages waiting.
    pub messages: u32,
    /// Their bytes.
    pub bytes: u64,
    /// One-time prekeys left.
    pub prekeys: u16,
    /// Counter of the published bundle, 0 for none.
    pub bundle_counter: u64,
    /// Who may write.
    pub mode: MailboxMode,
}

/// The relay's first words after a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome {
    /// Random name of the relay's store, made with it.
    pub epoch: u64,
    /// The sequence that the mailbox's next message gets.
    pub next_sequence: u64,
    /// The relay's clock, seconds since 1970.
    pub unix_seconds: u64,
    /// Messages waiting.
    pub waiting: u32,
    /// One-time prekeys left.
    pub prekeys: u16,
    /// Counter of the published bundle, 0 for none.
    pub bundle_counter: u64,
}

/// One answer, borrowing its variable part from the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// The relay has custody (or the recipient has acked already).
    Accepted(EnvelopeId),
    /// The relay does not take the envelope.
    Rejected {
        /// Which.
        id: EnvelopeId,
        /// Why.
        reason: Reason,
        /// When to come back, seconds; 0 for no hint.
        retry_after: u32,
    },
    /// An envelope for this client.
    Deliver {
        /// Its place in the mailbox: higher than that of each message stored there before.
        sequence: u64,
        /// When the relay took it, seconds since 1970.
        stored_at: u64,
        /// Who submitted it: authenticated by the link, so only as honest as the relay.
        sender: Address,
        /// Its bytes.
        envelope: &'a [u8],
    },
    /// Something happened that is nobody's answer.
    Notice {
        /// What.
        kind: NoticeKind,
        /// With whom; zeros for kinds without a peer.
        peer: Address,
        /// How often.
        count: u32,
    },
    /// A peer's bundle.
    Bundle {
        /// Of the request.
        number: u16,
        /// Whose.
        address: Address,
        /// A one-time prekey (id and unchecked point), if one was left.
        prekey: Option<(u32, [u8; PublicKey::LEN])>,
        /// See [`crate::wire::bundle`].
        bundle: &'a [u8],
    },
    /// A nickname's owner.
    Name {
        /// Of the request.
        number: u16,
        /// Whose it is.
        owner: Address,
        /// The name.
        name: &'a str,
    },
    /// Done.
    Done {
        /// Of the request.
        number: u16,
    },
    /// Refused.
    Failed {
        /// Of the request.
        number: u16,
        /// Why.
        reason: Reason,
        /// When to come back, seconds; 0 for no hint.
        retry_after: u32,
    },
    /// The mailbox as the relay sees it.
    Status {
        /// Of the request.
        number: u16,
        /// The figures.
        status: Status,
    },
    /// Still here.
    Pong {
        /// Of the request.
        number: u16,
    },
    /// First frame on every link.
    Welcome(Welcome),
    /// The relay's new link key (an unchecked point), told inside a link to a key that it had
    /// before. Worth as much as that link's key. PROTOCOL 3.9
    RelayKey([u8; PublicKey::LEN]),
}

impl<'a> Answer<'a> {
    /// Reads one frame (opcode ‖ body).
    ///
    /// # Errors
    /// [`WireError`]: the relay is at fault and the link is closed.
    pub fn parse(frame: &'a [u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(frame);
        let reason = |byte| Reason::from_byte(byte).ok_or(WireError::Value);
        let answer = match r.u8()? {
            0x81 => Self::Accepted(EnvelopeId(*r.array()?)),
            0x82 => Self::Rejected {
                id: EnvelopeId(*r.array()?),
                reason: reason(r.u8()?)?,
                retry_after: r.u32()?,
            },
            0x83 => {
                let (sequence, stored_at) = (r.u64()?, r.u64()?);
                let sender = Address(*r.array()?);
                let envelope = r.rest();
                if envelope.is_empty() || envelope.len() > MAX_ENVELOPE {
                    return Err(WireError::Length);
                }
                Self::Deliver {
                    sequence,
                    stored_at,
                    sender,
                    envelope,
                }
            }
            0x84 => Self::Notice {
                kind: NoticeKind::from_byte(r.u8()?)?,
                peer: Address(*r.array()?),
                count: r.u32()?,
            },
            0x85 => {
                let (number, address) = (r.u16()?, Address(*r.array()?));
                let prekey = match r.u8()? {
                    0 => None,
                    1 => Some((r.u32()?, *r.array()?)),
                    _ => return Err(WireError::Value),
                };
                Self::Bundle {
                    number,
                    address,
                    prekey,
                    bundle: r.rest(),
                }
            }
            0x86 => {
                let (number, owner) = (r.u16()?, Address(*r.array()?));
                let name = core::str::from_utf8(r.rest()).map_err(|_| WireError::Value)?;
                if !super::request::is_name(name) {
                    return Err(WireError::Value);
                }
                Self::Name {
                    number,
                    owner,
                    name,
                }
            }
            0x87 => Self::Done { number: r.u16()? },
            0x88 => Self::Failed {
                number: r.u16()?,
                reason: reason(r.u8()?)?,
                retry_after: r.u32()?,
            },
            0x89 => Self::Status {
                number: r.u16()?,
                status: Status {
                    messages: r.u32()?,
                    bytes: r.u64()?,
                    prekeys: r.u16()?,
                    bundle_counter: r.u64()?,
                    mode: MailboxMode::from_byte(r.u8()?)?,
                },
            },
            0x8a => Self::Pong { number: r.u16()? },
            0x8b => Self::Welcome(Welcome {
                epoch: r.u64()?,
                next_sequence: r.u64()?,
                unix_seconds: r.u64()?,
                waiting: r.u32()?,
                prekeys: r.u16()?,
                bundle_counter: r.u64()?,
            }),
            0x8c => Self::RelayKey(*r.array()?),
            _ => return Err(WireError::Unknown),
        };
        r.finish()?;
        Ok(answer)
    }

    /// Writes opcode and body; returns their length.
    ///
    /// # Errors
    /// [`WireError::Length`] where the buffer is too small.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, WireError> {
        let mut w = Writer::new(buffer);
        w.u8(self.opcode())?;
        match *self {
            Self::Accepted(id) => w.put(&id.0)?,
            Self::Rejected {
                id,
                reason,
                retry_after,
            } => {
                w.put(&id.0)?;
                w.u8(reason as u8)?;
                w.u32(retry_after)?;
            }
            Self::Deliver {
                sequence,
                stored_at,
                sender,
                envelope,
            } => {
                w.u64(sequence)?;
                w.u64(stored_at)?;
                w.put(&sender.0)?;
                w.put(envelope)?;
            }
            Self::Notice { kind, peer, count } => {
                w.u8(kind as u8)?;
                w.put(&peer.0)?;
                w.u32(count)?;
            }
            Self::Bundle {
                number,
                address,
                prekey,
                bundle,
            } => {
                w.u16(number)?;
                w.put(&address.0)?;
                w.u8(u8::from(prekey.is_some()))?;
                if let Some((id, point)) = prekey {
                    w.u32(id)?;
                    w.put(&point)?;
                }
                w.put(bundle)?;
            }
            Self::Name {
                number,
                owner,
                name,
            } => {
                w.u16(number)?;
                w.put(&owner.0)?;
                w.put(name.as_bytes())?;
            }
            Self::Done { number } | Self::Pong { number } => w.u16(number)?,
            Self::Failed {
                number,
                reason,
                retry_after,
            } => {
                w.u16(number)?;
                w.u8(reason as u8)?;
                w.u32(retry_after)?;
            }
            Self::Status { number, status } => {
                w.u16(number)?;
                w.u32(status.messages)?;
                w.u64(status.bytes)?;
                w.u16(status.prekeys)?;
                w.u64(status.bundle_counter)?;
                w.u8(status.mode as u8)?;
            }
            Self::Welcome(welcome) => {
                w.u64(welcome.epoch)?;
                w.u64(welcome.next_sequence)?;
                w.u64(welcome.unix_seconds)?;
                w.u32(welcome.waiting)?;
                w.u16(welcome.prekeys)?;
                w.u64(welcome.bundle_counter)?;
            }
            Self::RelayKey(point) => w.put(&point)?,
        }
        Ok(w.len())
    }

    const fn opcode(&self) -> u8 {
        match self {
            Self::Accepted(_) => 0x81,
            Self::Rejected { .. } => 0x82,
            Self::Deliver { .. } => 0x83,
            Self::Notice { .. } => 0x84,
            Self::Bundle { .. } => 0x85,
            Self::Name { .. } => 0x86,
            Self::Done { .. } => 0x87,
            Self::Failed { .. } => 0x88,
            Self::Status { .. } => 0x89,
            Self::Pong { .. } => 0x8a,
            Self::Welcome(_) => 0x8b,
            Self::RelayKey(_) => 0x8c,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_survives_the_wire() {
        let a = Address([7; 20]);
        let id = EnvelopeId([9; 16]);
        let status = Status {
            messages: 1,
            bytes: 2,
            prekeys: 3,
            bundle_counter: 4,
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
        let answers = [
            Answer::Accepted(id),
            Answer::Rejected {
                id,
                reason: Reason::MailboxFull,
                retry_after: 60,
            },
            Answer::Deliver {
                sequence: 1,
                stored_at: 2,
                sender: a,
                envelope: b"x",
            },
            Answer::Notice {
                kind: NoticeKind::Superseded,
                peer: a,
                count: 1,
            },
            Answer::Bundle {
                number: 1,
                address: a,
                prekey: Some((5, [2; 33])),
                bundle: b"b",
            },
            Answer::Bundle {
                number: 1,
                address: a,
                prekey: None,
                bundle: b"b",
            },
            Answer::Name {
                number: 1,
                owner: a,
                name: "alice",
            },
            Answer::Done { number: 1 },
            Answer::Failed {
                number: 1,
                reason: Reason::NotFound,
                retry_after: 0,
            },
            Answer::Status { number: 1, status },
            Answer::Pong { number: 1 },
            Answer::Welcome(welcome),
            Answer::RelayKey([2; 33]),
        ];
        for answer in answers {
            let mut buffer = [0; 128];
            let len = answer.emit(&mut buffer).unwrap();
            assert_eq!(Answer::parse(&buffer[..len]).unwrap(), answer);
            assert!(Answer::parse(&buffer[..len - 1]) != Ok(answer));
            for short in 0..len {
                assert_eq!(answer.emit(&mut [0; 128][..short]), Err(WireError::Length));
            }
        }
    }
}
