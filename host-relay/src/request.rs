//! What clients ask and what the relay answers, owned, so that both can cross threads.
//!
//! The bytes are `hushwire_core::wire`'s; `codec.rs` translates.

use std::iter::repeat_n;
use std::sync::Arc;

use hushwire_core::crypto::PublicKey;
use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::{NoticeKind, Status, Welcome};
use hushwire_core::wire::invite::Invite;
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::{ContactsChange, MailboxMode};

use crate::store::record::{MESSAGE_HEADER, Prekey};

/// One request of a client.
#[derive(Clone, Debug)]
pub enum Request {
    /// Store this and forward it.
    Submit(Submission),
    /// A delivery is stored by its recipient.
    Ack(EnvelopeId),
    /// A delivery could not be opened by its recipient.
    Refuse(EnvelopeId),
    /// A notice is stored by its recipient.
    Noted {
        /// Which.
        kind: NoticeKind,
        /// About whom.
        peer: Address,
        /// How much of it.
        count: u32,
    },
    /// What is answered under its number.
    Numbered(u16, Command),
}

/// A request that is answered under its number.
#[derive(Clone, Debug)]
pub enum Command {
    /// A new bundle, already found to be the client's own and rightly signed.
    Publish {
        /// Newer bundles have higher ones.
        counter: u64,
        /// Its bytes.
        bundle: Arc<[u8]>,
    },
    /// A bundle that is not stored, and why.
    BadBundle {
        /// What the client is told.
        reason: Reason,
        /// Seconds until it may come again; 0 where that would not help.
        retry_s: u32,
    },
    /// The whole new set of one-time prekeys: ids and points, end to end.
    Prekeys(Arc<[u8]>),
    /// Another's bundle, with a one-time prekey.
    Fetch(Address),
    /// Who may write to me.
    Mode(MailboxMode),
    /// Changes of my contact list.
    Contacts(ContactsChange, Vec<Address>),
    /// Claim, offer or release (owner of zeros) a nickname.
    Claim {
        /// The new owner.
        owner: Address,
        /// The name.
        name: Box<str>,
    },
    /// Who owns a nickname.
    LookUp(Box<str>),
    /// Delete all that is kept of me.
    Leave,
    /// A sign of life.
    Ping,
    /// What is kept of me.
    Status,
    /// Shows an invitation.
    Invite(Invite),
}

/// An envelope on its way in.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The mailbox.
    pub to: Address,
    /// Computed from the envelope.
    pub id: EnvelopeId,
    /// Room for the stored header, then the envelope.
    pub record: Arc<[u8]>,
}

impl Submission {
    /// Copies the envelope behind room for the header: the only copy between the link and the disk.
    pub fn new(to: Address, id: EnvelopeId, envelope: &[u8]) -> Self {
        let mut record: Arc<[u8]> = repeat_n(0, MESSAGE_HEADER + envelope.len()).collect();
        // Nobody else knows it yet. Zeros first: an iterator over both parts would go byte by byte.
        if let Some(record) = Arc::get_mut(&mut record)
            && let Some(place) = record.get_mut(MESSAGE_HEADER..)
        {
            place.copy_from_slice(envelope);
        }
        Self { to, id, record }
    }
}

/// One answer or event for a client. Two of them are under way for each message, so what is large and
/// rare is in a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// In the relay's custody: on the disk, or acknowledged already.
    Accepted(EnvelopeId),
    /// Not taken.
    Rejected {
        /// Which envelope.
        id: EnvelopeId,
        /// Why.
        reason: Reason,
        /// When to come back, 0 for no hint.
        retry_s: u32,
    },
    /// A message: the stored record, whose tail is the frame's body.
    Deliver(Arc<[u8]>),
    /// Something happened.
    Notice {
        /// What.
        kind: NoticeKind,
        /// With whom.
        peer: Address,
        /// How often.
        count: u32,
    },
    /// The first frame.
    Welcome(Box<Welcome>),
    /// The relay's key, for who pins one that it had before.
    RelayKey(Box<PublicKey>),
    /// The answer to a numbered request.
    Numbered(u16, Box<Reply>),
    /// A whole frame, made by the relay that has the store.
    Frame(Arc<[u8]>),
}

/// The answer to a numbered request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The answer to a fetch.
    Bundle {
        /// Whose.
        address: Address,
        /// Handed out once, to this client.
        prekey: Option<Prekey>,
        /// Its bytes.
        bundle: Arc<[u8]>,
    },
    /// The answer to a look-up.
    Name {
        /// Who owns it.
        owner: Address,
        /// The name.
        name: Box<str>,
    },
    /// Done, and durable.
    Done,
    /// Not done.
    Failed {
        /// Why.
        reason: Reason,
        /// When to come back, 0 for no hint.
        retry_s: u32,
    },
    /// What is kept of the asker.
    Status(Status),
    /// The answer to a ping.
    Pong,
}

impl Answer {
    /// What it takes of the heap, where it waits in numbers.
    pub(crate) fn bytes_beside(&self) -> usize {
        match self {
            Self::Numbered(_, reply) => {
                let further = match &**reply {
                    Reply::Bundle { bundle, .. } => bundle.len(),
                    Reply::Name { name, .. } => name.len(),
                    _ => 0,
                };
                size_of::<Reply>() + further
            }
            Self::Deliver(bytes) | Self::Frame(bytes) => bytes.len(),
            _ => 0,
        }
    }
}

const _: () = assert!(size_of::<Answer>() <= 32);
