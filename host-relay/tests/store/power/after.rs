//! The power comes back: what those who were there find.

use std::collections::{BTreeSet, HashMap, HashSet};

use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::{NoticeKind, Welcome};
use hushwire_core::wire::request::{MailboxMode, PREKEY_LEN};
use hushwire_relay::limits::{Limits, Registration};
use hushwire_relay::request::{Answer, Command, Reply, Request};
use hushwire_relay::store::{Key, Store};

use super::known::{ALL, About, ERIN, End, Kept, Known, Message, USES};
use super::script::{Talk, limits};
use crate::faulty_disk::FaultyDisk;

/// Who was not there before.
const STRANGER: Address = Address([9; 20]);

/// What one identity is told when it comes.
#[derive(Default)]
struct Told {
    welcome: Option<Box<Welcome>>,
    mail: HashSet<EnvelopeId>,
    notices: HashMap<(NoticeKind, Address), u32>,
}

struct After<'a> {
    talk: Talk,
    known: &'a Known,
    context: &'a str,
    there: HashSet<Address>,
}

/// The store opens, and nothing in it is other than those who know were told.
pub(super) fn check(disk: &FaultyDisk, messages: u8, known: &Known, context: &str) {
    // Whoever comes may look around.
    let limits = Limits {
        registration: Registration::Open,
        ..limits(messages)
    };
    let talk = Talk::on(disk, limits, known.now);
    let mut after = After {
        talk: talk.unwrap_or_else(|error| panic!("{context}: {error}")),
        known,
        context,
        there: HashSet::new(),
    };
    assert_eq!(after.talk.relay.tally().damaged_rows, 0, "{context}");
    after.operator();
    for who in ALL {
        after.identity(who);
    }
    after.names();
    after.mail();
    ALL.iter().for_each(|who| after.prekeys(*who));
}

fn may_be<K: Eq + std::hash::Hash, T: Clone + Default + PartialEq>(
    all: &HashMap<K, Kept<T>>,
    of: &K,
    found: &T,
) -> bool {
    match all.get(of) {
        Some(kept) => kept.may_be(found),
        None => *found == T::default(),
    }
}

impl After<'_> {
    fn row(&self, key: Key) -> Option<Vec<u8>> {
        self.talk.store.get(&key).unwrap()
    }

    /// Bans and invitations stand, and who was let in by one has used it.
    fn operator(&mut self) {
        let Self { known, context, .. } = *self;
        let relay = &mut self.talk.relay;
        let bans: Vec<_> = relay.bans().into_iter().map(|(who, _)| who).collect();
        for who in ALL {
            let banned = bans.contains(&who);
            assert!(
                may_be(&known.banned, &who, &banned),
                "{context}: {who:?} is barred: {banned}"
            );
            if relay.show_mailbox(who, self.talk.now).unwrap().is_some() {
                self.there.insert(who);
            }
        }
        let invites = relay.invites();
        let came = u32::from(self.there.contains(&ERIN));
        match (&known.invitation, invites.as_slice()) {
            (Some((number, _)), [invite]) => {
                assert_eq!(invite.number, *number, "{context}");
                assert_eq!(
                    invite.uses,
                    USES - came,
                    "{context}: who came in has used it"
                );
            }
            (_, invites) => assert_eq!((invites, came), (&[][..], 0), "{context}"),
        }
        let made = known.invitation.as_ref();
        let made = made.is_none_or(|(_, made)| made.may_be(&!invites.is_empty()));
        assert!(made, "{context}: {invites:?}");
        // Who was expected and did not come yet is so still.
        for (who, expected) in &known.expected {
            if expected.said && (self.there.contains(who) || !known.bundles.contains_key(who)) {
                let news = relay.expect(*who).unwrap();
                assert_eq!(news, Ok(false), "{context}: {who:?} is not expected");
            }
        }
    }

    /// What is kept of one identity agrees with itself, and with what it was told.
    fn identity(&mut self, who: Address) {
        let Self { known, context, .. } = *self;
        let there = self.there.contains(&who);
        assert!(
            may_be(&known.registered, &who, &there),
            "{context}: {who:?} is registered: {there}"
        );
        let [bundle, prekeys, contacts, notices] =
            [Key::Bundle, Key::Prekeys, Key::Contacts, Key::Notices].map(|key| self.row(key(who)));
        let Some(account) = self.row(Key::Account(who)) else {
            let rest = [bundle, prekeys, contacts, notices];
            assert!(
                rest.iter().all(Option::is_none),
                "{context}: {who:?} has half left"
            );
            return;
        };
        let mode = MailboxMode::from_byte(account[1]).unwrap();
        assert!(may_be(&known.modes, &who, &mode), "{context}: {mode:?}");

        let counter = u64::from_be_bytes(account[4..12].try_into().unwrap());
        assert!(
            may_be(&known.bundles, &who, &counter),
            "{context}: {counter}"
        );
        assert_eq!(
            bundle.as_deref(),
            Some(&counter.to_be_bytes()[..]),
            "{context}"
        );

        let contacts = contacts.unwrap_or_default();
        let contacts: BTreeSet<_> = contacts
            .as_chunks()
            .0
            .iter()
            .copied()
            .map(Address)
            .collect();
        assert!(
            may_be(&known.contacts, &who, &contacts),
            "{context}: {contacts:?}"
        );

        let prekeys = prekeys.unwrap_or_default();
        let ids = prekeys.as_chunks::<PREKEY_LEN>().0.iter();
        let ids: BTreeSet<_> = ids
            .map(|prekey| u32::from_be_bytes(*prekey.first_chunk().unwrap()))
            .collect();
        let count = usize::from(u16::from_be_bytes(account[12..14].try_into().unwrap()));
        assert_eq!(
            count,
            prekeys.len() / PREKEY_LEN,
            "{context}: the account's count"
        );
        self.are_as_uploaded(who, &ids);
    }

    /// The uploaded ones without those that others have, and perhaps without those that were on their way.
    fn are_as_uploaded(&self, who: Address, ids: &BTreeSet<u32>) {
        let Self { known, context, .. } = self;
        let none = Kept::default();
        let unheard = known.unheard_fetches.get(&who).copied().unwrap_or_default();
        let is_it = |uploaded: &BTreeSet<u32>| {
            let others_have = |id: &&u32| known.handed_out.contains(&(who, **id));
            let missing = uploaded.difference(ids).filter(|id| !others_have(id));
            let missing = missing.count();
            ids.is_subset(uploaded)
                && missing <= unheard as usize
                && !ids.iter().any(|id| others_have(&id))
        };
        let mut uploads = known.prekeys.get(&who).unwrap_or(&none).all();
        assert!(uploads.any(is_it), "{context}: {who:?} has prekeys {ids:?}");
    }

    /// Each is its owner's, and the owner knows.
    fn names(&mut self) {
        let Self { known, context, .. } = *self;
        let mut owned = HashMap::<Address, usize>::new();
        self.talk.come(STRANGER);
        for (name, kept) in &known.names {
            let found = self.talk.order(STRANGER, Command::LookUp((*name).into()));
            let owner = match found {
                Some(Reply::Name { owner, .. }) => Some(owner),
                _ => None,
            };
            assert!(kept.may_be(&owner), "{context}: {name} is {owner:?}'s");
            owner
                .into_iter()
                .for_each(|owner| *owned.entry(owner).or_default() += 1);
        }
        for who in ALL {
            let account = self.row(Key::Account(who));
            let names = account.map_or(0, |account| (account.len() - 14) / 20);
            let owned = owned.get(&who).copied().unwrap_or_default();
            assert_eq!(names, owned, "{context}: names of {who:?}");
        }
    }

    fn come(&mut self, who: Address) -> Told {
        let mut told = Told::default();
        self.talk.come(who);
        loop {
            let mut acks = Vec::new();
            for answer in self.talk.said_to(who) {
                match answer {
                    Answer::Welcome(welcome) => told.welcome = Some(welcome),
                    Answer::Deliver(record) => {
                        let id = EnvelopeId::of(&record[80..]);
                        assert_eq!(record[20..36], id.0, "{}", self.context);
                        assert!(told.mail.insert(id), "{}: delivered twice", self.context);
                        acks.push(id);
                    }
                    Answer::Notice { kind, peer, count } => {
                        told.notices.insert((kind, peer), count);
                    }
                    _ => {}
                }
            }
            if acks.is_empty() {
                return told;
            }
            acks.into_iter()
                .for_each(|id| self.talk.ask(who, Request::Ack(id)));
            self.talk.settle();
        }
    }

    /// What was accepted waits, or has come to its end; and who is to be told of that is told.
    fn mail(&mut self) {
        let Self { known, context, .. } = *self;
        let mut found = HashMap::new();
        let mut notices = HashMap::<About, u32>::new();
        for who in self.there.clone() {
            let told = self.come(who);
            let Some(welcome) = told.welcome else {
                continue;
            };
            assert_eq!(welcome.waiting as usize, told.mail.len(), "{context}");
            for id in told.mail {
                let other = found.insert(id, who);
                assert_eq!(other, None, "{context}: in two mailboxes");
            }
            let of_it = told.notices.into_iter();
            notices.extend(of_it.map(|((kind, peer), count)| ((who, kind, peer), count)));
        }
        for (id, who) in &found {
            let message = known.messages.get(id);
            let message = message.unwrap_or_else(|| panic!("{context}: nobody sent it"));
            assert_eq!(message.to, *who, "{context}: it was for another one");
            assert!(
                !message.ended,
                "{context}: {:?}, and there again",
                message.end
            );
        }
        let is_there = |who: &Address| self.there.contains(who);
        for (id, message) in &known.messages {
            let waits = found.contains_key(id);
            let has_end = message.end.is_some() || !is_there(&message.to);
            assert!(
                waits || has_end || !message.accepted,
                "{context}: accepted and lost"
            );
        }
        self.are_told(&notices, &|id| found.contains_key(id));
    }

    fn are_told(&self, told: &HashMap<About, u32>, waits: &dyn Fn(&EnvelopeId) -> bool) {
        let Self { known, context, .. } = self;
        // At least those of which the sender was told that they are accepted, at most all.
        let mut owed = HashMap::<About, [u32; 2]>::new();
        let ended = known.messages.iter().filter(|(id, _)| !waits(id));
        for (_, message) in ended {
            for about in notices_of(message) {
                let [least, most] = owed.entry(about).or_default();
                *least += u32::from(message.accepted);
                *most += 1;
            }
        }
        for (about, times) in &known.no_room {
            let [least, most] = owed.entry(*about).or_default();
            *least += times.said;
            *most += times.all().max().unwrap();
        }
        for (about, noted) in &known.noted {
            let [least, most] = owed.entry(*about).or_default();
            *least = least.saturating_sub(*noted.all().max().unwrap());
            *most = most.saturating_sub(noted.said);
        }
        for about in told.keys().filter(|(_, kind, _)| kind.is_stored()) {
            owed.entry(*about).or_default();
        }
        for (about, [least, most]) in owed {
            if self.there.contains(&about.0) {
                let count = told.get(&about).copied().unwrap_or_default();
                assert!(
                    (least..=most).contains(&count),
                    "{context}: {about:?} is told of {count}, and {least} to {most} are owed"
                );
            }
        }
    }

    /// No one-time prekey that comes with a bundle now came with one before, and all that are counted
    /// come.
    fn prekeys(&mut self, who: Address) {
        let Self { known, context, .. } = *self;
        if !self.there.contains(&who) || !known.prekeys.contains_key(&who) {
            return;
        }
        self.talk.order(who, Command::Mode(MailboxMode::Open));
        let counted = match self.talk.order(who, Command::Status) {
            Some(Reply::Status(status)) => status.prekeys,
            other => panic!("{context}: {other:?}"),
        };
        let fetches = 0..=counted;
        let asked: Vec<_> = fetches
            .map(|_| self.talk.number(STRANGER, Command::Fetch(who)))
            .collect();
        self.talk.settle();
        let mut fetched = HashSet::new();
        for number in asked {
            let Some(Reply::Bundle { prekey, .. }) = self.talk.reply(number) else {
                panic!("{context}: no bundle of {who:?}");
            };
            if let Some(prekey) = prekey {
                let is_new =
                    fetched.insert(prekey.id) && !known.handed_out.contains(&(who, prekey.id));
                assert!(
                    is_new,
                    "{context}: prekey {} is handed out twice",
                    prekey.id
                );
            }
        }
        assert_eq!(fetched.len(), usize::from(counted), "{context}");
    }
}

/// Of a message that came to its end.
fn notices_of(message: &Message) -> Vec<About> {
    let Message { from, to, .. } = *message;
    match message.end {
        Some(End::Refused) => vec![(from, NoticeKind::Unopened, to)],
        Some(End::Expired) => vec![
            (from, NoticeKind::SentExpired, to),
            (to, NoticeKind::ReceivedExpired, from),
        ],
        Some(End::Acked) | None => Vec::new(),
    }
}
