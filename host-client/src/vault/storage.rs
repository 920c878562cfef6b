//! What an endpoint needs of the vault.

use hushwire_core::{
    identity::Address,
    limits::HOST_MAX_SKIP,
    peer::{Conversation, Peer},
    prekey::Prekeys,
    session::Kind,
    storage::{Event, Incoming, MAX_RECEIPTS, OutboxEntry, OutboxState, RelayMark, Storage, Wake},
    wire::MessageId,
};
use zeroize::Zeroizing;

use super::{
    Happening, Message, State, Vault, VaultError,
    outbox::{Body, Stored},
    records::{Key, Table},
};

impl Vault {
    pub(super) fn save_entry(&mut self, order: u64) -> Result<(), VaultError> {
        let Some(slot) = self.outbox.slot(order) else {
            return Ok(());
        };
        let stored = Stored::new(&slot.entry, slot.body.clone());
        self.records
            .stage(Key::number(Table::Outbox, order), &stored)
    }

    /// Puts an own message into the history, or finds it there.
    fn record_own(&mut self, entry: &OutboxEntry, body: &[u8]) -> Result<u64, VaultError> {
        let now = self.now();
        let message = Message {
            number: 0,
            peer: entry.to,
            id: entry.id,
            state: State::Queued,
            reason: None,
            kind: entry.kind,
            replayable: false,
            recorded_at: now,
            stored_at: 0,
            body: body.to_vec(),
        };
        self.record(&message)
    }
}

impl Storage<HOST_MAX_SKIP> for Vault {
    type Error = VaultError;

    fn conversation(
        &mut self,
        who: &Address,
    ) -> Result<Option<Conversation<'_, HOST_MAX_SKIP>>, VaultError> {
        self.load_conversation(who)
    }

    fn create(&mut self, peer: Peer<HOST_MAX_SKIP>) -> Result<bool, VaultError> {
        self.add_conversation(peer)?;
        Ok(true)
    }

    fn save(&mut self, who: &Address) -> Result<(), VaultError> {
        self.save_conversation(who)
    }

    fn save_own<const N: usize>(&mut self, prekeys: &Prekeys<N>) -> Result<(), VaultError> {
        let mut record = Zeroizing::new(vec![0; Prekeys::<N>::MAX_ENCODED]);
        let len = prekeys.encode(&mut record);
        let len = len.map_err(|_| VaultError::damaged("the prekeys do not encode"))?;
        record.truncate(len);
        self.stage_named(super::PREKEYS, record);
        Ok(())
    }

    fn push(&mut self, entry: &OutboxEntry, body: &[u8]) -> Result<bool, VaultError> {
        let standing = self.outbox.order(&entry.to, entry.id);
        if standing.is_none() && !self.outbox.has_room(entry.kind) {
            return Ok(false);
        }
        let body = match entry.kind {
            Kind::DATA => Body::Message(self.record_own(entry, body)?),
            _ => Body::Inline(body.to_vec()),
        };
        let order = match standing {
            Some(order) => {
                self.outbox.update(order, entry);
                if let Some(slot) = self.outbox.slot_mut(order) {
                    slot.body = body;
                }
                order
            }
            None => self.outbox.push(*entry, body),
        };
        self.save_entry(order)?;
        Ok(true)
    }

    fn owe_receipt(&mut self, fresh: &OutboxEntry, id: MessageId) -> Result<(), VaultError> {
        let Some(order) = self.outbox.open_receipt(&fresh.to, MAX_RECEIPTS) else {
            return self.push(fresh, &id.0).map(drop);
        };
        if let Some(slot) = self.outbox.slot_mut(order)
            && let Body::Inline(ids) = &mut slot.body
        {
            ids.extend_from_slice(&id.0);
        }
        self.save_entry(order)
    }

    fn next_due(&mut self, now: u64, links: u32) -> Result<Option<OutboxEntry>, VaultError> {
        Ok(self.outbox.next_due(now, links))
    }

    fn earliest_due(&mut self, links: u32) -> Result<Option<u64>, VaultError> {
        Ok(self.outbox.earliest_due(links))
    }

    fn body(
        &mut self,
        to: &Address,
        id: MessageId,
        buffer: &mut [u8],
    ) -> Result<usize, VaultError> {
        let missing = || VaultError::damaged("a message of the outbox has no body");
        let order = self.outbox.order(to, id).ok_or_else(missing)?;
        let slot = self.outbox.slot(order).ok_or_else(missing)?;
        let from_history;
        let body = match &slot.body {
            Body::Inline(bytes) => bytes,
            Body::Message(number) => {
                from_history = self.message(*number)?.ok_or_else(missing)?.body;
                &from_history
            }
        };
        buffer
            .get_mut(..body.len())
            .ok_or_else(missing)?
            .copy_from_slice(body);
        Ok(body.len())
    }

    fn find(&mut self, to: &Address, id: MessageId) -> Result<Option<OutboxEntry>, VaultError> {
        let slot = self
            .outbox
            .order(to, id)
            .and_then(|order| self.outbox.slot(order));
        Ok(slot.map(|slot| slot.entry))
    }

    fn update(&mut self, entry: &OutboxEntry) -> Result<(), VaultError> {
        let Some(order) = self.outbox.order(&entry.to, entry.id) else {
            return Ok(());
        };
        if entry.kind == Kind::DATA && entry.state == OutboxState::Accepted {
            self.settle(&entry.to, entry.id, State::Accepted, None)?;
        }
        self.outbox.update(order, entry);
        self.save_entry(order)
    }

    fn remove(&mut self, to: &Address, id: MessageId) -> Result<(), VaultError> {
        if let Some(order) = self.outbox.order(to, id) {
            self.outbox.remove(order);
            self.records
                .stage_removal(Key::number(Table::Outbox, order));
        }
        Ok(())
    }

    fn wake(&mut self, which: Wake<'_>, due: u64) -> Result<(), VaultError> {
        self.outbox.wake(which, due);
        Ok(())
    }

    fn seen(&mut self, from: &Address, id: MessageId) -> Result<bool, VaultError> {
        self.records
            .has(&self.message_name(from, id, State::Received))
    }

    fn receive(&mut self, message: &Incoming<'_>) -> Result<(), VaultError> {
        let now = self.now();
        let number = self.record(&Message {
            number: 0,
            peer: message.from,
            id: message.id,
            state: State::Received,
            reason: None,
            kind: message.kind,
            replayable: message.replayable,
            recorded_at: now,
            stored_at: message.stored_at,
            body: message.body.to_vec(),
        })?;
        self.staged_happenings.push(Happening::Message(number));
        Ok(())
    }

    fn event(&mut self, event: Event) -> Result<(), VaultError> {
        match event {
            Event::Accepted { to, id } => self.settle(&to, id, State::Accepted, None)?,
            Event::Delivered { to, id } => self.settle(&to, id, State::Delivered, None)?,
            Event::Delayed { to, id, reason } => {
                self.settle(&to, id, State::Queued, Some(reason))?;
            }
            Event::Failed { to, id, reason } => self.settle(&to, id, State::Failed, reason)?,
            _ => self.keep_event(event)?,
        }
        self.staged_happenings.push(Happening::Event(event));
        Ok(())
    }

    fn relay_mark(&mut self, link: u8) -> Result<Option<RelayMark>, VaultError> {
        Ok(self.relays.get(&link).and_then(|relay| relay.mark()))
    }

    fn save_relay_mark(&mut self, link: u8, mark: RelayMark) -> Result<(), VaultError> {
        let Some(mut relay) = self.relays.get(&link).cloned() else {
            return Ok(());
        };
        relay.seen = Some((mark.epoch, mark.next_sequence));
        self.save_relay(link, relay)
    }

    fn commit(&mut self) -> Result<(), VaultError> {
        self.flush()
    }
}
