//! The driver of a secure element: [`IdentityKeys`] by handle, over a bus.
//!
//! A skeleton to copy. What is the chip's own is in four places: the numbers of the commands, the
//! layout of a command and of an answer, the status bytes, and [`Bus`]. `no_std`, no heap.
//!
//! ```text
//! command: code ‖ handle ‖ payload ‖ CRC-16          answer: status ‖ payload ‖ CRC-16
//! ```

use hushwire_core::{
    crypto::{CryptoError, P256, PublicKey, SharedSecret, Signature},
    identity::{IdentityKeys, IdentityPublic},
};

/// Commands of the chip.
pub(crate) mod command {
    /// Payload: none. Answer: the point of the handle's key, 04 ‖ x ‖ y.
    pub(crate) const PUBLIC: u8 = 0x01;
    /// Payload: digest 32. Answer: r ‖ s.
    pub(crate) const SIGN: u8 = 0x02;
    /// Payload: point, 04 ‖ x ‖ y. Answer: the x coordinate of the product.
    pub(crate) const AGREE: u8 = 0x03;
}

/// First byte of an answer.
pub(crate) mod status {
    /// Done.
    pub(crate) const OK: u8 = 0x00;
    /// The payload is no point of the curve: the peer's fault, not the chip's.
    pub(crate) const NOT_A_POINT: u8 = 0x01;
    /// The command did not arrive whole.
    pub(crate) const GARBLED: u8 = 0x02;
    /// The chip cannot do it now: locked, busy, worn out.
    pub(crate) const REFUSED: u8 = 0x03;
}

/// The chip's slots. Both keys are made inside, at provisioning, and marked as not exportable; the
/// one may only sign, the other only agree.
pub(crate) mod handle {
    /// `IKs`.
    pub(crate) const SIGNING: u8 = 0x10;
    /// `IKd`.
    pub(crate) const AGREEMENT: u8 = 0x11;
}

/// Length of the longest command and of the longest answer.
pub(crate) const MAX_LEN: usize = 2 + 65 + 2;

/// Carries a command to the chip and its answer back: I2C, SPI, a single wire. It blocks, with a
/// time limit of its own.
pub(crate) trait Bus {
    /// Returns the length of the answer, or `None` where the chip did not answer in time.
    fn exchange(&mut self, command: &[u8], answer: &mut [u8; MAX_LEN]) -> Option<usize>;
}

/// An identity whose keys are in a secure element.
#[derive(Debug)]
pub(crate) struct Element<B> {
    bus: B,
    public: IdentityPublic,
}

/// Tries of one exchange. Asking twice for a signature or an agreement does no harm.
const TRIES: usize = 3;

impl<B: Bus> Element<B> {
    /// Asks the chip for its public keys. A device stores nothing of its identity: the address
    /// follows from these two.
    ///
    /// # Errors
    /// [`CryptoError::Backend`] where the chip does not answer, [`CryptoError::InvalidKey`] where what
    /// it answers are no two keys: it was not provisioned.
    pub(crate) fn connect(mut bus: B, p256: &mut impl P256) -> Result<Self, CryptoError> {
        let signing = exchange(&mut bus, command::PUBLIC, handle::SIGNING, &[])?;
        let agreement = exchange(&mut bus, command::PUBLIC, handle::AGREEMENT, &[])?;
        let public = IdentityPublic::new(p256.compress(&signing)?, p256.compress(&agreement)?)?;
        Ok(Self { bus, public })
    }
}

impl<B: Bus> IdentityKeys for Element<B> {
    fn public(&self) -> &IdentityPublic {
        &self.public
    }

    /// `added` hedges a software nonce; the chip draws its own.
    fn sign(
        &mut self,
        p256: &mut impl P256,
        digest: &[u8; 32],
        _added: &[u8],
    ) -> Result<Signature, CryptoError> {
        let bytes = exchange(&mut self.bus, command::SIGN, handle::SIGNING, digest)?;
        let signature = Signature(bytes);
        // A signature is made once a week. One that came out wrong, by a fault of the chip, can give
        // the key away: it must not leave.
        match p256.verify(self.public.signing(), digest, &signature) {
            Ok(()) => Ok(signature),
            Err(_) => Err(CryptoError::Backend),
        }
    }

    fn agree(
        &mut self,
        p256: &mut impl P256,
        peer: &PublicKey,
    ) -> Result<SharedSecret, CryptoError> {
        // The chip wants a long point. Expanding it also checks the curve, whatever the chip does.
        let point = p256.expand(peer)?;
        let x = exchange(&mut self.bus, command::AGREE, handle::AGREEMENT, &point)?;
        Ok(SharedSecret::from_backend(x))
    }
}

/// One command and its answer's payload, tried again where the bus garbled it.
fn exchange<const N: usize>(
    bus: &mut impl Bus,
    code: u8,
    handle: u8,
    payload: &[u8],
) -> Result<[u8; N], CryptoError> {
    for _ in 0..TRIES {
        let mut command = [0; MAX_LEN];
        let mut answer = [0; MAX_LEN];
        let len = frame(&mut command, &[&[code, handle], payload]).ok_or(CryptoError::Backend)?;
        let command = command.get(..len).unwrap_or_default();
        let Some(len) = bus.exchange(command, &mut answer) else {
            continue;
        };
        match answer.get(..len).and_then(unframed) {
            Some([status::OK, payload @ ..]) => {
                return payload.try_into().map_err(|_| CryptoError::Backend);
            }
            Some([status::NOT_A_POINT, ..]) => return Err(CryptoError::InvalidKey),
            Some([status::GARBLED, ..]) | None => {}
            Some(_) => break,
        }
    }
    Err(CryptoError::Backend)
}

/// Writes parts and their check sum; `None` where they do not fit.
pub(crate) fn frame(out: &mut [u8], parts: &[&[u8]]) -> Option<usize> {
    let mut len = 0;
    for part in parts {
        let end = len + part.len();
        out.get_mut(len..end)?.copy_from_slice(part);
        len = end;
    }
    let sum = crc16(out.get(..len)?).to_be_bytes();
    out.get_mut(len..len + 2)?.copy_from_slice(&sum);
    Some(len + 2)
}

/// What a check sum says is whole, without it.
#[must_use]
pub(crate) fn unframed(bytes: &[u8]) -> Option<&[u8]> {
    let (rest, sum) = bytes.split_last_chunk()?;
    (crc16(rest).to_be_bytes() == *sum).then_some(rest)
}

/// CRC-16/XMODEM, polynomial 1021: finds what a bus does to bytes. It is no protection from people.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ (u16::from(*byte) << 8), |sum, _| {
            (sum << 1) ^ (0x1021 * (sum >> 15))
        })
    })
}
