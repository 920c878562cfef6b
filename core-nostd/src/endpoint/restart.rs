//! Which of two sessions is used, and when a conversation may begin anew. PROTOCOL 5.5, 5.6

use rand_core::CryptoRng;

use super::{Cx, Endpoint, EndpointError, Fetch, Task, drop_at, own_id, queued};
use crate::{
    crypto::{CryptoError, P256, PublicKey},
    handshake::{Initiator, StartError},
    identity::{Address, IdentityKeys},
    limits::{
        ANSWER_MS, REFUSED_BEFORE_RESTART, RESTART_INTERVAL_MS, SILENCE_MS, UNOPENED_BEFORE_RESTART,
    },
    peer::Conversation,
    session::{Kind, Session},
    storage::{Event, OutboxEntry, OutboxState, Storage, Wake},
    wire::bundle::{Bundle, BundleError, PrekeyVerified},
};

/// What a session that was confirmed took the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Displaced {
    Nothing,
    /// A session that was never confirmed.
    Start,
    /// One that was confirmed.
    InUse,
}

/// Moves a session between places without a copy of it on the stack.
#[inline(never)]
fn shift<const SKIP: usize>(from: &mut Option<Session<SKIP>>, to: &mut Option<Session<SKIP>>) {
    core::mem::swap(from, to);
    *from = None;
}

/// Which of a contact's sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Session,
    Tentative,
}

impl<const SKIP: usize> Conversation<'_, SKIP> {
    pub(super) fn tentative(&self) -> Option<&Session<SKIP>> {
        self.tentative.as_ref().and_then(|place| place.as_ref())
    }

    pub(super) fn session_mut(&mut self, slot: Slot) -> Option<&mut Session<SKIP>> {
        match slot {
            Slot::Session => self.peer.session.as_mut(),
            Slot::Tentative => self.tentative.as_mut().and_then(|place| place.as_mut()),
        }
    }

    /// The session that seals. A confirmed one keeps its place until the other is confirmed, unless
    /// this side itself has given it up by starting anew.
    pub(super) fn sending_slot(&self, own: &Address) -> Option<Slot> {
        let Some(tentative) = self.tentative() else {
            return self.peer.session.as_ref().map(|_| Slot::Session);
        };
        let Some(session) = &self.peer.session else {
            return Some(Slot::Tentative);
        };
        let ours_wins = *own < self.peer.address;
        Some(match (session.is_initiator(), tentative.is_initiator()) {
            (_, true) if session.is_confirmed() => Slot::Tentative,
            (_, false) if session.is_confirmed() => Slot::Session,
            // Both started at once: the smaller initiator's is used by both.
            (true, false) => {
                if ours_wins {
                    Slot::Session
                } else {
                    Slot::Tentative
                }
            }
            (false, true) => {
                if ours_wins {
                    Slot::Tentative
                } else {
                    Slot::Session
                }
            }
            // Of two starts of one side, the newer.
            (true, true) | (false, false) => Slot::Tentative,
        })
    }

    /// Whether some session here still waits for the peer's proof.
    pub(super) fn awaits_confirmation(&self) -> bool {
        let waits = |session: &Session<SKIP>| !session.is_confirmed();
        self.peer.session.as_ref().is_some_and(waits) || self.tentative().is_some_and(waits)
    }

    /// Where a probe goes: to a start beside the session in use. Our own start must reach the peer by
    /// it; the peer's beside a confirmed session is asked whether it lives. Of two starts at once the
    /// peer's is not probed where ours is used by both: proof of it would divide them.
    pub(super) fn probe_slot(&self, own: &Address) -> Option<Slot> {
        let settled = self
            .peer
            .session
            .as_ref()
            .is_some_and(Session::is_confirmed);
        match self.tentative() {
            Some(start) if settled || start.is_initiator() => Some(Slot::Tentative),
            _ => self.sending_slot(own),
        }
    }

    /// Puts a session that this side started into its place. Returns whether it is the only one:
    /// what was sealed before then goes again now, else once the peer has answered.
    fn install_own(&mut self, session: &mut Option<Session<SKIP>>) -> bool {
        let place = match &mut self.tentative {
            Some(place) if self.peer.session.is_some() => place,
            // The shared place is another contact's: what is given up anyway makes room.
            _ => {
                shift(session, &mut self.peer.session);
                return true;
            }
        };
        // The peer has started, too: both starts stay, what was before them goes.
        if place.as_ref().is_some_and(|old| !old.is_initiator()) {
            shift(place, &mut self.peer.session);
        }
        shift(session, place);
        false
    }

    /// Puts a session that the peer started into its place. Returns whether there was one before.
    pub(super) fn install_peers(&mut self, session: &mut Option<Session<SKIP>>) -> bool {
        if self.peer.session.is_none() {
            shift(session, &mut self.peer.session);
            return false;
        }
        match &mut self.tentative {
            Some(place) => {
                if place.as_ref().is_some_and(Session::is_initiator) {
                    shift(place, &mut self.peer.session);
                }
                shift(session, place);
            }
            // The shared place is taken: an unconfirmed session yields, a confirmed one does not.
            None => {
                if self
                    .peer
                    .session
                    .as_ref()
                    .is_some_and(|old| !old.is_confirmed())
                {
                    shift(session, &mut self.peer.session);
                }
            }
        }
        true
    }

    /// Whether [`Self::install_peers`] has room.
    pub(super) fn takes_start(&self) -> bool {
        self.tentative.is_some()
            || self
                .peer
                .session
                .as_ref()
                .is_none_or(|session| !session.is_confirmed())
    }

    fn rate_allows(&self, now: u64) -> bool {
        let at = self.peer.started_at;
        at == 0 || now >= at.saturating_add(RESTART_INTERVAL_MS)
    }

    /// Whether the relay's word suffices to doubt the session: at once for a start that was never
    /// answered.
    pub(super) fn is_refused(&self) -> bool {
        let unanswered =
            |session: &Session<SKIP>| session.is_initiator() && !session.is_confirmed();
        let fresh = self.peer.session.as_ref().is_some_and(unanswered)
            || self.tentative().is_some_and(unanswered);
        self.peer.refused >= if fresh { 1 } else { REFUSED_BEFORE_RESTART }
    }

    /// The three rules, and no other. (a) No session: state was lost, or there never was any.
    /// (b) No end-to-end answer: the relay's word that envelopes were refused, or silence over a
    /// message's whole term. (c) Deliveries hinted at this contact do not open. A sign of life
    /// voids (b) and (c), and the rate bounds both.
    pub(super) fn may_restart(&self, entry: &OutboxEntry, now: u64) -> bool {
        if self.peer.session.is_none() {
            return true;
        }
        let unanswered = entry.state == OutboxState::Accepted && self.is_silent(now);
        (self.is_suspect() || unanswered) && self.rate_allows(now)
    }

    /// Whether a bundle that has come is still wanted: meanwhile the peer may have spoken.
    fn still_wants_start(&self, now: u64) -> bool {
        self.peer.session.is_none() || self.is_suspect() || self.is_silent(now)
    }

    fn is_suspect(&self) -> bool {
        self.is_refused() || self.peer.unopened >= UNOPENED_BEFORE_RESTART
    }

    fn is_silent(&self, now: u64) -> bool {
        now.saturating_sub(self.peer.heard_at) >= SILENCE_MS
            && now.saturating_sub(self.peer.started_at) >= SILENCE_MS
    }

    /// A message opened in `slot`, and with it the session there was confirmed. Returns what it
    /// displaced.
    pub(super) fn settle(&mut self, slot: Slot) -> Displaced {
        let Some(place) = &mut self.tentative else {
            return Displaced::Nothing;
        };
        match slot {
            Slot::Tentative => {
                let displaced = match &self.peer.session {
                    None => Displaced::Nothing,
                    Some(old) if old.is_confirmed() => Displaced::InUse,
                    Some(_) => Displaced::Start,
                };
                shift(place, &mut self.peer.session);
                displaced
            }
            Slot::Session => {
                // Both had started at once, and this one is used: the other goes.
                **place = None;
                Displaced::Nothing
            }
        }
    }
}

impl<I, B, const SKIP: usize, const N: usize, const QUEUE: usize, const LINKS: usize>
    Endpoint<I, B, SKIP, N, QUEUE, LINKS>
where
    I: IdentityKeys,
    B: P256,
{
    /// Sees to it that `who` is looked at: a probe is due now, or when the rate allows a restart.
    pub(super) fn want_restart<S: Storage<SKIP>, R>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        who: &Address,
    ) -> Result<(), EndpointError<S::Error>> {
        let conversation = cx.store.conversation(who).map_err(EndpointError::Storage)?;
        let Some(conversation) = conversation else {
            return Ok(());
        };
        let started_at = conversation.peer.started_at;
        let due = match started_at {
            0 => cx.now,
            at => at.saturating_add(RESTART_INTERVAL_MS).max(cx.now),
        };
        self.push_own(cx, who, Kind::PROBE, due)
    }

    /// Puts an own message of a kind into the outbox, unless one is there that is due earlier.
    #[inline(never)]
    pub(super) fn push_own<S: Storage<SKIP>, R>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        who: &Address,
        kind: Kind,
        due: u64,
    ) -> Result<(), EndpointError<S::Error>> {
        let conversation = cx.store.conversation(who).map_err(EndpointError::Storage)?;
        let Some(conversation) = conversation else {
            return Ok(());
        };
        // The way to the peer's mailbox, whichever way its message took to ours.
        let link = conversation.peer.link;
        let id = own_id(kind);
        self.dirty = true;
        if let Some(mut entry) = cx.store.find(who, id).map_err(EndpointError::Storage)? {
            entry.due = entry.due.min(due);
            return cx.store.update(&entry).map_err(EndpointError::Storage);
        }
        let entry = queued(*who, id, kind, link, due);
        cx.store
            .push(&entry, &[])
            .map(|_| ())
            .map_err(EndpointError::Storage)
    }

    /// Notes that a bundle is needed. Returns when to look again.
    #[inline(never)]
    pub(super) fn want_bundle(&mut self, address: Address, link: u8, now: u64) -> u64 {
        let again = now.saturating_add(ANSWER_MS);
        if let Some(fetch) = self
            .fetches
            .iter_mut()
            .find(|fetch| fetch.address == address)
        {
            if now < fetch.until {
                return fetch.until;
            }
            *fetch = Fetch {
                address,
                link,
                task: Task::Wanted,
                until: again,
            };
            return again;
        }
        let fetch = Fetch {
            address,
            link,
            task: Task::Wanted,
            until: again,
        };
        if self.fetches.len() >= Self::FETCHES {
            self.drop_fetch(link, now);
        }
        // No room: look again later, when others were answered.
        if self.fetches.len() < Self::FETCHES {
            let _room = self.fetches.push(fetch);
        }
        again
    }

    /// Makes room for a fetch of `link`: what ran out goes, else one that was denied and only waits,
    /// else one of a link that has several while this one has none.
    fn drop_fetch(&mut self, link: u8, now: u64) {
        self.fetches.retain(|fetch| now < fetch.until);
        if self.fetches.len() < Self::FETCHES {
            return;
        }
        let on = |link: u8| {
            let fetches = self.fetches.iter();
            fetches.filter(|fetch| fetch.link == link).count()
        };
        let mut fetches = self.fetches.iter();
        let denied = fetches.position(|fetch| fetch.task == Task::Idle);
        let crowd = || {
            let mut fetches = self.fetches.iter();
            fetches.position(|fetch| on(link) == 0 && on(fetch.link) > 1)
        };
        if let Some(at) = denied.or_else(crowd) {
            drop_at(&mut self.fetches, at);
        }
    }

    /// A bundle came: start.
    #[inline(never)]
    pub(super) fn bundle<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        asked: (u8, u16, Address),
        prekey: Option<(u32, [u8; PublicKey::LEN])>,
        bundle: &[u8],
    ) -> Result<(), EndpointError<S::Error>> {
        let (link, number, peer) = asked;
        let mut fetches = self.fetches.iter();
        let at = fetches.position(|fetch| {
            (fetch.link, fetch.task, fetch.address) == (link, Task::Asked(number), peer)
        });
        let Some(at) = at else { return Ok(()) };
        let late = self
            .fetches
            .get(at)
            .is_some_and(|fetch| cx.now >= fetch.until);
        let started = if late {
            Ok(())
        } else {
            self.start(cx, &peer, prekey, bundle)?
        };
        match started {
            Ok(()) => self
                .fetches
                .retain(|fetch| (fetch.link, fetch.address) != (link, peer)),
            Err(error) => {
                if let Some(fetch) = self.fetches.get_mut(at) {
                    fetch.task = Task::Idle;
                    fetch.until = cx.now.saturating_add(crate::limits::NO_BUNDLE_MS);
                }
                self.dirty = true;
                let event = Event::BadBundle { peer, error };
                cx.store.event(event).map_err(EndpointError::Storage)?;
            }
        }
        Ok(())
    }

    #[allow(
        clippy::type_complexity,
        reason = "outside: ours to fail; inside: the relay's fault"
    )]
    #[inline(never)]
    fn start<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        who: &Address,
        prekey: Option<(u32, [u8; PublicKey::LEN])>,
        bundle: &[u8],
    ) -> Result<Result<(), BundleError>, EndpointError<S::Error>> {
        let conversation = cx.store.conversation(who).map_err(EndpointError::Storage)?;
        let Some(mut conversation) = conversation else {
            return Ok(Ok(()));
        };
        if !conversation.still_wants_start(cx.now) {
            return Ok(Ok(()));
        }
        let seen = (conversation.peer.bundle_counter, conversation.peer.suites);
        let verified = match self.verify(who, bundle, seen) {
            Ok(verified) => verified,
            Err(error) => return at_fault(error),
        };
        let again = conversation.peer.session.is_some();
        let alone = match self.agree(cx.rng, &verified, prekey, &mut conversation) {
            Ok(alone) => alone,
            Err(error) => return at_fault(error),
        };
        let peer = &mut *conversation.peer;
        peer.identity = Some(*verified.identity());
        peer.bundle_counter = verified.counter();
        peer.suites = verified.suites;
        peer.started_at = cx.now;
        peer.unopened = 0;
        peer.refused = 0;
        cx.store.save(who).map_err(EndpointError::Storage)?;
        self.dirty = true;
        if again {
            let event = Event::Restarted { peer: *who };
            cx.store.event(event).map_err(EndpointError::Storage)?;
            // The start must reach the peer although nothing else may be said.
            self.push_own(cx, who, Kind::PROBE, cx.now)?;
        }
        if alone {
            cx.store
                .wake(Wake::Peer(who), cx.now)
                .map_err(EndpointError::Storage)?;
        }
        Ok(Ok(()))
    }

    #[inline(never)]
    fn verify(
        &mut self,
        who: &Address,
        bundle: &[u8],
        seen: (u64, crate::wire::bundle::Suites),
    ) -> Result<PrekeyVerified, BundleError> {
        let verified = Bundle::parse(bundle)?.verify(&mut self.p256, who)?;
        verified.not_behind(seen.0, &seen.1)?;
        Ok(verified)
    }

    /// Makes the session and installs it. Returns what [`Conversation::install_own`] does.
    #[inline(never)]
    fn agree(
        &mut self,
        rng: &mut impl CryptoRng,
        bundle: &PrekeyVerified,
        prekey: Option<(u32, [u8; PublicKey::LEN])>,
        conversation: &mut Conversation<'_, SKIP>,
    ) -> Result<bool, BundleError> {
        let prekey = match prekey {
            // 0 names none on the wire.
            Some((0, _)) => return Err(BundleError::Crypto(CryptoError::InvalidKey)),
            Some((id, point)) => Some((id, PublicKey::parse(&mut self.p256, &point)?)),
            None => None,
        };
        let own = *self.identity.public();
        let blame = |error| match error {
            StartError::OwnKey => BundleError::WrongIdentity,
            StartError::Crypto(error) => BundleError::Crypto(error),
        };
        let start = Initiator::new(&own, bundle, self.config.max_body).map_err(blame)?;
        // The one session that is on the stack: it replaces none before it is whole.
        let mut session = None;
        start
            .start_in(
                &mut self.p256,
                rng,
                &mut self.identity,
                prekey,
                &mut session,
            )
            .map_err(blame)?;
        Ok(conversation.install_own(&mut session))
    }
}

/// Failing hardware is ours: the bundle may be good, and the peer is asked for again on the next link.
#[allow(
    clippy::type_complexity,
    reason = "outside: ours to fail; inside: the relay's fault"
)]
const fn at_fault<E>(error: BundleError) -> Result<Result<(), BundleError>, EndpointError<E>> {
    match error {
        BundleError::Crypto(CryptoError::Backend) => {
            Err(EndpointError::Crypto(CryptoError::Backend))
        }
        error => Ok(Err(error)),
    }
}
