//! A delivery: which session opens it, and what follows.

use rand_core::CryptoRng;

use super::{
    Cx, Endpoint, EndpointError, Outgoing,
    answers::Delivery,
    queued,
    restart::{Displaced, Slot},
};
use crate::{
    crypto::{CryptoError, P256},
    handshake::Received,
    identity::{Address, IdentityKeys, IdentityPublic},
    limits::{OVERTAKEN_MS, UNOPENED_BEFORE_RESTART},
    peer::{Conversation, Peer, Standing},
    session::{Kind, OpenError, Opened, Session, StartTag},
    storage::{Event, Incoming, Storage, Wake},
    wire::{
        EnvelopeId, MessageId,
        envelope::{COMMITMENT_LEN, Envelope, HEADER_LEN, INNER_LEN, Opening, SALT_LEN, Start},
    },
};

/// What was opened, without its borrow of the envelope.
#[derive(Clone, Copy, Debug)]
struct Summary {
    kind: Kind,
    id: MessageId,
    /// Length of the body, which stands at a fixed place of the envelope.
    len: usize,
    lost: u32,
    replayable: bool,
    /// The peer's first answer to our start: it waits for ours.
    answers_start: bool,
    /// A start arrived beside an older session: its probe is owed.
    started: bool,
    /// The one-time prekey that a start spent.
    spent: Option<u32>,
    /// The conversation changed its session: what was not receipted goes again.
    changed: bool,
    /// The session that it changed had been in use: the user is told.
    restarted: bool,
}

impl Summary {
    fn new(opened: &Opened<'_>) -> Self {
        Self {
            kind: opened.content.kind,
            id: opened.content.id,
            len: opened.content.body.len(),
            lost: opened.lost,
            replayable: false,
            answers_start: false,
            restarted: false,
            started: false,
            spent: None,
            changed: false,
        }
    }
}

/// What a delivery came to.
enum Outcome {
    Opened(Summary),
    /// Dealt with before; its ack was missed.
    Known,
    /// Authentic, and out of reach. Its header may have been the proof that changed the session.
    TooFar {
        changed: bool,
    },
    Unopenable,
    /// Not to be looked at: a stranger's, or of someone blocked.
    Unwelcome,
    /// This device's own hardware failed; nothing is known of the message.
    Failed,
}

impl<I, B, const SKIP: usize, const N: usize, const QUEUE: usize, const LINKS: usize>
    Endpoint<I, B, SKIP, N, QUEUE, LINKS>
where
    I: IdentityKeys,
    B: P256,
{
    #[inline(never)]
    pub(super) fn deliver<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        delivery: &Delivery,
        envelope: &mut [u8],
    ) -> Result<(), EndpointError<S::Error>> {
        if !self.outgoing.has_room(delivery.link) {
            return Err(EndpointError::Busy);
        }
        let (link, sender) = (delivery.link, delivery.sender);
        let id = EnvelopeId::of(envelope);
        let prefix = Envelope::parse(envelope).map(|parsed| parsed.prefix_len);
        let outcome = self.open(cx, delivery, &id, envelope)?;
        let verdict = match outcome {
            Outcome::Opened(summary) => {
                let body_at = prefix.unwrap_or(0)
                    + SALT_LEN
                    + COMMITMENT_LEN
                    + HEADER_LEN
                    + crate::crypto::aead::TAG_LEN
                    + INNER_LEN;
                let body = envelope
                    .get(body_at..)
                    .and_then(|rest| rest.get(..summary.len))
                    .unwrap_or_default();
                self.opened(cx, delivery, &summary, body)?;
                Outgoing::Ack(id)
            }
            Outcome::Known => Outgoing::Ack(id),
            Outcome::TooFar { changed } => {
                cx.store.save(&sender).map_err(EndpointError::Storage)?;
                if changed {
                    cx.store
                        .wake(Wake::Peer(&sender), cx.now)
                        .map_err(EndpointError::Storage)?;
                }
                self.push_own(cx, &sender, Kind::RESEND, cx.now)?;
                Outgoing::Refuse(id)
            }
            Outcome::Unopenable => {
                self.unopened(cx, &sender)?;
                Outgoing::Refuse(id)
            }
            Outcome::Unwelcome => Outgoing::Refuse(id),
            // Nothing changed: the mailbox keeps it, and gives it again on the next link.
            Outcome::Failed => return Err(EndpointError::Crypto(CryptoError::Backend)),
        };
        self.hold(link, verdict)
    }

    #[inline(never)]
    fn open<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        delivery: &Delivery,
        id: &EnvelopeId,
        envelope: &mut [u8],
    ) -> Result<Outcome, EndpointError<S::Error>> {
        let known = cx
            .store
            .conversation(&delivery.sender)
            .map_err(EndpointError::Storage)?;
        if let Some(conversation) = &known {
            if conversation.peer.standing == Standing::Blocked {
                return Ok(Outcome::Unwelcome);
            }
            if conversation.peer.is_done(id) {
                return Ok(Outcome::Known);
            }
        }
        let Ok(parsed) = Envelope::parse(envelope) else {
            return Ok(Outcome::Unopenable);
        };
        // PROTOCOL 5.5: a start's repeats belong to the session that its ephemeral key made.
        let tag = match &parsed.opening {
            Opening::Message => None,
            Opening::Start(start) => Some(StartTag::of(start.ephemeral)),
        };
        if let Some(conversation) = known
            && let Some(outcome) =
                try_sessions(&mut self.p256, conversation, tag, (id, cx.now), envelope)
        {
            return Ok(outcome);
        }
        match tag {
            Some(tag) => self.try_start(cx, delivery, id, tag, envelope),
            None => Ok(Outcome::Unopenable),
        }
    }

    /// A start that belongs to no session yet.
    #[inline(never)]
    fn try_start<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        delivery: &Delivery,
        id: &EnvelopeId,
        tag: StartTag,
        envelope: &mut [u8],
    ) -> Result<Outcome, EndpointError<S::Error>> {
        let from = delivery.sender;
        let conversation = cx
            .store
            .conversation(&from)
            .map_err(EndpointError::Storage)?;
        let is_known = conversation.is_some();
        if !is_known && !self.config.accept_strangers {
            return Ok(Outcome::Unwelcome);
        }
        if conversation.is_some_and(|found| !found.takes_start()) {
            return Ok(Outcome::Unopenable);
        }
        let Ok(parsed) = Envelope::parse(envelope) else {
            return Ok(Outcome::Unopenable);
        };
        let Opening::Start(start) = parsed.opening else {
            return Ok(Outcome::Unopenable);
        };
        let without = start.one_time_prekey_id.is_none();
        let signed_prekey = start.signed_prekey_id;
        // The one session that is on the stack.
        let mut session = None;
        let (mut summary, sender) = match self.accept(&from, envelope, &mut session) {
            Ok(accepted) => accepted,
            Err(OpenError::Backend) => return Ok(Outcome::Failed),
            Err(_) if is_known => return Ok(Outcome::Unopenable),
            Err(_) => return Ok(Outcome::Unwelcome),
        };
        if !is_known && !admit(cx, &from, delivery.link).map_err(EndpointError::Storage)? {
            return Ok(Outcome::Unwelcome);
        }
        let conversation = cx
            .store
            .conversation(&from)
            .map_err(EndpointError::Storage)?;
        let Some(mut conversation) = conversation else {
            return Ok(Outcome::Unwelcome);
        };
        let prekeys = &self.prekeys;
        let lives = |id| prekeys.signed(id).is_some();
        if without && !conversation.peer.remember_start(signed_prekey, tag, lives) {
            // A replay, whatever the delay: it replaces nothing and says nothing.
            return Ok(Outcome::Unopenable);
        }
        conversation.peer.identity = Some(sender);
        conversation.peer.heard(cx.now);
        conversation.peer.mark_done(id);
        summary.replayable = session.as_ref().is_none_or(Session::may_be_replayed);
        summary.started = conversation.install_peers(&mut session);
        Ok(Outcome::Opened(summary))
    }

    /// X3DH as responder, with the first message. Changes nothing but the envelope.
    #[inline(never)]
    fn accept(
        &mut self,
        from: &Address,
        envelope: &mut [u8],
        place: &mut Option<Session<SKIP>>,
    ) -> Result<(Summary, IdentityPublic), OpenError> {
        let Self {
            identity,
            p256,
            prekeys,
            ..
        } = self;
        let parsed = Envelope::parse(envelope).map_err(|_| OpenError::Unopenable)?;
        let Opening::Start(start) = parsed.opening else {
            return Err(OpenError::Unopenable);
        };
        let Start {
            signed_prekey_id,
            one_time_prekey_id,
            ..
        } = start;
        let known = Received::new(p256, envelope, start)?.identify(p256, identity)?;
        let sender = *known.sender();
        // The relay's hint and the sealed sender must be one: nobody starts in another's name.
        if sender.address() != *from {
            return Err(OpenError::Unopenable);
        }
        let signed = prekeys
            .signed(signed_prekey_id)
            .ok_or(OpenError::Unopenable)?;
        let one_time = match one_time_prekey_id {
            Some(id) => {
                let pair = prekeys.one_time(p256, id)?;
                Some((id, pair.ok_or(OpenError::Unopenable)?))
            }
            None => None,
        };
        let one_time_ref = one_time.as_ref().map(|(id, pair)| (*id, pair));
        let accepted = known.accept(p256, identity, (signed_prekey_id, signed), one_time_ref)?;
        let mut summary = Summary::new(&accepted.open_in(p256, envelope, place)?);
        summary.spent = one_time_prekey_id;
        Ok((summary, sender))
    }

    /// Something opened: record it, answer it.
    #[inline(never)]
    fn opened<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        delivery: &Delivery,
        summary: &Summary,
        body: &[u8],
    ) -> Result<(), EndpointError<S::Error>> {
        let from = delivery.sender;
        let mut shows_life = summary.answers_start;
        match summary.kind {
            Kind::PROBE => shows_life = true,
            Kind::ALIVE => {}
            Kind::RECEIPT => self.receipts(cx, &from, body)?,
            Kind::RESEND => {
                cx.store
                    .wake(Wake::Peer(&from), cx.now)
                    .map_err(EndpointError::Storage)?;
            }
            _ => {
                self.record(cx, delivery, summary, body)?;
                // The receipt does.
                shows_life = false;
            }
        }
        // The order matters where records are not committed at once. The inbox comes first: a
        // message that comes twice is known by its id, one that was not recorded comes again. Then
        // the session, which names the prekey that it spent: boot reconciles the pool.
        cx.store.save(&from).map_err(EndpointError::Storage)?;
        if let Some(spent) = summary.spent {
            self.prekeys.spend(spent);
            cx.store
                .save_own(&self.prekeys)
                .map_err(EndpointError::Storage)?;
        }
        if summary.lost > 0 {
            let event = Event::Lost {
                peer: from,
                count: summary.lost,
            };
            cx.store.event(event).map_err(EndpointError::Storage)?;
        }
        if summary.restarted {
            cx.store
                .event(Event::Restarted { peer: from })
                .map_err(EndpointError::Storage)?;
        }
        if summary.changed {
            cx.store
                .wake(Wake::Peer(&from), cx.now)
                .map_err(EndpointError::Storage)?;
            if !summary.answers_start {
                // Receipts for the start's first messages went into the session that it displaced.
                self.push_own(cx, &from, Kind::RESEND, cx.now)?;
            }
        }
        if shows_life {
            self.push_own(cx, &from, Kind::ALIVE, cx.now)?;
        }
        if summary.started {
            // Which of the two sessions lives?
            self.push_own(cx, &from, Kind::PROBE, cx.now)?;
        }
        Ok(())
    }

    /// Into the inbox, once, and a receipt for it, always: the last one may have been lost.
    #[inline(never)]
    fn record<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        delivery: &Delivery,
        summary: &Summary,
        body: &[u8],
    ) -> Result<(), EndpointError<S::Error>> {
        let from = delivery.sender;
        if !cx
            .store
            .seen(&from, summary.id)
            .map_err(EndpointError::Storage)?
        {
            let message = Incoming {
                from,
                id: summary.id,
                kind: summary.kind,
                body,
                replayable: summary.replayable,
                stored_at: delivery.stored_at,
            };
            cx.store.receive(&message).map_err(EndpointError::Storage)?;
        }
        let mut id = MessageId([0; MessageId::LEN]);
        cx.rng.fill_bytes(&mut id.0);
        let conversation = cx
            .store
            .conversation(&from)
            .map_err(EndpointError::Storage)?;
        let link = conversation.map_or(delivery.link, |found| found.peer.link);
        let fresh = queued(from, id, Kind::RECEIPT, link, cx.now);
        cx.store
            .owe_receipt(&fresh, summary.id)
            .map_err(EndpointError::Storage)
    }

    /// The peer has recorded these.
    #[inline(never)]
    fn receipts<S: Storage<SKIP>, R>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        from: &Address,
        body: &[u8],
    ) -> Result<(), EndpointError<S::Error>> {
        for id in body.as_chunks::<{ MessageId::LEN }>().0 {
            let id = MessageId(*id);
            let entry = cx.store.find(from, id).map_err(EndpointError::Storage)?;
            if entry.is_none_or(|entry| entry.kind != Kind::DATA) {
                continue;
            }
            let due = cx.now.saturating_add(OVERTAKEN_MS);
            cx.store
                .wake(Wake::Before(from, id), due)
                .map_err(EndpointError::Storage)?;
            cx.store.remove(from, id).map_err(EndpointError::Storage)?;
            let event = Event::Delivered { to: *from, id };
            cx.store.event(event).map_err(EndpointError::Storage)?;
        }
        Ok(())
    }

    /// A delivery hinted at a contact did not open. Strangers never count.
    #[inline(never)]
    fn unopened<S: Storage<SKIP>, R: CryptoRng>(
        &mut self,
        cx: &mut Cx<'_, S, R>,
        who: &Address,
    ) -> Result<(), EndpointError<S::Error>> {
        let conversation = cx.store.conversation(who).map_err(EndpointError::Storage)?;
        let Some(conversation) = conversation else {
            return Ok(());
        };
        let peer = conversation.peer;
        if peer.standing != Standing::Contact && peer.session.is_none() {
            return Ok(());
        }
        peer.unopened = peer.unopened.saturating_add(1);
        let suspicious = peer.unopened >= UNOPENED_BEFORE_RESTART;
        cx.store.save(who).map_err(EndpointError::Storage)?;
        if suspicious {
            self.want_restart(cx, who)?;
        }
        Ok(())
    }
}

/// Makes room for who wrote first. `false`: there is none.
#[inline(never)]
fn admit<const SKIP: usize, S: Storage<SKIP>, R>(
    cx: &mut Cx<'_, S, R>,
    who: &Address,
    link: u8,
) -> Result<bool, S::Error> {
    cx.store.create(Peer::new(*who, Standing::Stranger, link))
}

/// Tries the contact's sessions: for a start, only the one that its key made. `None`: a start that
/// belongs to neither.
#[inline(never)]
fn try_sessions<const SKIP: usize>(
    p256: &mut impl P256,
    mut conversation: Conversation<'_, SKIP>,
    tag: Option<StartTag>,
    known: (&EnvelopeId, u64),
    envelope: &mut [u8],
) -> Option<Outcome> {
    let mut belongs = tag.is_none();
    for slot in [Slot::Session, Slot::Tentative] {
        let Some(session) = conversation.session_mut(slot) else {
            continue;
        };
        if tag.is_some_and(|tag| tag != session.start_tag()) {
            continue;
        }
        belongs = true;
        let was_confirmed = session.is_confirmed();
        let opened = match session.open(p256, envelope) {
            Ok(opened) => Some(Summary::new(&opened)),
            Err(OpenError::TooFar) => None,
            Err(OpenError::Unopenable) => continue,
            Err(OpenError::Backend) => return Some(Outcome::Failed),
        };
        let replayable = session.may_be_replayed();
        let newly_confirmed = session.is_confirmed() && !was_confirmed;
        let answers_start = newly_confirmed && session.is_initiator();
        let displaced = if newly_confirmed {
            conversation.settle(slot)
        } else {
            Displaced::Nothing
        };
        let changed = displaced != Displaced::Nothing;
        conversation.peer.heard(known.1);
        let Some(mut summary) = opened else {
            return Some(Outcome::TooFar { changed });
        };
        conversation.peer.mark_done(known.0);
        summary.replayable = replayable;
        summary.answers_start = answers_start;
        summary.changed = changed;
        // Of a start of our own the user was told when it was made.
        summary.restarted = displaced == Displaced::InUse && !answers_start;
        return Some(Outcome::Opened(summary));
    }
    belongs.then_some(Outcome::Unopenable)
}
