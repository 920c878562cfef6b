//! What is inside a message: kind ‖ message id 16 ‖ length u16 ‖ user data ‖ zeros. PROTOCOL 6.5

use crate::{
    limits::MAX_BODY,
    wire::{MessageId, Reader, WireError, Writer, envelope::INNER_LEN},
};

/// What a message is for. Unknown kinds are acked and reported, never refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(pub u8);

impl Kind {
    /// Empty: asks whether the peer holds the session; answered by [`Self::ALIVE`], or by anything.
    pub const PROBE: Self = Self(0x00);
    /// User data.
    pub const DATA: Self = Self(0x01);
    /// Message ids (16 bytes each) that were recorded.
    pub const RECEIPT: Self = Self(0x02);
    /// Empty: messages came that could not be opened. Seal again what was not receipted.
    pub const RESEND: Self = Self(0x03);
    /// Empty: shows that the sender holds the session, and heals one-sided talk.
    pub const ALIVE: Self = Self(0x04);
    /// Reserved: a certificate that several devices are one account.
    pub const ACCOUNT: Self = Self(0x10);
    /// Reserved: a group's sender key.
    pub const SENDER_KEY: Self = Self(0x11);
    /// Reserved: a piece of a stream.
    pub const STREAM: Self = Self(0x12);
}

/// One message's content.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Content<'a> {
    /// What it is for.
    pub kind: Kind,
    /// The same in every envelope that ever carries it.
    pub id: MessageId,
    /// User data, up to [`MAX_BODY`] bytes.
    pub body: &'a [u8],
}

impl core::fmt::Debug for Content<'_> {
    /// Plaintext never shows.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { kind, id, body } = self;
        write!(f, "Content({kind:?}, {id}, {} bytes)", body.len())
    }
}

impl<'a> Content<'a> {
    /// Writes the content and zeros up to the end of `buffer`.
    pub(crate) fn emit(&self, buffer: &mut [u8]) -> Result<(), WireError> {
        let len = u16::try_from(self.body.len()).map_err(|_| WireError::Length)?;
        let mut w = Writer::new(buffer);
        w.u8(self.kind.0)?;
        w.put(&self.id.0)?;
        w.u16(len)?;
        w.put(self.body)?;
        let end = w.len();
        buffer.get_mut(end..).ok_or(WireError::Length)?.fill(0);
        Ok(())
    }

    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let (kind, id) = (Kind(r.u8()?), MessageId(*r.array()?));
        let len = r.u16()?;
        let body = r.slice(usize::from(len))?;
        // Padding that says something would be a channel nobody looks at.
        if r.rest().iter().any(|byte| *byte != 0) {
            return Err(WireError::Value);
        }
        Ok(Self { kind, id, body })
    }
}

const _: () = assert!(INNER_LEN == 1 + MessageId::LEN + 2 && MAX_BODY <= u16::MAX as usize);
