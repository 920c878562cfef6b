//! Items: sealed records under a one-byte name, kept by `sequential-storage`. FORMAT 3
//!
//! ```text
//! name 1 ‖ clear 0..5 ‖ salt 8 ‖ sealed contents ‖ tag 16
//! ```
//! The library turns the pages, migrates what is live and survives a loss of power in it. It does
//! not erase what was superseded: see [`crate::keys`].

use core::{cell::RefCell, ops::Range};

use embedded_storage::nor_flash::NorFlash;
use hushwire_core::snapshot::{EpochKey, ITEM_HEADROOM, ITEM_OVERHEAD, StorageKey};
use rand_core::CryptoRng;
use sequential_storage::{
    Error,
    cache::{Cache, Uncached},
    map::{Key, MapConfig, MapStorage, SerializationError, Value},
};

use crate::{
    FlashError,
    medium::{Medium, now},
};

/// Bytes of the one large buffer: the largest item, and what the library migrates.
pub(crate) const SCRATCH: usize = 1728;

/// An item's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) u8);

impl Name {
    pub(crate) const HEADER: Self = Self(0x00);
    pub(crate) const IDENTITY: Self = Self(0x01);
    pub(crate) const OWN: Self = Self(0x02);
    pub(crate) const TABLE: Self = Self(0x03);

    pub(crate) const fn aside(slot: u8) -> Self {
        Self(0x04 | (slot & 1))
    }

    pub(crate) const fn setting(slot: u8) -> Self {
        Self(0x10 | (slot & 0x0f))
    }

    pub(crate) const fn card(contact: u8) -> Self {
        Self(0x20 | (contact & 0x0f))
    }

    pub(crate) const fn base(contact: u8) -> Self {
        Self(0x30 | (contact & 0x0f))
    }

    pub(crate) const fn rings(contact: u8) -> Self {
        Self(0x40 | (contact & 0x0f))
    }

    pub(crate) const fn letter(slot: u8) -> Self {
        Self(0x50 | (slot & 0x0f))
    }

    pub(crate) const fn outgoing(slot: u8) -> Self {
        Self(0x60 | (slot & 0x1f))
    }

    pub(crate) const fn journal(place: u8) -> Self {
        Self(0x80 | (place & 0x7f))
    }
}

/// The name stands in front of the value and counts as part of it: an item of no bytes, which this
/// store never writes, is then no more than a value that does not open.
impl Key for Name {
    fn serialize_into(&self, _buffer: &mut [u8]) -> Result<usize, SerializationError> {
        Ok(0)
    }

    fn deserialize_from(buffer: &[u8]) -> Result<(Self, usize), SerializationError> {
        let name = buffer.first().ok_or(SerializationError::BufferTooSmall)?;
        Ok((Self(*name), 0))
    }
}

type Contents<'a> = &'a mut dyn FnMut(&mut [u8]) -> Option<usize>;

/// A value that is made in place, in the library's buffer.
struct InPlace<'a> {
    name: Name,
    fill: RefCell<Contents<'a>>,
}

impl Value<'_> for InPlace<'_> {
    fn serialize_into(&self, buffer: &mut [u8]) -> Result<usize, SerializationError> {
        let (name, room) = buffer
            .split_first_mut()
            .ok_or(SerializationError::BufferTooSmall)?;
        *name = self.name.0;
        let len = (self.fill.borrow_mut())(room).ok_or(SerializationError::BufferTooSmall)?;
        Ok(1 + len)
    }

    fn deserialize_from(_buffer: &[u8]) -> Result<(Self, usize), SerializationError> {
        Err(SerializationError::InvalidFormat)
    }
}

/// What stands under a name.
pub(crate) enum Found<'b> {
    Nothing,
    /// Something that does not open.
    Closed,
    Open(&'b mut [u8]),
}

/// Where a sealed item is to stand, and under which keys.
pub(crate) struct Seal<'a> {
    pub(crate) name: Name,
    /// Bytes that stay readable; they are part of the item's name.
    pub(crate) clear: &'a [u8],
    pub(crate) epoch: Option<&'a EpochKey>,
}

impl Seal<'_> {
    pub(crate) const fn plain(name: Name) -> Self {
        Self {
            name,
            clear: &[],
            epoch: None,
        }
    }
}

/// Most clear bytes of an item.
const MAX_CLEAR: usize = 5;

fn full_name(name: Name, clear: &[u8]) -> ([u8; 1 + MAX_CLEAR], usize) {
    let mut full = [name.0; 1 + MAX_CLEAR];
    for (slot, byte) in full.iter_mut().skip(1).zip(clear) {
        *slot = *byte;
    }
    (full, 1 + clear.len().min(MAX_CLEAR))
}

type Map<F> = MapStorage<Name, Medium<F>, Cache<Uncached, Uncached, Uncached, Name>>;

/// The items of a region.
pub(crate) struct Items<F: NorFlash> {
    map: Map<F>,
}

impl<F: NorFlash> core::fmt::Debug for Items<F> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { map } = self;
        write!(f, "Items({:?})", map.flash_range())
    }
}

impl<F: NorFlash> Items<F> {
    pub(crate) fn new(medium: Medium<F>, range: Range<u32>) -> Result<Self, FlashError<F::Error>> {
        let config = MapConfig::try_new(range).map_err(|_| FlashError::Size)?;
        let map = MapStorage::new(medium, config, Cache::new_uncached());
        Ok(Self { map })
    }

    pub(crate) const fn medium(&mut self) -> &mut Medium<F> {
        self.map.flash()
    }

    pub(crate) fn capacity(&mut self) -> usize {
        self.map.flash().flash.capacity()
    }

    pub(crate) fn into_medium(self) -> Medium<F> {
        self.map.destroy().0
    }

    /// An interrupted erase can leave a page that looks empty and is not. The library judges by a
    /// page's first and last word; this looks at all of it.
    pub(crate) fn scrub(&mut self) -> Result<(), FlashError<F::Error>> {
        let range = self.map.flash_range();
        let page = Medium::<F>::PAGE;
        let word = F::READ_SIZE.next_multiple_of(4) as u32;
        for at in range.step_by(page as usize) {
            let medium = self.map.flash();
            let marked = medium.programmed(at, at + word, 0)?
                + medium.programmed(at + page - word, at + page, 0)?;
            if marked == 0 && medium.programmed(at, at + page, 0)? > 0 {
                medium.erase_items(at, at + page)?;
            }
        }
        Ok(())
    }

    /// The newest bytes under a name, without the name.
    pub(crate) fn fetch<'b>(
        &mut self,
        name: Name,
        buffer: &'b mut [u8],
    ) -> Result<Option<&'b mut [u8]>, FlashError<F::Error>> {
        let found = now(self.map.fetch_item::<&[u8]>(buffer, &name)).map_err(outward)?;
        let Some(len) = found.map(<[u8]>::len) else {
            return Ok(None);
        };
        // The library leaves the item at the front of its buffer.
        Ok(buffer.get_mut(1..len))
    }

    /// Opens what stands under a name.
    pub(crate) fn read<'b>(
        &mut self,
        key: &StorageKey,
        seal: &Seal<'_>,
        buffer: &'b mut [u8],
    ) -> Result<Found<'b>, FlashError<F::Error>> {
        let Some(item) = self.fetch(seal.name, buffer)? else {
            return Ok(Found::Nothing);
        };
        Ok(open(key, seal, item))
    }

    /// Seals what `fill` writes and stores it; `fill` may be asked more than once, and returns the
    /// length that it wrote, or `None` where the room does not suffice.
    pub(crate) fn write(
        &mut self,
        key: &StorageKey,
        rng: &mut impl CryptoRng,
        seal: &Seal<'_>,
        buffer: &mut [u8],
        // Not generic: the library's writing would be compiled once for each kind of item.
        fill: &mut dyn FnMut(&mut [u8]) -> Option<usize>,
    ) -> Result<(), FlashError<F::Error>> {
        let (name, name_len) = full_name(seal.name, seal.clear);
        let mut fill = |room: &mut [u8]| {
            let (clear, room) = room.split_at_mut_checked(seal.clear.len())?;
            clear.copy_from_slice(seal.clear);
            let len = fill(room.get_mut(ITEM_HEADROOM..)?)? + ITEM_OVERHEAD;
            let sealed = room.get_mut(..len)?;
            key.seal_item(rng, seal.epoch, name.get(..name_len)?, sealed)
                .ok()?;
            Some(seal.clear.len() + len)
        };
        let value = InPlace {
            name: seal.name,
            fill: RefCell::new(&mut fill),
        };
        now(self.map.store_item(buffer, &seal.name, &value)).map_err(outward)?;
        if core::mem::take(&mut self.map.flash().unfit) {
            return Err(FlashError::Damaged);
        }
        Ok(())
    }
}

/// Opens an item that [`Items::fetch`] gave. On [`Found::Closed`] the bytes are as they were.
pub(crate) fn open<'b>(key: &StorageKey, seal: &Seal<'_>, item: &'b mut [u8]) -> Found<'b> {
    let (name, name_len) = full_name(seal.name, seal.clear);
    let Some((clear, sealed)) = item.split_at_mut_checked(seal.clear.len()) else {
        return Found::Closed;
    };
    if clear != seal.clear {
        return Found::Closed;
    }
    let name = name.get(..name_len).unwrap_or_default();
    match key.open_item(seal.epoch, name, sealed) {
        Ok(contents) => Found::Open(contents),
        Err(_) => Found::Closed,
    }
}

fn outward<E>(error: Error<E>) -> FlashError<E> {
    match error {
        Error::Storage { value } => FlashError::Flash(value),
        Error::FullStorage => FlashError::Full,
        Error::ItemTooBig | Error::SerializationError(SerializationError::BufferTooSmall) => {
            FlashError::Size
        }
        _ => FlashError::Damaged,
    }
}
