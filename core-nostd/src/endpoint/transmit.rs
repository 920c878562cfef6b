//! What leaves, in order: acks, requests, messages.

use rand_core::CryptoRng;

use super::{Cx, Endpoint, EndpointError, InFlight, Outgoing, drop_at, restart::Slot};
use crate::{
    crypto::P256,
    evidence,
    identity::IdentityKeys,
    limits::{ANSWER_MS, MAX_ATTEMPTS},
    peer::{Conversation, Standing},
    session::{Content, Kind, SealError},
    storage::{OutboxEntry, OutboxState, Storage},
    wire::{
        EnvelopeId,
        reason::Reason,
        request::{Request, SUBMIT_HEAD, submit_head},
    },
};

/// What became of a due message.
enum Due {
    /// It was sealed: so many bytes of frame.
    Sealed(usize),
    /// It left the outbox, or is due later.
    Passed,
}

impl<I, B, const SKIP: usize, const N: usize, const QUEUE: usize, const LINKS: usize>
    Endpoint<I, B, SKIP, N, QUEUE, LINKS>
where
    I: IdentityKeys,
    B: P256,
{
    /// Submissions that each link may have out, whatever the others do: no less than one.
    const SHARE: usize = Self::IN_FLIGHT / LINKS;

    /// Writes the next frame (opcode ‖ body) for `link` and returns its length.
    ///
    /// Commits first whatever the frame rests on. Call it until `None` after each record that came
    /// and when [`Self::poll_timeout`] has passed. `out` needs room for the largest frame and once
    /// more for the largest body.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn poll_transmit<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        link: u8,
        out: &mut [u8],
    ) -> Result<Option<usize>, EndpointError<S::Error>> {
        if self.own_behind {
            cx.store
                .save_own(&self.prekeys)
                .map_err(EndpointError::Storage)?;
            self.own_behind = false;
            self.dirty = true;
        }
        if self.dirty {
            if let Some(len) = self.seal_before_commit(cx, link, out)? {
                return Ok(Some(len));
            }
            self.commit(cx)?;
        }
        if !self
            .links
            .get(usize::from(link))
            .is_some_and(|state| state.up)
        {
            return Ok(None);
        }
        if let Some(outgoing) = self.outgoing.take(link) {
            let request = match outgoing {
                Outgoing::Ack(id) => Request::Ack(id),
                Outgoing::Refuse(id) => Request::Refuse(id),
                Outgoing::Noted(kind, peer, count) => Request::Noted { kind, peer, count },
            };
            return Ok(Some(request.emit(out).map_err(|_| EndpointError::Buffer)?));
        }
        if let Some(len) = self.poll_tasks(cx, link, out)? {
            return Ok(Some(len));
        }
        while self.has_place(link)
            && let Some(entry) = cx
                .store
                .next_due(cx.now, 1 << link)
                .map_err(EndpointError::Storage)?
        {
            if let Due::Sealed(len) = self.transmit(cx, entry, out)? {
                return Ok(Some(len));
            }
        }
        // What the loop passed over may have been given up: say so.
        if self.dirty {
            self.commit(cx)?;
        }
        Ok(None)
    }

    /// Seals what is due while something waits for its commit, so that one commit holds both: what
    /// was opened, and the step of the ratchet that answers it.
    fn seal_before_commit<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        link: u8,
        out: &mut [u8],
    ) -> Result<Option<usize>, EndpointError<S::Error>> {
        let up = self.links.get(usize::from(link)).is_some_and(|at| at.up);
        if !up || !self.has_place(link) {
            return Ok(None);
        }
        let due = cx.store.next_due(cx.now, 1 << link);
        let Some(entry) = due.map_err(EndpointError::Storage)? else {
            return Ok(None);
        };
        let conversation = cx.store.conversation(&entry.to);
        let conversation = conversation.map_err(EndpointError::Storage)?;
        let slot = conversation.and_then(|found| {
            let goes = found.peer.standing != Standing::Blocked
                && entry.attempts < MAX_ATTEMPTS
                && !found.may_restart(&entry, cx.now);
            self.slot(&found, &entry).filter(|_| goes)
        });
        let Some(slot) = slot else { return Ok(None) };
        match self.seal(cx, entry, slot, out)? {
            Due::Sealed(len) => Ok(Some(len)),
            Due::Passed => Ok(None),
        }
    }

    /// When [`Self::poll_transmit`] may have something without a frame having come, in the
    /// endpoint's milliseconds.
    ///
    /// # Errors
    /// [`EndpointError::Storage`].
    pub fn poll_timeout<S: Storage<SKIP>, R>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
    ) -> Result<Option<u64>, EndpointError<S::Error>> {
        if self.dirty || self.outgoing.is_released() {
            return Ok(Some(cx.now));
        }
        let mut mask = 0;
        for (link, state) in (0..).zip(&self.links) {
            if state.up && self.has_place(link) {
                mask |= 1 << link;
            }
        }
        cx.store.earliest_due(mask).map_err(EndpointError::Storage)
    }

    /// Submissions whose answer is out on a link.
    fn in_flight_on(&self, link: u8) -> usize {
        let flights = self.in_flight.iter();
        flights.filter(|flight| flight.link == link).count()
    }

    /// Whether another submission may go out: a relay that answers nothing takes no other's share.
    fn has_place(&self, link: u8) -> bool {
        self.in_flight.len() < Self::IN_FLIGHT || self.in_flight_on(link) < Self::SHARE
    }

    /// Notes a submission. Where there is no place, a link above its share gives one: its message is
    /// sealed again when it is due.
    fn fly(&mut self, flight: InFlight) {
        if self.in_flight.len() >= Self::IN_FLIGHT {
            let mut flights = self.in_flight.iter();
            let above = flights.position(|other| self.in_flight_on(other.link) > Self::SHARE);
            if let Some(at) = above {
                drop_at(&mut self.in_flight, at);
            }
        }
        let _room = self.in_flight.push(flight);
    }

    /// Seals a due message, or says when it is due instead.
    #[inline(never)]
    fn transmit<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        mut entry: OutboxEntry,
        out: &mut [u8],
    ) -> Result<Due, EndpointError<S::Error>> {
        let conversation = cx
            .store
            .conversation(&entry.to)
            .map_err(EndpointError::Storage)?;
        let Some(conversation) =
            conversation.filter(|found| found.peer.standing != Standing::Blocked)
        else {
            self.give_up(cx, &entry, Some(Reason::NotAccepted))?;
            return Ok(Due::Passed);
        };
        if conversation.may_restart(&entry, cx.now) {
            entry.due = self.want_bundle(entry.to, entry.link, cx.now);
            cx.store.update(&entry).map_err(EndpointError::Storage)?;
            if let Some(len) = self.poll_tasks(cx, entry.link, out)? {
                return Ok(Due::Sealed(len));
            }
            return Ok(Due::Passed);
        }
        let Some(slot) = self.slot(&conversation, &entry) else {
            // The peer has proved itself: nothing is left to probe.
            self.give_up(cx, &entry, None)?;
            return Ok(Due::Passed);
        };
        if entry.state == OutboxState::Accepted && entry.attempts >= MAX_ATTEMPTS {
            self.give_up(cx, &entry, None)?;
            return Ok(Due::Passed);
        }
        self.seal(cx, entry, slot, out)
    }

    fn slot(&self, conversation: &Conversation<'_, SKIP>, entry: &OutboxEntry) -> Option<Slot> {
        if entry.kind != Kind::PROBE {
            return conversation.sending_slot(&self.address);
        }
        let first = entry.state == OutboxState::Queued;
        let slot = conversation.probe_slot(&self.address);
        slot.filter(|_| first || conversation.awaits_confirmation())
    }

    #[inline(never)]
    fn seal<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        mut entry: OutboxEntry,
        slot: Slot,
        out: &mut [u8],
    ) -> Result<Due, EndpointError<S::Error>> {
        let room = out.len().saturating_sub(usize::from(self.config.max_body));
        let (frame, scratch) = out
            .split_at_mut_checked(room)
            .ok_or(EndpointError::Buffer)?;
        let len = cx
            .store
            .body(&entry.to, entry.id, scratch)
            .map_err(EndpointError::Storage)?;
        let body = scratch.get(..len).ok_or(EndpointError::Buffer)?;
        let (head, room) = frame
            .split_first_chunk_mut::<SUBMIT_HEAD>()
            .ok_or(EndpointError::Buffer)?;
        *head = submit_head(&entry.to);
        let content = Content {
            kind: entry.kind,
            id: entry.id,
            body,
        };

        let conversation = cx
            .store
            .conversation(&entry.to)
            .map_err(EndpointError::Storage)?;
        let Some(mut conversation) = conversation else {
            return Ok(Due::Passed);
        };
        let Some(session) = conversation.session_mut(slot) else {
            return Ok(Due::Passed);
        };
        let sealed = match session.seal(&mut self.p256, cx.rng, &content, room) {
            Ok(sealed) => sealed,
            Err(SealError::TooLarge) => {
                self.give_up(cx, &entry, Some(Reason::TooLarge))?;
                return Ok(Due::Passed);
            }
            Err(SealError::Crypto(error)) => return Err(EndpointError::Crypto(error)),
            Err(SealError::Buffer | SealError::Exhausted) => return Err(EndpointError::Buffer),
        };
        let envelope = match sealed.release_covered() {
            Ok(envelope) => {
                if self.dirty {
                    // It may say that something was recorded.
                    self.commit(cx)?;
                }
                envelope
            }
            Err(sealed) => {
                cx.store.save(&entry.to).map_err(EndpointError::Storage)?;
                evidence::after(cx.store, S::commit, |store, persisted| {
                    if let Some(mut conversation) = store.conversation(&entry.to)?
                        && let Some(session) = conversation.session_mut(slot)
                    {
                        session.stored(persisted);
                    }
                    Ok(sealed.release(persisted))
                })
                .and_then(|released| released)
                .map_err(EndpointError::Storage)?
            }
        };
        let id = EnvelopeId::of(envelope);
        let len = SUBMIT_HEAD.saturating_add(envelope.len());
        entry.attempts = entry.attempts.saturating_add(1);
        entry.due = cx.now.saturating_add(ANSWER_MS);
        self.fly(InFlight {
            link: entry.link,
            envelope: id,
            to: entry.to,
            id: entry.id,
            due: entry.due,
        });
        cx.store.update(&entry).map_err(EndpointError::Storage)?;
        Ok(Due::Sealed(len))
    }
}
