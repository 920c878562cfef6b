//! What the clients and the operator of a run know when the power is gone: what they were told, and what
//! they asked for and were not told of, of which the disk may have some.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::NoticeKind;
use hushwire_core::wire::request::MailboxMode;
use hushwire_relay::Now;

pub(super) const ALICE: Address = Address([1; 20]);
pub(super) const BOB: Address = Address([2; 20]);
/// Leaves.
pub(super) const CAROL: Address = Address([3; 20]);
/// Comes with an invitation.
pub(super) const ERIN: Address = Address([5; 20]);
/// Is barred, and let in again.
pub(super) const FRANK: Address = Address([6; 20]);
pub(super) const ALL: [Address; 5] = [ALICE, BOB, CAROL, ERIN, FRANK];

/// Identities that the invitation lets in.
pub(super) const USES: u32 = 3;

/// Something that is kept: as it was said to be last, and as it was asked to be since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept<T> {
    pub(super) said: T,
    asked: Vec<T>,
}

impl<T: Clone + PartialEq> Kept<T> {
    pub(super) fn ask(&mut self, value: T) {
        self.asked.push(value);
    }

    pub(super) fn is_settled(&self) -> bool {
        self.asked.is_empty()
    }

    /// What was asked last is done. What was asked before it and was not said to be done is over.
    pub(super) fn done(&mut self) {
        if let Some(value) = self.asked.pop() {
            self.said = value;
        }
        self.asked.clear();
    }

    pub(super) fn may_be(&self, value: &T) -> bool {
        self.said == *value || self.asked.contains(value)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        self.asked.iter().chain([&self.said])
    }
}

/// Why a message is in its mailbox no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Acked,
    Refused,
    Expired,
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) accepted: bool,
    /// Asked for, or due.
    pub(super) end: Option<End>,
    /// And said to be done.
    pub(super) ended: bool,
}

/// A notice: whose, of what kind, about whom.
pub(super) type About = (Address, NoticeKind, Address);

#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) now: Option<Now>,
    pub(super) messages: HashMap<EnvelopeId, Message>,
    /// Times that a mailbox had no room.
    pub(super) no_room: HashMap<About, Kept<u32>>,
    pub(super) noted: HashMap<About, Kept<u32>>,
    pub(super) registered: HashMap<Address, Kept<bool>>,
    pub(super) bundles: HashMap<Address, Kept<u64>>,
    pub(super) modes: HashMap<Address, Kept<MailboxMode>>,
    pub(super) contacts: HashMap<Address, Kept<BTreeSet<Address>>>,
    pub(super) names: BTreeMap<&'static str, Kept<Option<Address>>>,
    /// One-time prekeys as they were uploaded.
    pub(super) prekeys: HashMap<Address, Kept<BTreeSet<u32>>>,
    /// And those that others have.
    pub(super) handed_out: HashSet<(Address, u32)>,
    /// Asked for and not answered.
    pub(super) unheard_fetches: HashMap<Address, u32>,
    pub(super) expected: HashMap<Address, Kept<bool>>,
    pub(super) banned: HashMap<Address, Kept<bool>>,
    /// By its number.
    pub(super) invitation: Option<(u64, Kept<bool>)>,
}

impl Known {
    pub(super) fn accepted(&self) -> usize {
        let messages = self.messages.values();
        messages.filter(|message| message.accepted).count()
    }
}
