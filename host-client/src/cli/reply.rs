//! What a command answers. `--json` prints it as it is; the socket carries the same lines.

use hushwire::{Contact, Message, Sent, State};
use serde::{Deserialize, Serialize};

use super::{exit::Failure, time};

/// One answer; a command gives none, one or many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum Reply {
    Identity {
        address: String,
        card: String,
        nickname: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        words: Option<String>,
    },
    Contact(ContactView),
    Safety {
        name: String,
        number: String,
        qr: String,
        verified: bool,
    },
    Message(MessageView),
    State(StateView),
    Status(Box<StatusView>),
    Alarm {
        at: Option<String>,
        text: String,
    },
    Done {
        text: String,
    },
    /// The last one of a command that failed.
    Failed(Failure),
    /// The last one of a command that did not. Not printed.
    End,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ContactView {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) verified: bool,
    pub(super) blocked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nickname: Option<String>,
    /// The nickname leads to another key now.
    pub(super) key_changed: bool,
    pub(super) link: u8,
}

impl From<Contact> for ContactView {
    fn from(contact: Contact) -> Self {
        Self {
            name: contact.name,
            address: contact.address.to_string(),
            verified: contact.verified,
            blocked: contact.blocked,
            key_changed: contact
                .pinned
                .as_ref()
                .is_some_and(|pinned| pinned.now.is_some()),
            nickname: contact.pinned.map(|pinned| pinned.nickname),
            link: contact.link,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MessageView {
    pub(super) number: u64,
    pub(super) direction: Direction,
    /// The contact's name, or the address of a stranger.
    pub(super) contact: String,
    pub(super) address: String,
    pub(super) id: String,
    pub(super) state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// It may be a replay: never execute a command on it.
    pub(super) replayable: bool,
    pub(super) at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    /// In place of `text` where the message is no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hex: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Direction {
    In,
    Out,
}

impl MessageView {
    pub(super) fn new(message: Message, contact: String) -> Self {
        let (text, hex) = match String::from_utf8(message.body) {
            Ok(text) => (Some(text), None),
            Err(error) => (None, Some(hex::encode(error.as_bytes()))),
        };
        let incoming = message.state == State::Received;
        Self {
            number: message.number,
            direction: if incoming {
                Direction::In
            } else {
                Direction::Out
            },
            contact,
            address: message.peer.to_string(),
            id: message.id.to_string(),
            state: message.state,
            reason: message.reason.map(|reason| reason.to_string()),
            replayable: message.replayable,
            at: time::iso(message.recorded_at),
            text,
            hex,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StateView {
    pub(super) contact: String,
    pub(super) id: String,
    pub(super) state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

impl StateView {
    pub(super) fn new(sent: &Sent, contact: String) -> Self {
        Self {
            contact,
            id: sent.id.to_string(),
            state: sent.state,
            reason: sent.reason.map(|reason| reason.to_string()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StatusView {
    pub(super) address: String,
    pub(super) card: String,
    pub(super) nickname: Option<String>,
    pub(super) vault: String,
    pub(super) relays: Vec<RelayView>,
    /// What the home relay holds; nothing if it was not asked or is away.
    pub(super) mailbox: Option<MailboxView>,
    pub(super) contacts: usize,
    /// Own messages without a receipt.
    pub(super) waiting: usize,
    /// Messages that no `listen` or `chat` has shown.
    pub(super) unread: usize,
    pub(super) alarms: Vec<AlarmView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RelayView {
    pub(super) link: u8,
    pub(super) url: String,
    pub(super) up: bool,
    pub(super) problem: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MailboxView {
    pub(super) messages: u32,
    pub(super) bytes: u64,
    pub(super) prekeys: u16,
    pub(super) mode: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AlarmView {
    pub(super) at: String,
    pub(super) text: String,
}
