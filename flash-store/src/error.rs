//! What can go wrong.

/// Why the store could not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlashError<E> {
    /// The flash driver failed. The endpoint is dropped, and the store opened again.
    Flash(E),
    /// The flash does not hold what it should. Open the store again: it repairs, or says what it
    /// lost.
    Damaged,
    /// The region has no room left for this: fewer contacts, a smaller outbox or more flash.
    Full,
    /// More messages were recorded than the inbox has places: call
    /// [`crate::FlashStore::next_message`] and [`crate::FlashStore::done`] before the next frame.
    InboxFull,
    /// A caller's buffer or value has a size that does not fit.
    Size,
    /// The store is not usable in this state ([`crate::Boot::NeedsPairing`]): only
    /// [`crate::FlashStore::reset`] is.
    Closed,
}

impl<E: core::fmt::Debug> core::fmt::Display for FlashError<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Flash(error) => write!(f, "the flash failed: {error:?}"),
            Self::Damaged => f.write_str("the flash does not hold what it should"),
            Self::Full => f.write_str("the flash region is full"),
            Self::InboxFull => f.write_str("the inbox is full: take messages out first"),
            Self::Size => f.write_str("a buffer or value does not fit"),
            Self::Closed => f.write_str("this image is not usable: reset it"),
        }
    }
}

impl<E: core::fmt::Debug> core::error::Error for FlashError<E> {}

impl<E> From<E> for FlashError<E> {
    fn from(error: E) -> Self {
        Self::Flash(error)
    }
}
