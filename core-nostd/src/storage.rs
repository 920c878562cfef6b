//! [`Storage`]: what an endpoint needs of the place where its state lives.
//!
//! A device implements it over flash and a fixed table; a host over a database and a cache. Calls
//! stage; [`Storage::commit`] makes all that was staged durable. An endpoint releases nothing that
//! rests on a change before that change was committed.

use crate::{
    identity::Address,
    peer::{Conversation, Peer},
    prekey::Prekeys,
    session::Kind,
    wire::{MessageId, answer::NoticeKind, bundle::BundleError, reason::Reason},
};

/// Which message of the outbox an entry is, and what has become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Recipient.
    pub to: Address,
    /// The message's name, the same however often it is sealed.
    pub id: MessageId,
    /// User data, a receipt, a probe or a request to send again.
    pub kind: Kind,
    /// The link that leads to the recipient's mailbox.
    pub link: u8,
    /// Whether a relay has custody.
    pub state: OutboxState,
    /// When it is to be sealed (again), in the endpoint's milliseconds.
    pub due: u64,
    /// How often it was sealed.
    pub attempts: u8,
}

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OutboxState {
    /// No relay has it yet.
    Queued = 0,
    /// A relay has custody; the recipient's receipt is still out.
    Accepted = 1,
}

/// Which entries of the outbox become due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake<'a> {
    /// The queued ones that go over this link: it was lost, and with it their answers.
    Link(u8),
    /// The accepted ones that go over this link: its relay may have them no more.
    Custody(u8),
    /// All for this recipient: a new session, or a request to send again.
    Peer(&'a Address),
    /// The accepted ones for this recipient that were pushed before `id`, which was receipted.
    Before(&'a Address, MessageId),
}

/// An opened message on its way into the durable inbox.
#[derive(Clone, Copy)]
pub struct Incoming<'a> {
    /// Who sealed it: authenticated end to end.
    pub from: Address,
    /// Its name, for receipts and against doubles.
    pub id: MessageId,
    /// User data, or a kind that this build does not know.
    pub kind: Kind,
    /// What it says.
    pub body: &'a [u8],
    /// It may be a replay of an old first message: never execute a command on it.
    pub replayable: bool,
    /// When the relay says that it took it, seconds since 1970. Only as true as the relay.
    pub stored_at: u64,
}

impl core::fmt::Debug for Incoming<'_> {
    /// Plaintext never shows.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self {
            from,
            id,
            kind,
            body,
            replayable,
            stored_at: _,
        } = self;
        let len = body.len();
        write!(
            f,
            "Incoming({from}, {id}, {kind:?}, {len} bytes, replayable: {replayable})"
        )
    }
}

/// What happened, for the application. Messages themselves go to [`Storage::receive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A relay has custody of the message.
    Accepted {
        /// Recipient.
        to: Address,
        /// Message.
        id: MessageId,
    },
    /// The recipient's device recorded the message: its end-to-end receipt came.
    Delivered {
        /// Recipient.
        to: Address,
        /// Message.
        id: MessageId,
    },
    /// The relay does not take the message now; it stays queued.
    Delayed {
        /// Recipient.
        to: Address,
        /// Message.
        id: MessageId,
        /// What the relay said.
        reason: Reason,
    },
    /// The message will not be delivered; it left the outbox.
    Failed {
        /// Recipient.
        to: Address,
        /// Message.
        id: MessageId,
        /// What the relay said, or `None` where every attempt went without a receipt.
        reason: Option<Reason>,
    },
    /// The conversation began anew with fresh keys. Show it: the peer may have a new device, or an
    /// old copy of its state.
    Restarted {
        /// With whom.
        peer: Address,
    },
    /// So many messages of the peer can no longer be opened in this session; the peer sends again
    /// what was not receipted.
    Lost {
        /// Whose.
        peer: Address,
        /// How many.
        count: u32,
    },
    /// The peer has published no bundle at this relay: nothing can be sent yet.
    NoBundle {
        /// Whose.
        peer: Address,
    },
    /// The relay gave a bundle that must not be used.
    BadBundle {
        /// Whose.
        peer: Address,
        /// Why.
        error: BundleError,
    },
    /// A relay's store went back: an older copy was restored, or it lies.
    RelayWentBack {
        /// Which.
        link: u8,
    },
    /// The relay tells of expired, refused or unopened messages.
    Notice {
        /// What.
        kind: NoticeKind,
        /// With whom.
        peer: Address,
        /// How many.
        count: u32,
    },
}

/// Where an endpoint's state lives.
///
/// An error of any call ends the endpoint: nothing more is released, and it is loaded again from
/// what was committed.
pub trait Storage<const SKIP: usize> {
    /// What can go wrong with the medium.
    type Error;

    /// The conversation with `who`, if there is one.
    ///
    /// # Errors
    /// Those of the medium.
    fn conversation(
        &mut self,
        who: &Address,
    ) -> Result<Option<Conversation<'_, SKIP>>, Self::Error>;

    /// Makes a conversation. `false`: there is no room.
    ///
    /// # Errors
    /// Those of the medium.
    fn create(&mut self, peer: Peer<SKIP>) -> Result<bool, Self::Error>;

    /// Stages what the conversation with `who` holds now ([`Conversation::encode`]).
    ///
    /// # Errors
    /// Those of the medium.
    fn save(&mut self, who: &Address) -> Result<(), Self::Error>;

    /// Stages the endpoint's own prekeys ([`Prekeys::encode`]), secrets inside: seal them.
    ///
    /// # Errors
    /// Those of the medium.
    fn save_own<const N: usize>(&mut self, prekeys: &Prekeys<N>) -> Result<(), Self::Error>;

    /// Puts a message at the end of the outbox, or replaces the one of this recipient and id where
    /// it stands. `false`: it is full.
    ///
    /// Only user data may find it full: of each other kind a recipient has one entry at most, and
    /// one open receipt, which keep conversations alive.
    ///
    /// # Errors
    /// Those of the medium.
    fn push(&mut self, entry: &OutboxEntry, body: &[u8]) -> Result<bool, Self::Error>;

    /// Owes `to` a receipt for `id`: adds it to a receipt that was not sealed yet (`attempts` 0, at
    /// most [`MAX_RECEIPTS`] ids), or pushes `fresh` with the id as its body.
    ///
    /// # Errors
    /// Those of the medium.
    fn owe_receipt(&mut self, fresh: &OutboxEntry, id: MessageId) -> Result<(), Self::Error>;

    /// Of the entries with `due <= now` whose link has its bit in `links`, the one pushed first.
    ///
    /// # Errors
    /// Those of the medium.
    fn next_due(&mut self, now: u64, links: u32) -> Result<Option<OutboxEntry>, Self::Error>;

    /// When the next entry whose link has its bit in `links` becomes due.
    ///
    /// # Errors
    /// Those of the medium.
    fn earliest_due(&mut self, links: u32) -> Result<Option<u64>, Self::Error>;

    /// Copies an entry's body; returns its length. The buffer holds the largest body that
    /// [`crate::endpoint::Endpoint::send`] takes.
    ///
    /// # Errors
    /// Those of the medium.
    fn body(
        &mut self,
        to: &Address,
        id: MessageId,
        buffer: &mut [u8],
    ) -> Result<usize, Self::Error>;

    /// The entry, if it is still in the outbox.
    ///
    /// # Errors
    /// Those of the medium.
    fn find(&mut self, to: &Address, id: MessageId) -> Result<Option<OutboxEntry>, Self::Error>;

    /// Replaces what is known of an entry. `due` and `attempts` need not survive a restart, at
    /// which everything queued is due, and what was accepted when it was, or a minute later.
    ///
    /// # Errors
    /// Those of the medium.
    fn update(&mut self, entry: &OutboxEntry) -> Result<(), Self::Error>;

    /// Drops an entry and its body.
    ///
    /// # Errors
    /// Those of the medium.
    fn remove(&mut self, to: &Address, id: MessageId) -> Result<(), Self::Error>;

    /// Makes entries due at `due`, those that are due earlier aside.
    ///
    /// # Errors
    /// Those of the medium.
    fn wake(&mut self, which: Wake<'_>, due: u64) -> Result<(), Self::Error>;

    /// Whether a message of `from` with this id was recorded before, in whatever session.
    ///
    /// # Errors
    /// Those of the medium.
    fn seen(&mut self, from: &Address, id: MessageId) -> Result<bool, Self::Error>;

    /// Records a message in the durable inbox, and that it was seen.
    ///
    /// # Errors
    /// Those of the medium.
    fn receive(&mut self, message: &Incoming<'_>) -> Result<(), Self::Error>;

    /// Tells the application; shown only once it was committed.
    ///
    /// # Errors
    /// Those of the medium.
    fn event(&mut self, event: Event) -> Result<(), Self::Error>;

    /// Remembers how far a relay's mailbox was seen. `None` for a relay never seen.
    ///
    /// # Errors
    /// Those of the medium.
    fn relay_mark(&mut self, link: u8) -> Result<Option<RelayMark>, Self::Error>;

    /// Stages how far a relay's mailbox was seen.
    ///
    /// # Errors
    /// Those of the medium.
    fn save_relay_mark(&mut self, link: u8, mark: RelayMark) -> Result<(), Self::Error>;

    /// Makes everything staged so far survive a loss of power, all of it or none.
    ///
    /// A medium that cannot commit several records at once writes them in the order in which they
    /// were staged.
    ///
    /// # Errors
    /// Those of the medium.
    fn commit(&mut self) -> Result<(), Self::Error>;
}

/// Most message ids in one receipt.
pub const MAX_RECEIPTS: usize = 32;

/// How far a relay's mailbox was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayMark {
    /// The store's random name.
    pub epoch: u64,
    /// The sequence that the next message will have at least.
    pub next_sequence: u64,
}
