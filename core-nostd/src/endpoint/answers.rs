//! Frames of the relay, one by one.

use rand_core::CryptoRng;

use super::{Cx, Endpoint, EndpointError, FIRST_NUMBER, Handled, InFlight};
use crate::{
    crypto::P256,
    identity::IdentityKeys,
    limits::{BACK_OFF_MS, RESEAL_MS, RESTART_INTERVAL_MS},
    session::Kind,
    storage::{Event, OutboxEntry, OutboxState, Storage},
    wire::{EnvelopeId, WireError, answer::Answer, reason::Reason},
};

/// Bytes of a delivery before its envelope.
const DELIVER_HEAD: usize = 1 + 8 + 8 + crate::identity::Address::LEN;

/// What a delivery says beside its envelope. Only as true as the relay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivery {
    pub(super) link: u8,
    pub(super) sender: crate::identity::Address,
    pub(super) stored_at: u64,
}

impl<I, B, const SKIP: usize, const N: usize, const QUEUE: usize, const LINKS: usize>
    Endpoint<I, B, SKIP, N, QUEUE, LINKS>
where
    I: IdentityKeys,
    B: P256,
{
    /// Takes one frame (opcode ‖ body) of `link`'s relay. Envelopes are opened in place.
    ///
    /// # Errors
    /// [`EndpointError`]; on [`EndpointError::Busy`] transmit and give the same frame again.
    pub fn handle_frame<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        link: u8,
        frame: &mut [u8],
    ) -> Result<Handled, EndpointError<S::Error>> {
        let answer = Answer::parse(frame)?;
        // What waits to be told to a relay leaves only over a link that is up. PROTOCOL 3.6
        let is_up = self
            .links
            .get(usize::from(link))
            .is_some_and(|state| state.up);
        if !is_up && !matches!(answer, Answer::Welcome(_)) {
            return Err(WireError::Value.into());
        }
        match answer {
            Answer::Deliver {
                sequence,
                stored_at,
                sender,
                ..
            } => {
                let delivery = Delivery {
                    link,
                    sender,
                    stored_at,
                };
                self.mark_sequence(cx, link, sequence)?;
                let envelope = frame.get_mut(DELIVER_HEAD..).unwrap_or_default();
                self.deliver(cx, &delivery, envelope)?;
            }
            Answer::Welcome(welcome) => self.welcome(cx, link, &welcome)?,
            Answer::Accepted(id) => self.accepted(cx, link, id)?,
            Answer::Rejected {
                id,
                reason,
                retry_after,
            } => {
                self.rejected(cx, link, id, (reason, retry_after))?;
            }
            Answer::Notice { kind, peer, count } => self.notice(cx, link, (kind, peer, count))?,
            Answer::Bundle {
                number,
                address,
                prekey,
                bundle,
            } if number >= FIRST_NUMBER => {
                self.bundle(cx, (link, number, address), prekey, bundle)?;
            }
            Answer::Done { number } if number >= FIRST_NUMBER => self.done(link, number),
            Answer::Failed {
                number,
                reason,
                retry_after,
            } if number >= FIRST_NUMBER => {
                self.failed(cx, link, number, (reason, retry_after))?;
            }
            _ => return Ok(Handled::NotMine),
        }
        Ok(Handled::Mine)
    }

    #[inline(never)]
    fn mark_sequence<S: Storage<SKIP>, R>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        link: u8,
        sequence: u64,
    ) -> Result<(), EndpointError<S::Error>> {
        let Some(mut mark) = cx.store.relay_mark(link).map_err(EndpointError::Storage)? else {
            return Ok(());
        };
        if sequence >= mark.next_sequence {
            mark.next_sequence = sequence.saturating_add(1);
            cx.store
                .save_relay_mark(link, mark)
                .map_err(EndpointError::Storage)?;
            self.dirty = true;
        }
        Ok(())
    }

    fn take_flight(&mut self, link: u8, id: EnvelopeId) -> Option<InFlight> {
        let is_it = |flight: &InFlight| flight.envelope == id && flight.link == link;
        let flight = self.in_flight.iter().copied().find(is_it)?;
        self.in_flight.retain(|flight| !is_it(flight));
        Some(flight)
    }

    fn take_entry<S: Storage<SKIP>, R>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        link: u8,
        id: EnvelopeId,
    ) -> Result<Option<(OutboxEntry, bool)>, EndpointError<S::Error>> {
        let Some(flight) = self.take_flight(link, id) else {
            return Ok(None);
        };
        let entry = cx
            .store
            .find(&flight.to, flight.id)
            .map_err(EndpointError::Storage)?;
        Ok(entry.map(|entry| (entry, entry.due < flight.due)))
    }

    /// The relay has custody.
    #[inline(never)]
    fn accepted<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        link: u8,
        id: EnvelopeId,
    ) -> Result<(), EndpointError<S::Error>> {
        let Some((mut entry, woken)) = self.take_entry(cx, link, id)? else {
            return Ok(());
        };
        let (to, id) = (entry.to, entry.id);
        self.dirty = true;
        if !awaits_answer(entry.kind) {
            // Wanted anew since it was sealed: it goes once more.
            if woken {
                return Ok(());
            }
            return cx.store.remove(&to, id).map_err(EndpointError::Storage);
        }
        if entry.state == OutboxState::Queued {
            // What a full mailbox or a broken link cost does not count: only seals that a relay
            // accepted wait for a receipt in vain.
            entry.attempts = 1;
            if entry.kind == Kind::DATA {
                cx.store
                    .event(Event::Accepted { to, id })
                    .map_err(EndpointError::Storage)?;
            }
        }
        entry.state = OutboxState::Accepted;
        // A probe is small, and a session waits for it.
        let pause = if entry.kind == Kind::PROBE {
            RESTART_INTERVAL_MS
        } else {
            RESEAL_MS
        };
        if !woken {
            entry.due = cx
                .now
                .saturating_add(pause.saturating_mul(u64::from(entry.attempts)));
        }
        cx.store.update(&entry).map_err(EndpointError::Storage)
    }

    /// The relay does not take it.
    #[inline(never)]
    fn rejected<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        link: u8,
        id: EnvelopeId,
        refusal: (Reason, u32),
    ) -> Result<(), EndpointError<S::Error>> {
        let Some((mut entry, _)) = self.take_entry(cx, link, id)? else {
            return Ok(());
        };
        let (reason, retry_after) = refusal;
        let (to, id) = (entry.to, entry.id);
        self.dirty = true;
        if !reason.is_passing() {
            return self.give_up(cx, &entry, Some(reason));
        }
        let doubled = BACK_OFF_MS << u32::from(entry.attempts).min(12);
        let pause = u64::from(retry_after)
            .saturating_mul(1000)
            .max(doubled.min(60 * 60 * 1000));
        entry.due = cx.now.saturating_add(pause);
        cx.store.update(&entry).map_err(EndpointError::Storage)?;
        if entry.kind == Kind::DATA {
            cx.store
                .event(Event::Delayed { to, id, reason })
                .map_err(EndpointError::Storage)?;
        }
        Ok(())
    }

    /// Takes a message out of the outbox, and says so where it was the user's.
    #[inline(never)]
    pub(super) fn give_up<S: Storage<SKIP>, R>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        entry: &OutboxEntry,
        reason: Option<Reason>,
    ) -> Result<(), EndpointError<S::Error>> {
        let (to, id) = (entry.to, entry.id);
        self.dirty = true;
        cx.store.remove(&to, id).map_err(EndpointError::Storage)?;
        if entry.kind == Kind::DATA {
            cx.store
                .event(Event::Failed { to, id, reason })
                .map_err(EndpointError::Storage)?;
        }
        Ok(())
    }
}

/// Whether a message of this kind stays in the outbox until the peer has answered it.
const fn awaits_answer(kind: Kind) -> bool {
    !matches!(kind, Kind::RECEIPT | Kind::RESEND | Kind::ALIVE)
}
