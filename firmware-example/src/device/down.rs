//! [`Down`]: why there is no link.

use core::fmt;

use hushwire_core::wire::reason::Reason;

/// Why there is no link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Down {
    /// No connection.
    Unreachable,
    /// It answers, and does not prove to hold the pinned key.
    Key,
    /// It sent what does not parse, or does not open.
    Protocol,
    /// The connection ended.
    Lost,
    /// The relay said nothing for too long.
    Silent,
    /// Another device has this identity, or an old connection of this one came back.
    Superseded,
    /// The relay does not serve this identity, or does not register it.
    TurnedAway(Reason),
    /// There is no healthy noise.
    Noise,
    /// The owner changed the settings.
    Changed,
}

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            // Of a registration. PROTOCOL 3.6
            Self::TurnedAway(Reason::NotAccepted) => {
                "turned away by the relay: it takes no further identity"
            }
            Self::TurnedAway(reason) => return write!(f, "turned away by the relay: {reason}"),
            Self::Unreachable => "the relay cannot be reached",
            Self::Key => "what answers does not prove to hold the relay's key",
            Self::Protocol => "the relay breaks the protocol",
            Self::Lost => "the connection ended",
            Self::Silent => "the relay fell silent",
            Self::Superseded => "another device took over with this identity",
            Self::Noise => "there is no healthy noise",
            Self::Changed => "the settings were changed",
        })
    }
}
