//! Why the relay refuses: one byte on the wire, a sentence for people.

/// A relay's refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// The recipient's mailbox is full.
    MailboxFull = 0x01,
    /// This sender already holds its share of the recipient's mailbox.
    ShareFull = 0x02,
    /// Unknown recipient, closed mailbox, or not a contact: one answer for all three.
    NotAccepted = 0x03,
    /// Larger than the relay takes.
    TooLarge = 0x04,
    /// Too many requests; the answer says when to come back.
    RateLimited = 0x05,
    /// The relay's disk is in trouble; nothing was stored.
    StoreTrouble = 0x06,
    /// The relay is stopping.
    Stopping = 0x07,
    /// The request does not parse.
    Malformed = 0x08,
    /// No such bundle or nickname.
    NotFound = 0x09,
    /// The nickname belongs to somebody else.
    NameTaken = 0x0a,
    /// The bundle's counter is lower than the stored one's.
    CounterWentBack = 0x0b,
    /// The bundle is not this identity's, or its signature does not verify.
    NotYours = 0x0c,
    /// The relay's operator has barred this identity.
    Barred = 0x0d,
    /// The relay takes a new identity only with an invitation, and has seen no good one: none, or one
    /// that is wrong, used up or expired.
    Invitation = 0x0e,
}

impl Reason {
    /// The reason of a byte, if it has one.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0x01 => Self::MailboxFull,
            0x02 => Self::ShareFull,
            0x03 => Self::NotAccepted,
            0x04 => Self::TooLarge,
            0x05 => Self::RateLimited,
            0x06 => Self::StoreTrouble,
            0x07 => Self::Stopping,
            0x08 => Self::Malformed,
            0x09 => Self::NotFound,
            0x0a => Self::NameTaken,
            0x0b => Self::CounterWentBack,
            0x0c => Self::NotYours,
            0x0d => Self::Barred,
            0x0e => Self::Invitation,
            _ => return None,
        })
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub const fn is_passing(self) -> bool {
        matches!(
            self,
            Self::MailboxFull
                | Self::ShareFull
                | Self::RateLimited
                | Self::StoreTrouble
                | Self::Stopping
        )
    }
}

impl core::fmt::Display for Reason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::MailboxFull => "the recipient's mailbox is full",
            Self::ShareFull => "the recipient's mailbox already holds as much from you as it takes",
            Self::NotAccepted => "the recipient is unknown or does not accept your messages",
            Self::TooLarge => "the message is larger than the relay takes",
            Self::RateLimited => "too many requests",
            Self::StoreTrouble => "the relay cannot store at the moment",
            Self::Stopping => "the relay is stopping",
            Self::Malformed => "the relay could not parse the request",
            Self::NotFound => "not found",
            Self::NameTaken => "the nickname is taken",
            Self::CounterWentBack => "a newer bundle is published already",
            Self::NotYours => "the bundle is not this identity's",
            Self::Barred => "the relay's operator has barred this identity",
            Self::Invitation => {
                "it takes new identities with an invitation only, and none was shown, or one that is \
                 wrong, used up or expired"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn bytes_and_reasons_agree() {
        for byte in 0..=u8::MAX {
            if let Some(reason) = Reason::from_byte(byte) {
                assert_eq!(reason as u8, byte);
            }
        }
        assert_eq!((0..=u8::MAX).filter_map(Reason::from_byte).count(), 14);
    }
}
