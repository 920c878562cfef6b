//! Stands for the chip in the tests and in the example: it holds both keys, gives none away, and
//! shares no code with the core. Faults on demand.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use p256::{
    NonZeroScalar, PublicKey,
    ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _},
    elliptic_curve::{point::AffineCoordinates as _, sec1::ToSec1Point as _},
};
use sha2::{Digest as _, Sha256};

use super::driver::{Bus, MAX_LEN, command, frame, handle, status, unframed};

/// What goes wrong with an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "the example needs none, the tests need all")]
pub(crate) enum Fault {
    /// No answer in time.
    Silent,
    /// A bit of the command is flipped on the way.
    CommandGarbled,
    /// A bit of the answer is flipped on the way.
    AnswerGarbled,
    /// The answer breaks off.
    AnswerShort,
    /// The chip says no.
    Refuses,
    /// The chip computes wrongly and does not know it.
    Miscounts,
}

/// The chip. No function of this file returns a key.
struct Chip {
    signing: SigningKey,
    agreement: NonZeroScalar,
    /// One for each exchange to come; empty: all goes well.
    faults: VecDeque<Fault>,
    /// Commands that were done, by their code.
    done: Vec<u8>,
}

/// A wire to the chip. Clones lead to the same one.
#[derive(Clone)]
pub(crate) struct Wire(Rc<RefCell<Chip>>);

impl Wire {
    /// Provisioning. A real chip draws its keys; this one grows them, so that a run repeats.
    pub(crate) fn provision(seed: u8) -> Self {
        let scalar = |role| {
            let bytes = Sha256::digest([seed, role]);
            NonZeroScalar::try_from(bytes.as_slice()).expect("all but one in 2^32 are scalars")
        };
        Self(Rc::new(RefCell::new(Chip {
            signing: SigningKey::from(scalar(1)),
            agreement: scalar(2),
            faults: VecDeque::new(),
            done: Vec::new(),
        })))
    }

    /// The next exchanges go wrong so.
    #[allow(dead_code, reason = "the example needs no faults")]
    pub(crate) fn fail(&self, faults: &[Fault]) {
        self.0.borrow_mut().faults = faults.iter().copied().collect();
    }

    /// Commands that were done since the last call, by their code.
    #[allow(dead_code, reason = "the example does not look")]
    pub(crate) fn done(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.borrow_mut().done)
    }
}

impl Bus for Wire {
    fn exchange(&mut self, command: &[u8], answer: &mut [u8; MAX_LEN]) -> Option<usize> {
        let mut chip = self.0.borrow_mut();
        let fault = chip.faults.pop_front();
        let mut command = command.to_vec();
        if fault == Some(Fault::CommandGarbled) {
            command[1] ^= 0x20;
        }
        let (status, mut payload) = match fault {
            Some(Fault::Silent) => return None,
            Some(Fault::Refuses) => (status::REFUSED, Vec::new()),
            _ => chip.answer(&command),
        };
        if fault == Some(Fault::Miscounts)
            && let Some(byte) = payload.last_mut()
        {
            *byte ^= 1;
        }
        let len = frame(answer, &[&[status], &payload]).expect("answers fit");
        match fault {
            Some(Fault::AnswerGarbled) => answer[len / 2] ^= 0x04,
            Some(Fault::AnswerShort) => return Some(len - 3),
            _ => {}
        }
        Some(len)
    }
}

impl Chip {
    fn answer(&mut self, command: &[u8]) -> (u8, Vec<u8>) {
        let Some([code, handle, payload @ ..]) = unframed(command) else {
            return (status::GARBLED, Vec::new());
        };
        let done = match (*code, *handle) {
            (command::PUBLIC, handle::SIGNING) => {
                Ok(point(&PublicKey::from(self.signing.verifying_key())))
            }
            (command::PUBLIC, handle::AGREEMENT) => {
                Ok(point(&PublicKey::from_secret_scalar(&self.agreement)))
            }
            (command::SIGN, handle::SIGNING) => self.sign(payload),
            (command::AGREE, handle::AGREEMENT) => self.agree(payload),
            // The one key only signs, the other only agrees.
            _ => Err(status::REFUSED),
        };
        match done {
            Ok(payload) => {
                self.done.push(*code);
                (status::OK, payload)
            }
            Err(status) => (status, Vec::new()),
        }
    }

    fn sign(&self, digest: &[u8]) -> Result<Vec<u8>, u8> {
        let signature: Signature = self
            .signing
            .sign_prehash(digest)
            .map_err(|_| status::REFUSED)?;
        Ok(signature.to_bytes().to_vec())
    }

    fn agree(&self, point: &[u8]) -> Result<Vec<u8>, u8> {
        let peer = PublicKey::from_sec1_bytes(point).map_err(|_| status::NOT_A_POINT)?;
        let product = (peer.to_projective() * *self.agreement).to_affine();
        Ok(product.x().to_vec())
    }
}

fn point(key: &PublicKey) -> Vec<u8> {
    key.to_sec1_point(false).as_bytes().to_vec()
}
