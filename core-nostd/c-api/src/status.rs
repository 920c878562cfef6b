//! What a call answers: one status, and whose fault it is.

use core::ffi::c_char;

use hushwire_core::{
    crypto::CryptoError,
    handshake::StartError,
    link,
    session::{OpenError, SealError, StateError},
    wire::{WireError, bundle::BundleError},
};

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)+) => {
        impl Status {
            const fn text(number: i32) -> &'static core::ffi::CStr {
                match number {
                    $($number => $text,)+
                    _ => c"unknown status",
                }
            }
        }

        // The list above and the enumeration, which the header's generator must see, stay one.
        const _: () = { $(assert!(Status::$name as i32 == $number);)+ };
    };
}

/// What a call answers. Everything but HW_STATUS_OK and HW_STATUS_MORE is a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// A pointer is null, misaligned or overlaps another, or a length or value is impossible. The
    /// caller is at fault; nothing changed.
    Argument = 1,
    /// The context is not in the state that the call needs: zeroed, in use already, copied from
    /// elsewhere, of another kind, or busy in a call that is still running. Nothing changed.
    State = 2,
    /// A store failed while this context changed: what RAM holds is ahead of storage. Wipe the context
    /// and restore it from its last record.
    Stale = 3,
    /// The buffer is too small. Where the call has a length to write, it says what is needed.
    Buffer = 4,
    /// The message is larger than the recipient takes.
    TooLarge = 5,
    /// The random call-back failed, or gives the same byte over and over. Nothing left the device.
    Random = 6,
    /// The store call-back failed. Nothing left the device.
    Store = 7,
    /// A stored record does not open or decode: damaged, of another slot or epoch, another key.
    Record = 8,
    /// The message does not open: not for this session, altered, repeated, or malformed. One answer
    /// for all of these, and no state changed: another session may be tried on the same bytes.
    Unopenable = 9,
    /// The message is authentic and lies too far ahead. Seal an empty message of kind HW_KIND_RESEND.
    TooFar = 10,
    /// The bundle is refused: malformed, not this address's, or not signed by it.
    Bundle = 11,
    /// The bundle is older than one that was seen before. Its giver is at fault.
    RolledBack = 12,
    /// The bundle or the relay shows a key of our own. Its giver is at fault.
    OwnKey = 13,
    /// The bytes are no valid key, or the text is no address.
    Key = 14,
    /// The link failed: close the connection and make a new link.
    Link = 15,
    /// A key was used as often as it may be: start a new session or link.
    Exhausted = 16,
    /// More bytes of the stream are needed.
    More = 17,
    /// The curve's arithmetic failed.
    Backend = 18,
}

statuses! {
    Ok = 0, c"done";
    Argument = 1, c"a pointer, length or value is impossible";
    State = 2, c"the context is not in the state that the call needs";
    Stale = 3, c"storage is behind this context: wipe and restore it";
    Buffer = 4, c"the buffer is too small";
    TooLarge = 5, c"the message is larger than the recipient takes";
    Random = 6, c"the random generator failed";
    Store = 7, c"the state could not be stored";
    Record = 8, c"a stored record does not open";
    Unopenable = 9, c"the message does not open";
    TooFar = 10, c"the message lies too far ahead";
    Bundle = 11, c"the bundle is refused";
    RolledBack = 12, c"the bundle is older than one seen before";
    OwnKey = 13, c"our own key comes back";
    Key = 14, c"not a valid key or address";
    Link = 15, c"the link failed";
    Exhausted = 16, c"the key is used up";
    More = 17, c"more bytes are needed";
    Backend = 18, c"the curve's arithmetic failed";
}

/// A sentence without a full stop for a status, for logs. It lives for ever; unknown numbers have one
/// too.
#[unsafe(no_mangle)]
pub extern "C" fn hw_status_text(status: i32) -> *const c_char {
    Status::text(status).as_ptr()
}

impl Status {
    /// The status of a call that ended so.
    pub(crate) fn of(result: Result<(), Self>) -> Self {
        result.err().unwrap_or(Self::Ok)
    }
}

impl From<CryptoError> for Status {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::InvalidKey | CryptoError::BadSignature => Self::Key,
            CryptoError::Backend => Self::Backend,
        }
    }
}

impl From<WireError> for Status {
    fn from(_: WireError) -> Self {
        Self::Unopenable
    }
}

impl From<BundleError> for Status {
    fn from(error: BundleError) -> Self {
        match error {
            BundleError::RolledBack => Self::RolledBack,
            BundleError::Crypto(CryptoError::Backend) => Self::Backend,
            BundleError::Wire(_)
            | BundleError::WrongIdentity
            | BundleError::Crypto(_)
            | BundleError::Stripped => Self::Bundle,
        }
    }
}

impl From<StartError> for Status {
    fn from(error: StartError) -> Self {
        match error {
            StartError::OwnKey => Self::OwnKey,
            StartError::Crypto(error) => error.into(),
        }
    }
}

impl From<SealError> for Status {
    fn from(error: SealError) -> Self {
        match error {
            SealError::TooLarge => Self::TooLarge,
            SealError::Buffer => Self::Buffer,
            SealError::Crypto(error) => error.into(),
            SealError::Exhausted => Self::Exhausted,
        }
    }
}

impl From<OpenError> for Status {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Unopenable => Self::Unopenable,
            OpenError::TooFar => Self::TooFar,
            OpenError::Backend => Self::Backend,
        }
    }
}

impl From<StateError> for Status {
    fn from(_: StateError) -> Self {
        Self::Record
    }
}

impl From<link::HandshakeError> for Status {
    fn from(error: link::HandshakeError) -> Self {
        match error {
            link::HandshakeError::OwnKey => Self::OwnKey,
            link::HandshakeError::Backend => Self::Backend,
            link::HandshakeError::Length
            | link::HandshakeError::InvalidKey
            | link::HandshakeError::Limits(_)
            | link::HandshakeError::Refused => Self::Link,
        }
    }
}

impl From<link::SealError> for Status {
    fn from(error: link::SealError) -> Self {
        match error {
            link::SealError::TooShort => Self::Argument,
            link::SealError::TooLong => Self::TooLarge,
            link::SealError::Buffer => Self::Buffer,
            link::SealError::Exhausted => Self::Exhausted,
        }
    }
}

impl From<link::OpenError> for Status {
    fn from(_: link::OpenError) -> Self {
        Self::Link
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_sentence() {
        assert_eq!(Status::text(9), c"the message does not open");
        for unknown in [-1, 19, i32::MAX] {
            assert_eq!(Status::text(unknown), c"unknown status");
        }
    }
}
