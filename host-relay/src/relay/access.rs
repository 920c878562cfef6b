//! Who may use the relay: bans, invitations, and identities that the operator expects.
//!
//! All of it is the operator's doing and bounded, so it is held in memory and asked without a read;
//! the rows are read at the start, and again where a commit failed. A stranger changes nothing here
//! but by registering with a good invitation: its use and the account are one commit.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use hushwire_core::crypto::kdf::hmac;
use hushwire_core::identity::Address;
use hushwire_core::wire::answer::NoticeKind;
use hushwire_core::wire::invite::Invite;
use hushwire_core::wire::reason::Reason;
use subtle::ConstantTimeEq as _;

use super::{ConnId, Refusal, Relay, Standing};
use crate::clock::Now;
use crate::ledger::Held;
use crate::limits::{Limits, Registration};
use crate::request::{Answer, Command, Reply, Request};
use crate::store::record::{AccessRow, InviteRow};
use crate::store::{Key, Store, StoreError, Table};

/// Rows in all: the operator's own bound, about 10 MB of memory.
const MOST_ROWS: usize = 100_000;
/// Random bytes of an invitation.
pub(crate) const SECRET: usize = 16;

/// What the operator decided.
#[derive(Default)]
pub(super) struct Access {
    next: u64,
    /// Who is barred: the row's number, and until when (Unix seconds, 0 for ever).
    bans: HashMap<Address, (u64, u64)>,
    invites: BTreeMap<u64, InviteRow>,
    expected: HashMap<Address, u64>,
    /// A commit failed, and the rows could not be read again yet.
    stale: bool,
}

/// The operator's lists are full.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

/// An invitation as the operator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InviteSummary {
    /// Its name for `invite revoke`.
    pub number: u64,
    /// Identities that it still lets in.
    pub uses: u32,
    /// Unix seconds, 0 for ever.
    pub until: u64,
}

impl Access {
    /// Reads all rows; how many are damaged.
    pub(super) fn load(&mut self, store: &dyn Store) -> Result<u64, StoreError> {
        let (mut fresh, mut unreadable) = (Self::default(), 0);
        let walked = store.walk(Table::Access, 0, &mut |number, row| {
            match AccessRow::parse(row) {
                Ok(AccessRow::Ban(address, until)) => {
                    fresh.bans.insert(address, (number, until));
                }
                Ok(AccessRow::Invite(invite)) => {
                    fresh.invites.insert(number, invite);
                }
                Ok(AccessRow::Expected(address)) => {
                    fresh.expected.insert(address, number);
                }
                Err(_) => unreadable += 1,
            }
            ControlFlow::Continue(())
        })?;
        fresh.next = walked.next;
        *self = fresh;
        Ok(walked.damaged + unreadable)
    }

    pub(super) fn is_barred(&self, address: &Address) -> bool {
        !self.bans.is_empty() && self.bans.contains_key(address)
    }

    /// What an identity may ask when it comes, or why it is turned away.
    pub(super) fn standing(
        &self,
        address: &Address,
        registered: bool,
        limits: &Limits,
    ) -> Result<Standing, Reason> {
        if self.is_barred(address) {
            return Err(Reason::Barred);
        }
        if registered || self.expected.contains_key(address) {
            return Ok(Standing::Member);
        }
        match limits.registration {
            Registration::Open => Ok(Standing::Member),
            Registration::Invite => Ok(Standing::Guest),
            Registration::Closed => Err(Reason::NotAccepted),
        }
    }

    fn has_room(&self) -> Result<(), Full> {
        let rows = self.bans.len() + self.invites.len() + self.expected.len();
        if rows < MOST_ROWS { Ok(()) } else { Err(Full) }
    }
}

impl Request {
    /// Whether one who is not registered yet may ask it.
    pub(super) fn is_for(&self, standing: Standing) -> bool {
        match self {
            Self::Numbered(_, Command::Invite(_) | Command::Ping) => true,
            Self::Numbered(
                _,
                Command::Publish { .. } | Command::BadBundle { .. } | Command::Status,
            ) => standing != Standing::Guest,
            _ => standing == Standing::Member,
        }
    }
}

impl Relay {
    /// Bars an identity until then (Unix seconds, 0 for ever): its link ends, and it gets no mail.
    ///
    /// # Errors
    /// [`Full`].
    pub fn ban(&mut self, address: Address, until: u64) -> Result<(), Full> {
        let number = match self.access.bans.get(&address) {
            Some((number, _)) => *number,
            None => self.next_row()?,
        };
        self.access.bans.insert(address, (number, until));
        let row = AccessRow::Ban(address, until).emit();
        self.ledger.put(Key::Access(number), row);
        if let Some(conn) = self.online.get(&address).copied() {
            self.turn_away(conn, Reason::Barred);
        }
        Ok(())
    }

    /// Lifts a ban; whether there was one.
    pub fn unban(&mut self, address: &Address) -> bool {
        let Some((number, _)) = self.access.bans.remove(address) else {
            return false;
        };
        self.ledger.delete(Key::Access(number));
        true
    }

    /// Who is barred, and until when (Unix seconds, 0 for ever).
    pub fn bans(&self) -> Vec<(Address, u64)> {
        let bans = self.access.bans.iter();
        let mut list: Vec<_> = bans
            .map(|(address, (_, until))| (*address, *until))
            .collect();
        list.sort_unstable();
        list
    }

    /// Lets an identity register, whatever the relay asks of others; whether that was news.
    ///
    /// # Errors
    /// [`StoreError`]; inside it [`Full`].
    pub fn expect(&mut self, address: Address) -> Result<Result<bool, Full>, StoreError> {
        let known = self.ledger.account(&address)?.is_some();
        if known || self.access.expected.contains_key(&address) {
            return Ok(Ok(false));
        }
        let Ok(number) = self.next_row() else {
            return Ok(Err(Full));
        };
        self.access.expected.insert(address, number);
        let row = AccessRow::Expected(address).emit();
        self.ledger.put(Key::Access(number), row);
        let conn = self.online.get(&address);
        if let Some(peer) = conn.and_then(|conn| self.peers.get_mut(conn)) {
            peer.standing = Standing::Member;
        }
        Ok(Ok(true))
    }

    /// Makes an invitation for so many identities, good until then (Unix seconds, 0 for ever), out of
    /// random bytes. It is not kept: this is the only time that it can be read.
    ///
    /// # Errors
    /// [`Full`].
    pub fn make_invite(
        &mut self,
        secret: [u8; SECRET],
        uses: u32,
        until: u64,
    ) -> Result<Invite, Full> {
        let number = self.next_row()?;
        let short = u32::try_from(number).map_err(|_| Full)?;
        let mut bytes = [0; Invite::LEN];
        bytes[..4].copy_from_slice(&short.to_be_bytes());
        bytes[4..].copy_from_slice(&secret);
        let invite = Invite(bytes);
        let row = InviteRow {
            check: self.check(&invite),
            uses,
            until,
        };
        self.put_invite(number, row);
        Ok(invite)
    }

    /// All invitations that are still good.
    pub fn invites(&self) -> Vec<InviteSummary> {
        let invites = self.access.invites.iter();
        let summary = |(number, row): (&u64, &InviteRow)| InviteSummary {
            number: *number,
            uses: row.uses,
            until: row.until,
        };
        invites.map(summary).collect()
    }

    /// Takes an invitation back; whether there was one.
    pub fn revoke(&mut self, number: u64) -> bool {
        let known = self.access.invites.remove(&number).is_some();
        if known {
            self.ledger.delete(Key::Access(number));
        }
        known
    }

    /// A client shows an invitation. It is only looked at: publishing uses it up. One answer for all
    /// that are not good, after the same work.
    pub(super) fn show_invite(
        &mut self,
        conn: ConnId,
        invite: Invite,
        now: Now,
    ) -> Result<Reply, Refusal> {
        let Some(peer) = self.peers.get(&conn) else {
            return Ok(Reply::Done);
        };
        if peer.standing == Standing::Member {
            return Ok(Reply::Done);
        }
        let [a, b, c, d, ..] = invite.0;
        let number = u64::from(u32::from_be_bytes([a, b, c, d]));
        let check = self.check(&invite);
        // No hash is of zeros.
        let kept = self.good_invite(number, now);
        let kept = kept.map_or([0; 32], |row| row.check);
        if !bool::from(kept.ct_eq(&check)) {
            return Err(Reason::Invitation.into());
        }
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.standing = Standing::Invited(number);
        }
        Ok(Reply::Done)
    }

    /// The place of a new account: an expectation or a use of an invitation goes with it.
    pub(super) fn take_place(&mut self, address: &Address, now: Now) -> Result<(), Reason> {
        let conn = self.online.get(address).copied();
        let peer = conn.and_then(|conn| self.peers.get_mut(&conn));
        let (Some(conn), Some(peer)) = (conn, peer) else {
            return Err(Reason::NotAccepted);
        };
        let before = std::mem::replace(&mut peer.standing, Standing::Member);
        let hold = Held::Registration { conn, before };
        if let Some(number) = self.access.expected.remove(address) {
            self.ledger.delete(Key::Access(number));
            self.ledger.hold(hold);
            return Ok(());
        }
        let refusal = match (self.limits.registration, before) {
            (Registration::Open, _) => return Ok(()),
            (Registration::Closed, _) => Reason::NotAccepted,
            (Registration::Invite, Standing::Invited(number)) => {
                // Another one may have used it up since it was shown.
                if let Some(mut row) = self.good_invite(number, now) {
                    row.uses -= 1;
                    self.put_invite(number, row);
                    self.ledger.hold(hold);
                    return Ok(());
                }
                Reason::Invitation
            }
            (Registration::Invite, _) => Reason::Invitation,
        };
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.standing = Standing::Guest;
        }
        Err(refusal)
    }

    /// Who is not registered hears why, and nothing else happens.
    pub(super) fn refuse_guest(&mut self, conn: ConnId, request: Request) {
        let reason = Reason::Invitation;
        match request {
            Request::Submit(submission) => self.send(
                conn,
                Answer::Rejected {
                    id: submission.id,
                    reason,
                    retry_s: 0,
                },
            ),
            Request::Numbered(number, _) => {
                self.reply(conn, number, Refusal::Because(reason).into_reply());
            }
            Request::Ack(_) | Request::Refuse(_) | Request::Noted { .. } => {}
        }
    }

    /// Says why, and ends the link.
    pub(super) fn turn_away(&mut self, conn: ConnId, reason: Reason) {
        self.tally.refuse(reason);
        self.send(
            conn,
            Answer::Notice {
                kind: NoticeKind::TurnedAway,
                peer: Address::ZERO,
                count: reason as u32,
            },
        );
        self.close(conn);
    }

    /// A registration was not made durable.
    pub(super) fn fall_back(&mut self, conn: ConnId, before: Standing) {
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.standing = before;
        }
    }

    /// What is not durable did not happen.
    pub(super) fn reload_access(&mut self) {
        self.access.stale = self.access.load(self.ledger.store()).is_err();
    }

    /// Forgets what is over.
    pub(super) fn expire_access(&mut self, now: Now) {
        // What is on its way is in memory only.
        if self.access.stale && self.ledger.is_idle() {
            self.reload_access();
        }
        let is_over = |until: u64| until != 0 && until <= now.unix_s;
        let Self { access, ledger, .. } = self;
        access.bans.retain(|_, (number, until)| {
            if is_over(*until) {
                ledger.delete(Key::Access(*number));
            }
            !is_over(*until)
        });
        access.invites.retain(|number, row| {
            if is_over(row.until) {
                ledger.delete(Key::Access(*number));
            }
            !is_over(row.until)
        });
    }

    fn good_invite(&self, number: u64, now: Now) -> Option<InviteRow> {
        let row = self.access.invites.get(&number)?;
        let good = row.uses > 0 && (row.until == 0 || row.until > now.unix_s);
        good.then_some(*row)
    }

    fn put_invite(&mut self, number: u64, row: InviteRow) {
        if row.uses == 0 {
            self.revoke(number);
            return;
        }
        self.access.invites.insert(number, row);
        let row = AccessRow::Invite(row).emit();
        self.ledger.put(Key::Access(number), row);
    }

    /// What is kept of an invitation. Keyed, so that a stolen store says nothing without the key.
    fn check(&self, invite: &Invite) -> [u8; 32] {
        // Nicknames, which the same key hashes, have no space.
        hmac(&self.names_key, &[b"hushwire relay invitation", &invite.0])
    }

    fn next_row(&mut self) -> Result<u64, Full> {
        self.access.has_room()?;
        self.access.next += 1;
        Ok(self.access.next - 1)
    }
}
