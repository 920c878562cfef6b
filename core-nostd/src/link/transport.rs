//! Records after the handshake: u16 length ‖ ciphertext ‖ tag. PROTOCOL 3.3
//!
//! Sending and receiving are two types with a key each, so that two tasks can own them.

use core::fmt;

use super::{
    AesGcm, HEAD_ROOM, LinkCipher, LinkLimits, OpenError, SealError, TAIL_ROOM, cipher::nonce,
    prefix, record::MIN_RECORD, symmetric::CipherKey,
};
use crate::crypto::aead::TAG_LEN;

/// A finished handshake: two keys that were not used yet, and what both sides take.
#[derive(Debug)]
pub struct Transport {
    send: CipherKey,
    receive: CipherKey,
    own: LinkLimits,
    peer: LinkLimits,
}

impl Transport {
    pub(super) const fn new(
        send: CipherKey,
        receive: CipherKey,
        own: LinkLimits,
        peer: LinkLimits,
    ) -> Self {
        Self {
            send,
            receive,
            own,
            peer,
        }
    }

    /// What this side said that it takes.
    #[must_use]
    pub const fn own_limits(&self) -> &LinkLimits {
        &self.own
    }

    /// What the peer said that it takes.
    #[must_use]
    pub const fn peer_limits(&self) -> &LinkLimits {
        &self.peer
    }

    /// Both halves, with the default cipher.
    #[must_use]
    pub fn split(self) -> (Sealer, Opener) {
        self.split_with()
    }

    /// Both halves, with a cipher of the caller's.
    #[must_use]
    pub fn split_with<C: LinkCipher>(self) -> (Sealer<C>, Opener<C>) {
        let sealer = Sealer {
            cipher: C::new(self.send.bytes()),
            counter: 0,
            max_record: self.peer.max_record(),
        };
        let opener = Opener {
            cipher: Some(C::new(self.receive.bytes())),
            counter: 0,
            max_record: self.own.max_record(),
        };
        (sealer, opener)
    }
}

/// The half that sends.
pub struct Sealer<C = AesGcm> {
    cipher: C,
    counter: u64,
    max_record: u16,
}

impl<C: LinkCipher> Sealer<C> {
    /// Bytes of plaintext in the largest record that the peer takes.
    #[must_use]
    pub fn max_plaintext(&self) -> usize {
        usize::from(self.max_record).saturating_sub(TAG_LEN)
    }

    /// Seals a record in place: `plaintext_len` bytes stand behind [`HEAD_ROOM`], with [`TAIL_ROOM`]
    /// behind them. Returns how many bytes of `record` go to the peer, the length in front included.
    ///
    /// # Errors
    /// [`SealError`]; the buffer is then as it was and the half still works.
    pub fn seal(&mut self, record: &mut [u8], plaintext_len: usize) -> Result<usize, SealError> {
        let body_len = plaintext_len
            .checked_add(TAIL_ROOM)
            .ok_or(SealError::TooLong)?;
        if body_len < MIN_RECORD {
            return Err(SealError::TooShort);
        }
        if body_len > usize::from(self.max_record) {
            return Err(SealError::TooLong);
        }
        let (head, rest) = record
            .split_first_chunk_mut::<HEAD_ROOM>()
            .ok_or(SealError::Buffer)?;
        let (plaintext, tail) = rest
            .split_at_mut_checked(plaintext_len)
            .ok_or(SealError::Buffer)?;
        let tag = tail
            .first_chunk_mut::<TAIL_ROOM>()
            .ok_or(SealError::Buffer)?;
        // Noise 5.1: the last counter is never used.
        let next = self.counter.checked_add(1).ok_or(SealError::Exhausted)?;

        *tag = self.cipher.seal(&nonce(self.counter), plaintext);
        *head = prefix(body_len);
        self.counter = next;
        Ok(HEAD_ROOM + body_len)
    }
}

/// The half that receives. After one failure it has no key any more.
pub struct Opener<C = AesGcm> {
    cipher: Option<C>,
    counter: u64,
    max_record: u16,
}

impl<C: LinkCipher> Opener<C> {
    /// Opens a record in place, its length in front already taken off, and gives its plaintext: see
    /// [`crate::wire::frame::Frames`].
    ///
    /// # Errors
    /// [`OpenError`]: the link is to be closed, and every later call gives [`OpenError::Dead`].
    pub fn open<'a>(&mut self, record: &'a mut [u8]) -> Result<&'a mut [u8], OpenError> {
        // Taken out here, put back only after a success: no path forgets to kill the half.
        let mut cipher = self.cipher.take().ok_or(OpenError::Dead)?;
        if !(MIN_RECORD..=usize::from(self.max_record)).contains(&record.len()) {
            return Err(OpenError::Length);
        }
        let next = self.counter.checked_add(1).ok_or(OpenError::Exhausted)?;
        let (body, tag) = record
            .split_last_chunk_mut::<TAG_LEN>()
            .ok_or(OpenError::Length)?;
        cipher
            .open(&nonce(self.counter), body, tag)
            .map_err(|_| OpenError::Refused)?;
        self.counter = next;
        self.cipher = Some(cipher);
        Ok(body)
    }
}

impl<C> fmt::Debug for Sealer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cipher: _secret,
            counter,
            max_record,
        } = self;
        write!(
            f,
            "Sealer {{ counter: {counter}, max_record: {max_record}, .. }}"
        )
    }
}

impl<C> fmt::Debug for Opener<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cipher: _secret,
            counter,
            max_record,
        } = self;
        write!(
            f,
            "Opener {{ counter: {counter}, max_record: {max_record}, .. }}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Sealer, Opener) {
        let limits = LinkLimits::new(1400, 1382, 1).unwrap();
        let key = || CipherKey::new([7; 32]);
        Transport::new(key(), key(), limits, limits).split()
    }

    fn seal(sealer: &mut Sealer, plaintext: &[u8]) -> std::vec::Vec<u8> {
        let mut record = std::vec![0; HEAD_ROOM + plaintext.len() + TAIL_ROOM];
        record[HEAD_ROOM..][..plaintext.len()].copy_from_slice(plaintext);
        assert_eq!(sealer.seal(&mut record, plaintext.len()), Ok(record.len()));
        record
    }

    #[test]
    fn the_counter_never_wraps() {
        let (mut sealer, mut opener) = pair();
        sealer.counter = u64::MAX - 1;
        opener.counter = u64::MAX - 1;
        let mut last = seal(&mut sealer, b"last");
        assert_eq!(opener.open(&mut last[2..]).unwrap(), b"last");
        let mut record = [0; 64];
        assert_eq!(sealer.seal(&mut record, 4), Err(SealError::Exhausted));
        assert_eq!(record, [0; 64]);
        assert_eq!(opener.open(&mut [0; 20]), Err(OpenError::Exhausted));
        assert_eq!(opener.open(&mut [0; 20]), Err(OpenError::Dead));
    }

    #[test]
    fn a_half_dies_with_its_first_failure() {
        for kill in [0, 1, 2] {
            let (mut sealer, mut opener) = pair();
            let mut first = seal(&mut sealer, b"first");
            let mut second = seal(&mut sealer, b"second");
            let mut wrong = std::vec![0; if kill == 1 { 1401 } else { 18 }];
            let record = match kill {
                0 => &mut second[2..], // out of order
                _ => &mut wrong,
            };
            let expected = if kill == 0 {
                OpenError::Refused
            } else {
                OpenError::Length
            };
            assert_eq!(opener.open(record), Err(expected));
            assert_eq!(opener.open(&mut first[2..]), Err(OpenError::Dead));
        }
    }

    #[test]
    fn refused_plaintexts_cost_no_nonce() {
        let (mut sealer, mut opener) = pair();
        let mut record = [0; 1500];
        assert_eq!(sealer.seal(&mut record, 2), Err(SealError::TooShort));
        assert_eq!(sealer.seal(&mut record, 1385), Err(SealError::TooLong));
        assert_eq!(
            sealer.seal(&mut record, usize::MAX),
            Err(SealError::TooLong)
        );
        assert_eq!(sealer.seal(&mut record[..21], 4), Err(SealError::Buffer));
        assert_eq!(sealer.seal(&mut record[..1], 4), Err(SealError::Buffer));
        assert_eq!(sealer.max_plaintext(), 1384);
        let mut first = seal(&mut sealer, b"first");
        assert_eq!(opener.open(&mut first[2..]).unwrap(), b"first");
    }

    #[test]
    fn debug_shows_no_secret() {
        let (sealer, opener) = pair();
        let text = std::format!("{sealer:?}{opener:?}");
        assert_eq!(
            text,
            "Sealer { counter: 0, max_record: 1400, .. }Opener { counter: 0, max_record: 1400, .. }"
        );
    }
}
