//! What goes over a trunk: `length 4 | kind 1 | client 8 | body`, integers big-endian. Items do not
//! keep to the borders of records.

use hushwire_core::identity::Address;

use crate::relay::PeerLimits;

/// Of the trunk's own language. A relay that speaks another one is told nothing: it finds the trunk closed.
pub(super) const VERSION: u8 = 1;
const HEAD: usize = 13;
/// The longest body: a record of a client, or one answer. Much shorter than this.
const MAX_BODY: usize = 256 * 1024;

const HELLO: u8 = 0;
const OPEN: u8 = 1;
const ASKED: u8 = 2;
const GONE: u8 = 3;
const ANSWERED: u8 = 4;
const CLOSE: u8 = 5;
const BEAT: u8 = 6;

/// One item. Clients are numbered by the relay that they are connected to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// The first one of the front.
    Hello { version: u8 },
    /// A client came, and proved its address.
    Open {
        client: u64,
        address: Address,
        limits: PeerLimits,
    },
    /// A client's record, opened: whole frames.
    Asked { client: u64, frames: &'a [u8] },
    /// A client left.
    Gone { client: u64 },
    /// Frames for a client, as they stand in a record.
    Answered { client: u64, frames: &'a [u8] },
    /// Nothing more comes for a client: it is to be closed.
    Close { client: u64 },
    /// A sign of life.
    Beat,
}

/// What cannot be an item.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the trunk carries something that is no item; are all relays of the store of one version?")]
pub(crate) struct NoItem;

impl<'a> Item<'a> {
    pub(super) fn emit(&self, out: &mut Vec<u8>) {
        let (kind, client, body): (u8, u64, &[u8]) = match self {
            Self::Hello { version } => (HELLO, 0, &[*version]),
            Self::Open {
                client,
                address,
                limits,
            } => {
                let PeerLimits {
                    max_record,
                    max_frame,
                    window,
                } = limits;
                head(out, OPEN, *client, address.0.len() + 6);
                out.extend_from_slice(&address.0);
                let limits = [max_record, max_frame, window];
                out.extend(limits.into_iter().flat_map(|limit| limit.to_be_bytes()));
                return;
            }
            Self::Asked { client, frames } => (ASKED, *client, frames),
            Self::Gone { client } => (GONE, *client, &[]),
            Self::Answered { client, frames } => (ANSWERED, *client, frames),
            Self::Close { client } => (CLOSE, *client, &[]),
            Self::Beat => (BEAT, 0, &[]),
        };
        head(out, kind, client, body.len());
        out.extend_from_slice(body);
    }

    /// The first item of `bytes` and its length, or `None` where it is not whole yet.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, NoItem> {
        let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let &[l1, l2, l3, l4, kind, ref client @ ..] = head;
        let len = u32::from_be_bytes([l1, l2, l3, l4]) as usize;
        if len > MAX_BODY {
            return Err(NoItem);
        }
        let Some(body) = rest.get(..len) else {
            return Ok(None);
        };
        let client = u64::from_be_bytes(*client);
        let item = match (kind, body) {
            (HELLO, &[version]) => Self::Hello { version },
            (OPEN, body) => open(client, body).ok_or(NoItem)?,
            (ASKED, frames) => Self::Asked { client, frames },
            (GONE, []) => Self::Gone { client },
            (ANSWERED, frames) => Self::Answered { client, frames },
            (CLOSE, []) => Self::Close { client },
            (BEAT, []) => Self::Beat,
            _ => return Err(NoItem),
        };
        Ok(Some((item, HEAD + len)))
    }
}

fn open(client: u64, body: &[u8]) -> Option<Item<'static>> {
    let (address, limits) = body.split_first_chunk()?;
    let &[r1, r2, f1, f2, w1, w2] = limits else {
        return None;
    };
    Some(Item::Open {
        client,
        address: Address(*address),
        limits: PeerLimits {
            max_record: u16::from_be_bytes([r1, r2]),
            max_frame: u16::from_be_bytes([f1, f2]),
            window: u16::from_be_bytes([w1, w2]),
        },
    })
}

fn head(out: &mut Vec<u8>, kind: u8, client: u64, len: usize) {
    out.extend((len as u32).to_be_bytes());
    out.push(kind);
    out.extend(client.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Item<'static>> {
        vec![
            Item::Hello { version: VERSION },
            Item::Open {
                client: 7,
                address: Address([3; 20]),
                limits: PeerLimits {
                    max_record: 1400,
                    max_frame: 1382,
                    window: 1,
                },
            },
            Item::Asked {
                client: u64::MAX,
                frames: b"frames",
            },
            Item::Gone { client: 7 },
            Item::Answered {
                client: 7,
                frames: b"",
            },
            Item::Close { client: 7 },
            Item::Beat,
        ]
    }

    #[test]
    fn items_come_back_one_by_one() {
        let mut bytes = Vec::new();
        all().iter().for_each(|item| item.emit(&mut bytes));
        let mut rest = &bytes[..];
        for item in all() {
            let (parsed, len) = Item::parse(rest).unwrap().unwrap();
            assert_eq!(parsed, item);
            assert_eq!(Item::parse(&rest[..len - 1]), Ok(None), "cut short");
            rest = &rest[len..];
        }
        assert_eq!(Item::parse(rest), Ok(None));
    }

    #[test]
    fn what_is_no_item_is_refused() {
        for wrong in [
            (9, 0, &b""[..]),
            (HELLO, 0, b""),
            (OPEN, 1, &[0; 25]),
            (OPEN, 1, &[0; 27]),
            (BEAT, 0, b"x"),
        ] {
            let mut bytes = Vec::new();
            head(&mut bytes, wrong.0, wrong.1, wrong.2.len());
            bytes.extend_from_slice(wrong.2);
            assert_eq!(Item::parse(&bytes), Err(NoItem), "{wrong:?}");
        }
        let mut long = Vec::new();
        head(&mut long, ASKED, 1, MAX_BODY + 1);
        assert_eq!(Item::parse(&long), Err(NoItem));
    }
}
