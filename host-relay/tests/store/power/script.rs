//! A run of the whole logic: everything that clients and the operator can ask of it is asked.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::NoticeKind;
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::{ContactsChange, MailboxMode};
use hushwire_relay::Now;
use hushwire_relay::limits::{Limits, Registration};
use hushwire_relay::relay::{Action, ConnId, PeerLimits, Relay};
use hushwire_relay::request::{Answer, Command, Reply, Request, Submission};
use hushwire_relay::store::{Embedded, Store};

use super::known::{ALICE, BOB, CAROL, ERIN, End, FRANK, Kept, Known, Message, USES};
use crate::contract::open;
use crate::faulty_disk::FaultyDisk;

const WIDE: PeerLimits = PeerLimits {
    max_record: 32_768,
    max_frame: 17_000,
    window: 64,
};
const BEGIN: Now = Now {
    mono_us: 0,
    unix_s: 1_800_000_000,
};
/// Nobody acks what is to be stored.
const LATER: Now = Now {
    mono_us: u64::MAX,
    unix_s: 1,
};
const EXPIRY: Duration = Duration::from_secs(86_400);
const LETTER: usize = 400;

/// Room for all of the run from one sender, and not for what Erin sends.
pub(super) fn limits(messages: u8) -> Limits {
    let share = 8_192 + u64::from(messages) * LETTER as u64;
    Limits {
        mailbox_messages: 4 * 1024,
        mailbox_bytes: 4 * share,
        registration: Registration::Invite,
        expiry: EXPIRY,
        request_burst: 10_000,
        prekey_burst: 10_000,
        ..Limits::default()
    }
}

/// The relay's logic on a disk that may fail, and those who talk to it.
pub(super) struct Talk {
    pub(super) relay: Relay,
    pub(super) store: Arc<Embedded>,
    pub(super) now: Now,
    conns: HashMap<Address, ConnId>,
    next_conn: u64,
    next_number: u16,
    /// What was heard and not asked after yet.
    heard: Vec<(ConnId, Answer)>,
    settled: Vec<(u64, bool)>,
    /// Every commit so far was durable. Once one is not, no later one will be: then nothing is asked any more
    /// that could only be so if one were.
    works: bool,
}

impl Talk {
    pub(super) fn on(disk: &FaultyDisk, limits: Limits, now: Option<Now>) -> Result<Self, String> {
        let store = Arc::new(open(disk).map_err(|error| error.to_string())?);
        // The machine was started again: so was the clock that never goes back.
        let now = now.map_or(BEGIN, |now| Now { mono_us: 0, ..now });
        let relay = Relay::open(store.clone(), limits, [0; 32], now);
        Ok(Self {
            relay: relay.map_err(|error| error.to_string())?,
            store,
            now,
            conns: HashMap::new(),
            next_conn: 1,
            next_number: 1,
            heard: Vec::new(),
            settled: Vec::new(),
            works: true,
        })
    }

    pub(super) fn come(&mut self, who: Address) {
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        self.conns.insert(who, conn);
        self.relay.connected(conn, who, WIDE, self.now);
        self.settle();
    }

    fn go(&mut self, who: Address) {
        if let Some(conn) = self.conns.remove(&who) {
            self.relay.gone(conn);
        }
    }

    pub(super) fn ask(&mut self, who: Address, request: Request) {
        if let Some(conn) = self.conns.get(&who) {
            self.relay.handle(*conn, request, self.now);
        }
    }

    /// Asks what is answered under the number that is returned.
    pub(super) fn number(&mut self, who: Address, command: Command) -> u16 {
        self.next_number += 1;
        self.ask(who, Request::Numbered(self.next_number, command));
        self.next_number
    }

    /// What the relay said under this number, if it was heard.
    pub(super) fn reply(&mut self, number: u16) -> Option<Reply> {
        let is_it = |(_, answer): &(ConnId, Answer)| matches!(answer, Answer::Numbered(of, _) if *of == number);
        let place = self.heard.iter().position(is_it)?;
        match self.heard.remove(place).1 {
            Answer::Numbered(_, reply) => Some(*reply),
            _ => None,
        }
    }

    pub(super) fn order(&mut self, who: Address, command: Command) -> Option<Reply> {
        let number = self.number(who, command);
        self.settle();
        self.reply(number)
    }

    fn is_done(&mut self, who: Address, command: Command) -> bool {
        self.order(who, command) == Some(Reply::Done)
    }

    /// As the operator is answered: all that was done so far is on the disk.
    fn is_durable(&mut self) -> bool {
        let ticket = self.relay.when_durable();
        self.settle();
        self.settled.contains(&(ticket, true))
    }

    /// Takes what the relay says, without the disk.
    fn hear(&mut self) {
        while let Some(action) = self.relay.poll_action() {
            match action {
                Action::Send(conn, answer) => self.heard.push((conn, answer)),
                Action::Close(conn) => self.conns.retain(|_, of| *of != conn),
                Action::Settled(ticket, durable) => self.settled.push((ticket, durable)),
            }
        }
    }

    /// Lets the disk work until nothing is left to do.
    pub(super) fn settle(&mut self) {
        for _ in 0..4 {
            self.relay.store_overdue(LATER);
            if let Some(writes) = self.relay.poll_commit() {
                let durable = self.store.commit(&writes).is_ok();
                self.works &= durable;
                self.relay.settle(durable);
            }
        }
        self.hear();
    }

    /// All that was said to one identity on its present connection and not taken yet.
    pub(super) fn said_to(&mut self, who: Address) -> Vec<Answer> {
        let conn = self.conns.get(&who).copied();
        let (of_it, others) = self.heard.drain(..).partition(|(of, _)| Some(*of) == conn);
        self.heard = others;
        let of_it: Vec<_> = of_it;
        of_it.into_iter().map(|(_, answer)| answer).collect()
    }
}

/// The run, and what is known of it.
struct Run<'a> {
    talk: Talk,
    known: &'a mut Known,
    letters: u16,
}

pub(super) fn run(disk: &FaultyDisk, messages: u8, known: &mut Known) {
    let Ok(talk) = Talk::on(disk, limits(messages), None) else {
        return;
    };
    let mut run = Run {
        talk,
        known,
        letters: 0,
    };
    run.come_in();
    run.settle_down();
    for n in 0..messages {
        run.write_to_bob(n);
        match n % 6 {
            0 => run.fetch(&[ALICE], BOB),
            1 => run.upload_prekeys(BOB, u32::from(n) * 100, 3),
            2 => run.refuse_a_letter(),
            3 => run.ack_before_it_is_stored(),
            4 => run.fetch(&[ALICE, CAROL], BOB),
            _ => run.change_contacts(n),
        }
    }
    run.hand_over_a_name();
    run.fill_a_mailbox();
    run.bar_and_let_in();
    run.expire();
    run.letter(ALICE, BOB, LETTER);
    run.letter(ALICE, CAROL, LETTER);
    run.leave();
    run.letter(ALICE, CAROL, LETTER);
    run.letter(ERIN, ALICE, LETTER);
}

impl Run<'_> {
    fn known_now(&mut self) {
        self.known.now = Some(self.talk.now);
    }

    /// Identities that the operator expects, and one with an invitation.
    fn come_in(&mut self) {
        self.known_now();
        let expected = [ALICE, BOB, CAROL, FRANK];
        for who in expected {
            self.known.expected.entry(who).or_default().ask(true);
            let _ = self.talk.relay.expect(who);
        }
        if self.talk.is_durable() {
            let all = self.known.expected.values_mut();
            all.for_each(Kept::done);
        }
        for who in expected {
            self.talk.come(who);
            self.publish(who);
        }

        if !self.talk.works {
            return;
        }
        let Ok(invite) = self.talk.relay.make_invite([0x31; 16], USES, 0) else {
            return;
        };
        let number = u32::from_be_bytes([invite.0[0], invite.0[1], invite.0[2], invite.0[3]]);
        let (_, made) = self
            .known
            .invitation
            .insert((u64::from(number), Kept::default()));
        made.ask(true);
        if self.talk.is_durable() {
            made.done();
        }
        self.talk.come(ERIN);
        self.talk.is_done(ERIN, Command::Invite(invite));
        self.publish(ERIN);
    }

    fn publish(&mut self, who: Address) {
        if !self.talk.works {
            return;
        }
        let bundles = self.known.bundles.entry(who).or_default();
        let counter = bundles.said + 1;
        bundles.ask(counter);
        self.known.registered.entry(who).or_default().ask(true);
        let bundle = Arc::from(counter.to_be_bytes());
        if self.talk.is_done(who, Command::Publish { counter, bundle }) {
            self.known.bundles.entry(who).or_default().done();
            self.known.registered.entry(who).or_default().done();
        }
    }

    fn settle_down(&mut self) {
        self.publish(BOB);
        self.upload_prekeys(BOB, 10_000, 4);
        self.upload_prekeys(CAROL, 20_000, 2);
        self.change_list(BOB, ContactsChange::Add, &[ALICE, CAROL]);
        self.change_list(CAROL, ContactsChange::Add, &[ALICE]);
        self.set_mode(BOB, MailboxMode::ContactsOnly);
        self.claim(ALICE, ALICE, "alice");
        self.claim(CAROL, CAROL, "carol");
    }

    fn upload_prekeys(&mut self, who: Address, first: u32, count: u32) {
        if !self.talk.works {
            return;
        }
        let ids: BTreeSet<_> = (first..first + count).collect();
        let one = |id: &u32| [id.to_be_bytes().as_slice(), &[2; 33]].concat();
        let prekeys = ids.iter().flat_map(one).collect();
        self.known.prekeys.entry(who).or_default().ask(ids);
        if self.talk.is_done(who, Command::Prekeys(prekeys)) {
            self.known.prekeys.entry(who).or_default().done();
        }
    }

    fn set_mode(&mut self, who: Address, mode: MailboxMode) {
        if !self.talk.works {
            return;
        }
        self.known.modes.entry(who).or_default().ask(mode);
        if self.talk.is_done(who, Command::Mode(mode)) {
            self.known.modes.entry(who).or_default().done();
        }
    }

    fn change_list(&mut self, who: Address, change: ContactsChange, addresses: &[Address]) {
        if !self.talk.works {
            return;
        }
        let list = self.known.contacts.entry(who).or_default();
        let mut changed = list.said.clone();
        match change {
            ContactsChange::Add => changed.extend(addresses),
            _ => changed.retain(|address| !addresses.contains(address)),
        }
        list.ask(changed);
        let command = Command::Contacts(change, addresses.to_vec());
        if self.talk.is_done(who, command) {
            self.known.contacts.entry(who).or_default().done();
        }
    }

    /// Bob's list, and Frank's mode.
    fn change_contacts(&mut self, n: u8) {
        let was_there = n % 12 == 5;
        let (change, mode) = match was_there {
            true => (ContactsChange::Remove, MailboxMode::ContactsOnly),
            false => (ContactsChange::Add, MailboxMode::Open),
        };
        self.change_list(BOB, change, &[CAROL]);
        self.set_mode(FRANK, mode);
    }

    fn claim(&mut self, who: Address, owner: Address, name: &'static str) {
        if !self.talk.works {
            return;
        }
        let kept = self.known.names.entry(name).or_default();
        // An offer leaves it where it is.
        let changes = who == owner;
        if changes {
            kept.ask(Some(owner));
        }
        let name_of = name.into();
        let command = Command::Claim {
            owner,
            name: name_of,
        };
        if self.talk.is_done(who, command) && changes {
            self.known.names.entry(name).or_default().done();
        }
    }

    fn hand_over_a_name(&mut self) {
        self.claim(ALICE, BOB, "alice");
        self.claim(BOB, BOB, "alice");
    }

    /// All of them before the disk has one.
    fn fetch(&mut self, askers: &[Address], owner: Address) {
        if !self.talk.works {
            return;
        }
        let asked: Vec<_> = askers
            .iter()
            .map(|who| self.talk.number(*who, Command::Fetch(owner)))
            .collect();
        *self.known.unheard_fetches.entry(owner).or_default() += askers.len() as u32;
        self.talk.settle();
        for number in asked {
            let prekey = match self.talk.reply(number) {
                Some(Reply::Bundle { prekey, .. }) => prekey,
                // Who is on his list no more gets none.
                Some(Reply::Failed {
                    reason: Reason::NotFound,
                    ..
                }) => None,
                _ => continue,
            };
            *self.known.unheard_fetches.entry(owner).or_default() -= 1;
            if let Some(prekey) = prekey {
                let is_new = self.known.handed_out.insert((owner, prekey.id));
                assert!(is_new, "prekey {} was handed out twice", prekey.id);
            }
        }
    }

    /// Bob is away for every other letter, and acks one of three.
    fn write_to_bob(&mut self, n: u8) {
        match n % 2 {
            0 => self.talk.go(BOB),
            _ => self.talk.come(BOB),
        }
        self.letter(ALICE, BOB, LETTER);
        if n % 2 == 1 && n.is_multiple_of(3) {
            let delivered = self.delivered_to(BOB).first().copied();
            delivered
                .into_iter()
                .for_each(|id| self.end(id, End::Acked));
        }
    }

    /// Another letter that nobody has seen.
    fn submit(&mut self, from: Address, to: Address, len: usize) -> EnvelopeId {
        self.letters += 1;
        let mut envelope = vec![7; len];
        envelope[..2].copy_from_slice(&self.letters.to_be_bytes());
        let id = EnvelopeId::of(&envelope);
        let message = Message {
            from,
            to,
            accepted: false,
            end: None,
            ended: false,
        };
        self.known.messages.insert(id, message);
        let submission = Submission::new(to, id, &envelope);
        self.talk.ask(from, Request::Submit(submission));
        id
    }

    /// Submits it and lets the disk work; why it is not accepted.
    fn letter(&mut self, from: Address, to: Address, len: usize) -> Option<Reason> {
        let id = self.submit(from, to, len);
        self.talk.settle();
        self.hear_of(id)
    }

    fn hear_of(&mut self, id: EnvelopeId) -> Option<Reason> {
        let is_it = |(_, answer): &(ConnId, Answer)| match answer {
            Answer::Accepted(of) | Answer::Rejected { id: of, .. } => *of == id,
            _ => false,
        };
        let place = self.talk.heard.iter().position(is_it)?;
        match self.talk.heard.remove(place).1 {
            Answer::Rejected { reason, .. } => {
                // Of what met store trouble the disk may have it all the same.
                if reason != Reason::StoreTrouble {
                    self.known.messages.remove(&id);
                }
                Some(reason)
            }
            _ => {
                let message = self.known.messages.get_mut(&id);
                message.expect("it was sent").accepted = true;
                None
            }
        }
    }

    /// What lies on the way to one who is there, and was not answered.
    fn delivered_to(&self, who: Address) -> Vec<EnvelopeId> {
        let heard = self.talk.heard.iter();
        let delivered = heard.filter_map(|(_, answer)| match answer {
            Answer::Deliver(record) => Some(EnvelopeId::of(&record[80..])),
            _ => None,
        });
        let open = |id: &EnvelopeId| {
            let message = self.known.messages.get(id);
            message.is_some_and(|message| message.to == who && message.end.is_none())
        };
        delivered.filter(open).collect()
    }

    /// The recipient answers.
    fn end(&mut self, id: EnvelopeId, end: End) {
        let message = self.known.messages.get_mut(&id).expect("it was sent");
        message.end = Some(end);
        let to = message.to;
        let request = match end {
            End::Refused => Request::Refuse(id),
            _ => Request::Ack(id),
        };
        let hears = self.talk.conns.contains_key(&to);
        self.talk.ask(to, request);
        // Its sender may hear of it before the disk does, or after.
        self.talk.hear();
        self.hear_of(id);
        let ended = self.talk.is_durable();
        self.hear_of(id);
        let message = self.known.messages.get_mut(&id).expect("it was sent");
        // One that the disk was said not to have taken may come back.
        message.ended = hears && ended && message.accepted;
    }

    /// One that the disk has, and one that it has not.
    fn refuse_a_letter(&mut self) {
        self.letter(ALICE, CAROL, LETTER);
        let delivered = self.delivered_to(CAROL).last().copied();
        delivered
            .into_iter()
            .for_each(|id| self.end(id, End::Refused));
        let id = self.submit(ALICE, CAROL, LETTER);
        self.talk.hear();
        if self.delivered_to(CAROL).contains(&id) {
            self.end(id, End::Refused);
        }
    }

    /// Then it is accepted though the disk never has it.
    fn ack_before_it_is_stored(&mut self) {
        let id = self.submit(ALICE, CAROL, LETTER);
        self.talk.hear();
        if self.delivered_to(CAROL).contains(&id) {
            self.end(id, End::Acked);
        }
    }

    /// Erin sends until Carol's mailbox has no room for more of hers.
    fn fill_a_mailbox(&mut self) {
        let about = (CAROL, NoticeKind::Refused, ERIN);
        while self.talk.works {
            let kept = self.known.no_room.entry(about).or_default();
            let times = kept.said + 1;
            kept.ask(times);
            let Some(reason) = self.letter(ERIN, CAROL, 6_000) else {
                continue;
            };
            if reason == Reason::ShareFull && self.talk.is_durable() {
                self.known.no_room.entry(about).or_default().done();
            }
            return;
        }
    }

    fn bar_and_let_in(&mut self) {
        self.bar(true);
        // What is done meanwhile does not end it.
        self.set_mode(ERIN, MailboxMode::ContactsOnly);
        self.bar(false);
        self.talk.come(FRANK);
    }

    fn bar(&mut self, barred: bool) {
        if !self.talk.works {
            return;
        }
        self.known.banned.entry(FRANK).or_default().ask(barred);
        match barred {
            true => assert_eq!(self.talk.relay.ban(FRANK, 0), Ok(())),
            false => assert!(self.talk.relay.unban(&FRANK)),
        }
        if self.talk.is_durable() {
            self.known.banned.entry(FRANK).or_default().done();
        }
    }

    /// All that waits is too old, and both sides of each letter are told; then Alice has stored what
    /// she was told of those to Bob.
    fn expire(&mut self) {
        if !self.talk.works {
            return;
        }
        self.talk.go(BOB);
        self.talk.now.mono_us += 2 * EXPIRY.as_micros() as u64;
        self.talk.now.unix_s += 2 * EXPIRY.as_secs();
        self.known_now();
        for message in self.known.messages.values_mut() {
            message.end.get_or_insert(End::Expired);
        }
        // The clock goes on only after the disk has it.
        for _ in 0..2 {
            self.talk.relay.tick(self.talk.now);
            self.talk.settle();
        }
        // A clock that the disk did not take stands, and nothing is too old by it.
        let expired = self.talk.relay.tally().stored_messages == 0;
        if self.talk.is_durable() && expired {
            let messages = self.known.messages.values_mut();
            messages.for_each(|message| message.ended = message.accepted);
        }

        let (kind, peer) = (NoticeKind::SentExpired, BOB);
        let told = self
            .talk
            .said_to(ALICE)
            .into_iter()
            .find_map(|answer| match answer {
                Answer::Notice {
                    kind: of,
                    peer: about,
                    count,
                } if (of, about) == (kind, peer) => Some(count),
                _ => None,
            });
        let Some(count) = told else { return };
        let about = (ALICE, kind, peer);
        self.known.noted.entry(about).or_default().ask(count);
        self.talk.ask(ALICE, Request::Noted { kind, peer, count });
        if self.talk.is_durable() {
            self.known.noted.entry(about).or_default().done();
        }
    }

    fn leave(&mut self) {
        if !self.talk.works {
            return;
        }
        self.known.registered.entry(CAROL).or_default().ask(false);
        self.known.names.entry("carol").or_default().ask(None);
        if self.talk.is_done(CAROL, Command::Leave) {
            self.known.registered.entry(CAROL).or_default().done();
            self.known.names.entry("carol").or_default().done();
        }
    }
}
