//! Nicknames: first come, changed only by their owner. A convenience of one relay; clients pin
//! what they have seen.

use hushwire_core::crypto::kdf::hmac;
use hushwire_core::identity::Address;
use hushwire_core::wire::reason::Reason;

use super::{Refusal, Relay};
use crate::clock::Now;
use crate::request::Reply;
use crate::store::{Key, NameHash};

impl Relay {
    /// A free name goes to its claimer, and an owned one to whom its owner offers it, when that one claims
    /// it too. Its owner offers it with another's address, and lets it go with an address of zeros.
    pub(super) fn claim(
        &mut self,
        asker: Address,
        owner: Address,
        name: &str,
        now: Now,
    ) -> Result<Reply, Refusal> {
        self.own_account(&asker)?;
        let hash = self.hash(name);
        let holder = self.owner_of(hash)?;
        match holder {
            Some(holder) if holder == asker => match owner {
                Address::ZERO => {
                    self.drop_name(asker, hash)?;
                    self.ledger.delete(Key::Name(hash));
                    self.offers.withdraw(hash);
                }
                owner if owner == asker => self.offers.withdraw(hash),
                // Whether there is such an identity is not said.
                owner => self.offers.make(hash, asker, owner, now),
            },
            Some(holder) if owner == asker && self.offers.stands(hash, holder, asker, now) => {
                self.take_name(asker, hash)?;
                self.drop_name(holder, hash)?;
                self.offers.withdraw(hash);
            }
            Some(_) => return Err(Reason::NameTaken.into()),
            None if owner == Address::ZERO => return Err(Reason::NotFound.into()),
            None if owner != asker => return Err(Reason::NotYours.into()),
            None => self.take_name(asker, hash)?,
        }
        Ok(Reply::Done)
    }

    fn take_name(&mut self, asker: Address, hash: NameHash) -> Result<(), Refusal> {
        let mut account = self.own_account(&asker)?;
        if account.names.len() >= self.limits.names as usize {
            return Err(Reason::TooLarge.into());
        }
        account.names.push(hash);
        self.ledger.put_account(&asker, account);
        self.ledger.put(Key::Name(hash), asker.0.into());
        Ok(())
    }

    fn drop_name(&mut self, holder: Address, hash: NameHash) -> Result<(), Refusal> {
        let mut account = self.own_account(&holder)?;
        account.names.retain(|of| *of != hash);
        self.ledger.put_account(&holder, account);
        Ok(())
    }

    pub(super) fn look_up(&mut self, name: Box<str>) -> Result<Reply, Refusal> {
        let owner = self.owner_of(self.hash(&name))?.ok_or(Reason::NotFound)?;
        Ok(Reply::Name { owner, name })
    }

    fn owner_of(&self, name: NameHash) -> Result<Option<Address>, Refusal> {
        let row = self.ledger.read(&Key::Name(name))?;
        Ok(row
            .and_then(|row| <[u8; 20]>::try_from(&*row).ok())
            .map(Address))
    }

    /// Names are kept as keyed hashes: who steals the store alone can neither read them nor try a
    /// list of them.
    fn hash(&self, name: &str) -> NameHash {
        let mut hash = [0; 20];
        hash.copy_from_slice(&hmac(&self.names_key, &[name.as_bytes()])[..20]);
        NameHash(hash)
    }
}
