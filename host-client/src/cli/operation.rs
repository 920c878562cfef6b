//! What a command asks of the client that owns the vault: in this process, or through its socket.

use hushwire::{MailboxMode, State, Unlock};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// One request. No `Debug`: it may hold a passphrase.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub(super) enum Operation {
    Address,
    AddContact {
        name: String,
        who: String,
    },
    ListContacts,
    RenameContact {
        name: String,
        new: String,
    },
    RemoveContact {
        name: String,
    },
    BlockContact {
        name: String,
        blocked: bool,
    },
    Verify {
        name: String,
        yes: bool,
        accept: bool,
    },
    Send {
        to: String,
        #[serde(with = "hex::serde")]
        body: Vec<u8>,
        until: State,
        patience_ms: u64,
    },
    /// Wait until every message has come as far as `until`.
    Drain {
        until: State,
        patience_ms: u64,
    },
    /// Without `after`, from the first unread message on, and what was told is read.
    Listen {
        after: Option<u64>,
        states: bool,
        with: Option<String>,
    },
    History {
        with: Option<String>,
        since: u64,
        limit: usize,
        fetch: bool,
    },
    Status {
        connect: bool,
    },
    Claim {
        name: String,
    },
    Release {
        name: String,
    },
    Mailbox {
        mode: u8,
    },
    Leave,
    Passwd {
        old: Secret,
        new: Secret,
    },
    /// Wait until others find keys to write to this identity.
    Register {
        /// For a relay that asks for one.
        invite: Option<String>,
    },
    MoveRelay {
        url: String,
        replaces: Option<String>,
    },
}

/// What opens a vault, on its way to the process that owns it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Secret {
    Passphrase(Zeroizing<String>),
    KeyFile(std::path::PathBuf),
}

impl From<Unlock> for Secret {
    fn from(unlock: Unlock) -> Self {
        match unlock {
            Unlock::Passphrase(text) => Self::Passphrase(text),
            Unlock::KeyFile(path) => Self::KeyFile(path),
        }
    }
}

impl From<Secret> for Unlock {
    fn from(secret: Secret) -> Self {
        match secret {
            Secret::Passphrase(text) => Self::Passphrase(text),
            Secret::KeyFile(path) => Self::KeyFile(path),
        }
    }
}

impl Operation {
    /// Whether it needs links to relays.
    pub(super) const fn is_online(&self) -> bool {
        match self {
            Self::Address
            | Self::ListContacts
            | Self::RenameContact { .. }
            | Self::MoveRelay { .. }
            | Self::Passwd { .. } => false,
            Self::AddContact { .. }
            | Self::RemoveContact { .. }
            | Self::BlockContact { .. }
            | Self::Verify { .. }
            | Self::Listen { .. }
            | Self::Claim { .. }
            | Self::Release { .. }
            | Self::Mailbox { .. }
            | Self::Leave
            | Self::Drain { .. }
            | Self::Register { .. } => true,
            Self::Send { until, .. } => !matches!(until, State::Queued),
            Self::History { fetch, .. } => *fetch,
            Self::Status { connect } => *connect,
        }
    }

    /// Whether it only ends when it is told to.
    pub(super) const fn is_endless(&self) -> bool {
        matches!(self, Self::Listen { .. })
    }

    pub(super) const fn mailbox(mode: MailboxMode) -> Self {
        Self::Mailbox { mode: mode as u8 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_survive_the_socket() {
        let send = Operation::Send {
            to: "bob".into(),
            body: vec![0, 255, b'\n'],
            until: State::Delivered,
            patience_ms: 5,
        };
        let line = serde_json::to_string(&send).unwrap();
        assert!(!line.contains('\n'));
        let Ok(Operation::Send {
            body,
            until: State::Delivered,
            ..
        }) = serde_json::from_str(&line)
        else {
            panic!("{line}");
        };
        assert_eq!(body, [0, 255, b'\n']);
        assert!(serde_json::from_str::<Operation>(r#"{"op":"format-disk"}"#).is_err());
    }
}
