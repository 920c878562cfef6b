//! Requests that are answered under their number: which they are, and how they are refused.

use hushwire_core::identity::Address;
use hushwire_core::wire::reason::Reason;

use super::{ConnId, RETRY_STORE_S, Relay};
use crate::clock::Now;
use crate::ledger::Held;
use crate::rate::Rate;
use crate::request::{Answer, Command, Reply};
use crate::store::StoreError;

impl Relay {
    pub(super) fn command(
        &mut self,
        conn: ConnId,
        address: Address,
        command: Command,
        now: Now,
    ) -> Result<Reply, Refusal> {
        if self.stopping {
            return Err(Refusal::Later(Reason::Stopping, RETRY_STORE_S));
        }
        let rate = Rate::per_second(self.limits.request_rate, self.limits.request_burst);
        let bucket = &mut self.rates.entry(address).or_default().request;
        let taken = bucket.take(now.mono_us, rate);
        taken.map_err(|retry_s| Refusal::Later(Reason::RateLimited, retry_s))?;

        match command {
            Command::Publish { counter, bundle } => self.publish(address, counter, bundle, now),
            Command::BadBundle { reason, retry_s } => Err(Refusal::Later(reason, retry_s)),
            Command::Prekeys(prekeys) => self.replace_prekeys(address, prekeys),
            Command::Fetch(target) => self.fetch(address, target, now),
            Command::Mode(mode) => self.set_mode(address, mode),
            Command::Contacts(change, contacts) => self.change_contacts(address, change, contacts),
            Command::Claim { owner, name } => self.claim(address, owner, &name, now),
            Command::LookUp(name) => self.look_up(name),
            Command::Leave => self.leave(conn, address),
            Command::Status => self.status(address),
            Command::Ping => Ok(Reply::Pong),
            Command::Invite(invite) => self.show_invite(conn, invite, now),
        }
    }

    /// Replies once everything before it is durable, for a reply may rest on a change on its way.
    /// A pong and a refusal do not.
    pub(super) fn reply(&mut self, conn: ConnId, number: u16, reply: Reply) {
        let at_once = matches!(reply, Reply::Pong | Reply::Failed { .. });
        let done = Answer::Numbered(number, reply.into());
        if at_once || self.ledger.is_idle() {
            return self.send(conn, done);
        }
        let reply = Refusal::Later(Reason::StoreTrouble, RETRY_STORE_S).into_reply();
        let failed = Answer::Numbered(number, reply.into());
        self.ledger.hold(Held::Answer { conn, done, failed });
    }
}

/// Why a command is not done.
pub(super) enum Refusal {
    Because(Reason),
    Later(Reason, u32),
    Store(StoreError),
}

impl Refusal {
    pub(super) fn into_reply(self) -> Reply {
        let (reason, retry_s) = match self {
            Self::Because(reason) => (reason, 0),
            Self::Later(reason, retry_s) => (reason, retry_s),
            Self::Store(error) => {
                tracing::error!(%error, "a request met store trouble");
                (Reason::StoreTrouble, RETRY_STORE_S)
            }
        };
        Reply::Failed { reason, retry_s }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::Because(reason)
    }
}
