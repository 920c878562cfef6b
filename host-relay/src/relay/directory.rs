//! What others need to start a conversation: bundles and one-time prekeys; and who may.

use std::sync::Arc;

use hushwire_core::identity::Address;
use hushwire_core::wire::answer::{NoticeKind, Status};
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::{ContactsChange, MailboxMode, PREKEY_LEN};

use super::{RETRY_FULL_S, Refusal, Relay, room};
use crate::clock::Now;
use crate::mailbox::Mailbox;
use crate::rate::Rate;
use crate::request::{Answer, Reply};
use crate::store::record::{Account, Prekey};
use crate::store::{Key, StoreError};

impl Relay {
    /// The bundle was found to be this client's own. An identity is registered by its first one:
    /// before it nobody could write to it.
    pub(super) fn publish(
        &mut self,
        address: Address,
        counter: u64,
        bundle: Arc<[u8]>,
        now: Now,
    ) -> Result<Reply, Refusal> {
        if bundle.len() > self.limits.bundle_bytes as usize {
            return Err(Reason::TooLarge.into());
        }
        let known = self.ledger.account(&address)?;
        let is_new = known.is_none();
        let mut account = match known {
            Some(account) => Account::clone(&account),
            None if self.ledger.registered() >= self.limits.accounts => {
                return Err(Reason::NotAccepted.into());
            }
            None => Account {
                max_frame: self.max_frame_of(&address),
                ..Account::default()
            },
        };
        let newer = counter > account.bundle_counter;
        if !newer && self.ledger.read(&Key::Bundle(address))?.as_ref() != Some(&bundle) {
            return Err(Reason::CounterWentBack.into());
        }

        if is_new {
            self.needs_room()?;
            self.take_place(&address, now)?;
        }
        account.bundle_counter = counter;
        self.ledger.put_account(&address, account);
        self.ledger.put(Key::Bundle(address), bundle);
        Ok(Reply::Done)
    }

    pub(super) fn replace_prekeys(
        &mut self,
        address: Address,
        prekeys: Arc<[u8]>,
    ) -> Result<Reply, Refusal> {
        let mut account = self.own_account(&address)?;
        let (list, rest) = prekeys.as_chunks::<PREKEY_LEN>();
        if list.len() > self.limits.prekeys as usize {
            return Err(Reason::TooLarge.into());
        }
        if !rest.is_empty() {
            return Err(Reason::Malformed.into());
        }
        if list.len() > usize::from(account.prekeys) {
            self.needs_room()?;
        }
        account.prekeys = list.len() as u16;
        self.ledger.put_account(&address, account);
        self.ledger.put(Key::Prekeys(address), prekeys);
        Ok(Reply::Done)
    }

    /// A bundle, and a one-time prekey that no one else gets: the reply waits until the key's
    /// removal is durable. Unknown and forbidden cost the same reads and give the same answer.
    pub(super) fn fetch(
        &mut self,
        asker: Address,
        target: Address,
        now: Now,
    ) -> Result<Reply, Refusal> {
        let account = self.ledger.account(&target)?;
        let allowed = asker == target || self.is_allowed(&asker, &target, account.as_deref())?;
        let bundle = self.ledger.read(&Key::Bundle(target))?;
        let (Some(account), Some(bundle), true) = (account, bundle, allowed) else {
            return Err(Reason::NotFound.into());
        };

        if asker != target && account.prekeys == 0 {
            self.tally.prekeys_exhausted += 1;
        }
        let mut prekey = None;
        if asker != target && account.prekeys > 0 && self.may_take_prekey(asker, target, now) {
            prekey = self.take_prekey(target, &account)?;
        }
        Ok(Reply::Bundle {
            address: target,
            prekey,
            bundle,
        })
    }

    fn may_take_prekey(&mut self, asker: Address, target: Address, now: Now) -> bool {
        let rate = Rate {
            interval_us: self.limits.prekey_interval.as_micros() as u64,
            burst: u64::from(self.limits.prekey_burst),
        };
        self.prekey_rates.take(asker, target, now.mono_us, rate)
    }

    fn take_prekey(
        &mut self,
        owner: Address,
        account: &Account,
    ) -> Result<Option<Prekey>, StoreError> {
        let Some(row) = self.ledger.read(&Key::Prekeys(owner))? else {
            return Ok(None);
        };
        let Some((rest, last)) = row.split_last_chunk::<PREKEY_LEN>() else {
            return Ok(None);
        };
        let left = (rest.len() / PREKEY_LEN) as u16;

        self.ledger.put(Key::Prekeys(owner), rest.into());
        self.ledger.put_account(
            &owner,
            Account {
                prekeys: left,
                ..account.clone()
            },
        );
        self.tally.prekeys_handed_out += 1;
        if let Some(conn) = self.online.get(&owner) {
            let (kind, peer) = (NoticeKind::PrekeysLeft, Address::ZERO);
            self.send(
                *conn,
                Answer::Notice {
                    kind,
                    peer,
                    count: u32::from(left),
                },
            );
        }
        Ok(Some(Prekey::parse(last)))
    }

    pub(super) fn set_mode(
        &mut self,
        address: Address,
        mode: MailboxMode,
    ) -> Result<Reply, Refusal> {
        let account = self.own_account(&address)?;
        self.ledger
            .put_account(&address, Account { mode, ..account });
        Ok(Reply::Done)
    }

    pub(super) fn change_contacts(
        &mut self,
        address: Address,
        change: ContactsChange,
        addresses: Vec<Address>,
    ) -> Result<Reply, Refusal> {
        self.own_account(&address)?;
        if change == ContactsChange::Add {
            self.needs_room()?;
        }
        let row = self.ledger.read(&Key::Contacts(address))?;
        let mut contacts = row.map_or_else(Vec::new, |row| row.as_chunks::<20>().0.to_vec());
        for Address(contact) in addresses {
            match (contacts.binary_search(&contact), change) {
                (Err(index), ContactsChange::Add) => contacts.insert(index, contact),
                (Ok(index), ContactsChange::Remove) => drop(contacts.remove(index)),
                _ => {}
            }
        }
        if change == ContactsChange::Clear {
            contacts.clear();
        }
        // A list from before the bound was lowered can be made shorter, step by step.
        if change == ContactsChange::Add && contacts.len() > self.limits.contacts as usize {
            return Err(Reason::TooLarge.into());
        }
        self.ledger
            .put(Key::Contacts(address), contacts.as_flattened().into());
        Ok(Reply::Done)
    }

    /// What makes the store larger waits while its file has no room.
    fn needs_room(&self) -> Result<(), Refusal> {
        match self
            .room
            .has(room::cost(u64::from(self.limits.bundle_bytes)))
        {
            true => Ok(()),
            false => Err(Refusal::Later(Reason::StoreTrouble, RETRY_FULL_S)),
        }
    }

    /// Whether `sender` may write to the owner of `account`. The list is read in every case, so
    /// that the answer takes the same work.
    pub(super) fn is_allowed(
        &mut self,
        sender: &Address,
        owner: &Address,
        account: Option<&Account>,
    ) -> Result<bool, StoreError> {
        let row = self.ledger.contacts(owner)?;
        let contacts = row.as_deref().unwrap_or_default().as_chunks::<20>().0;
        let listed = contacts.binary_search(&sender.0).is_ok();
        if self.access.is_barred(owner) {
            return Ok(false);
        }
        Ok(match account.map(|account| account.mode) {
            Some(MailboxMode::Open) => true,
            Some(MailboxMode::ContactsOnly) => listed,
            Some(MailboxMode::Closed) | None => false,
        })
    }

    pub(super) fn status(&mut self, address: Address) -> Result<Reply, Refusal> {
        let account = self.ledger.account(&address)?.unwrap_or_default();
        let mailbox = self.mailboxes.get(&address);
        Ok(Reply::Status(Status {
            messages: mailbox.map_or(0, Mailbox::messages),
            bytes: mailbox.map_or(0, Mailbox::bytes),
            prekeys: account.prekeys,
            bundle_counter: account.bundle_counter,
            mode: account.mode,
        }))
    }

    /// The asker's account; who has published no bundle has none.
    pub(super) fn own_account(&mut self, address: &Address) -> Result<Account, Refusal> {
        let account = self.ledger.account(address)?.ok_or(Reason::NotFound)?;
        Ok(Account::clone(&account))
    }

    fn max_frame_of(&self, address: &Address) -> u16 {
        let peer = self
            .online
            .get(address)
            .and_then(|conn| self.peers.get(conn));
        peer.map_or(0, |peer| peer.max_frame())
    }
}
