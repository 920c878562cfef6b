//! The history: every message in both directions, by number, by contact and by date.

use hushwire_core::{
    identity::Address,
    session::Kind,
    wire::{MessageId, reason::Reason},
};
use serde::{Deserialize, Serialize};

use super::{
    Vault, VaultError,
    records::{Key, Table},
};

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It came in.
    Received,
    /// No relay has it yet.
    Queued,
    /// A relay has custody.
    Accepted,
    /// The recipient's device recorded it.
    Delivered,
    /// It will not be delivered.
    Failed,
}

/// One message of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its place in the history; rises with each one.
    pub number: u64,
    /// The other side.
    pub peer: Address,
    /// Its name, the same on both sides.
    pub id: MessageId,
    /// What has become of it; [`State::Received`] for the other side's.
    pub state: State,
    /// The relay's last refusal, if there was one.
    pub reason: Option<Reason>,
    /// [`Kind::DATA`], or a kind that this build does not know.
    pub kind: Kind,
    /// It may be a replay of an old first message: never execute a command on it.
    pub replayable: bool,
    /// When it was recorded here, milliseconds since 1970.
    pub recorded_at: u64,
    /// When the relay says that it took it, seconds since 1970; 0 for own ones.
    pub stored_at: u64,
    /// What it says.
    pub body: Vec<u8>,
}

/// A message as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredMessage {
    peer: [u8; 20],
    id: [u8; 16],
    state: State,
    reason: u8,
    kind: u8,
    replayable: bool,
    recorded_at: u64,
    stored_at: u64,
    body: Vec<u8>,
}

impl Message {
    pub(super) fn store(&self) -> StoredMessage {
        StoredMessage {
            peer: self.peer.0,
            id: self.id.0,
            state: self.state,
            reason: self.reason.map_or(0, |reason| reason as u8),
            kind: self.kind.0,
            replayable: self.replayable,
            recorded_at: self.recorded_at,
            stored_at: self.stored_at,
            body: self.body.clone(),
        }
    }
}

impl StoredMessage {
    pub(super) const fn peer(&self) -> &[u8; 20] {
        &self.peer
    }

    fn message(self, number: u64) -> Message {
        Message {
            number,
            peer: Address(self.peer),
            id: MessageId(self.id),
            state: self.state,
            reason: Reason::from_byte(self.reason),
            kind: Kind(self.kind),
            replayable: self.replayable,
            recorded_at: self.recorded_at,
            stored_at: self.stored_at,
            body: self.body,
        }
    }
}

/// Which messages of the history.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those with these addresses; all if empty.
    pub with: Vec<Address>,
    /// Only those recorded at or after this, milliseconds since 1970.
    pub since: u64,
    /// Only those with a higher number.
    pub after: u64,
    /// The newest so many.
    pub limit: usize,
}

impl Vault {
    /// Adds a message to the history; returns its number.
    pub(super) fn record(&mut self, message: &Message) -> Result<u64, VaultError> {
        let number = self.next_message;
        self.next_message += 1;
        self.records
            .stage(Key::number(Table::Message, number), &message.store())?;
        let place = self.records.names().thread(&message.peer.0, number);
        self.records.stage(place, &())?;
        let name = self.message_name(&message.peer, message.id, message.state);
        self.records.stage(name, &number)?;
        Ok(number)
    }

    /// Where the number of a message stands: own and foreign ids cannot collide.
    pub(super) fn message_name(&self, peer: &Address, id: MessageId, state: State) -> Key {
        let way: &[u8] = if state == State::Received {
            b"in"
        } else {
            b"out"
        };
        self.records.blind(Table::Seen, &[way, &peer.0, &id.0])
    }

    /// One message, if there is one of that number.
    pub(crate) fn message(&self, number: u64) -> Result<Option<Message>, VaultError> {
        let stored: Option<StoredMessage> =
            self.records.read(&Key::number(Table::Message, number))?;
        Ok(stored.map(|stored| stored.message(number)))
    }

    /// One of the user's own messages, by its name.
    pub(crate) fn sent(&self, to: &Address, id: MessageId) -> Result<Option<Message>, VaultError> {
        match self
            .records
            .read(&self.message_name(to, id, State::Queued))?
        {
            Some(number) => self.message(number),
            None => Ok(None),
        }
    }

    /// Notes what has become of an own message. A state never goes back, and nothing follows an end.
    pub(super) fn settle(
        &mut self,
        to: &Address,
        id: MessageId,
        state: State,
        reason: Option<Reason>,
    ) -> Result<(), VaultError> {
        let Some(mut message) = self.sent(to, id)? else {
            return Ok(());
        };
        if message.state >= State::Delivered || message.state > state {
            return Ok(());
        }
        (message.state, message.reason) = (state, reason);
        self.records.stage(
            Key::number(Table::Message, message.number),
            &message.store(),
        )
    }

    /// The newest messages that pass the filter, oldest first. Reads what is shown, not the history.
    pub(crate) fn history(&mut self, filter: &Filter) -> Result<Vec<Message>, VaultError> {
        self.flush()?;
        let first = self
            .first_since(filter.since)?
            .max(filter.after.saturating_add(1));
        let mut numbers = Vec::new();
        if filter.with.is_empty() {
            let range = Key::number(Table::Message, first)..=Key::number(Table::Message, u64::MAX);
            numbers = self.records.numbers_back(range, filter.limit)?;
        }
        for contact in &filter.with {
            let thread = |number| self.records.names().thread(&contact.0, number);
            let range = thread(first)..=thread(u64::MAX);
            numbers.extend(self.records.numbers_back(range, filter.limit)?);
        }
        numbers.sort_unstable();
        let skip = numbers.len().saturating_sub(filter.limit);
        let shown = numbers.into_iter().skip(skip);
        shown
            .filter_map(|number| self.message(number).transpose())
            .collect()
    }

    /// The oldest messages with a higher number, at most `limit`: what a cursor reads on.
    pub(crate) fn after(&mut self, cursor: u64, limit: u64) -> Result<Vec<Message>, VaultError> {
        self.flush()?;
        let last = self
            .next_message
            .min(cursor.saturating_add(limit).saturating_add(1));
        (cursor.saturating_add(1)..last)
            .filter_map(|number| self.message(number).transpose())
            .collect()
    }

    /// The first number recorded at or after a time: numbers and times rise together.
    fn first_since(&self, since: u64) -> Result<u64, VaultError> {
        let (mut low, mut high) = (1, self.next_message);
        while since > 0 && low < high {
            let middle = low + (high - low) / 2;
            match self.message(middle)? {
                Some(message) if message.recorded_at >= since => high = middle,
                _ => low = middle + 1,
            }
        }
        Ok(low)
    }
}
