//! Headers: the ratchet key and two counters, sealed so that a relay cannot link messages.

use crate::{
    crypto::{
        PublicKey,
        aead::{Forged, OneTimeKey, TAG_LEN},
        kdf::{Direction, hkdf, label},
        secret::secret,
    },
    wire::envelope::{HEADER_LEN, SALT_LEN},
    wire::{Reader, WireError, Writer},
};

secret! {
    /// Hides the headers of one chain.
    pub(crate) struct HeaderKey([u8; 32]);
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The sender's ratchet key, not yet checked to be on the curve.
    pub(crate) key: [u8; PublicKey::LEN],
    /// Messages in the sender's previous chain.
    pub(crate) previous: u32,
    /// Number of this message in its chain.
    pub(crate) n: u32,
}

impl Header {
    pub(crate) fn emit(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let mut w = Writer::new(&mut bytes);
        // The three fields are HEADER_LEN bytes.
        let _fits = w
            .put(&self.key)
            .and_then(|()| w.u32(self.previous))
            .and_then(|()| w.u32(self.n));
        bytes
    }

    fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        Ok(Self {
            key: *r.array()?,
            previous: r.u32()?,
            n: r.u32()?,
        })
    }
}

/// What a header's key and associated data are made of.
#[derive(Clone, Copy)]
pub(crate) struct HeaderContext<'a> {
    pub(crate) direction: Direction,
    /// Every clear byte of the envelope, salt and commitment included.
    pub(crate) clear: &'a [u8],
    pub(crate) salt: &'a [u8; SALT_LEN],
    /// The body is sealed first: its tag makes this header's key unlike every other.
    pub(crate) body_tag: &'a [u8; TAG_LEN],
}

impl HeaderKey {
    #[inline(never)]
    fn one_time(&self, context: &HeaderContext<'_>) -> OneTimeKey {
        let mut salt = [0; SALT_LEN + TAG_LEN];
        let halves = context.salt.iter().chain(context.body_tag);
        salt.iter_mut()
            .zip(halves)
            .for_each(|(slot, byte)| *slot = *byte);
        let info: [&[u8]; 2] = [label::HEADER, &[context.direction.byte()]];
        OneTimeKey::made(|key| hkdf(&salt, self.bytes(), &info, key))
    }

    /// HENCRYPT (DR 4.1), in place.
    pub(crate) fn seal(
        &self,
        context: &HeaderContext<'_>,
        header: &mut [u8; HEADER_LEN],
    ) -> [u8; TAG_LEN] {
        self.one_time(context).seal(context.clear, header)
    }

    /// HDECRYPT (DR 4.1), on a copy: a miss leaves the envelope as it was.
    pub(crate) fn open(
        &self,
        context: &HeaderContext<'_>,
        sealed: &[u8; HEADER_LEN],
        tag: &[u8; TAG_LEN],
    ) -> Result<Header, Forged> {
        let mut header = *sealed;
        self.one_time(context)
            .open(context.clear, &mut header, tag)?;
        Header::parse(&header).map_err(|_| Forged)
    }
}
