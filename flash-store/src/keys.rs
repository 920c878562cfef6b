//! Epoch keys, and how they end. FORMAT 2
//!
//! Two pages outside of the items' region. One is in use:
//!
//! ```text
//! magic 4 ‖ turn u32 ‖ check 4 ‖ ..32      then slots: owner 1 ‖ format 1 ‖ 0 0 ‖ check 4 ‖ key 16
//! ```
//! A record's next key is written behind the others, then the record under it, then the key before
//! is programmed to zeros: what the old record sealed opens for nobody, wherever its copies lie.
//! A full page is turned: the live keys go to the other page, its header last, then the old page is
//! erased. Flash that cannot be programmed twice wipes by turning the page.

use embedded_storage::nor_flash::NorFlash;
use hushwire_core::{crypto::kdf::sha256, snapshot::EpochKey};
use rand_core::CryptoRng;
use zeroize::Zeroize as _;

use crate::{FlashError, medium::Medium, store::Wipe};

/// Whose a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner(u8);

impl Owner {
    /// The own prekeys.
    pub(crate) const OWN: Self = Self(16);
    /// No key: everything is to be erased.
    const RESET: Self = Self(0xe0);

    pub(crate) const fn contact(contact: u8) -> Self {
        Self(contact & 0x0f)
    }

    const fn index(self) -> usize {
        self.0 as usize
    }
}

const OWNERS: usize = 17;
const HEADER: usize = 32;
const MAGIC: [u8; 4] = *b"HUk1";
const FORMAT: u8 = 1;
const NONE: u16 = u16::MAX;
/// Bytes of the largest slot.
const MAX_SLOT: usize = 32;

/// Where the epoch keys stand.
#[derive(Debug)]
pub(crate) struct Keys {
    wipe: Wipe,
    /// The page in use, and how often pages were turned.
    page: u32,
    turn: u32,
    /// The first free slot.
    free: u16,
    /// The slot of each owner's key.
    current: [u16; OWNERS],
    /// Keys that are spent and still stand on the page.
    spent: u16,
}

/// What mounting found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mounted {
    Keys,
    /// No page of keys: a new one was begun.
    Nothing,
    /// A factory reset was begun.
    Reset,
}

impl Keys {
    pub(crate) const fn new(wipe: Wipe) -> Self {
        Self {
            wipe,
            page: 0,
            turn: 0,
            free: 0,
            current: [NONE; OWNERS],
            spent: 0,
        }
    }

    const fn slot_len<F: NorFlash>() -> usize {
        24_usize.next_multiple_of(Medium::<F>::WORD)
    }

    const fn slots<F: NorFlash>() -> u16 {
        ((Medium::<F>::PAGE as usize - HEADER) / Self::slot_len::<F>()) as u16
    }

    fn address<F: NorFlash>(&self, slot: u16) -> u32 {
        let offset = HEADER + usize::from(slot) * Self::slot_len::<F>();
        self.page * Medium::<F>::PAGE + offset as u32
    }

    /// Finds the page in use, and on it the first free slot. Changes nothing.
    pub(crate) fn find<F: NorFlash>(
        &mut self,
        medium: &mut Medium<F>,
    ) -> Result<Mounted, FlashError<F::Error>> {
        let mut newest = None;
        for page in 0..2 {
            if let Some(turn) = read_header(medium, page)?
                && newest.is_none_or(|(_, other)| turn > other)
            {
                newest = Some((page, turn));
            }
        }
        let Some((page, turn)) = newest else {
            return Ok(Mounted::Nothing);
        };
        (self.page, self.turn) = (page, turn);
        (self.free, self.spent, self.current) = (0, 0, [NONE; OWNERS]);
        let mut mounted = Mounted::Keys;
        for slot in 0..Self::slots::<F>() {
            let mut bytes = [0; MAX_SLOT];
            let bytes = self.slot_bytes(medium, slot, &mut bytes)?;
            if bytes.iter().any(|byte| *byte != 0xff) {
                self.free = slot + 1;
            }
            if parse(bytes).is_some_and(|(owner, _)| owner == Owner::RESET) {
                mounted = Mounted::Reset;
            }
            bytes.zeroize();
        }
        Ok(mounted)
    }

    fn slot_bytes<'b, F: NorFlash>(
        &self,
        medium: &mut Medium<F>,
        slot: u16,
        bytes: &'b mut [u8; MAX_SLOT],
    ) -> Result<&'b mut [u8], FlashError<F::Error>> {
        let bytes = bytes
            .get_mut(..Self::slot_len::<F>())
            .ok_or(FlashError::Size)?;
        medium.get(self.address::<F>(slot), bytes)?;
        Ok(bytes)
    }

    /// Begins an empty page of keys.
    pub(crate) fn begin<F: NorFlash>(
        &mut self,
        medium: &mut Medium<F>,
    ) -> Result<(), FlashError<F::Error>> {
        (self.page, self.turn) = (0, 1);
        (self.free, self.spent, self.current) = (0, 0, [NONE; OWNERS]);
        medium.clear_page(0)?;
        medium.clear_page(Medium::<F>::PAGE)?;
        write_header(medium, self.page, self.turn)
    }

    /// The slots that may hold a key of `owner`, from `before` down.
    pub(crate) fn candidate<F: NorFlash>(
        &self,
        medium: &mut Medium<F>,
        owner: Owner,
        before: u16,
    ) -> Result<Option<(u16, EpochKey)>, FlashError<F::Error>> {
        for slot in (0..before.min(self.free)).rev() {
            if let Some((whose, key)) = self.read(medium, slot)?
                && whose == owner
            {
                return Ok(Some((slot, key)));
            }
        }
        Ok(None)
    }

    fn read<F: NorFlash>(
        &self,
        medium: &mut Medium<F>,
        slot: u16,
    ) -> Result<Option<(Owner, EpochKey)>, FlashError<F::Error>> {
        let mut bytes = [0; MAX_SLOT];
        let bytes = self.slot_bytes(medium, slot, &mut bytes)?;
        let parsed = parse(bytes);
        bytes.zeroize();
        Ok(parsed)
    }

    /// Of an owner's keys, the one in `slot` is in use.
    pub(crate) fn settle(&mut self, owner: Owner, slot: u16) {
        if let Some(place) = self.current.get_mut(owner.index()) {
            *place = slot;
        }
    }

    /// Ends every key that is nobody's in use, what was torn in writing or wiping included, and
    /// erases what a turn of the page left behind.
    pub(crate) fn settle_rest<F: NorFlash>(
        &mut self,
        medium: &mut Medium<F>,
    ) -> Result<(), FlashError<F::Error>> {
        for slot in 0..self.free {
            if self.current.contains(&slot) {
                continue;
            }
            let mut bytes = [0; MAX_SLOT];
            let bytes = self.slot_bytes(medium, slot, &mut bytes)?;
            let ended = bytes.iter().all(|byte| *byte == 0);
            bytes.zeroize();
            if !ended {
                self.end(medium, slot)?;
            }
        }
        medium.clear_page((1 - self.page) * Medium::<F>::PAGE)
    }

    /// Writes a new key for `owner`. The one before stays until [`Self::retire`].
    pub(crate) fn add<F: NorFlash>(
        &mut self,
        medium: &mut Medium<F>,
        rng: &mut impl CryptoRng,
        owner: Owner,
    ) -> Result<(u16, EpochKey), FlashError<F::Error>> {
        if self.free >= Self::slots::<F>() {
            self.turn_page(medium)?;
        }
        let key = EpochKey::generate(rng);
        let slot = self.free;
        self.put(medium, slot, owner, &key)?;
        Ok((slot, key))
    }

    fn put<F: NorFlash>(
        &mut self,
        medium: &mut Medium<F>,
        slot: u16,
        owner: Owner,
        key: &EpochKey,
    ) -> Result<(), FlashError<F::Error>> {
        self.free = slot + 1;
        let mut bytes = [0; MAX_SLOT];
        emit(&mut bytes, owner, key);
        let result = medium.program(
            self.address::<F>(slot),
            bytes.get(..Self::slot_len::<F>()).unwrap_or_default(),
        );
        bytes.zeroize();
        result
    }

    /// The record under the key in `slot` is written: the key before it ends.
    pub(crate) fn retire<F: NorFlash>(
        &mut self,
        medium: &mut Medium<F>,
        owner: Owner,
        slot: u16,
    ) -> Result<(), FlashError<F::Error>> {
        let Some(place) = self.current.get_mut(owner.index()) else {
            return Ok(());
        };
        let before = core::mem::replace(place, slot);
        if before == NONE {
            return Ok(());
        }
        self.end(medium, before)?;
        if self.spent >= self.wipe.every {
            self.turn_page(medium)?;
        }
        Ok(())
    }

    /// The owner's record goes: so does its key.
    pub(crate) fn drop_owner<F: NorFlash>(
        &mut self,
        medium: &mut Medium<F>,
        owner: Owner,
    ) -> Result<(), FlashError<F::Error>> {
        self.retire(medium, owner, NONE)?;
        if self.spent > 0 {
            self.turn_page(medium)?;
        }
        Ok(())
    }

    /// The key in use, to write once more under it.
    pub(crate) fn key<F: NorFlash>(
        &self,
        medium: &mut Medium<F>,
        owner: Owner,
    ) -> Result<Option<EpochKey>, FlashError<F::Error>> {
        let slot = self.current.get(owner.index()).copied().unwrap_or(NONE);
        if slot == NONE {
            return Ok(None);
        }
        Ok(self.read(medium, slot)?.map(|(_, key)| key))
    }

    /// Makes the key in a slot unreadable, now or with the next turn of the page.
    fn end<F: NorFlash>(
        &mut self,
        medium: &mut Medium<F>,
        slot: u16,
    ) -> Result<(), FlashError<F::Error>> {
        if !self.wipe.in_place {
            self.spent = self.spent.saturating_add(1);
            return Ok(());
        }
        let zeros = [0; MAX_SLOT];
        medium.program(
            self.address::<F>(slot),
            zeros.get(..Self::slot_len::<F>()).unwrap_or_default(),
        )
    }

    /// Copies the live keys to the other page and erases this one.
    fn turn_page<F: NorFlash>(
        &mut self,
        medium: &mut Medium<F>,
    ) -> Result<(), FlashError<F::Error>> {
        let (old, turn) = (self.page, self.turn.saturating_add(1));
        let other = 1 - old;
        medium.clear_page(other * Medium::<F>::PAGE)?;
        let mut next = 0;
        for owner in 0..OWNERS {
            let slot = self.current.get(owner).copied().unwrap_or(NONE);
            if slot == NONE {
                continue;
            }
            self.page = old;
            let key = self.read(medium, slot)?;
            self.page = other;
            if let Some((whose, key)) = key {
                self.put(medium, next, whose, &key)?;
                if let Some(place) = self.current.get_mut(owner) {
                    *place = next;
                }
                next += 1;
            }
        }
        (self.page, self.turn, self.free, self.spent) = (other, turn, next, 0);
        write_header(medium, other, turn)?;
        medium.clear_page(old * Medium::<F>::PAGE)
    }

    /// Leaves nothing but the order to erase everything. The keys are gone when it returns.
    pub(crate) fn begin_reset<F: NorFlash>(
        &mut self,
        medium: &mut Medium<F>,
    ) -> Result<(), FlashError<F::Error>> {
        let old = self.page;
        (self.page, self.current) = (1 - old, [NONE; OWNERS]);
        medium.clear_page(self.page * Medium::<F>::PAGE)?;
        self.put(medium, 0, Owner::RESET, &EpochKey::from_bytes([0; 16]))?;
        write_header(medium, self.page, self.turn.saturating_add(1))?;
        medium.clear_page(old * Medium::<F>::PAGE)
    }

    /// Ends a reset: nothing is left.
    pub(crate) fn finish_reset<F: NorFlash>(
        &mut self,
        medium: &mut Medium<F>,
    ) -> Result<(), FlashError<F::Error>> {
        medium.clear_page((1 - self.page) * Medium::<F>::PAGE)?;
        medium.clear_page(self.page * Medium::<F>::PAGE)
    }
}

fn check(parts: &[&[u8]]) -> [u8; 4] {
    let [a, b, c, d, ..] = sha256(parts);
    [a, b, c, d]
}

fn read_header<F: NorFlash>(
    medium: &mut Medium<F>,
    page: u32,
) -> Result<Option<u32>, FlashError<F::Error>> {
    let mut header = [0; HEADER];
    medium.get(page * Medium::<F>::PAGE, &mut header)?;
    let [m0, m1, m2, m3, t0, t1, t2, t3, c0, c1, c2, c3, ..] = header;
    let turn = [t0, t1, t2, t3];
    let good = [m0, m1, m2, m3] == MAGIC && [c0, c1, c2, c3] == check(&[&MAGIC, &turn]);
    Ok(good.then_some(u32::from_be_bytes(turn)))
}

fn write_header<F: NorFlash>(
    medium: &mut Medium<F>,
    page: u32,
    turn: u32,
) -> Result<(), FlashError<F::Error>> {
    let turn = turn.to_be_bytes();
    let mut header = [0; HEADER];
    let fields = MAGIC.iter().chain(&turn).copied();
    for (slot, byte) in header.iter_mut().zip(fields.chain(check(&[&MAGIC, &turn]))) {
        *slot = byte;
    }
    medium.program(page * Medium::<F>::PAGE, &header)
}

fn emit(bytes: &mut [u8; MAX_SLOT], owner: Owner, key: &EpochKey) {
    let head = [owner.0, FORMAT, 0, 0];
    let sum = check(&[&head, key.expose()]);
    let fields = head.iter().chain(&sum).chain(key.expose());
    for (slot, byte) in bytes.iter_mut().zip(fields) {
        *slot = *byte;
    }
}

fn parse(bytes: &[u8]) -> Option<(Owner, EpochKey)> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let key = rest.first_chunk::<16>()?;
    let [owner, format, ..] = head;
    let good = *format == FORMAT && *sum == check(&[head, key]);
    good.then(|| (Owner(*owner), EpochKey::from_bytes(*key)))
}
