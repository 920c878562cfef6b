//! Sealing: what is written leaves only against evidence.

use rand_core::CryptoRng;

use super::{Content, ID_LEN, OPENING_LEN, Receiving, Session, part::RatchetPart};
use crate::{
    crypto::{CryptoError, KeyPair, P256, kdf::Direction},
    evidence::Persisted,
    limits::BASE_BODY,
    ratchet::{
        chain::SendingChain,
        header::{Header, HeaderContext, HeaderKey},
        root::RootKey,
    },
    wire::{
        SUITE, VERSION, WireError, Writer,
        envelope::{
            CLEAR_LEN, COMMITMENT_LEN, HEADER_LEN, OVERHEAD, SALT_LEN, START_LEN, bucket, kind,
        },
    },
};

/// Why a message cannot be sealed. The caller is at fault; nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealError {
    /// The body is larger than the peer takes: see [`Session::max_body`].
    TooLarge,
    /// The buffer is smaller than [`Session::sealed_len`].
    Buffer,
    /// The P-256 backend failed.
    Crypto(CryptoError),
    /// 2^32 messages went out without an answer.
    Exhausted,
}

impl core::fmt::Display for SealError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooLarge => f.write_str("the message is larger than the recipient takes"),
            Self::Buffer => f.write_str("the buffer is too small for the sealed message"),
            Self::Crypto(error) => write!(f, "sealing failed: {error}"),
            Self::Exhausted => f.write_str("too many messages without any answer"),
        }
    }
}

impl core::error::Error for SealError {}

/// A sealed message that has not left yet.
#[derive(Debug)]
#[must_use = "a sealed message leaves only against evidence"]
pub struct Sealed<'b> {
    bytes: &'b [u8],
    covered: bool,
}

impl<'b> Sealed<'b> {
    /// Whether storage already holds a position behind this message, so that it may leave at once.
    #[must_use]
    pub const fn is_covered(&self) -> bool {
        self.covered
    }

    /// The envelope, if storage already covers it.
    ///
    /// # Errors
    /// Itself back: store a snapshot of the session first, then [`Self::release`].
    pub const fn release_covered(self) -> Result<&'b [u8], Self> {
        if self.covered {
            Ok(self.bytes)
        } else {
            Err(self)
        }
    }

    /// The envelope, after a snapshot of the session was stored.
    #[must_use]
    pub const fn release(self, _evidence: &Persisted) -> &'b [u8] {
        self.bytes
    }
}

/// The session's associated data: session ‖ direction ‖ every clear byte ‖ plaintext header.
pub(super) struct Associated {
    bytes: [u8; Self::MAX],
    len: usize,
}

impl Associated {
    const MAX: usize = ID_LEN + 1 + OPENING_LEN + SALT_LEN + COMMITMENT_LEN + HEADER_LEN;

    pub(super) fn new(
        id: &[u8; ID_LEN],
        direction: Direction,
        clear: &[u8],
        header: &[u8; HEADER_LEN],
    ) -> Result<Self, WireError> {
        let mut bytes = [0; Self::MAX];
        let mut w = Writer::new(&mut bytes);
        w.put(id)?;
        w.u8(direction.byte())?;
        w.put(clear)?;
        w.put(header)?;
        let len = w.len();
        Ok(Self { bytes, len })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }
}

/// A step that was computed and not yet taken.
struct Stepped {
    root: RootKey,
    chain: SendingChain,
    next_header: HeaderKey,
}

impl<const SKIP: usize> Session<SKIP> {
    fn opening(&self) -> Option<&[u8; OPENING_LEN]> {
        match &self.receiving {
            Receiving::Nothing { opening } => opening.as_ref(),
            Receiving::Chain { .. } => None,
        }
    }

    /// Bytes of the envelope for a body of `len` bytes, or `None` where the peer takes no such body.
    #[must_use]
    pub fn sealed_len(&self, len: usize) -> Option<usize> {
        let opening = if self.opening().is_some() {
            START_LEN
        } else {
            0
        };
        let most = self.max_body().max(BASE_BODY);
        bucket(len)
            .filter(|bucket| *bucket <= most)
            .map(|bucket| bucket + OVERHEAD + opening)
    }

    /// Seals `content` into `out`.
    ///
    /// Draws 16 random bytes, and a ratchet key where a step is due.
    ///
    /// # Errors
    /// [`SealError`]; the session is unchanged then.
    pub fn seal<'b>(
        &mut self,
        p256: &mut impl P256,
        rng: &mut impl CryptoRng,
        content: &Content<'_>,
        out: &'b mut [u8],
    ) -> Result<Sealed<'b>, SealError> {
        let len = self
            .sealed_len(content.body.len())
            .ok_or(SealError::TooLarge)?;
        let out = out.get_mut(..len).ok_or(SealError::Buffer)?;
        if let Some(stepped) = self.stage_step(p256, rng)? {
            self.root = stepped.root;
            self.next_sending_header = stepped.next_header;
            self.sending = Some(stepped.chain);
        }
        self.write(rng, content, out)
            .map_err(|_| SealError::Exhausted)?;
        let covered = self.sending.as_ref().is_some_and(SendingChain::is_covered);
        Ok(Sealed {
            bytes: out,
            covered,
        })
    }

    /// A new ratchet key, where strict alternation allows and demands one.
    #[inline(never)]
    fn stage_step(
        &self,
        p256: &mut impl P256,
        rng: &mut impl CryptoRng,
    ) -> Result<Option<Stepped>, SealError> {
        if self.sending.is_some() {
            return Ok(None);
        }
        let pair = KeyPair::generate(p256, rng).map_err(SealError::Crypto)?;
        let agreed = p256
            .agree(pair.secret(), &self.peer)
            .map_err(SealError::Crypto)?;
        let step = self.root.step(&agreed, self.direction);
        let header = HeaderKey::new(*self.next_sending_header.bytes());
        let chain = SendingChain::new(step.chain, header, pair);
        Ok(Some(Stepped {
            root: step.root,
            chain,
            next_header: step.next_header,
        }))
    }

    #[inline(never)]
    fn write(
        &mut self,
        rng: &mut impl CryptoRng,
        content: &Content<'_>,
        out: &mut [u8],
    ) -> Result<(), WireError> {
        let mut prefix = [0; OPENING_LEN];
        let prefix: &[u8] = if let Some(opening) = self.opening() {
            prefix = *opening;
            &prefix
        } else {
            let [version, suite, message, ..] = &mut prefix;
            (*version, *suite, *message) = (VERSION, SUITE, kind::MESSAGE);
            prefix.get(..CLEAR_LEN).ok_or(WireError::Length)?
        };
        let chain = self.sending.as_mut().ok_or(WireError::Value)?;
        let after = chain.n.checked_add(1).ok_or(WireError::Value)?;
        let header = Header {
            key: *chain.pair.public().bytes(),
            previous: self.previous,
            n: chain.n,
        };
        let mut salt = [0; SALT_LEN];
        rng.fill_bytes(&mut salt);
        let (message_key, next) = chain.key.step();
        let body_key = message_key.body_key(&salt, self.direction);

        let part = RatchetPart::split(out, prefix.len()).ok_or(WireError::Length)?;
        let mut clear = Writer::new(part.clear);
        clear.put(prefix)?;
        clear.put(&salt)?;
        clear.put(&body_key.commitment)?;
        content.emit(part.body)?;
        let plain_header = header.emit();
        let associated = Associated::new(&self.id, self.direction, part.clear, &plain_header)?;
        *part.body_tag = body_key.key.seal(associated.bytes(), part.body);
        let context = HeaderContext {
            direction: self.direction,
            clear: part.clear,
            salt: &salt,
            body_tag: part.body_tag,
        };
        *part.header = plain_header;
        *part.header_tag = chain.header.seal(&context, part.header);

        chain.key = next;
        chain.n = after;
        Ok(())
    }
}
