//! What an image is, and how a store begins. FORMAT 7

use embedded_storage::nor_flash::NorFlash;
use hushwire_core::snapshot::StorageKey;
use rand_core::CryptoRng;
use zeroize::Zeroize as _;

use crate::{
    Anchor, Boot, Cause, FlashError, FlashStore, Lost, Tables, Wipe,
    batch::Shares,
    bytes::{Put, Take},
    items::{Found, Items, Name, SCRATCH, Seal},
    keys::Mounted,
    medium::Medium,
    records::Numbers,
};

const MAGIC: [u8; 4] = *b"HUSH";
/// The format of this build. A newer one is refused, an older one is upgraded where it stands.
pub const FORMAT: u8 = 1;
/// A region with at most so many bytes programmed holds nothing: a first start was cut short.
const ALMOST_BLANK: usize = 256;
/// Pages of the smallest region.
const MIN_PAGES: u32 = 6;

/// Starts over a damaged image before it is given up.
const ATTEMPTS: usize = 4;

/// What the header says.
enum Header {
    Blank,
    Good { generation: u64 },
    Bad(Cause),
}

impl<'t, F: NorFlash, R: CryptoRng, const SKIP: usize, const CONTACTS: usize, const OUTBOX: usize>
    FlashStore<'t, F, R, SKIP, CONTACTS, OUTBOX>
{
    /// Takes a flash object whose whole capacity is the store's, and reads it.
    ///
    /// `key` is the device's storage key, kept outside of this flash where the chip can. `rng` salts
    /// records and makes epoch keys: healthy randomness. `tables` are emptied first. What is found
    /// is the [`Boot`]; no image makes this panic or loop.
    ///
    /// # Errors
    /// [`FlashError::Flash`] where the driver fails, [`FlashError::Size`] for a region of fewer than
    /// six pages.
    pub fn open(
        flash: F,
        key: StorageKey,
        rng: R,
        wipe: Wipe,
        anchor: &mut impl Anchor,
        tables: &'t mut Tables<SKIP, CONTACTS, OUTBOX>,
    ) -> Result<(Self, Boot), FlashError<F::Error>> {
        const {
            assert!(F::ERASE_SIZE >= 4096 && F::ERASE_SIZE <= 65_536);
            assert!(Medium::<F>::WORD <= 16);
            assert!(
                hushwire_core::peer::Conversation::<SKIP>::MAX_BASE + 64 <= SCRATCH,
                "a base fits into the one buffer"
            );
        }
        tables.clear();
        let end = Self::region_end(flash.capacity());
        let page = Medium::<F>::PAGE;
        if end < MIN_PAGES * page {
            return Err(FlashError::Size);
        }
        let medium = Medium::new(flash, wipe);
        let first = medium.key_pages * page;
        let items = Items::new(medium, first..end)?;
        let mut store = Self {
            items,
            key,
            rng,
            tables,
            numbers: Numbers::FIRST,
            shares: Shares::of(end - first),
            table_since: None,
            generation: 0,
            receipt_pause: 0,
            closed: true,
        };
        let boot = store.boot_over(anchor)?;
        store.tables.scratch.zeroize();
        Ok((store, boot))
    }

    /// Starts, over damage that shows only when it is written over: each attempt leaves it behind.
    fn boot_over(&mut self, anchor: &mut impl Anchor) -> Result<Boot, FlashError<F::Error>> {
        for _ in 0..ATTEMPTS {
            match self.boot(anchor) {
                Err(FlashError::Flash(error)) => return Err(FlashError::Flash(error)),
                Err(_) => {
                    self.tables.clear();
                    (self.numbers, self.table_since) = (Numbers::FIRST, None);
                    self.closed = true;
                }
                done => return done,
            }
        }
        Ok(Boot::NeedsPairing(Cause::Damaged))
    }

    fn boot(&mut self, anchor: &mut impl Anchor) -> Result<Boot, FlashError<F::Error>> {
        let mounted = self.items.medium().find_keys()?;
        match mounted {
            Mounted::Reset => self.finish_reset()?,
            Mounted::Keys => self.items.medium().finish_erase()?,
            Mounted::Nothing => {}
        }
        self.generation = match self.read_header()? {
            Header::Bad(cause) => return Ok(Boot::NeedsPairing(cause)),
            Header::Blank => return self.begin(anchor),
            Header::Good { generation } => generation,
        };
        let identity = self.find(Name::IDENTITY)?;
        let first = match identity {
            Standing::Open => false,
            Standing::Nothing => !self.had_identity()?,
            Standing::Closed => return Ok(Boot::NeedsPairing(Cause::Damaged)),
        };
        if identity == Standing::Nothing && !(first && self.is_young()?) {
            return Ok(Boot::NeedsPairing(Cause::Damaged));
        }
        self.closed = false;
        let older = self.generation < anchor.read();
        let mut lost = Lost::default();
        if mounted != Mounted::Keys {
            self.items.medium().begin_keys()?;
        }
        self.items.scrub()?;
        self.load(&mut lost, older, first)?;
        self.items.medium().settle_rest()?;
        if first {
            return Ok(Boot::Fresh);
        }
        self.rise(anchor)?;
        if self.find(Name::IDENTITY)? != Standing::Open {
            // The pages were not in the order that they seemed to be in.
            return Err(FlashError::Damaged);
        }
        Ok(if older {
            Boot::RolledBack
        } else if lost.is_nothing() {
            Boot::Ready
        } else {
            Boot::Recovered(lost)
        })
    }

    /// A new generation of the image, then of the anchor: never the other way.
    fn rise(&mut self, anchor: &mut impl Anchor) -> Result<(), FlashError<F::Error>> {
        self.generation = self.generation.max(anchor.read()).saturating_add(1);
        self.write_header()?;
        anchor.raise(self.generation);
        Ok(())
    }

    /// First start: the header first, so that what is cut short begins anew.
    fn begin(&mut self, anchor: &mut impl Anchor) -> Result<Boot, FlashError<F::Error>> {
        let end = Self::region_end(self.items.capacity());
        for at in (0..end).step_by(Medium::<F>::PAGE as usize) {
            self.items.medium().clear_page(at)?;
        }
        self.closed = false;
        self.rise(anchor)?;
        self.items.medium().begin_keys()?;
        self.write_table()?;
        Ok(Boot::Fresh)
    }

    pub(crate) fn finish_reset(&mut self) -> Result<(), FlashError<F::Error>> {
        let (page, end) = (Medium::<F>::PAGE, Self::region_end(self.items.capacity()));
        let first = self.items.medium().key_pages * page;
        for at in (first..end).step_by(page as usize) {
            self.items.medium().clear_page(at)?;
        }
        Ok(self.items.medium().finish_reset()?)
    }

    fn read_header(&mut self) -> Result<Header, FlashError<F::Error>> {
        let scratch = &mut self.tables.scratch;
        let found = match self.items.fetch(Name::HEADER, scratch) {
            Err(FlashError::Flash(error)) => return Err(FlashError::Flash(error)),
            Err(_) => return Ok(Header::Bad(Cause::Damaged)),
            Ok(found) => found,
        };
        let Some(item) = found else {
            let end = Self::region_end(self.items.capacity());
            let programmed = self.items.medium().programmed(0, end, ALMOST_BLANK)?;
            return Ok(if programmed <= ALMOST_BLANK {
                Header::Blank
            } else {
                Header::Bad(Cause::Damaged)
            });
        };
        let format = match item.split_first_chunk() {
            Some((&[a, b, c, d, format], _)) if [a, b, c, d] == MAGIC => format,
            _ => return Ok(Header::Bad(Cause::Damaged)),
        };
        if format > FORMAT {
            return Ok(Header::Bad(Cause::Newer(format)));
        }
        let clear = header_clear(format);
        let seal = Seal {
            name: Name::HEADER,
            clear: &clear,
            epoch: None,
        };
        let Found::Open(contents) = crate::items::open(&self.key, &seal, item) else {
            return Ok(Header::Bad(Cause::Foreign));
        };
        Ok(match Take(contents).u64() {
            Some(generation) => Header::Good { generation },
            None => Header::Bad(Cause::Damaged),
        })
    }

    pub(crate) fn write_header(&mut self) -> Result<(), FlashError<F::Error>> {
        let clear = header_clear(FORMAT);
        let seal = Seal {
            name: Name::HEADER,
            clear: &clear,
            epoch: None,
        };
        let (scratch, generation) = (&mut self.tables.scratch, self.generation);
        self.items
            .write(&self.key, &mut self.rng, &seal, scratch, &mut |room| {
                Put::new(room).u64(generation).len()
            })
    }

    fn find(&mut self, name: Name) -> Result<Standing, FlashError<F::Error>> {
        let scratch = &mut self.tables.scratch;
        Ok(
            match self.items.read(&self.key, &Seal::plain(name), scratch)? {
                Found::Nothing => Standing::Nothing,
                Found::Closed => Standing::Closed,
                Found::Open(contents) => {
                    contents.zeroize();
                    Standing::Open
                }
            },
        )
    }

    /// Whether no more is written than a first start writes, settings included.
    fn is_young(&mut self) -> Result<bool, FlashError<F::Error>> {
        let (end, most) = (Self::region_end(self.items.capacity()), 2 * F::ERASE_SIZE);
        Ok(self.items.medium().programmed(0, end, most)? <= most)
    }

    /// Whether the image had an identity once: all this comes after it.
    fn had_identity(&mut self) -> Result<bool, FlashError<F::Error>> {
        let cards = self.tables.indices().map(Name::card);
        let batches = (0..self.shares.window as u8).map(Name::journal);
        for name in cards.chain(batches).chain([Name::OWN]) {
            if self.find(name)? != Standing::Nothing {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Nothing,
    Closed,
    Open,
}

const fn header_clear(format: u8) -> [u8; 5] {
    let [a, b, c, d] = MAGIC;
    [a, b, c, d, format]
}
