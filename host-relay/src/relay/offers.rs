//! Nicknames that their owners would hand over. A name changes hands only when both have said so: given
//! without being asked for, names would fill up what another one may hold.
//!
//! Offers are in memory: one that a start of the relay forgets is made again.

use foldhash::HashMap;
use hushwire_core::identity::Address;

use crate::clock::Now;
use crate::store::NameHash;

/// How long an offer stands.
const STANDS_US: u64 = 24 * 3_600 * 1_000_000;

struct Offer {
    from: Address,
    to: Address,
    until_us: u64,
}

/// At most one offer for each name that is held.
#[derive(Default)]
pub(super) struct Offers(HashMap<NameHash, Offer>);

impl Offers {
    pub(super) fn make(&mut self, name: NameHash, from: Address, to: Address, now: Now) {
        let until_us = now.mono_us + STANDS_US;
        self.0.insert(name, Offer { from, to, until_us });
    }

    pub(super) fn withdraw(&mut self, name: NameHash) {
        self.0.remove(&name);
    }

    /// Whether `from` offers the name to `to`.
    pub(super) fn stands(&self, name: NameHash, from: Address, to: Address, now: Now) -> bool {
        self.0.get(&name).is_some_and(|offer| {
            offer.from == from && offer.to == to && offer.until_us > now.mono_us
        })
    }

    pub(super) fn tick(&mut self, now: Now) {
        self.0.retain(|_, offer| offer.until_us > now.mono_us);
    }
}
