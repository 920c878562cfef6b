//! Why a link is not up.

use hushwire_core::{
    link::{HandshakeError, OpenError, RecordError},
    wire::reason::Reason,
};

/// Why a link to a relay failed; it is tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Nothing was tried yet.
    #[error("the link to the relay {relay} is not up yet")]
    Connecting {
        /// `host:port`.
        relay: String,
    },
    /// No connection.
    #[error(
        "the relay {relay} cannot be reached ({cause}); check the network, and that the relay runs"
    )]
    Unreachable {
        /// `host:port`.
        relay: String,
        /// What the system says.
        cause: String,
    },
    /// It answers, and does not hold the pinned key.
    #[error(
        "the server at {relay} does not prove to hold the relay's key ({cause}): another server \
         answers there, or the relay has had a new key for longer than this client was away. Ask its \
         operator for the URL, not anybody else, and then: hushwire relay URL"
    )]
    WrongKey {
        /// `host:port`.
        relay: String,
        /// What failed.
        cause: String,
    },
    /// TLS leads there, and its certificate does not hold.
    #[error("the server at {relay} shows a certificate that does not hold: {cause}")]
    Certificate {
        /// `host:port`.
        relay: String,
        /// What is wrong with it, and what to do.
        cause: String,
    },
    /// The connection ended.
    #[error("the link to the relay {relay} ended ({cause}); it is tried again")]
    Lost {
        /// `host:port`.
        relay: String,
        /// Why.
        cause: String,
    },
    /// The operator does not want this identity.
    #[error(
        "the operator of the relay {relay} has barred this identity: it takes nothing from you and \
         gives you nothing. Ask the operator why, or move to another relay"
    )]
    Barred {
        /// `host:port`.
        relay: String,
    },
    /// The relay takes no new identities.
    #[error(
        "the relay {relay} takes no new identities: ask its operator to add your address (see: \
         hushwire address), or use another relay"
    )]
    NotTaken {
        /// `host:port`.
        relay: String,
    },
    /// Another device has the same words.
    #[error(
        "another device with your words took over at the relay {relay}; use one device at a time, \
         and if it is not yours, leave this identity"
    )]
    Superseded {
        /// `host:port`.
        relay: String,
    },
}

impl LinkError {
    /// The relay that it is about, `host:port`.
    #[must_use]
    pub fn relay(&self) -> &str {
        match self {
            Self::Connecting { relay }
            | Self::Unreachable { relay, .. }
            | Self::WrongKey { relay, .. }
            | Self::Certificate { relay, .. }
            | Self::Lost { relay, .. }
            | Self::Barred { relay }
            | Self::NotTaken { relay }
            | Self::Superseded { relay } => relay,
        }
    }

    /// Whether trying again helps only when the operator has changed something.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Barred { .. } | Self::NotTaken { .. })
    }
}

/// What went wrong inside a link, before it is told which relay's.
#[derive(Debug)]
pub(super) enum Failure {
    Connect(String),
    #[cfg_attr(
        not(feature = "tls"),
        allow(dead_code, reason = "only TLS has certificates")
    )]
    Certificate(String),
    Key(String),
    Lost(String),
    Superseded,
    /// With the code of the reason.
    TurnedAway(u32),
}

impl Failure {
    pub(super) fn of(self, relay: &str) -> LinkError {
        let relay = relay.to_owned();
        match self {
            Self::Connect(cause) => LinkError::Unreachable { relay, cause },
            Self::Certificate(cause) => LinkError::Certificate { relay, cause },
            Self::Key(cause) => LinkError::WrongKey { relay, cause },
            Self::Lost(cause) => LinkError::Lost { relay, cause },
            Self::Superseded => LinkError::Superseded { relay },
            Self::TurnedAway(code) if code == Reason::Barred as u32 => LinkError::Barred { relay },
            Self::TurnedAway(_) => LinkError::NotTaken { relay },
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Lost(error.to_string())
    }
}

impl From<HandshakeError> for Failure {
    fn from(error: HandshakeError) -> Self {
        Self::Key(error.to_string())
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        Self::Lost(error.to_string())
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::Lost(error.to_string())
    }
}
