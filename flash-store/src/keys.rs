//! Epoch keys, and how they end. FORMAT 2
//!
//! Pages in front of the items' region: one in sixteen, two at least. One at a time is in use:
//!
//! ```text
//! magic 4 ‖ turn u32 ‖ check 4 ‖ ..32      then slots: owner 1 ‖ format 1 ‖ 0 0 ‖ check 4 ‖ key 16
//! ```
//! A record's next key is written behind the others, then the record under it, then the key before
//! is programmed to zeros: what the old record sealed opens for nobody, wherever its copies lie.
//! A full page is turned: the live keys go to the next page, its header last, then the old page is
//! erased. Flash that cannot be programmed twice wipes by turning the page.
//!
//! The same slots carry the intent to erase a page of items: what an erase without power leaves
//! behind may look like anything, so the next start erases that page again before it looks.

use embedded_storage::nor_flash::NorFlash;
use hushwire_core::{crypto::kdf::sha256, snapshot::EpochKey};
use rand_core::CryptoRng;
use zeroize::Zeroize as _;

use crate::{medium::Medium, store::Wipe};

/// Whose a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner(u8);

impl Owner {
    /// The own prekeys.
    pub(crate) const OWN: Self = Self(16);
    /// No key: everything is to be erased.
    const RESET: Self = Self(0xe0);
    /// No key: a page of items is to be erased, and was.
    const ERASE: Self = Self(0xe1);
    const ERASED: Self = Self(0xe2);

    pub(crate) const fn contact(contact: u8) -> Self {
        Self(contact & 0x0f)
    }

    const fn has_key(self) -> bool {
        (self.0 as usize) < OWNERS
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
    /// There is a page in use.
    mounted: bool,
    /// The first free slot.
    free: u16,
    /// The slot of each owner's key.
    current: [u16; OWNERS],
    /// A key whose record is being written.
    pending: u16,
    /// Keys that are spent and still stand on the page.
    spent: u16,
}

/// What looking for the keys found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mounted {
    Keys,
    /// No page of keys.
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
            mounted: false,
            free: 0,
            current: [NONE; OWNERS],
            pending: NONE,
            spent: 0,
        }
    }

    fn slot_of(&self, owner: Owner) -> u16 {
        self.current.get(owner.index()).copied().unwrap_or(NONE)
    }
}

impl<F: NorFlash> Medium<F> {
    const SLOT: usize = 24_usize.next_multiple_of(Self::WORD);
    const SLOTS: u16 = ((Self::PAGE as usize - HEADER) / Self::SLOT) as u16;

    const fn slot_address(&self, slot: u16) -> u32 {
        self.keys.page * Self::PAGE + (HEADER + slot as usize * Self::SLOT) as u32
    }

    /// Finds the page in use, and on it the first free slot. Changes nothing.
    pub(crate) fn find_keys(&mut self) -> Result<Mounted, F::Error> {
        let mut newest = None;
        for page in 0..self.key_pages {
            if let Some(turn) = self.read_header(page)?
                && newest.is_none_or(|(_, other)| turn > other)
            {
                newest = Some((page, turn));
            }
        }
        let Some((page, turn)) = newest else {
            return Ok(Mounted::Nothing);
        };
        self.keys = Keys {
            page,
            turn,
            mounted: true,
            ..Keys::new(self.keys.wipe)
        };
        let mut mounted = Mounted::Keys;
        for slot in 0..Self::SLOTS {
            let mut bytes = [0; MAX_SLOT];
            let bytes = self.slot_bytes(slot, &mut bytes)?;
            if bytes.iter().any(|byte| *byte != 0xff) {
                self.keys.free = slot + 1;
            }
            if parse(bytes).is_some_and(|(owner, _)| owner == Owner::RESET) {
                mounted = Mounted::Reset;
            }
            bytes.zeroize();
        }
        Ok(mounted)
    }

    /// Begins an empty page of keys.
    pub(crate) fn begin_keys(&mut self) -> Result<(), F::Error> {
        self.keys = Keys {
            turn: 1,
            ..Keys::new(self.keys.wipe)
        };
        self.clear_keys_but(None)?;
        self.write_header(0, 1)?;
        self.keys.mounted = true;
        Ok(())
    }

    fn slot_bytes<'b>(
        &mut self,
        slot: u16,
        bytes: &'b mut [u8; MAX_SLOT],
    ) -> Result<&'b mut [u8], F::Error> {
        let bytes = bytes.get_mut(..Self::SLOT).unwrap_or_default();
        self.get(self.slot_address(slot), bytes)?;
        Ok(bytes)
    }

    fn read_slot(&mut self, slot: u16) -> Result<Option<(Owner, EpochKey)>, F::Error> {
        let mut bytes = [0; MAX_SLOT];
        let bytes = self.slot_bytes(slot, &mut bytes)?;
        let parsed = parse(bytes);
        bytes.zeroize();
        Ok(parsed)
    }

    fn write_slot(&mut self, slot: u16, owner: Owner, key: &EpochKey) -> Result<(), F::Error> {
        self.keys.free = slot + 1;
        let mut bytes = [0; MAX_SLOT];
        emit(&mut bytes, owner, key);
        let result = self.program(
            self.slot_address(slot),
            bytes.get(..Self::SLOT).unwrap_or_default(),
        );
        bytes.zeroize();
        result
    }

    fn zero_slot(&mut self, slot: u16) -> Result<(), F::Error> {
        let zeros = [0; MAX_SLOT];
        self.program(
            self.slot_address(slot),
            zeros.get(..Self::SLOT).unwrap_or_default(),
        )
    }

    /// The newest slot below `before` that holds a key of `owner`.
    pub(crate) fn candidate(
        &mut self,
        owner: Owner,
        before: u16,
    ) -> Result<Option<(u16, EpochKey)>, F::Error> {
        for slot in (0..before.min(self.keys.free)).rev() {
            if let Some((whose, key)) = self.read_slot(slot)?
                && whose == owner
            {
                return Ok(Some((slot, key)));
            }
        }
        Ok(None)
    }

    /// Of an owner's keys, the one in `slot` is in use.
    pub(crate) fn settle_key(&mut self, owner: Owner, slot: u16) {
        if let Some(place) = self.keys.current.get_mut(owner.index()) {
            *place = slot;
        }
    }

    /// Ends every key that is nobody's in use, what was torn in writing or wiping included, and
    /// erases what a turn of the page left behind.
    pub(crate) fn settle_rest(&mut self) -> Result<(), F::Error> {
        for slot in 0..self.keys.free {
            if self.keys.current.contains(&slot) {
                continue;
            }
            let mut bytes = [0; MAX_SLOT];
            let bytes = self.slot_bytes(slot, &mut bytes)?;
            let marker = parse(bytes).is_some_and(|(owner, _)| !owner.has_key());
            let ended = bytes.iter().all(|byte| *byte == 0) || marker;
            bytes.zeroize();
            if !ended {
                self.end_key(slot)?;
            }
        }
        self.clear_keys_but(Some(self.keys.page))
    }

    fn clear_keys_but(&mut self, page: Option<u32>) -> Result<(), F::Error> {
        for other in (0..self.key_pages).filter(|other| Some(*other) != page) {
            self.clear_page(other * Self::PAGE)?;
        }
        Ok(())
    }

    /// Writes a new key for `owner`. The one before stays until [`Self::retire_key`].
    pub(crate) fn add_key(
        &mut self,
        rng: &mut impl CryptoRng,
        owner: Owner,
    ) -> Result<EpochKey, F::Error> {
        self.make_room(1)?;
        let (slot, key) = (self.keys.free, EpochKey::generate(rng));
        self.write_slot(slot, owner, &key)?;
        self.keys.pending = slot;
        Ok(key)
    }

    fn make_room(&mut self, slots: u16) -> Result<(), F::Error> {
        if self.keys.free + slots > Self::SLOTS {
            self.turn_page()?;
        }
        Ok(())
    }

    /// The record under the key that was added is written: the key before it ends.
    pub(crate) fn retire_key(&mut self, owner: Owner) -> Result<(), F::Error> {
        let fresh = core::mem::replace(&mut self.keys.pending, NONE);
        let before = self.keys.slot_of(owner);
        self.settle_key(owner, fresh);
        if before != NONE {
            self.end_key(before)?;
        }
        if self.keys.spent >= self.keys.wipe.every {
            self.turn_page()?;
        }
        Ok(())
    }

    /// The owner's record goes: so does its key.
    pub(crate) fn drop_key(&mut self, owner: Owner) -> Result<(), F::Error> {
        self.retire_key(owner)?;
        if self.keys.spent > 0 {
            self.turn_page()?;
        }
        Ok(())
    }

    /// The key in use.
    pub(crate) fn current_key(&mut self, owner: Owner) -> Result<Option<EpochKey>, F::Error> {
        match self.keys.slot_of(owner) {
            NONE => Ok(None),
            slot => Ok(self.read_slot(slot)?.map(|(_, key)| key)),
        }
    }

    /// Makes the key in a slot unreadable, now or with the next turn of the page.
    fn end_key(&mut self, slot: u16) -> Result<(), F::Error> {
        if self.keys.wipe.in_place {
            return self.zero_slot(slot);
        }
        self.keys.spent = self.keys.spent.saturating_add(1);
        Ok(())
    }

    /// Copies the live keys to the next page and erases this one.
    fn turn_page(&mut self) -> Result<(), F::Error> {
        let (old, turn) = (self.keys.page, self.keys.turn.saturating_add(1));
        let other = (old + 1) % self.key_pages;
        self.clear_page(other * Self::PAGE)?;
        let mut next = 0;
        for place in 0..=OWNERS {
            let slot = self.keys.current.get(place).unwrap_or(&self.keys.pending);
            let slot = *slot;
            if slot == NONE {
                continue;
            }
            self.keys.page = old;
            let key = self.read_slot(slot)?;
            self.keys.page = other;
            if let Some((whose, key)) = key {
                self.write_slot(next, whose, &key)?;
                let place = self.keys.current.get_mut(place);
                *place.unwrap_or(&mut self.keys.pending) = next;
                next += 1;
            }
        }
        self.keys.page = other;
        (self.keys.turn, self.keys.free, self.keys.spent) = (turn, next, 0);
        self.write_header(other, turn)?;
        self.clear_page(old * Self::PAGE)
    }

    /// Erases pages of items, so that an erase without power is found and done again.
    pub(crate) fn erase_items(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        let mut at = from;
        while at < to {
            let marker = self.mark_erase(at)?;
            self.erase_pages(at, at + Self::PAGE)?;
            self.unmark_erase(at, marker)?;
            at += Self::PAGE;
        }
        Ok(())
    }

    fn mark_erase(&mut self, at: u32) -> Result<Option<u16>, F::Error> {
        if !self.keys.mounted {
            return Ok(None);
        }
        self.make_room(2)?;
        let slot = self.keys.free;
        self.write_slot(slot, Owner::ERASE, &page_marker(at))?;
        Ok(Some(slot))
    }

    fn unmark_erase(&mut self, at: u32, marker: Option<u16>) -> Result<(), F::Error> {
        match marker {
            None => Ok(()),
            Some(slot) if self.keys.wipe.in_place => self.zero_slot(slot),
            Some(_) => self.write_slot(self.keys.free, Owner::ERASED, &page_marker(at)),
        }
    }

    /// Does again the erase in which the power went. Before the items are looked at.
    pub(crate) fn finish_erase(&mut self) -> Result<(), F::Error> {
        let (end, mut open) = (self.flash.capacity() as u32, None);
        for slot in 0..self.keys.free {
            match self.read_slot(slot)? {
                Some((Owner::ERASE, page)) => open = Some((slot, page_of(&page))),
                Some((Owner::ERASED, _)) => open = None,
                _ => {}
            }
        }
        let Some((slot, at)) = open else {
            return Ok(());
        };
        if at >= self.key_pages * Self::PAGE && at.is_multiple_of(Self::PAGE) && at < end {
            self.erase_pages(at, at + Self::PAGE)?;
        }
        // A page of keys has room for what follows each marker.
        self.unmark_erase(at, Some(slot))
    }

    /// Leaves nothing but the order to erase everything. The keys are gone when it returns.
    pub(crate) fn begin_reset(&mut self) -> Result<(), F::Error> {
        let old = self.keys.page;
        self.keys.page = (old + 1) % self.key_pages;
        self.keys.current = [NONE; OWNERS];
        self.clear_page(self.keys.page * Self::PAGE)?;
        self.write_slot(0, Owner::RESET, &EpochKey::from_bytes([0; 16]))?;
        self.write_header(self.keys.page, self.keys.turn.saturating_add(1))?;
        self.clear_page(old * Self::PAGE)
    }

    /// Ends a reset: nothing is left.
    pub(crate) fn finish_reset(&mut self) -> Result<(), F::Error> {
        self.keys.mounted = false;
        self.clear_keys_but(Some(self.keys.page))?;
        self.clear_page(self.keys.page * Self::PAGE)
    }

    fn read_header(&mut self, page: u32) -> Result<Option<u32>, F::Error> {
        let mut header = [0; HEADER];
        self.get(page * Self::PAGE, &mut header)?;
        let [m0, m1, m2, m3, t0, t1, t2, t3, c0, c1, c2, c3, ..] = header;
        let turn = [t0, t1, t2, t3];
        let good = [m0, m1, m2, m3] == MAGIC && [c0, c1, c2, c3] == check(&[&MAGIC, &turn]);
        Ok(good.then_some(u32::from_be_bytes(turn)))
    }

    fn write_header(&mut self, page: u32, turn: u32) -> Result<(), F::Error> {
        let turn = turn.to_be_bytes();
        let mut header = [0; HEADER];
        let fields = MAGIC.iter().chain(&turn).copied();
        for (slot, byte) in header.iter_mut().zip(fields.chain(check(&[&MAGIC, &turn]))) {
            *slot = byte;
        }
        self.program(page * Self::PAGE, &header)
    }
}

/// The address of a page in the place of a key.
const fn page_marker(at: u32) -> EpochKey {
    let [a, b, c, d] = at.to_be_bytes();
    EpochKey::from_bytes([a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
}

const fn page_of(marker: &EpochKey) -> u32 {
    let [a, b, c, d, ..] = *marker.expose();
    u32::from_be_bytes([a, b, c, d])
}

fn check(parts: &[&[u8]]) -> [u8; 4] {
    let [a, b, c, d, ..] = sha256(parts);
    [a, b, c, d]
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
