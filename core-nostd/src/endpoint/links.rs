//! What a link's beginning and end mean, and what is published over it.

use rand_core::CryptoRng;

use super::{Cx, Endpoint, EndpointError, Outgoing, Task};
use crate::{
    crypto::P256,
    identity::IdentityKeys,
    limits::{NO_BUNDLE_MS, OVERTAKEN_MS, REFILL_INTERVAL_MS},
    storage::{Event, RelayMark, Storage, Wake},
    wire::{
        WireError,
        answer::{NoticeKind, Welcome},
        bundle::{self, BundleError, BundleFields},
        reason::Reason,
        request::{PREKEYS_HEAD, Request, prekeys_head},
    },
};

impl<I, B, const SKIP: usize, const N: usize, const QUEUE: usize, const LINKS: usize>
    Endpoint<I, B, SKIP, N, QUEUE, LINKS>
where
    I: IdentityKeys,
    B: P256,
{
    /// A link ended, or another takes its place: what it left unanswered is due again.
    ///
    /// # Errors
    /// [`EndpointError::Storage`].
    pub fn disconnected<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        link: u8,
    ) -> Result<(), EndpointError<S::Error>> {
        if let Some(state) = self.links.get_mut(usize::from(link)) {
            *state = super::Link::default();
        }
        self.in_flight.retain(|flight| flight.link != link);
        self.fetches.retain(|fetch| fetch.link != link);
        // An ack that was not told is no loss: the envelope comes again and is known.
        self.outgoing.forget(link);
        cx.store
            .wake(Wake::Link(link), cx.now)
            .map_err(EndpointError::Storage)
    }

    /// Whether this link's relay has said that it holds the present bundle: others can write to this
    /// device through it.
    #[must_use]
    pub fn is_published(&self, link: u8) -> bool {
        self.links
            .get(usize::from(link))
            .is_some_and(|state| state.up && state.publish == Task::Idle)
    }

    /// The first frame of a link.
    #[inline(never)]
    pub(super) fn welcome<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        link: u8,
        welcome: &Welcome,
    ) -> Result<(), EndpointError<S::Error>> {
        self.disconnected(cx, link)?;
        let mark = cx.store.relay_mark(link).map_err(EndpointError::Storage)?;
        let fresh = RelayMark {
            epoch: welcome.epoch,
            next_sequence: welcome.next_sequence,
        };
        if mark
            .is_some_and(|old| old.epoch != fresh.epoch || old.next_sequence > fresh.next_sequence)
        {
            cx.store
                .event(Event::RelayWentBack { link })
                .map_err(EndpointError::Storage)?;
            // What it had in custody it may have forgotten. PROTOCOL 7.4
            let due = cx.now.saturating_add(OVERTAKEN_MS);
            cx.store
                .wake(Wake::Custody(link), due)
                .map_err(EndpointError::Storage)?;
        }
        cx.store
            .save_relay_mark(link, fresh)
            .map_err(EndpointError::Storage)?;
        self.dirty = true;

        let former_life = welcome.bundle_counter > self.prekeys.counter
            && self.prekeys.outrun(welcome.bundle_counter);
        if former_life {
            cx.store
                .save_own(&self.prekeys)
                .map_err(EndpointError::Storage)?;
            self.links
                .iter_mut()
                .for_each(|other| other.publish = Task::Wanted);
        }
        let counter = self.prekeys.counter;
        let stale = former_life || welcome.bundle_counter == 0;
        let home = link == self.config.home;
        let upload = self.upload_task();
        let few = usize::from(welcome.prekeys).saturating_mul(4) <= N;
        let state = self
            .links
            .get_mut(usize::from(link))
            .ok_or(WireError::Value)?;
        state.up = true;
        if welcome.bundle_counter != counter {
            state.publish = Task::Wanted;
        }
        // A set that no relay has confirmed is not the one that this relay hands out.
        if home && (stale || few || !self.prekeys.is_set_confirmed()) {
            state.upload = upload;
        }
        Ok(())
    }

    /// When to upload one-time prekeys: a set that waits for its upload now, another in its time. A
    /// relay that cries for more must not push out the set that it has handed out.
    const fn upload_task(&self) -> Task {
        if self.prekeys.is_set_confirmed() {
            Task::Later(self.refill_after)
        } else {
            Task::Wanted
        }
    }

    #[inline(never)]
    pub(super) fn notice<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        link: u8,
        notice: (NoticeKind, crate::identity::Address, u32),
    ) -> Result<(), EndpointError<S::Error>> {
        let (kind, peer, count) = notice;
        if kind.is_stored() && !self.outgoing.has_room(link) {
            return Err(EndpointError::Busy);
        }
        match kind {
            NoticeKind::PrekeysLeft => {
                let few = usize::try_from(count)
                    .unwrap_or(usize::MAX)
                    .saturating_mul(4)
                    <= N;
                let home = link == self.config.home;
                let upload = self.upload_task();
                if let Some(state) = self.links.get_mut(usize::from(link))
                    && (home && few && state.upload == Task::Idle)
                {
                    state.upload = upload;
                }
                return Ok(());
            }
            NoticeKind::SentExpired if self.leads_to(cx, link, &peer)? => {
                let due = cx.now.saturating_add(OVERTAKEN_MS);
                cx.store
                    .wake(Wake::Peer(&peer), due)
                    .map_err(EndpointError::Storage)?;
            }
            NoticeKind::Unopened if self.leads_to(cx, link, &peer)? => {
                self.was_refused(cx, &peer, count)?;
            }
            _ => {}
        }
        cx.store
            .event(Event::Notice { kind, peer, count })
            .map_err(EndpointError::Storage)?;
        self.dirty = true;
        if kind.is_stored() {
            self.hold(link, Outgoing::Noted(kind, peer, count))?;
        }
        Ok(())
    }

    /// Whether `link` is the way to the peer's mailbox: no other relay has anything to say of it.
    fn leads_to<S: Storage<SKIP>, R>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        link: u8,
        who: &crate::identity::Address,
    ) -> Result<bool, EndpointError<S::Error>> {
        let conversation = cx.store.conversation(who).map_err(EndpointError::Storage)?;
        Ok(conversation.is_some_and(|found| found.peer.link == link))
    }

    /// The relay says that a contact's device could not open envelopes of ours. It may lie: all that
    /// it can reach is a restart at the stated rate.
    #[inline(never)]
    fn was_refused<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        who: &crate::identity::Address,
        count: u32,
    ) -> Result<(), EndpointError<S::Error>> {
        let conversation = cx.store.conversation(who).map_err(EndpointError::Storage)?;
        let Some(conversation) = conversation else {
            return Ok(());
        };
        let peer = &mut *conversation.peer;
        peer.refused = peer
            .refused
            .saturating_add(u8::try_from(count).unwrap_or(u8::MAX));
        let suspicious = conversation.is_refused();
        cx.store.save(who).map_err(EndpointError::Storage)?;
        if suspicious {
            return self.want_restart(cx, who);
        }
        // Once may be a repeat that went astray. Seal again what is not receipted: if that is
        // refused, too, the session is of no use there.
        let due = cx.now.saturating_add(OVERTAKEN_MS);
        cx.store
            .wake(Wake::Peer(who), due)
            .map_err(EndpointError::Storage)
    }

    /// The next thing to ask of this link's relay.
    pub(super) fn poll_tasks<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        link: u8,
        out: &mut [u8],
    ) -> Result<Option<usize>, EndpointError<S::Error>> {
        if self.prekeys.is_rotation_due(cx.now) {
            self.prekeys.rotate(&mut self.p256, cx.rng, cx.now)?;
            cx.store
                .save_own(&self.prekeys)
                .map_err(EndpointError::Storage)?;
            self.commit(cx)?;
            self.links
                .iter_mut()
                .for_each(|state| state.publish = Task::Wanted);
        }
        let state = self
            .links
            .get(usize::from(link))
            .copied()
            .unwrap_or_default();
        if state.publish.is_due(cx.now) {
            let number = self.next_number();
            if let Some(state) = self.links.get_mut(usize::from(link)) {
                state.publish = Task::Asked(number);
            }
            return self.publish(cx, number, out).map(Some);
        }
        if state.upload.is_due(cx.now) {
            let number = self.next_number();
            if let Some(state) = self.links.get_mut(usize::from(link)) {
                state.upload = Task::Asked(number);
            }
            return self.upload(cx, number, out).map(Some);
        }
        let mut fetches = self.fetches.iter();
        let wanted = fetches.position(|fetch| fetch.link == link && fetch.task == Task::Wanted);
        let Some(at) = wanted else { return Ok(None) };
        let number = self.next_number();
        let Some(fetch) = self.fetches.get_mut(at) else {
            return Ok(None);
        };
        fetch.task = Task::Asked(number);
        let request = Request::Fetch {
            number,
            address: fetch.address,
        };
        request
            .emit(out)
            .map(Some)
            .map_err(|_| EndpointError::Buffer)
    }

    #[inline(never)]
    fn publish<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        number: u16,
        out: &mut [u8],
    ) -> Result<usize, EndpointError<S::Error>> {
        let mut bundle = [0; bundle::MAX_LEN];
        let public = *self.identity.public();
        let fields = BundleFields {
            identity: &public,
            counter: self.prekeys.counter,
            max_body: self.config.max_body,
            signed_prekey: (self.prekeys.current.id, *self.prekeys.current.pair.public()),
        };
        let mut added = [0; 32];
        cx.rng.fill_bytes(&mut added);
        let Self { identity, p256, .. } = self;
        let len = fields
            .sign(&mut bundle, |digest| identity.sign(p256, digest, &added))
            .map_err(|error| match error {
                BundleError::Crypto(error) => EndpointError::Crypto(error),
                _ => EndpointError::Buffer,
            })?;
        let bundle = bundle.get(..len).ok_or(EndpointError::Buffer)?;
        Request::Publish { number, bundle }
            .emit(out)
            .map_err(|_| EndpointError::Buffer)
    }

    #[inline(never)]
    fn upload<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        number: u16,
        out: &mut [u8],
    ) -> Result<usize, EndpointError<S::Error>> {
        if self.prekeys.is_set_confirmed() {
            self.prekeys.refill(&mut self.p256, cx.rng)?;
            self.refill_after = cx.now.saturating_add(REFILL_INTERVAL_MS);
            // A relay must never hand out a key that a loss of power could take from us.
            cx.store
                .save_own(&self.prekeys)
                .map_err(EndpointError::Storage)?;
            self.commit(cx)?;
        }
        let (head, list) = out
            .split_first_chunk_mut::<PREKEYS_HEAD>()
            .ok_or(EndpointError::Buffer)?;
        *head = prekeys_head(number);
        let len = self.prekeys.list(&mut self.p256, list)?;
        Ok(PREKEYS_HEAD.saturating_add(len))
    }

    /// A request of the endpoint's own was done.
    pub(super) fn done(&mut self, link: u8, number: u16) {
        let Some(state) = self.links.get_mut(usize::from(link)) else {
            return;
        };
        if state.publish == Task::Asked(number) {
            state.publish = Task::Idle;
        }
        if state.upload == Task::Asked(number) {
            state.upload = Task::Idle;
            self.prekeys.confirm_set();
            self.own_behind = true;
        }
    }

    /// A request of the endpoint's own was refused.
    #[inline(never)]
    pub(super) fn failed<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        link: u8,
        number: u16,
        refusal: (Reason, u32),
    ) -> Result<(), EndpointError<S::Error>> {
        let (reason, retry_after) = refusal;
        if let Some(fetch) = self
            .fetches
            .iter_mut()
            .find(|fetch| fetch.task == Task::Asked(number) && fetch.link == link)
        {
            fetch.task = Task::Idle;
            let pause = u64::from(retry_after).saturating_mul(1000);
            fetch.until = cx.now.saturating_add(pause.max(NO_BUNDLE_MS));
            if reason == Reason::NotFound {
                let event = Event::NoBundle {
                    peer: fetch.address,
                };
                cx.store.event(event).map_err(EndpointError::Storage)?;
                self.dirty = true;
            }
            return Ok(());
        }
        let Some(state) = self.links.get_mut(usize::from(link)) else {
            return Ok(());
        };
        let pause = u64::from(retry_after).saturating_mul(1000);
        let later = Task::Later(cx.now.saturating_add(pause.max(NO_BUNDLE_MS)));
        if state.publish == Task::Asked(number) {
            state.publish = later;
            let past = self.prekeys.counter.saturating_add(1024);
            if reason == Reason::CounterWentBack && !state.outran && self.prekeys.outrun(past) {
                // Another copy of this identity has published: go past it. Once on each link: a
                // relay must not make a device sign without end.
                state.outran = true;
                state.publish = Task::Wanted;
                cx.store
                    .save_own(&self.prekeys)
                    .map_err(EndpointError::Storage)?;
                self.dirty = true;
            }
        }
        if state.upload == Task::Asked(number) {
            state.upload = later;
        }
        Ok(())
    }
}
