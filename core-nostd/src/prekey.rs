//! The device's own prekeys: one signed, the one before it, and a pool to be used once. PROTOCOL 4

use rand_core::CryptoRng;
use zeroize::Zeroize as _;

use crate::{
    crypto::{CryptoError, KeyPair, P256, PublicKey, SecretKey},
    limits::{SIGNED_PREKEY_PERIOD_MS, SIGNED_PREKEY_STARTS, UNBELIEVABLE_COUNTER},
    session::StateError,
    wire::{Reader, WireError, Writer, request::PREKEY_LEN},
};

/// Version of the encoding.
const FORMAT: u8 = 0x01;

/// A prekey that the identity has signed.
#[derive(Debug)]
pub(crate) struct SignedPrekey {
    pub(crate) id: u32,
    pub(crate) pair: KeyPair,
}

/// One place of the pool; id 0 is an empty one.
#[derive(Debug)]
struct Place {
    id: u32,
    secret: SecretKey,
}

impl Place {
    const fn empty() -> Self {
        Self {
            id: 0,
            secret: SecretKey::new([0; 32]),
        }
    }

    fn clear(&mut self) {
        self.id = 0;
        self.secret.zeroize();
    }
}

/// All prekeys of a device. `N` one-time prekeys are on offer at a time; the `N` before them are
/// kept, since a relay may have handed them out.
#[derive(Debug)]
pub struct Prekeys<const N: usize> {
    /// Counter of the bundle: rises with each one, and never goes back.
    pub(crate) counter: u64,
    next_id: u32,
    pub(crate) current: SignedPrekey,
    previous: Option<SignedPrekey>,
    /// When the current one was made, in the endpoint's milliseconds.
    made_at: u64,
    /// Starts of the device since then.
    starts: u16,
    /// A relay has confirmed the set on offer.
    set_confirmed: bool,
    offered: [Place; N],
    before: [Place; N],
}

impl<const N: usize> Prekeys<N> {
    /// Most bytes that [`Self::encode`] writes.
    pub const MAX_ENCODED: usize = 1 + 8 + 4 + 2 * (4 + 32 + 33) + 8 + 2 + 1 + 2 * N * 36;
    /// Bytes that [`Self::list`] writes.
    pub const LIST_LEN: usize = N * PREKEY_LEN;

    /// Makes a signed prekey and an empty pool.
    ///
    /// # Errors
    /// [`CryptoError::Backend`] where hardware fails.
    pub fn generate(
        p256: &mut impl P256,
        rng: &mut impl CryptoRng,
        now: u64,
    ) -> Result<Self, CryptoError> {
        // Ids begin at random: a re-installed device does not use those of its former life.
        let first = (rng.next_u32() >> 1).max(1);
        Ok(Self {
            // At random: a re-installed device must not pass for its former self, whose bundle the
            // relay still holds.
            counter: u64::from(rng.next_u32() >> 1).max(1),
            next_id: first.saturating_add(1),
            current: SignedPrekey {
                id: first,
                pair: KeyPair::generate(p256, rng)?,
            },
            previous: None,
            made_at: now,
            starts: 0,
            set_confirmed: false,
            offered: [const { Place::empty() }; N],
            before: [const { Place::empty() }; N],
        })
    }

    fn take_id(&mut self) -> u32 {
        let id = self.next_id;
        self.next_id = id.checked_add(1).unwrap_or(1);
        id
    }

    /// The device started: counts towards the signed prekey's period.
    pub fn started(&mut self) {
        self.starts = self.starts.saturating_add(1);
    }

    /// Whether the signed prekey is to be changed, by own running time or by starts.
    #[must_use]
    pub const fn is_rotation_due(&self, now: u64) -> bool {
        now.saturating_sub(self.made_at) >= SIGNED_PREKEY_PERIOD_MS
            || self.starts >= SIGNED_PREKEY_STARTS
    }

    /// A new signed prekey; the old one lives one period more, the one before it ends.
    ///
    /// # Errors
    /// [`CryptoError::Backend`]; nothing changed then.
    pub fn rotate(
        &mut self,
        p256: &mut impl P256,
        rng: &mut impl CryptoRng,
        now: u64,
    ) -> Result<(), CryptoError> {
        let pair = KeyPair::generate(p256, rng)?;
        let fresh = SignedPrekey {
            id: self.take_id(),
            pair,
        };
        self.previous = Some(core::mem::replace(&mut self.current, fresh));
        self.made_at = now;
        self.starts = 0;
        self.counter = self.counter.saturating_add(1);
        Ok(())
    }

    /// Raises the counter above one that a relay has shown: this identity had a life before.
    /// Returns whether it rose: it does not for what is no higher, nor for what cannot be.
    pub const fn outrun(&mut self, counter: u64) -> bool {
        let rises = self.counter <= counter && counter < UNBELIEVABLE_COUNTER;
        if rises {
            self.counter = counter.saturating_add(1);
        }
        rises
    }

    /// A new set of one-time prekeys to upload. Those on offer so far are kept once more, since a
    /// relay may have handed them out; those before them end.
    ///
    /// # Errors
    /// [`CryptoError::Backend`] where randomness fails.
    pub fn refill(
        &mut self,
        p256: &mut impl P256,
        rng: &mut impl CryptoRng,
    ) -> Result<(), CryptoError> {
        self.set_confirmed = false;
        for at in 0..N {
            let id = self.take_id();
            let fresh = Place {
                id,
                secret: SecretKey::generate(p256, rng)?,
            };
            let places = self.offered.get_mut(at).zip(self.before.get_mut(at));
            if let Some((offered, before)) = places {
                *before = core::mem::replace(offered, fresh);
            }
        }
        Ok(())
    }

    /// Whether a relay has confirmed the set on offer.
    pub(crate) const fn is_set_confirmed(&self) -> bool {
        self.set_confirmed
    }

    pub(crate) const fn confirm_set(&mut self) {
        self.set_confirmed = true;
    }

    /// Writes the set on offer as an upload carries it, (id u32 ‖ point 33)*; returns its length.
    ///
    /// # Errors
    /// [`CryptoError::Backend`] where hardware fails or the buffer is below [`Self::LIST_LEN`].
    pub fn list(&self, p256: &mut impl P256, buffer: &mut [u8]) -> Result<usize, CryptoError> {
        let mut w = Writer::new(buffer);
        for place in self.offered.iter().filter(|place| place.id != 0) {
            let point = p256.public_key(&place.secret)?;
            w.u32(place.id)
                .and_then(|()| w.put(point.bytes()))
                .map_err(|_: WireError| CryptoError::Backend)?;
        }
        Ok(w.len())
    }

    /// Counter of the bundle that is to be published now.
    #[must_use]
    pub const fn counter(&self) -> u64 {
        self.counter
    }

    /// The signed prekey on offer: its name and its point.
    #[must_use]
    pub const fn signed_prekey(&self) -> (u32, &PublicKey) {
        (self.current.id, self.current.pair.public())
    }

    /// The signed prekey of an id, while it lives: what a start that names it is accepted with.
    #[must_use]
    pub fn signed(&self, id: u32) -> Option<&KeyPair> {
        let previous = self.previous.as_ref().filter(|key| key.id == id);
        Some(&self.current)
            .filter(|key| key.id == id)
            .or(previous)
            .map(|key| &key.pair)
    }

    /// A one-time prekey of an id, while it is unspent.
    ///
    /// # Errors
    /// [`CryptoError::Backend`] where hardware fails.
    pub fn one_time(&self, p256: &mut impl P256, id: u32) -> Result<Option<KeyPair>, CryptoError> {
        let mut places = self.offered.iter().chain(&self.before);
        let Some(place) = places.find(|place| place.id == id && id != 0) else {
            return Ok(None);
        };
        KeyPair::from_secret(p256, SecretKey::new(*place.secret.expose())).map(Some)
    }

    /// Wipes a one-time prekey: its first message was opened. Returns whether it was there, so
    /// that boot can reconcile the pool with what the sessions name.
    pub fn spend(&mut self, id: u32) -> bool {
        let mut places = self.offered.iter_mut().chain(&mut self.before);
        match places.find(|place| place.id == id && id != 0) {
            Some(place) => {
                place.clear();
                true
            }
            None => false,
        }
    }

    /// Unspent one-time prekeys on offer.
    #[must_use]
    pub fn unspent(&self) -> usize {
        self.offered.iter().filter(|place| place.id != 0).count()
    }

    /// Writes everything; returns the length.
    ///
    /// # Errors
    /// [`StateError`] where the buffer is smaller than [`Self::MAX_ENCODED`].
    pub fn encode(&self, buffer: &mut [u8]) -> Result<usize, StateError> {
        let mut w = Writer::new(buffer);
        w.u8(FORMAT)?;
        w.u64(self.counter)?;
        w.u32(self.next_id)?;
        for key in [Some(&self.current), self.previous.as_ref()] {
            match key {
                Some(key) => {
                    w.u32(key.id)?;
                    w.put(key.pair.secret().expose())?;
                    w.put(key.pair.public().bytes())?;
                }
                None => w.put(&[0; 4 + 32 + 33])?,
            }
        }
        w.u64(self.made_at)?;
        w.u16(self.starts)?;
        w.u8(u8::from(self.set_confirmed))?;
        for place in self.offered.iter().chain(&self.before) {
            w.u32(place.id)?;
            w.put(place.secret.expose())?;
        }
        Ok(w.len())
    }

    /// Reads everything back.
    ///
    /// # Errors
    /// [`StateError`] for everything that [`Self::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let mut r = Reader::new(bytes);
        if r.u8()? != FORMAT {
            return Err(StateError);
        }
        let (counter, next_id) = (r.u64()?, r.u32()?);
        let mut signed = || -> Result<Option<SignedPrekey>, WireError> {
            let id = r.u32()?;
            let (secret, public) = (SecretKey::new(*r.array()?), PublicKey::checked(*r.array()?));
            Ok((id != 0).then(|| SignedPrekey {
                id,
                pair: KeyPair::from_parts(secret, public),
            }))
        };
        let (current, previous) = (signed()?.ok_or(StateError)?, signed()?);
        let mut prekeys = Self {
            counter,
            next_id,
            current,
            previous,
            made_at: r.u64()?,
            starts: r.u16()?,
            set_confirmed: r.u8()? == 1,
            offered: [const { Place::empty() }; N],
            before: [const { Place::empty() }; N],
        };
        for place in prekeys.offered.iter_mut().chain(&mut prekeys.before) {
            *place = Place {
                id: r.u32()?,
                secret: SecretKey::new(*r.array()?),
            };
        }
        r.finish()?;
        Ok(prekeys)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    use super::*;
    use crate::crypto::Software;

    fn prekeys() -> (Prekeys<4>, ChaCha20Rng) {
        let mut rng = ChaCha20Rng::from_seed([3; 32]);
        let mut prekeys = Prekeys::generate(&mut Software, &mut rng, 0).unwrap();
        prekeys.refill(&mut Software, &mut rng).unwrap();
        (prekeys, rng)
    }

    fn ids(prekeys: &Prekeys<4>) -> std::vec::Vec<u32> {
        let mut list = [0; Prekeys::<4>::LIST_LEN];
        let len = prekeys.list(&mut Software, &mut list).unwrap();
        let parsed = crate::wire::request::Prekeys::new(&list[..len]).unwrap();
        parsed.iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn a_set_handed_out_lives_one_refill_longer() {
        let (mut prekeys, mut rng) = prekeys();
        let first = ids(&prekeys);
        prekeys.refill(&mut Software, &mut rng).unwrap();
        let second = ids(&prekeys);
        assert!(
            first.iter().all(|id| !second.contains(id)),
            "no key is uploaded twice"
        );
        assert!(
            first
                .iter()
                .all(|id| prekeys.one_time(&mut Software, *id).unwrap().is_some())
        );
        assert!(prekeys.spend(first[0]) && !prekeys.spend(first[0]));
        assert!(prekeys.one_time(&mut Software, first[0]).unwrap().is_none());
        prekeys.refill(&mut Software, &mut rng).unwrap();
        assert!(prekeys.one_time(&mut Software, first[1]).unwrap().is_none());
        assert!(
            prekeys
                .one_time(&mut Software, second[1])
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn the_signed_prekey_changes_by_time_or_starts_and_lives_one_period_more() {
        let (mut prekeys, mut rng) = prekeys();
        assert!(!prekeys.is_rotation_due(SIGNED_PREKEY_PERIOD_MS - 1));
        assert!(prekeys.is_rotation_due(SIGNED_PREKEY_PERIOD_MS));
        let (first, counter) = (prekeys.current.id, prekeys.counter);
        prekeys.rotate(&mut Software, &mut rng, 5).unwrap();
        assert!(prekeys.counter > counter && prekeys.signed(first).is_some());
        for _ in 0..SIGNED_PREKEY_STARTS {
            prekeys.started();
        }
        assert!(prekeys.is_rotation_due(5));
        prekeys.rotate(&mut Software, &mut rng, 6).unwrap();
        assert!(prekeys.signed(first).is_none());
    }

    #[test]
    fn prekeys_read_back() {
        let (prekeys, _) = prekeys();
        let mut bytes = [0; Prekeys::<4>::MAX_ENCODED];
        let len = prekeys.encode(&mut bytes).unwrap();
        assert_eq!(len, bytes.len());
        let back = Prekeys::<4>::decode(&bytes).unwrap();
        let mut again = [0; Prekeys::<4>::MAX_ENCODED];
        back.encode(&mut again).unwrap();
        assert_eq!(bytes, again);
        assert!(Prekeys::<4>::decode(&bytes[..len - 1]).is_err());
    }
}
