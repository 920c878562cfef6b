//! Nicknames: first come, changed only by their owner. A convenience of one relay; clients pin
//! what they have seen.

use hushwire_core::crypto::kdf::hmac;
use hushwire_core::identity::Address;
use hushwire_core::wire::reason::Reason;

use super::{Refusal, Relay};
use crate::request::Reply;
use crate::store::{Key, NameHash};

impl Relay {
    /// A free name goes to its claimer; an owned one goes where its owner says, or (owner of zeros)
    /// becomes free.
    pub(super) fn claim(
        &mut self,
        asker: Address,
        owner: Address,
        name: &str,
    ) -> Result<Reply, Refusal> {
        self.own_account(&asker)?;
        let hash = self.hash(name);
        let holder = self.owner_of(hash)?;
        match holder {
            Some(holder) if holder != asker => return Err(Reason::NameTaken.into()),
            Some(holder) if holder == owner => return Ok(Reply::Done),
            None if owner == Address::ZERO => return Err(Reason::NotFound.into()),
            None if owner != asker => return Err(Reason::NotYours.into()),
            Some(_) | None => {}
        }

        if owner != Address::ZERO {
            // Who is not here cannot hold a name: the same answer as to a letter for nobody.
            let mut account = self.own_account(&owner).map_err(|_| Reason::NotAccepted)?;
            if account.names.len() >= self.limits.names as usize {
                return Err(Reason::TooLarge.into());
            }
            account.names.push(hash);
            self.ledger.put_account(&owner, account);
        }
        if holder.is_some() {
            let mut account = self.own_account(&asker)?;
            account.names.retain(|of| *of != hash);
            self.ledger.put_account(&asker, account);
        }
        match owner {
            Address::ZERO => self.ledger.delete(Key::Name(hash)),
            Address(owner) => self.ledger.put(Key::Name(hash), owner.into()),
        }
        Ok(Reply::Done)
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
