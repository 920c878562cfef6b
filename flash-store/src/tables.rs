//! What the store keeps in RAM.

use core::marker::PhantomData;

/// Messages that may wait in the inbox for the application.
pub const INBOX: usize = 8;

/// Settings of the application: slots `0..SETTINGS`.
pub const SETTINGS: u8 = 16;

/// Bytes of the largest setting.
pub const MAX_SETTING: usize = 200;

/// The RAM of a [`crate::FlashStore`]: `SKIP` kept keys a session, `CONTACTS` peers that share one
/// tentative session, `OUTBOX` messages of the user's that wait for their receipt.
///
/// Its own type, so that it can be a `static` and never crosses the stack.
#[derive(Debug)]
pub struct Tables<const SKIP: usize, const CONTACTS: usize, const OUTBOX: usize> {
    _contacts: PhantomData<[(); CONTACTS]>,
}

impl<const SKIP: usize, const CONTACTS: usize, const OUTBOX: usize> Tables<SKIP, CONTACTS, OUTBOX> {
    /// Bytes of RAM.
    pub const RAM: usize = size_of::<Self>();

    /// Empty tables.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            _contacts: PhantomData,
        }
    }
}

impl<const SKIP: usize, const CONTACTS: usize, const OUTBOX: usize> Default
    for Tables<SKIP, CONTACTS, OUTBOX>
{
    fn default() -> Self {
        Self::new()
    }
}
