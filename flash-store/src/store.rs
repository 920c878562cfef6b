//! [`FlashStore`]: the store itself.

use embedded_storage::nor_flash::{MultiwriteNorFlash, NorFlash};
use hushwire_core::{
    identity::Address,
    peer::{Conversation, Peer, Standing},
    prekey::Prekeys,
    snapshot::StorageKey,
    storage::{Event, Incoming, OutboxEntry, RelayMark, Storage, Wake},
    wire::MessageId,
};
use rand_core::CryptoRng;

use crate::{Anchor, Boot, Cause, FlashError, Tables};

/// How a spent epoch key is made unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wipe {
    /// Programmed to zeros in place; else the live keys move and the old page is erased.
    pub(crate) in_place: bool,
}

impl Wipe {
    /// Programs the key's bytes to zeros. For flash that may be written twice without an erase.
    #[must_use]
    pub const fn in_place<F: MultiwriteNorFlash>() -> Self {
        Self { in_place: true }
    }

    /// Copies the live keys to the other key page and erases the one that holds the spent key. For
    /// flash with error correction that takes one write per word, such as the STM32H5's: one erase
    /// for each step.
    #[must_use]
    pub const fn by_erase() -> Self {
        Self { in_place: false }
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
#[derive(Debug)]
pub struct FlashStore<'t, F, R, const SKIP: usize, const CONTACTS: usize, const OUTBOX: usize> {
    flash: F,
    rng: R,
    tables: &'t mut Tables<SKIP, CONTACTS, OUTBOX>,
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
        let _ = (key, wipe, anchor.read());
        Ok((
            Self { flash, rng, tables },
            Boot::NeedsPairing(Cause::Damaged),
        ))
    }

    /// Reads the identity's seed. `false`: there is none yet.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn identity(&mut self, seed: &mut [u8; 32]) -> Result<bool, FlashError<F::Error>> {
        let _ = seed;
        Ok(false)
    }

    /// Stores the identity's seed, durably when it returns.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn set_identity(&mut self, seed: &[u8; 32]) -> Result<(), FlashError<F::Error>> {
        let _ = seed;
        Ok(())
    }

    /// Reads the record of the own prekeys for [`hushwire_core::endpoint::Endpoint::load`], and
    /// returns its length; `None`: make the endpoint with `new`. Then call
    /// [`hushwire_core::endpoint::Endpoint::reconcile`] for each of [`Self::spent_prekeys`].
    ///
    /// # Errors
    /// [`FlashError`]; [`FlashError::Size`] where `buffer` is smaller than
    /// [`Prekeys::MAX_ENCODED`].
    pub fn own(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, FlashError<F::Error>> {
        let _ = buffer;
        Ok(None)
    }

    /// One-time prekeys that the stored sessions have spent.
    pub fn spent_prekeys(&self) -> impl Iterator<Item = u32> {
        core::iter::empty()
    }

    /// The contacts, strangers and blocked ones included.
    pub fn contacts(&self) -> impl Iterator<Item = &Peer<SKIP>> {
        core::iter::empty()
    }

    /// Makes `who` a contact, reached over `link`, durably. A stranger or blocked one becomes a
    /// contact again. `false`: there is no room.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn add_contact(&mut self, who: &Address, link: u8) -> Result<bool, FlashError<F::Error>> {
        let _ = (who, link);
        Ok(false)
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
        let _ = (who, standing);
        Ok(false)
    }

    /// Forgets `who` with its session, its messages and what was seen of it, durably; its keys are
    /// wiped. `false`: nobody of that address.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn remove_contact(&mut self, who: &Address) -> Result<bool, FlashError<F::Error>> {
        let _ = who;
        Ok(false)
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
        let _ = (slot, buffer);
        Ok(None)
    }

    /// Stores a setting, durably when it returns. An empty one counts as set.
    ///
    /// # Errors
    /// [`FlashError`]; [`FlashError::Size`] beyond [`crate::MAX_SETTING`] bytes or
    /// [`crate::SETTINGS`] slots.
    pub fn set_setting(&mut self, slot: u8, value: &[u8]) -> Result<(), FlashError<F::Error>> {
        let _ = (slot, value);
        Ok(())
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
        let _ = buffer;
        Ok(None)
    }

    /// The application has dealt with a message. Staged: durable with the next commit, which an
    /// answer's `send` makes, or with [`Self::flush`].
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn done(&mut self, id: &MessageId) -> Result<(), FlashError<F::Error>> {
        let _ = id;
        Ok(())
    }

    /// Places left in the inbox. Give the endpoint a frame only while there is one.
    #[must_use]
    pub fn inbox_room(&self) -> usize {
        0
    }

    /// The next thing that happened, oldest first. Events live in RAM: they are a convenience.
    pub fn next_event(&mut self) -> Option<Event> {
        None
    }

    /// The highest time that was ever told by [`Self::set_clock`] and stored: the endpoint's clock
    /// must begin no lower after a restart.
    #[must_use]
    pub fn clock(&self) -> u64 {
        0
    }

    /// Tells the endpoint's time in milliseconds. Stored with what is committed next; call it once
    /// before each call of the endpoint, it costs nothing.
    pub fn set_clock(&mut self, now: u64) {
        let _ = now;
    }

    /// Makes everything staged durable, what [`Storage::commit`] may put off included.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn flush(&mut self) -> Result<(), FlashError<F::Error>> {
        Ok(())
    }

    /// An orderly stop: writes the exact sending positions, so that the next start skips no message
    /// keys. Nothing may be sealed after it: drop the endpoint and the store.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn rest(&mut self) -> Result<(), FlashError<F::Error>> {
        Ok(())
    }

    /// Raises the board's anchor over what is stored now: older copies of the image are told apart
    /// from here on.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn raise_anchor(&mut self, anchor: &mut impl Anchor) -> Result<(), FlashError<F::Error>> {
        anchor.raise(0);
        Ok(())
    }

    /// Factory reset: every key is wiped first, then the whole region is erased. If the power fails
    /// on the way, the next start goes on with it. Open the store again afterwards.
    ///
    /// # Errors
    /// [`FlashError::Flash`].
    pub fn reset(self) -> Result<(F, R), FlashError<F::Error>> {
        Ok((self.flash, self.rng))
    }

    /// What was written since the store was opened.
    #[must_use]
    pub fn wear(&self) -> Wear {
        Wear::default()
    }

    /// Gives flash and generator back, without a word to the flash.
    pub fn release(self) -> (F, R) {
        (self.flash, self.rng)
    }
}

impl<F: NorFlash, R: CryptoRng, const SKIP: usize, const CONTACTS: usize, const OUTBOX: usize>
    Storage<SKIP> for FlashStore<'_, F, R, SKIP, CONTACTS, OUTBOX>
{
    type Error = FlashError<F::Error>;

    fn conversation(
        &mut self,
        _who: &Address,
    ) -> Result<Option<Conversation<'_, SKIP>>, Self::Error> {
        let _ = &self.tables;
        Err(FlashError::Closed)
    }

    fn create(&mut self, _peer: Peer<SKIP>) -> Result<bool, Self::Error> {
        Err(FlashError::Closed)
    }

    fn save(&mut self, _who: &Address) -> Result<(), Self::Error> {
        Err(FlashError::Closed)
    }

    fn save_own<const N: usize>(&mut self, _prekeys: &Prekeys<N>) -> Result<(), Self::Error> {
        Err(FlashError::Closed)
    }

    fn push(&mut self, _entry: &OutboxEntry, _body: &[u8]) -> Result<bool, Self::Error> {
        Err(FlashError::Closed)
    }

    fn owe_receipt(&mut self, _fresh: &OutboxEntry, _id: MessageId) -> Result<(), Self::Error> {
        Err(FlashError::Closed)
    }

    fn next_due(&mut self, _now: u64, _links: u32) -> Result<Option<OutboxEntry>, Self::Error> {
        Err(FlashError::Closed)
    }

    fn earliest_due(&mut self, _links: u32) -> Result<Option<u64>, Self::Error> {
        Err(FlashError::Closed)
    }

    fn body(
        &mut self,
        _to: &Address,
        _id: MessageId,
        _buffer: &mut [u8],
    ) -> Result<usize, Self::Error> {
        Err(FlashError::Closed)
    }

    fn find(&mut self, _to: &Address, _id: MessageId) -> Result<Option<OutboxEntry>, Self::Error> {
        Err(FlashError::Closed)
    }

    fn update(&mut self, _entry: &OutboxEntry) -> Result<(), Self::Error> {
        Err(FlashError::Closed)
    }

    fn remove(&mut self, _to: &Address, _id: MessageId) -> Result<(), Self::Error> {
        Err(FlashError::Closed)
    }

    fn wake(&mut self, _which: Wake<'_>, _due: u64) -> Result<(), Self::Error> {
        Err(FlashError::Closed)
    }

    fn seen(&mut self, _from: &Address, _id: MessageId) -> Result<bool, Self::Error> {
        Err(FlashError::Closed)
    }

    fn receive(&mut self, _message: &Incoming<'_>) -> Result<(), Self::Error> {
        Err(FlashError::Closed)
    }

    fn event(&mut self, _event: Event) -> Result<(), Self::Error> {
        Err(FlashError::Closed)
    }

    fn relay_mark(&mut self, _link: u8) -> Result<Option<RelayMark>, Self::Error> {
        Err(FlashError::Closed)
    }

    fn save_relay_mark(&mut self, _link: u8, _mark: RelayMark) -> Result<(), Self::Error> {
        Err(FlashError::Closed)
    }

    fn commit(&mut self) -> Result<(), Self::Error> {
        Err(FlashError::Closed)
    }
}
