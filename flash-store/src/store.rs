//! [`FlashStore`]: the store itself.

use embedded_storage::nor_flash::{MultiwriteNorFlash, NorFlash};
use hushwire_core::{
    identity::Address,
    peer::{Peer, Standing},
    session::Position,
    snapshot::StorageKey,
    storage::{Event, Incoming, OutboxEntry, Storage as _},
    wire::MessageId,
};
use rand_core::CryptoRng;
use zeroize::Zeroize as _;

use crate::{
    Anchor, FlashError, MAX_SETTING, SETTINGS, Tables,
    batch::{INLINE, Shares},
    items::{Found, Items, Name, Seal},
    keys::Owner,
    medium::Medium,
    records::Numbers,
    tables::end,
};

/// How a spent epoch key is made unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wipe {
    /// Programmed to zeros in place; else with the page that it stands on.
    pub(crate) in_place: bool,
    /// So many spent keys may stand until the page is turned.
    pub(crate) every: u16,
}

impl Wipe {
    /// Programs the key's bytes to zeros. For flash that may be written twice without an erase.
    #[must_use]
    pub const fn in_place<F: MultiwriteNorFlash>() -> Self {
        Self {
            in_place: true,
            every: u16::MAX,
        }
    }

    /// Copies the live keys to the other key page and erases the one with the spent keys, once so
    /// many are spent (at least 1). For flash with error correction that takes one write per word,
    /// such as the STM32H5's. Each costs an erase: `steps` of the ratchet stay readable until then.
    #[must_use]
    pub const fn by_erase(steps: u16) -> Self {
        Self {
            in_place: false,
            every: if steps == 0 { 1 } else { steps },
        }
    }
}

/// What was written since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wear {
    /// Bytes programmed.
    pub bytes: u64,
    /// Calls that programmed.
    pub writes: u64,
    /// Pages erased.
    pub erases: u64,
}

/// The state of a device on flash. See the crate's documentation.
///
/// After an error of any call, drop it with the endpoint, and open again.
pub struct FlashStore<
    't,
    F: NorFlash,
    R,
    const SKIP: usize,
    const CONTACTS: usize,
    const OUTBOX: usize,
> {
    pub(crate) items: Items<F>,
    pub(crate) key: StorageKey,
    pub(crate) rng: R,
    pub(crate) tables: &'t mut Tables<SKIP, CONTACTS, OUTBOX>,
    pub(crate) numbers: Numbers,
    pub(crate) shares: Shares,
    /// The first batch that the table does not know.
    pub(crate) table_since: Option<u32>,
    /// Raised at each start, and compared with the board's anchor.
    pub(crate) generation: u64,
    pub(crate) receipt_pause: u64,
    /// Nothing but a reset helps.
    pub(crate) closed: bool,
}

impl<F: NorFlash, R, const SKIP: usize, const CONTACTS: usize, const OUTBOX: usize> core::fmt::Debug
    for FlashStore<'_, F, R, SKIP, CONTACTS, OUTBOX>
{
    /// Numbers only.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("FlashStore")
            .field("items", &self.items)
            .field("numbers", &self.numbers)
            .finish_non_exhaustive()
    }
}

impl<'t, F: NorFlash, R: CryptoRng, const SKIP: usize, const CONTACTS: usize, const OUTBOX: usize>
    FlashStore<'t, F, R, SKIP, CONTACTS, OUTBOX>
{
    /// Reads the identity's seed. `false`: there is none yet.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn identity(&mut self, seed: &mut [u8; 32]) -> Result<bool, FlashError<F::Error>> {
        self.read_plain(Name::IDENTITY, seed)
            .map(|len| len == Some(32))
    }

    /// Stores the identity's seed, durably when it returns. The first thing of a first start.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn set_identity(&mut self, seed: &[u8; 32]) -> Result<(), FlashError<F::Error>> {
        self.write_plain(Name::IDENTITY, seed)
    }

    pub(crate) fn write_plain(
        &mut self,
        name: Name,
        value: &[u8],
    ) -> Result<(), FlashError<F::Error>> {
        if self.closed {
            return Err(FlashError::Closed);
        }
        let scratch = &mut self.tables.scratch;
        self.items.write(
            &self.key,
            &mut self.rng,
            &Seal::plain(name),
            scratch,
            &mut |room| {
                room.get_mut(..value.len())?.copy_from_slice(value);
                Some(value.len())
            },
        )
    }

    fn read_plain(
        &mut self,
        name: Name,
        out: &mut [u8],
    ) -> Result<Option<usize>, FlashError<F::Error>> {
        if self.closed {
            return Err(FlashError::Closed);
        }
        let scratch = &mut self.tables.scratch;
        let Found::Open(contents) = self.items.read(&self.key, &Seal::plain(name), scratch)? else {
            return Ok(None);
        };
        let room = out.get_mut(..contents.len()).ok_or(FlashError::Size)?;
        room.copy_from_slice(contents);
        let len = contents.len();
        contents.zeroize();
        Ok(Some(len))
    }

    /// Reads the record of the own prekeys for [`hushwire_core::endpoint::Endpoint::load`], and
    /// returns its length; `None`: make the endpoint with `new`. Then call
    /// [`hushwire_core::endpoint::Endpoint::reconcile`] for each of [`Self::spent_prekeys`].
    ///
    /// # Errors
    /// [`FlashError`]; [`FlashError::Size`] where `buffer` is smaller than
    /// [`hushwire_core::prekey::Prekeys::MAX_ENCODED`].
    pub fn own(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, FlashError<F::Error>> {
        if self.closed {
            return Err(FlashError::Closed);
        }
        let Some(epoch) = self.items.medium().current_key(Owner::OWN)? else {
            return Ok(None);
        };
        let seal = Seal {
            name: Name::OWN,
            clear: &[],
            epoch: Some(&epoch),
        };
        let scratch = &mut self.tables.scratch;
        let Found::Open(contents) = self.items.read(&self.key, &seal, scratch)? else {
            return Ok(None);
        };
        let room = buffer.get_mut(..contents.len()).ok_or(FlashError::Size)?;
        room.copy_from_slice(contents);
        let len = contents.len();
        contents.zeroize();
        Ok(Some(len))
    }

    /// One-time prekeys that the stored sessions have spent.
    pub fn spent_prekeys(&self) -> impl Iterator<Item = u32> {
        let sessions = self.contacts().filter_map(|peer| peer.session.as_ref());
        let all = sessions.chain(self.tables.aside.session.as_ref());
        all.filter_map(hushwire_core::session::Session::spent_prekey)
    }

    /// The contacts, strangers and blocked ones included.
    pub fn contacts(&self) -> impl Iterator<Item = &Peer<SKIP>> {
        let used = self.tables.contacts.iter().filter(|contact| contact.used);
        used.map(|contact| &contact.peer)
    }

    /// Makes `who` a contact, reached over `link`, durably. A stranger or blocked one becomes a
    /// contact again. `false`: there is no room.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn add_contact(&mut self, who: &Address, link: u8) -> Result<bool, FlashError<F::Error>> {
        let known = self.tables.find(who);
        match known.and_then(|at| self.tables.contact_mut(at)) {
            Some(contact) => {
                contact.peer.standing = Standing::Contact;
                contact.peer.link = link;
                contact.dirty = true;
            }
            None => {
                if !self.create(Peer::new(*who, Standing::Contact, link))? {
                    return Ok(false);
                }
            }
        }
        self.flush()?;
        Ok(true)
    }

    /// Changes how `who` stands (block, unblock), durably. `false`: nobody of that address.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn set_standing(
        &mut self,
        who: &Address,
        standing: Standing,
    ) -> Result<bool, FlashError<F::Error>> {
        let known = self.tables.find(who);
        let Some(contact) = known.and_then(|at| self.tables.contact_mut(at)) else {
            return Ok(false);
        };
        contact.peer.standing = standing;
        contact.dirty = true;
        self.flush()?;
        Ok(true)
    }

    /// Forgets `who` with its session, its messages and what was seen of it, durably; its keys are
    /// wiped. `false`: nobody of that address.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn remove_contact(&mut self, who: &Address) -> Result<bool, FlashError<F::Error>> {
        let Some(at) = self.tables.find(who) else {
            return Ok(false);
        };
        self.flush()?;
        let tables = &mut *self.tables;
        tables.outbox.retain(|entry| entry.contact != at);
        tables.inbox.retain(|letter| letter.contact != at);
        tables.owed.retain(|owed| owed.contact != at);
        if tables.aside.owner == Some(at) {
            end(&mut tables.aside.session);
            tables.aside.owner = None;
        }
        if let Some(contact) = tables.contact_mut(at) {
            contact.clear();
        }
        self.write_plain(Name::card(at), &[])?;
        self.items.medium().drop_key(Owner::contact(at))?;
        // What batches say of this place is not the next contact's.
        self.write_table()?;
        Ok(true)
    }

    /// What waits to be sent, or for its receipt; the endpoint's own messages included.
    pub fn outbox(&self) -> impl Iterator<Item = OutboxEntry> {
        let entries = self.tables.entries();
        entries.map(|(contact, entry)| entry.outward(contact.peer.address))
    }

    /// Reads a setting of the application into `buffer` (of [`crate::MAX_SETTING`] bytes) and
    /// returns its length; `None` where it was never set. `slot` is below [`crate::SETTINGS`].
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn setting(
        &mut self,
        slot: u8,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, FlashError<F::Error>> {
        if slot >= SETTINGS {
            return Err(FlashError::Size);
        }
        self.read_plain(Name::setting(slot), buffer)
    }

    /// Stores a setting, durably when it returns. An empty one counts as set.
    ///
    /// # Errors
    /// [`FlashError`]; [`FlashError::Size`] beyond [`crate::MAX_SETTING`] bytes or
    /// [`crate::SETTINGS`] slots.
    pub fn set_setting(&mut self, slot: u8, value: &[u8]) -> Result<(), FlashError<F::Error>> {
        if slot >= SETTINGS || value.len() > MAX_SETTING {
            return Err(FlashError::Size);
        }
        self.write_plain(Name::setting(slot), value)
    }

    /// The oldest message of the inbox, its body in `buffer` (as large as the largest body that this
    /// device takes). The same one again until [`Self::done`]: effects happen at least once, and its
    /// id lets the application make them happen once.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn next_message<'b>(
        &mut self,
        buffer: &'b mut [u8],
    ) -> Result<Option<Incoming<'b>>, FlashError<F::Error>> {
        if self.closed {
            return Err(FlashError::Closed);
        }
        self.first_letter(buffer)
    }

    /// The application has dealt with a message. Staged: durable with the next commit, which an
    /// answer's `send` makes, or with [`Self::flush`].
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn done(&mut self, id: &MessageId) -> Result<(), FlashError<F::Error>> {
        self.read_letter(id)
    }

    /// Places left in the inbox. Give the endpoint a frame only while there is one.
    #[must_use]
    pub fn inbox_room(&self) -> usize {
        if self.inbox_bytes() >= self.shares.inbox {
            return 0;
        }
        crate::INBOX.saturating_sub(self.tables.inbox.len())
    }

    /// Whether a message of so many bytes has room in the outbox: whoever asks first can stage
    /// [`Self::done`] before the answer's `send`, so that one commit holds both.
    #[must_use]
    pub fn outbox_takes(&self, bytes: usize) -> bool {
        let has_bytes = bytes <= INLINE || self.outbox_bytes() + bytes <= self.shares.outbox;
        has_bytes && !self.tables.outbox.is_full()
    }

    /// The next thing that happened, oldest first. Events live in RAM: they are a convenience.
    pub fn next_event(&mut self) -> Option<Event> {
        self.tables.events.pop()
    }

    /// A time that no earlier start of this device has passed by more than what was not stored, in
    /// the endpoint's milliseconds: a clock that begins here does not go back over anything stored.
    #[must_use]
    pub const fn clock(&self) -> u64 {
        self.numbers.clock
    }

    /// Tells the endpoint's time in milliseconds. Stored with what is committed next. Each poll of
    /// the endpoint tells it, too.
    pub const fn set_clock(&mut self, now: u64) {
        if now > self.numbers.clock {
            self.numbers.clock = now;
        }
    }

    /// Milliseconds that a receipt waits for seven others, or for a message to the same contact: 0 at
    /// first. Each receipt that goes alone costs a step of the ratchet, so a new base on flash: a
    /// stream that is receipted every eighth message wears it several times less. The sender sees its
    /// messages delivered that much later.
    pub const fn set_receipt_pause(&mut self, pause: u64) {
        self.receipt_pause = pause;
    }

    /// Makes everything staged durable, what [`hushwire_core::storage::Storage::commit`] may put off
    /// included: that the application has dealt with a message, that a relay has custody, that a
    /// receipt was taken. Lost with the power, each of these happens once more.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn flush(&mut self) -> Result<(), FlashError<F::Error>> {
        if self.closed {
            return Err(FlashError::Closed);
        }
        self.commit_staged(true)
    }

    /// An orderly stop: writes the exact sending positions, so that the next start skips no message
    /// keys. Nothing may be sealed after it: drop the endpoint and the store.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn rest(&mut self) -> Result<(), FlashError<F::Error>> {
        self.flush()?;
        for at in self.tables.indices() {
            let contact = self.tables.contact(at);
            if contact.is_some_and(|contact| contact.peer.session.is_some()) {
                self.write_base(at, Position::Exact)?;
            }
        }
        Ok(())
    }

    /// Raises the board's anchor over what is stored now: older copies of the image are told apart
    /// from here on.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn raise_anchor(&mut self, anchor: &mut impl Anchor) -> Result<(), FlashError<F::Error>> {
        self.flush()?;
        self.generation = self.generation.saturating_add(1);
        self.write_header()?;
        anchor.raise(self.generation);
        Ok(())
    }

    /// Factory reset: every key is wiped first, then the whole region is erased. If the power fails
    /// on the way, the next start goes on with it. Open the store again afterwards.
    ///
    /// # Errors
    /// [`FlashError::Flash`].
    pub fn reset(mut self) -> Result<(F, R), FlashError<F::Error>> {
        self.tables.clear();
        self.items.medium().begin_reset()?;
        self.finish_reset()?;
        Ok((self.items.into_medium().flash, self.rng))
    }

    /// What was written since the store was opened.
    #[must_use]
    pub fn wear(&mut self) -> Wear {
        self.items.medium().wear
    }

    /// Gives back what it was made of, without a word to the flash.
    pub fn release(self) -> (F, R, &'t mut Tables<SKIP, CONTACTS, OUTBOX>) {
        (self.items.into_medium().flash, self.rng, self.tables)
    }

    /// The flash, to look at. What is written behind the store's back is damage.
    pub const fn flash(&mut self) -> &mut F {
        &mut self.items.medium().flash
    }

    pub(crate) const fn region_end(capacity: usize) -> u32 {
        let page = Medium::<F>::PAGE;
        (capacity as u32 / page) * page
    }
}
