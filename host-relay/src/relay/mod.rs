//! What the relay decides, without a socket, a clock or a thread.
//!
//! The caller feeds inputs (`connected`, `handle`, `gone`, `tick`, `settle`) and takes out actions
//! and batches to commit. Nothing here waits. Three rules hold throughout: `accepted` leaves only
//! when the message is durable or its recipient has acknowledged it; a client reads and deletes only
//! the mailbox of the address that its link proved; unknown and forbidden get one answer.

mod access;
mod acked;
mod admin;
mod command;
mod defer;
mod deliver;
mod directory;
mod expiry;
mod leave;
mod names;
mod notices;
mod offers;
mod open;
mod peer;
mod prekey_rates;
mod room;
mod submit;

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::HashMap;
use hushwire_core::identity::Address;
use hushwire_core::wire::answer::{NoticeKind, Welcome};
use hushwire_core::wire::reason::Reason;

use crate::clock::{Clock, Now};
use crate::key::KnownKey;
use crate::ledger::{Held, Ledger};
use crate::limits::Limits;
use crate::mailbox::Mailbox;
use crate::rate::Bucket;
use crate::request::{Answer, Reply, Request};
use crate::store::{Key, StoreError, Write};
use crate::tally::Tally;

use access::Access;
pub(crate) use access::SECRET;
pub use access::{Full, InviteSummary};
use acked::Acked;
pub use admin::MailboxSummary;
use command::Refusal;
use defer::Deferred;
use offers::Offers;
use peer::Peer;
pub use peer::PeerLimits;
pub(crate) use peer::Standing;
use prekey_rates::PrekeyRates;
use room::Room;

/// One connection, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnId(pub u64);

/// What the caller has to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this on the connection, if it is still there.
    Send(ConnId, Answer),
    /// Send what was queued, then close.
    Close(ConnId),
    /// Everything before this ticket ([`Relay::when_durable`]) is durable, or it failed.
    Settled(u64, bool),
}

/// The row of the clock.
const CLOCK: Key = Key::Meta("clock");

/// How long a client is told to wait when the store or the mailbox has no room.
const RETRY_STORE_S: u32 = 5;
const RETRY_FULL_S: u32 = 60;
/// The largest envelope.
const LARGEST: u64 = hushwire_core::limits::MAX_ENVELOPE as u64;
/// When a sender may try again where the mailbox's owner is away: it may be back in a moment, as after
/// a start of the relay. Clients wait ever longer by themselves.
const RETRY_AWAY_S: u32 = 2;

/// The relay's whole state, beside what the store holds.
///
/// Strangers choose what is looked up here, so the maps' hash is keyed at random in each process; it
/// is a short one, for a message is looked up a dozen times.
pub struct Relay {
    limits: Limits,
    ledger: Ledger,
    clock: Clock,
    names_key: [u8; 32],
    /// For the operator only; connections answer to them.
    pub(crate) keys: Vec<KnownKey>,
    mailboxes: HashMap<Address, Mailbox>,
    /// In boxes: of a map's places a third is empty.
    peers: HashMap<ConnId, Box<Peer>>,
    online: HashMap<Address, ConnId>,
    acked: Acked,
    deferred: Deferred,
    access: Access,
    rates: HashMap<Address, Rates>,
    prekey_rates: PrekeyRates,
    offers: Offers,
    next_arrival: u64,
    /// The highest sequence that any mailbox was given: a burst may be ahead of the clock.
    last_sequence: u64,
    stored_messages: u64,
    stored_bytes: u64,
    room: Room,
    stopping: bool,
    actions: VecDeque<Action>,
    tally: Tally,
    tickets: u64,
}

#[derive(Default)]
struct Rates {
    submit: Bucket,
    request: Bucket,
}

impl Relay {
    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next writes to commit durably, in one transaction. `settle` is owed for each.
    pub fn poll_commit(&mut self) -> Option<Vec<Write>> {
        if self.ledger.is_due() || self.acked.is_full() && self.ledger.is_idle() {
            self.write_acked();
        }
        self.ledger.poll_commit()
    }

    /// Bytes that gather for the next commit: the caller stops reading when they are too many.
    pub fn backlog(&self) -> usize {
        self.ledger.backlog() + self.ledger.held_bytes() + self.deferred.bytes
    }

    /// Everything that was asked is answered and durable.
    pub fn is_idle(&self) -> bool {
        self.ledger.is_idle() && self.deferred.bytes == 0
    }

    /// Counts for the metrics.
    pub fn tally(&self) -> Tally {
        Tally {
            connections: self.peers.len() as u64,
            accounts: self.ledger.registered(),
            prekeys_low: self.ledger.low_on_prekeys(),
            mailboxes: self.mailboxes.len() as u64,
            stored_bytes: self.stored_bytes,
            stored_messages: self.stored_messages,
            backlog_bytes: self.backlog() as u64,
            ..self.tally
        }
    }

    /// A client proved its address and stated its limits.
    pub fn connected(&mut self, conn: ConnId, address: Address, limits: PeerLimits, now: Now) {
        let mut account = match self.ledger.account(&address) {
            Ok(account) => account,
            Err(error) => return self.fault(conn, &error),
        };
        let standing = match self
            .access
            .standing(&address, account.is_some(), &self.limits)
        {
            Ok(standing) => standing,
            Err(reason) => return self.turn_away(conn, reason),
        };
        if let Some(old) = self.online.insert(address, conn) {
            self.tally.takeovers += 1;
            self.send_notice(old, NoticeKind::Superseded);
            self.close(old);
        }
        let mut peer = Peer::new(address, limits, &self.limits);
        peer.standing = standing;
        let max_frame = peer.max_frame();
        self.peers.insert(conn, Box::new(peer));
        if let Some(known) = &mut account
            && known.max_frame != max_frame
        {
            let known = Arc::make_mut(known);
            known.max_frame = max_frame;
            self.ledger.put_account(&address, known.clone());
        }

        let mailbox = self.mailboxes.get(&address);
        let welcome = Welcome {
            epoch: self.ledger.store().epoch(),
            next_sequence: self.next_sequence(now),
            unix_seconds: now.unix_s,
            waiting: mailbox.map_or(0, Mailbox::messages),
            prekeys: account.as_ref().map_or(0, |account| account.prekeys),
            bundle_counter: account.as_ref().map_or(0, |account| account.bundle_counter),
        };
        self.send(conn, Answer::Welcome(welcome.into()));
        self.tell_notices(conn);
        self.pump(conn);
        if self.stopping {
            self.send_notice(conn, NoticeKind::Stopping);
        }
    }

    /// The connection is no more.
    pub fn gone(&mut self, conn: ConnId) {
        let Some(peer) = self.peers.remove(&conn) else {
            return;
        };
        if self.online.get(&peer.address) == Some(&conn) {
            self.online.remove(&peer.address);
            self.store_all_for(&peer.address);
        }
    }

    /// One request. A connection that was taken over or closed is no longer heard.
    pub fn handle(&mut self, conn: ConnId, request: Request, now: Now) {
        let Some(peer) = self.peers.get(&conn) else {
            return;
        };
        let address = peer.address;
        self.tally.requests += 1;
        if peer.standing != Standing::Member && !request.is_for(peer.standing) {
            return self.refuse_guest(conn, request);
        }

        match request {
            Request::Submit(submission) => self.submit(conn, address, submission, now),
            Request::Ack(id) => self.take_off(conn, address, id, false),
            Request::Refuse(id) => self.take_off(conn, address, id, true),
            Request::Noted { kind, peer, count } => self.noted(conn, kind, peer, count),
            Request::Numbered(number, command) => {
                let reply = self.command(conn, address, command, now);
                let reply = reply.unwrap_or_else(Refusal::into_reply);
                self.reply(conn, number, reply);
            }
        }
    }

    /// What became of the last batch.
    pub fn settle(&mut self, durable: bool) {
        if !durable {
            self.tally.failed_commits += 1;
        }
        let settled = self.ledger.settle(durable);
        self.observe_room();
        if !durable {
            self.reload_access();
        }
        for held in settled.durable {
            match held {
                Held::Message { to, sequence } => self.message_is_durable(to, sequence),
                Held::Unopened { id, waiting } => self.accept_all(id, waiting),
                Held::Answer { conn, done, .. } => self.send(conn, done),
                Held::Clock => self.clock.settle(true),
                Held::Ticket(ticket) => self.actions.push_back(Action::Settled(ticket, true)),
                Held::Registration { .. } | Held::Leave { .. } => {}
            }
        }
        // A mailbox gets back what it had when nothing newer is in it.
        let (leaves, failed): (Vec<_>, Vec<_>) = settled
            .failed
            .into_iter()
            .partition(|held| matches!(held, Held::Leave { .. }));
        for held in failed.into_iter().chain(leaves) {
            match held {
                Held::Message { to, sequence } => self.message_is_lost(to, sequence),
                Held::Unopened { id, waiting } => {
                    self.reject_all(id, waiting, Reason::StoreTrouble, RETRY_STORE_S);
                }
                Held::Answer { conn, failed, .. } => self.send(conn, failed),
                Held::Clock => self.clock.settle(false),
                Held::Ticket(ticket) => self.actions.push_back(Action::Settled(ticket, false)),
                Held::Registration { conn, before } => self.fall_back(conn, before),
                Held::Leave { of, mail } => self.stay(of, mail),
            }
        }
    }

    /// A ticket for everything done so far: [`Action::Settled`] comes with it.
    pub fn when_durable(&mut self) -> u64 {
        self.tickets += 1;
        match self.ledger.is_idle() {
            true => self.actions.push_back(Action::Settled(self.tickets, true)),
            false => self.ledger.hold(Held::Ticket(self.tickets)),
        }
        self.tickets
    }

    /// The file may have another length.
    fn observe_room(&mut self) {
        let file = self.ledger.store().file_bytes();
        // To count is to wait for the commit that is on its way, and a disk may hang.
        if self.room.observe(file) && !self.ledger.is_committing() {
            match self.ledger.store().free_bytes() {
                Ok(Some(free)) => self.room.count(free, self.ledger.backlog() as u64),
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "the store's room cannot be counted"),
            }
        }
        self.tally.store_file_bytes = file;
        self.tally.store_is_full = !self.room.has(room::cost(LARGEST));
    }

    /// To be called about once a second.
    pub fn tick(&mut self, now: Now) {
        if let Some(row) = self.clock.raise(now) {
            self.ledger.put(CLOCK, row.into());
            self.ledger.hold(Held::Clock);
        }
        self.write_acked();
        self.expire(now);
        self.observe_room();
        self.tally.servers_behind = self.ledger.store().servers_behind();
        self.expire_access(now);
        self.tally.oldest_message_s = self.oldest_message_s(now);
        self.rates.retain(|_, rates| {
            !(rates.submit.is_full(now.mono_us) && rates.request.is_full(now.mono_us))
        });
        self.prekey_rates.tick(now.mono_us);
        self.offers.tick(now);
    }

    /// Takes no more; every client is told. What was taken is still made durable and answered.
    pub fn stop(&mut self) {
        self.stopping = true;
        self.store_all();
        self.write_acked();
        let conns: Vec<_> = self.peers.keys().copied().collect();
        conns
            .into_iter()
            .for_each(|conn| self.send_notice(conn, NoticeKind::Stopping));
    }

    /// Closes every connection behind what is queued on it.
    pub fn close_all(&mut self) {
        let conns: Vec<_> = self.peers.keys().copied().collect();
        conns.into_iter().for_each(|conn| self.close(conn));
    }

    /// The sequence that a message of now would get: the running clock, so that it rises without a
    /// row of its own, and in a burst the one after the last. None is given twice, whatever left its
    /// mailbox meanwhile: a recipient is sent only what lies behind what it was sent.
    fn next_sequence(&self, now: Now) -> u64 {
        self.clock.running_us(now).max(self.last_sequence + 1)
    }

    fn send(&mut self, conn: ConnId, answer: Answer) {
        match &answer {
            Answer::Rejected { reason, .. } => self.tally.refuse(*reason),
            Answer::Numbered(_, reply) => {
                if let Reply::Failed { reason, .. } = **reply {
                    self.tally.refuse(reason);
                }
            }
            _ => {}
        }
        self.actions.push_back(Action::Send(conn, answer));
    }

    fn close(&mut self, conn: ConnId) {
        self.gone(conn);
        self.actions.push_back(Action::Close(conn));
    }

    /// Without its rows a connection cannot be served: the client comes again.
    fn fault(&mut self, conn: ConnId, error: &StoreError) {
        tracing::error!(%error, "a connection met store trouble");
        self.close(conn);
    }
}
