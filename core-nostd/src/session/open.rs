//! Opening: stage, verify, commit. Failure is one error and changes nothing.

use super::{Content, Receiving, Session, part::RatchetPart, seal::Associated};
use crate::{
    crypto::{CryptoError, KeyPair, P256, PublicKey, SecretKey},
    limits::MAX_JUMP,
    ratchet::{
        chain::{ChainKey, ReceivingChain},
        header::{Header, HeaderContext, HeaderKey},
        message::MessageKey,
        root::RootKey,
        skipped::{Chain, Skipped},
    },
    wire::envelope::Envelope,
};

/// Why a message did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// Not for this session, altered, repeated or malformed: one answer for all, and no byte of
    /// state changed.
    Unopenable,
    /// The header is authentic, and its message lies more than [`MAX_JUMP`] ahead. Seal a
    /// [`super::Kind::RESEND`]: the peer then steps, and its chain begins at 0 again.
    TooFar,
    /// The P-256 backend or the secure element failed. This device is at fault: it says nothing of the
    /// message, no byte of state changed, and the same envelope may open later. Neither ack nor refuse.
    Backend,
}

impl From<CryptoError> for OpenError {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::InvalidKey | CryptoError::BadSignature => Self::Unopenable,
            CryptoError::Backend => Self::Backend,
        }
    }
}

impl core::fmt::Display for OpenError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Unopenable => "the message does not open",
            Self::TooFar => "the message lies too far ahead of the last one",
            Self::Backend => "the P-256 backend failed: try the message again",
        })
    }
}

impl core::error::Error for OpenError {}

/// An opened message, inside the caller's buffer.
#[derive(Debug)]
pub struct Opened<'b> {
    /// What it says.
    pub content: Content<'b>,
    /// It came under a new ratchet key of the peer, made in answer to ours.
    pub stepped: bool,
    /// Messages before it in the peer's previous chain that can come no more: declared lost.
    pub lost: u32,
}

/// Where a header was found to belong.
#[derive(Clone, Copy)]
enum Place {
    Kept(Chain),
    Current,
    Next,
}

/// A Diffie-Hellman step of the peer's, computed and not yet taken.
struct NextChain {
    peer: PublicKey,
    root: RootKey,
    chain: ChainKey,
    next_header: HeaderKey,
}

/// What a commit will do, once the body has verified. Chain keys are those behind the message's.
enum Plan {
    Spend(Chain),
    Advance(ChainKey),
    Step(NextChain, ChainKey),
}

impl<const SKIP: usize> Session<SKIP> {
    /// Opens an envelope in place.
    ///
    /// # Errors
    /// [`OpenError`]. On [`OpenError::Unopenable`] and [`OpenError::Backend`] neither the session nor
    /// the envelope changed, so that another session can be tried on it, or the same one again.
    pub fn open<'b>(
        &mut self,
        p256: &mut impl P256,
        envelope: &'b mut [u8],
    ) -> Result<Opened<'b>, OpenError> {
        self.open_with(p256, envelope, None)
    }

    /// `first` is the signed prekey with which a responder answers the very first step.
    pub(crate) fn open_with<'b>(
        &mut self,
        p256: &mut impl P256,
        envelope: &'b mut [u8],
        first: Option<&SecretKey>,
    ) -> Result<Opened<'b>, OpenError> {
        let prefix_len = Envelope::parse(envelope)
            .map_err(|_| OpenError::Unopenable)?
            .prefix_len;
        let part = RatchetPart::split(envelope, prefix_len).ok_or(OpenError::Unopenable)?;
        let (header, place) = self.place(&part).ok_or(OpenError::Unopenable)?;
        let staged = self.stage(p256, &header, place, first)?;
        let Some((message_key, plan)) = staged else {
            return Err(OpenError::TooFar);
        };
        self.verify(part.clear, message_key, &header, part.body, part.body_tag)
            .ok_or(OpenError::Unopenable)?;
        // Before the commit: even an authentic peer that writes nonsense burns no key.
        let content = Content::parse(part.body).map_err(|_| OpenError::Unopenable)?;
        let stepped = matches!(plan, Plan::Step(..));
        let lost = self.commit(plan, &header);
        Ok(Opened {
            content,
            stepped,
            lost,
        })
    }

    // Each step has its own frame: what one needs on the stack, the next does not.

    /// Tries the header keys: current chain, kept chains, next chain.
    #[inline(never)]
    fn place(&self, part: &RatchetPart<'_>) -> Option<(Header, Place)> {
        let (salt, _) = part.salt()?;
        let context = HeaderContext {
            direction: self.direction.reverse(),
            clear: part.clear,
            salt,
            body_tag: part.body_tag,
        };
        let attempt = |key: &HeaderKey| key.open(&context, part.header, part.header_tag).ok();
        if let Receiving::Chain { chain, skipped } = &self.receiving {
            if let Some(header) = attempt(&chain.header) {
                let kept = header.n < chain.n;
                return Some((
                    header,
                    if kept {
                        Place::Kept(Chain::Current)
                    } else {
                        Place::Current
                    },
                ));
            }
            for (chain, key) in skipped.older_headers() {
                if let Some(header) = attempt(key) {
                    return Some((header, Place::Kept(chain)));
                }
            }
        }
        attempt(&self.next_receiving_header).map(|header| (header, Place::Next))
    }

    /// Computes the message key and what a commit would change. `None`: too far ahead.
    #[inline(never)]
    fn stage(
        &mut self,
        p256: &mut impl P256,
        header: &Header,
        place: Place,
        first: Option<&SecretKey>,
    ) -> Result<Option<(MessageKey, Plan)>, OpenError> {
        match (place, &self.receiving) {
            (Place::Kept(chain), Receiving::Chain { skipped, .. }) => {
                let key = skipped.key(chain, header.n).ok_or(OpenError::Unopenable)?;
                Ok(Some((key, Plan::Spend(chain))))
            }
            (Place::Current, Receiving::Chain { chain, .. }) => {
                // One chain, one ratchet key.
                if header.key != *self.peer.bytes() {
                    return Err(OpenError::Unopenable);
                }
                let jump = header.n.checked_sub(chain.n).ok_or(OpenError::Unopenable)?;
                if jump > MAX_JUMP {
                    return Ok(None);
                }
                let (key, after) = chain.key.advanced(jump).step();
                Ok(Some((key, Plan::Advance(after))))
            }
            (Place::Next, _) => {
                let own = self
                    .sending
                    .as_ref()
                    .map(|chain| KeyPair::secret(&chain.pair));
                let own = first.or(own).ok_or(OpenError::Unopenable)?;
                let peer = PublicKey::parse(p256, &header.key)?;
                let agreed = p256.agree(own, &peer)?;
                let step = self.root.step(&agreed, self.direction.reverse());
                let next = NextChain {
                    peer,
                    root: step.root,
                    chain: step.chain,
                    next_header: step.next_header,
                };
                if header.n > MAX_JUMP {
                    // The header authenticates the peer's step, so it is taken although the message
                    // is out of reach: without it this side could never answer with a new key.
                    if first.is_none() {
                        self.commit_step(next, header.previous);
                    }
                    return Ok(None);
                }
                let (key, after) = next.chain.advanced(header.n).step();
                Ok(Some((key, Plan::Step(next, after))))
            }
            _ => Err(OpenError::Unopenable),
        }
    }

    #[inline(never)]
    fn verify(
        &self,
        clear: &[u8],
        key: MessageKey,
        header: &Header,
        body: &mut [u8],
        tag: &[u8; crate::crypto::aead::TAG_LEN],
    ) -> Option<()> {
        let direction = self.direction.reverse();
        let (rest, commitment) = clear.split_last_chunk()?;
        let body_key = key.body_key(rest.last_chunk()?, direction);
        body_key.matches(commitment).ok()?;
        let associated = Associated::new(&self.id, direction, clear, &header.emit()).ok()?;
        body_key.key.open(associated.bytes(), body, tag).ok()
    }

    /// Takes the staged change. Returns how many messages can come no more.
    #[inline(never)]
    fn commit(&mut self, plan: Plan, header: &Header) -> u32 {
        let (lost, after) = match plan {
            Plan::Spend(chain) => {
                if let Receiving::Chain { skipped, .. } = &mut self.receiving {
                    skipped.spend(chain, header.n);
                }
                return 0;
            }
            Plan::Advance(after) => (0, after),
            Plan::Step(next, after) => (self.commit_step(next, header.previous), after),
        };
        let mut unkept = 0;
        if let Receiving::Chain { chain, skipped } = &mut self.receiving {
            unkept = unkeepable::<SKIP>(header.n.saturating_sub(chain.n));
            skipped.keep_range(&chain.key, chain.n, header.n);
            chain.key = after;
            chain.n = header.n.saturating_add(1);
        }
        lost.saturating_add(unkept)
    }

    /// The peer has a new ratchet key: its chain changes, and our next seal will step (DR 4.4).
    #[inline(never)]
    fn commit_step(&mut self, next: NextChain, previous: u32) -> u32 {
        let header = HeaderKey::new(*self.next_receiving_header.bytes());
        let chain = ReceivingChain {
            key: next.chain,
            header,
            n: 0,
        };
        let mut lost = 0;
        match &mut self.receiving {
            Receiving::Nothing { .. } => {
                self.receiving = Receiving::Chain {
                    chain,
                    skipped: Skipped::new(),
                };
            }
            Receiving::Chain {
                chain: old,
                skipped,
            } => {
                let missing = previous.saturating_sub(old.n);
                if missing <= MAX_JUMP {
                    skipped.keep_range(&old.key, old.n, previous);
                    lost = unkeepable::<SKIP>(missing);
                } else {
                    // Declared lost, never refused: else one long absence would end a conversation.
                    lost = missing;
                }
                skipped.retire(&old.header);
                *old = chain;
            }
        }
        self.root = next.root;
        self.peer = next.peer;
        self.next_receiving_header = next.next_header;
        if let Some(sent) = self.sending.take() {
            self.previous = sent.n;
            // The peer's key answers our own: it holds this session now.
            self.confirmed = true;
        }
        lost
    }
}

/// Of a gap, how many keys are beyond what is kept.
fn unkeepable<const SKIP: usize>(gap: u32) -> u32 {
    gap.saturating_sub(u32::try_from(SKIP).unwrap_or(u32::MAX))
}
