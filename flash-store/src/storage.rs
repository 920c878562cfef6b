//! [`Storage`] for an endpoint.

use embedded_storage::nor_flash::NorFlash;
use hushwire_core::{
    identity::Address,
    peer::{Conversation, Peer},
    prekey::Prekeys,
    storage::{Event, Incoming, OutboxEntry, RelayMark, Storage, Wake},
    wire::MessageId,
};
use rand_core::CryptoRng;

use crate::{
    FlashError, FlashStore,
    items::{Name, Seal},
    keys::Owner,
    record::Record,
    tables::{Aside, Contact, Tables, end},
};

/// Milliseconds after which a session that is not confirmed makes room for another contact's: the
/// least time between two starts of one contact.
const ASIDE_STALE_MS: u64 = hushwire_core::limits::RESTART_INTERVAL_MS;

impl<F: NorFlash, R: CryptoRng, const SKIP: usize, const CONTACTS: usize, const OUTBOX: usize>
    FlashStore<'_, F, R, SKIP, CONTACTS, OUTBOX>
{
    /// Notes whose the session in the second place is: the place was lent, and now it is taken.
    pub(crate) fn own_aside(&mut self) {
        let clock = self.numbers.clock;
        let Aside {
            session,
            owner,
            lent,
            since,
            ..
        } = &mut self.tables.aside;
        if session.is_none() {
            *owner = None;
        } else if owner.is_none() {
            *owner = Some(*lent);
            *since = clock;
        }
    }

    /// Takes the second place from a contact that has not answered for long.
    fn free_aside(&mut self, at: u8) {
        let clock = self.numbers.clock;
        let aside = &mut self.tables.aside;
        let Some(owner) = aside.owner.filter(|owner| *owner != at) else {
            return;
        };
        if clock.saturating_sub(aside.since) >= ASIDE_STALE_MS {
            end(&mut aside.session);
            aside.owner = None;
            if let Some(contact) = self.tables.contact_mut(owner) {
                contact.dirty = true;
            }
        }
    }

    pub(crate) fn lend(&mut self, at: u8) -> Option<Conversation<'_, SKIP>> {
        self.own_aside();
        self.free_aside(at);
        let Tables {
            contacts, aside, ..
        } = &mut *self.tables;
        aside.lent = at;
        let contact = contacts.get_mut(usize::from(at))?;
        Some(Conversation {
            peer: &mut contact.peer,
            tentative: aside
                .owner
                .is_none_or(|owner| owner == at)
                .then_some(&mut aside.session),
        })
    }

    fn usable(&self) -> Result<(), FlashError<F::Error>> {
        if self.closed {
            Err(FlashError::Closed)
        } else {
            Ok(())
        }
    }
}

impl<F: NorFlash, R: CryptoRng, const SKIP: usize, const CONTACTS: usize, const OUTBOX: usize>
    Storage<SKIP> for FlashStore<'_, F, R, SKIP, CONTACTS, OUTBOX>
{
    type Error = FlashError<F::Error>;

    fn conversation(
        &mut self,
        who: &Address,
    ) -> Result<Option<Conversation<'_, SKIP>>, Self::Error> {
        self.usable()?;
        Ok(match self.tables.find(who) {
            Some(at) => self.lend(at),
            None => None,
        })
    }

    fn create(&mut self, peer: Peer<SKIP>) -> Result<bool, Self::Error> {
        self.usable()?;
        if self.tables.find(&peer.address).is_some() {
            return Ok(true);
        }
        let mut places = self.tables.contacts.iter_mut();
        let Some(contact) = places.find(|contact| !contact.used) else {
            return Ok(false);
        };
        Contact::begin(contact);
        contact.peer = peer;
        contact.dirty = true;
        Ok(true)
    }

    fn save(&mut self, who: &Address) -> Result<(), Self::Error> {
        self.own_aside();
        let at = self.tables.find(who);
        if let Some(contact) = at.and_then(|at| self.tables.contact_mut(at)) {
            contact.dirty = true;
        }
        Ok(())
    }

    /// Written at once, behind everything staged before: the session that spent a prekey first.
    fn save_own<const N: usize>(&mut self, prekeys: &Prekeys<N>) -> Result<(), Self::Error> {
        const {
            assert!(Prekeys::<N>::MAX_ENCODED + 64 <= crate::items::SCRATCH);
        }
        self.usable()?;
        self.commit_staged(false)?;
        let epoch = self.items.medium().add_key(&mut self.rng, Owner::OWN)?;
        let seal = Seal {
            name: Name::OWN,
            clear: &[],
            epoch: Some(&epoch),
        };
        let scratch = &mut self.tables.scratch;
        self.items
            .write(&self.key, &mut self.rng, &seal, scratch, &mut |room| {
                prekeys.encode(room).ok()
            })?;
        Ok(self.items.medium().retire_key(Owner::OWN)?)
    }

    fn push(&mut self, entry: &OutboxEntry, body: &[u8]) -> Result<bool, Self::Error> {
        self.usable()?;
        self.enqueue(entry, body)
    }

    fn owe_receipt(&mut self, fresh: &OutboxEntry, id: MessageId) -> Result<(), Self::Error> {
        self.owe(fresh, id)
    }

    fn next_due(&mut self, now: u64, links: u32) -> Result<Option<OutboxEntry>, Self::Error> {
        self.set_clock(now);
        Ok(self.tables.first_due(now, links))
    }

    fn earliest_due(&mut self, links: u32) -> Result<Option<u64>, Self::Error> {
        Ok(self.tables.earliest(links))
    }

    fn body(
        &mut self,
        to: &Address,
        id: MessageId,
        buffer: &mut [u8],
    ) -> Result<usize, Self::Error> {
        self.body_of(to, id, buffer)
    }

    fn find(&mut self, to: &Address, id: MessageId) -> Result<Option<OutboxEntry>, Self::Error> {
        let slot = self.tables.slot(to, id);
        let entry = slot.and_then(|slot| self.tables.entry_mut(slot));
        Ok(entry.map(|entry| entry.outward(*to)))
    }

    fn update(&mut self, entry: &OutboxEntry) -> Result<(), Self::Error> {
        self.change(entry)
    }

    fn remove(&mut self, to: &Address, id: MessageId) -> Result<(), Self::Error> {
        self.drop_entry(to, id)
    }

    fn wake(&mut self, which: Wake<'_>, due: u64) -> Result<(), Self::Error> {
        self.tables.wake_up(which, due);
        Ok(())
    }

    fn seen(&mut self, from: &Address, id: MessageId) -> Result<bool, Self::Error> {
        let at = self.tables.find(from);
        let contact = at.and_then(|at| self.tables.contact(at));
        Ok(contact.is_some_and(|contact| contact.has_seen(&id)))
    }

    fn receive(&mut self, message: &Incoming<'_>) -> Result<(), Self::Error> {
        self.usable()?;
        self.take_in(message)
    }

    fn event(&mut self, event: Event) -> Result<(), Self::Error> {
        self.tables.events.push(event);
        Ok(())
    }

    fn relay_mark(&mut self, link: u8) -> Result<Option<RelayMark>, Self::Error> {
        Ok(self.tables.marks.get(usize::from(link)).copied().flatten())
    }

    fn save_relay_mark(&mut self, link: u8, mark: RelayMark) -> Result<(), Self::Error> {
        let Some(place) = self.tables.marks.get_mut(usize::from(link)) else {
            return Ok(());
        };
        let old = place.replace(mark);
        if old == Some(mark) {
            return Ok(());
        }
        let further = old.filter(|old| old.epoch == mark.epoch).and_then(|old| {
            let by = mark.next_sequence.checked_sub(old.next_sequence)?;
            (by < 0x4000).then_some((mark.next_sequence & 0xffff) as u16)
        });
        self.stage(&match further {
            Some(low) => Record::Further { link, low },
            None => Record::Mark { link, mark },
        })
    }

    fn commit(&mut self) -> Result<(), Self::Error> {
        self.usable()?;
        self.commit_staged(false)
    }
}
