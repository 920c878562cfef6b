//! Rows as bytes. Every integer is big-endian; a row of the wrong length is damage.

use std::sync::Arc;

use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::NoticeKind;
use hushwire_core::wire::request::{MailboxMode, PREKEY_LEN};

use super::{NameHash, StoreError};

/// What stands before the envelope in a stored message:
/// `to 20 | envelope id 16 | expiry clock s 8 | sequence 8 | stored at unix s 8 | sender 20`.
pub(crate) const MESSAGE_HEADER: usize = 80;

/// The header of a stored message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageHeader {
    pub(crate) to: Address,
    pub(crate) id: EnvelopeId,
    /// On the expiry clock (`clock.rs`), in seconds.
    pub(crate) stored_on_clock_s: u64,
    pub(crate) sequence: u64,
    pub(crate) stored_at_unix_s: u64,
    pub(crate) sender: Address,
}

impl MessageHeader {
    /// Writes the header in front of an envelope whose record was made with room for it.
    pub(crate) fn emit(&self, record: &mut [u8]) {
        record[..20].copy_from_slice(&self.to.0);
        record[20..36].copy_from_slice(&self.id.0);
        record[36..44].copy_from_slice(&self.stored_on_clock_s.to_be_bytes());
        record[44..52].copy_from_slice(&self.sequence.to_be_bytes());
        record[52..60].copy_from_slice(&self.stored_at_unix_s.to_be_bytes());
        record[60..80].copy_from_slice(&self.sender.0);
    }

    pub(crate) fn parse(record: &[u8]) -> Result<Self, StoreError> {
        let mut fields = Fields(record, "a message");
        Ok(Self {
            to: fields.address()?,
            id: EnvelopeId(fields.array()?),
            stored_on_clock_s: fields.u64()?,
            sequence: fields.u64()?,
            stored_at_unix_s: fields.u64()?,
            sender: fields.address()?,
        })
    }
}

/// A registered identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) mode: MailboxMode,
    /// The largest frame that its device took at its last login; 0 means not known.
    pub(crate) max_frame: u16,
    /// The counter of the newest bundle; the next may not be lower.
    pub(crate) bundle_counter: u64,
    /// One-time prekeys that are left.
    pub(crate) prekeys: u16,
    pub(crate) names: Vec<NameHash>,
}

impl Account {
    pub(crate) fn emit(&self) -> Arc<[u8]> {
        let mut out = vec![1, self.mode as u8];
        out.extend_from_slice(&self.max_frame.to_be_bytes());
        out.extend_from_slice(&self.bundle_counter.to_be_bytes());
        out.extend_from_slice(&self.prekeys.to_be_bytes());
        out.extend(self.names.iter().flat_map(|name| name.0));
        out.into()
    }

    pub(crate) fn parse(row: &[u8]) -> Result<Self, StoreError> {
        let mut fields = Fields(row, "an account");
        if fields.u8()? != 1 {
            return Err(fields.damaged());
        }
        let mode = MailboxMode::from_byte(fields.u8()?).map_err(|_| fields.damaged())?;
        let mut account = Self {
            mode,
            max_frame: fields.u16()?,
            ..Self::default()
        };
        account.bundle_counter = fields.u64()?;
        account.prekeys = fields.u16()?;
        while !fields.0.is_empty() {
            account.names.push(NameHash(fields.array()?));
        }
        Ok(account)
    }
}

/// A one-time prekey as its owner uploaded it: id and compressed point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prekey {
    /// The owner's number for it.
    pub id: u32,
    /// The compressed point.
    pub point: [u8; 33],
}

impl Prekey {
    pub(crate) fn parse(bytes: &[u8; PREKEY_LEN]) -> Self {
        let [i0, i1, i2, i3, point @ ..] = *bytes;
        Self {
            id: u32::from_be_bytes([i0, i1, i2, i3]),
            point,
        }
    }
}

/// Something that happened to messages while the one concerned was away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) kind: NoticeKind,
    pub(crate) peer: Address,
    pub(crate) count: u32,
}

pub(crate) fn emit_notices(notices: &[Notice]) -> Arc<[u8]> {
    let mut out = Vec::with_capacity(notices.len() * 25);
    for notice in notices {
        out.push(notice.kind as u8);
        out.extend_from_slice(&notice.peer.0);
        out.extend_from_slice(&notice.count.to_be_bytes());
    }
    out.into()
}

pub(crate) fn parse_notices(row: &[u8]) -> Result<Vec<Notice>, StoreError> {
    let mut fields = Fields(row, "a notice");
    let mut notices = Vec::with_capacity(row.len() / 25);
    while !fields.0.is_empty() {
        let kind = NoticeKind::from_byte(fields.u8()?).map_err(|_| fields.damaged())?;
        let peer = fields.address()?;
        notices.push(Notice {
            kind,
            peer,
            count: fields.u32()?,
        });
    }
    Ok(notices)
}

pub(crate) fn emit_acked(list: &[(Address, EnvelopeId)]) -> Arc<[u8]> {
    let fields = list.iter().flat_map(|(to, id)| [to.0.as_slice(), &id.0]);
    fields.collect::<Vec<_>>().concat().into()
}

pub(crate) fn parse_acked(row: &[u8]) -> Result<Vec<(Address, EnvelopeId)>, StoreError> {
    let mut fields = Fields(row, "a list of acknowledged ids");
    let mut list = Vec::new();
    while !fields.0.is_empty() {
        list.push((fields.address()?, EnvelopeId(fields.array()?)));
    }
    Ok(list)
}

/// What the operator decided about who may come: kind u8, then its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessRow {
    /// `01 ‖ address 20 ‖ until u64`: Unix seconds, 0 for ever.
    Ban(Address, u64),
    /// `02 ‖ check 32 ‖ uses left u32 ‖ until u64`.
    Invite(InviteRow),
    /// `03 ‖ address 20`: may register, whatever the relay asks of others.
    Expected(Address),
}

/// An invitation, without what makes it one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InviteRow {
    /// A keyed hash of the invitation's bytes.
    pub(crate) check: [u8; 32],
    /// Identities that it still lets in.
    pub(crate) uses: u32,
    /// Unix seconds, 0 for ever.
    pub(crate) until: u64,
}

impl AccessRow {
    pub(crate) fn emit(&self) -> Arc<[u8]> {
        match self {
            Self::Ban(address, until) => {
                [&[1][..], &address.0, &until.to_be_bytes()].concat().into()
            }
            Self::Invite(InviteRow { check, uses, until }) => {
                let (uses, until) = (uses.to_be_bytes(), until.to_be_bytes());
                [&[2][..], check, &uses, &until].concat().into()
            }
            Self::Expected(address) => [&[3][..], &address.0].concat().into(),
        }
    }

    pub(crate) fn parse(row: &[u8]) -> Result<Self, StoreError> {
        let mut fields = Fields(row, "a row of who may come");
        let parsed = match fields.u8()? {
            1 => Self::Ban(fields.address()?, fields.u64()?),
            2 => Self::Invite(InviteRow {
                check: fields.array()?,
                uses: fields.u32()?,
                until: fields.u64()?,
            }),
            3 => Self::Expected(fields.address()?),
            _ => return Err(fields.damaged()),
        };
        match fields.0 {
            [] => Ok(parsed),
            _ => Err(fields.damaged()),
        }
    }
}

/// Reads a row field by field.
struct Fields<'a>(&'a [u8], &'static str);

impl Fields<'_> {
    fn damaged(&self) -> StoreError {
        StoreError::Damaged(format!("{} is unreadable", self.1))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let (head, tail) = self.0.split_first_chunk().ok_or_else(|| self.damaged())?;
        self.0 = tail;
        Ok(*head)
    }

    fn u8(&mut self) -> Result<u8, StoreError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, StoreError> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, StoreError> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, StoreError> {
        self.array().map(u64::from_be_bytes)
    }

    fn address(&mut self) -> Result<Address, StoreError> {
        self.array().map(Address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_went() {
        let account = Account {
            mode: MailboxMode::ContactsOnly,
            max_frame: 1400,
            bundle_counter: u64::MAX,
            prekeys: 100,
            names: vec![NameHash([1; 20]), NameHash([2; 20])],
        };
        assert_eq!(Account::parse(&account.emit()).unwrap(), account);

        let notice = Notice {
            kind: NoticeKind::Unopened,
            peer: Address([9; 20]),
            count: 3,
        };
        assert_eq!(
            parse_notices(&emit_notices(&[notice; 2])).unwrap(),
            [notice; 2]
        );

        let invite = InviteRow {
            check: [7; 32],
            uses: 3,
            until: u64::MAX,
        };
        for row in [
            AccessRow::Ban(Address([1; 20]), 9),
            AccessRow::Invite(invite),
            AccessRow::Expected(Address([2; 20])),
        ] {
            let bytes = row.emit();
            assert_eq!(AccessRow::parse(&bytes).unwrap(), row);
            assert!(AccessRow::parse(&bytes[..bytes.len() - 1]).is_err());
            assert!(AccessRow::parse(&[&bytes[..], &[0]].concat()).is_err());
        }

        let header = MessageHeader {
            to: Address([1; 20]),
            id: EnvelopeId([2; 16]),
            stored_on_clock_s: 3,
            sequence: 4,
            stored_at_unix_s: 5,
            sender: Address([6; 20]),
        };
        let mut record = [0xff; MESSAGE_HEADER + 1];
        header.emit(&mut record);
        assert_eq!(record[MESSAGE_HEADER], 0xff);
        assert_eq!(MessageHeader::parse(&record).unwrap(), header);
    }

    #[test]
    fn cut_rows_are_damage() {
        let account = Account {
            names: vec![NameHash([1; 20])],
            ..Account::default()
        }
        .emit();
        assert!(Account::parse(&account[..account.len() - 1]).is_err());
        assert!(Account::parse(&[]).is_err());
        assert!(parse_notices(&[1; 24]).is_err());
        assert!(MessageHeader::parse(&[0; MESSAGE_HEADER - 1]).is_err());
    }
}
