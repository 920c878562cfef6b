//! The link to the relay, without its socket: handshake, records, frames, silence. PROTOCOL 3
//!
//! ```text
//! Down ──target, connected──> Greeting ──message 2──> Up ──welcome──> online
//!   ^                            │ 10 s                │ 120 s of silence, a record that does not open,
//!   └────────back-off, jitter────┴─────────────────────┘ a frame that does not parse, another device
//! ```
//! An invitation is the first frame of a link. A link is online when the relay has this device's
//! bundle: before that nobody could write to it.

use core::net::SocketAddrV4;

use embedded_storage::nor_flash::NorFlash;
use hushwire_core::{
    crypto::PublicKey,
    limits::MIN_LINK_FRAME,
    link::{
        Bounds, FLIGHT_1_LEN, FLIGHT_3_LEN, HandshakeError, Initiator, MESSAGE_2_LEN, Opener, Scan,
        Sealer, SentMessage1, scan,
    },
    peer::Standing,
    wire::{
        answer::{Answer, NoticeKind},
        frame::PREFIX_LEN,
        request::{Addresses, ContactsChange, MailboxMode, Request},
    },
};
use rand_core::Rng as _;

use super::{Body, Device, Down, Stop, Wire, decision::turned_away, wire::FRAME_AT};
use crate::{
    CONTACTS,
    backoff::Backoff,
    board::{Entropy, Keeper, Panel},
    curve::Curve,
};

/// Milliseconds for the handshake, and again for the relay's first word.
const HANDSHAKE: u64 = 10_000;
/// Milliseconds of own silence after which a ping is sent: relays and routers close what is silent.
const PING_AFTER: u64 = 45_000;
/// Milliseconds of the relay's silence after which it is given up.
const SILENCE: u64 = 120_000;
/// Milliseconds of pause after another device took over, for two of them must not fight; and after
/// being turned away.
const UNWANTED: u64 = 300_000;
/// A link that was up for so many milliseconds was no failure: the back-off begins anew.
const LASTING: u64 = 5_000;
/// Frames handled and sent in one [`Device::poll`]: others want the processor, too.
const AT_ONCE: usize = 32;

/// Numbers of this module's own requests; answers to them change nothing.
const PING: u16 = 0x7fff;
const CHORE: u16 = 0x7ffe;
const INVITE: u16 = 0x7ffd;

#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one, and it stays where it is"
)]
enum Phase {
    Down,
    Connecting,
    Greeting(SentMessage1),
    Up {
        sealer: Sealer,
        opener: Opener,
        bounds: Bounds,
        welcome: bool,
    },
}

/// State of the link. All times are milliseconds since power on.
#[derive(Debug)]
pub(super) struct Link {
    phase: Phase,
    backoff: Backoff,
    retry_at: u64,
    /// When the relay last said something, or the phase began.
    heard_at: u64,
    said_at: u64,
    up_at: u64,
    superseded: bool,
    /// The key that the relay of this link has proved to hold, or is to prove.
    pub(super) made_to: Option<PublicKey>,
    /// The relay has this device's bundle.
    pub(super) registered: bool,
    /// The invitation is still to be shown on this link.
    shows_invite: bool,
    /// What the relay is still to be told about who may write: list, mode.
    chores: u8,
    pub(super) down: Option<Down>,
}

const LIST: u8 = 1;
const MODE: u8 = 2;

impl Link {
    pub(super) const fn new() -> Self {
        Self {
            phase: Phase::Down,
            backoff: Backoff::new(),
            retry_at: 0,
            heard_at: 0,
            said_at: 0,
            up_at: 0,
            superseded: false,
            made_to: None,
            registered: false,
            shows_invite: false,
            chores: 0,
            down: None,
        }
    }

    pub(super) const fn is_online(&self) -> bool {
        self.registered && self.is_welcome()
    }

    const fn is_welcome(&self) -> bool {
        matches!(self.phase, Phase::Up { welcome: true, .. })
    }

    pub(super) const fn is_turned_away(&self) -> bool {
        matches!(self.down, Some(Down::TurnedAway(_)))
    }

    pub(super) const fn down(&self) -> Option<Down> {
        self.down
    }

    /// Who may write has changed.
    pub(super) const fn tell_policy(&mut self) {
        self.chores = LIST | MODE;
    }

    /// When something is to be done though nothing came.
    pub(super) fn deadline(&self) -> u64 {
        match &self.phase {
            Phase::Down | Phase::Connecting => u64::MAX,
            Phase::Greeting(_) | Phase::Up { welcome: false, .. } => self.heard_at + HANDSHAKE,
            Phase::Up { .. } => (self.heard_at + SILENCE).min(self.said_at + PING_AFTER),
        }
    }
}

impl<F: NorFlash, E: Entropy, K: Keeper, P: Panel> Device<'_, F, E, K, P> {
    /// Where to connect to now, and how long to wait otherwise (milliseconds). `Ok` is said once:
    /// [`Self::connected`] or [`Self::close`] is to follow.
    ///
    /// # Errors
    /// The pause until it is to be asked again.
    pub fn target(&mut self, uptime: u64) -> Result<SocketAddrV4, u64> {
        const ASK_AGAIN: u64 = 1000;
        let relay = self.settings.relay.filter(|_| {
            matches!(self.body, Body::Alive(_)) && self.ip.is_some() && !self.is_sick()
        });
        let Some(relay) = relay else {
            return Err(ASK_AGAIN);
        };
        if uptime < self.link.retry_at {
            return Err((self.link.retry_at - uptime).min(ASK_AGAIN));
        }
        self.link.phase = Phase::Connecting;
        Ok(relay.at)
    }

    /// There is a connection: the handshake begins.
    #[inline(never)]
    pub fn connected(&mut self, uptime: u64) {
        let (Phase::Connecting, Body::Alive(alive), Some(relay), Some(limits)) = (
            &self.link.phase,
            &mut self.body,
            self.settings.relay,
            Wire::limits(),
        ) else {
            return self.close(uptime, Down::Changed);
        };
        self.wire.clear();
        self.link.heard_at = uptime;
        self.link.said_at = uptime;
        self.link.made_to = Some(relay.key);
        self.link.registered = false;
        self.link.shows_invite = self.settings.invite.is_some();
        let Some(flight) = self.wire.tx.first_chunk_mut::<FLIGHT_1_LEN>() else {
            return;
        };
        let begun = Initiator::new(relay.key, limits).write_message_1(
            &mut Curve,
            &mut alive.random,
            flight,
        );
        match begun {
            Ok(sent) => {
                self.wire.pending = 0..FLIGHT_1_LEN;
                self.link.phase = Phase::Greeting(sent);
            }
            Err(_) => self.close(uptime, Down::Key),
        }
    }

    /// The connection ended, was not made, or is to end.
    #[inline(never)]
    pub fn close(&mut self, uptime: u64, why: Down) {
        let phase = core::mem::replace(&mut self.link.phase, Phase::Down);
        if why == Down::Changed {
            // The owner has just said where to go: that waits for nothing.
            self.link.backoff.reset();
            self.link.retry_at = uptime;
            self.link.down = None;
        }
        let why = match (&phase, why) {
            (Phase::Down, _) => return,
            // A relay that cannot read the first message hangs up without a word.
            (Phase::Greeting(_), Down::Lost) => Down::Key,
            (_, Down::Lost) if self.link.superseded => Down::Superseded,
            (_, why) => why,
        };
        let was_online = self.link.registered && matches!(phase, Phase::Up { welcome: true, .. });
        drop(phase);
        self.wire.clear();
        if was_online && uptime.saturating_sub(self.link.up_at) >= LASTING {
            self.link.backoff.reset();
        }
        if was_online || self.link.down != Some(why) {
            self.log.note(uptime, format_args!("offline: {why}"));
        }
        self.link.down = Some(why);
        self.link.superseded = false;
        let Body::Alive(alive) = &mut self.body else {
            return;
        };
        let pause = match why {
            Down::Superseded | Down::TurnedAway(_) => UNWANTED,
            Down::Changed => 0,
            _ => self.link.backoff.next(alive.random.next_u32()),
        };
        self.link.retry_at = uptime.saturating_add(pause);
        let (endpoint, mut cx) = alive.split(uptime);
        if endpoint.disconnected(&mut cx, crate::LINK).is_err() {
            self.end = Some(super::End::Reload);
        }
    }

    /// Whether the connection is still wanted.
    #[must_use]
    pub const fn is_linked(&self) -> bool {
        !matches!(self.link.phase, Phase::Down)
    }

    /// Whether the relay has greeted this device.
    #[must_use]
    pub const fn is_online(&self) -> bool {
        self.link.is_online()
    }

    /// Whether [`Self::input`] has room.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.wire.has_room()
    }

    /// Takes bytes of the connection; returns how many had room. The rest is given again after
    /// [`Self::poll`].
    pub fn input(&mut self, bytes: &[u8]) -> usize {
        self.wire.put(bytes)
    }

    /// Bytes for the connection.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.wire
            .tx
            .get(self.wire.pending.clone())
            .unwrap_or_default()
    }

    /// So many of them have left.
    pub fn sent(&mut self, uptime: u64, len: usize) {
        let pending = &mut self.wire.pending;
        pending.start = pending.end.min(pending.start + len);
        self.link.said_at = uptime;
    }

    /// Serves, sends and receives until there is nothing to do without the socket.
    pub(super) fn pump(&mut self, uptime: u64) -> Result<(), Stop> {
        self.more = false;
        self.watch(uptime)?;
        for _ in 0..AT_ONCE {
            if !self.wire.pending.is_empty() {
                return Ok(());
            }
            self.telemetry(uptime)?;
            let moved = self.serve(uptime)? || self.transmit(uptime)? || self.receive(uptime)?;
            if !moved {
                return Ok(());
            }
        }
        self.more = true;
        Ok(())
    }

    fn watch(&mut self, uptime: u64) -> Result<(), Stop> {
        let quiet = uptime.saturating_sub(self.link.heard_at);
        match &self.link.phase {
            Phase::Greeting(_) | Phase::Up { welcome: false, .. } if quiet >= HANDSHAKE => {
                Err(Stop::Link(Down::Silent))
            }
            Phase::Up { .. } if quiet >= SILENCE => Err(Stop::Link(Down::Silent)),
            _ => Ok(()),
        }
    }

    /// Seals the next frame, if there is one.
    fn transmit(&mut self, uptime: u64) -> Result<bool, Stop> {
        let Body::Alive(alive) = &mut self.body else {
            return Ok(false);
        };
        let room = self.wire.tx.get_mut(FRAME_AT..).unwrap_or_default();
        let frame = match self.settings.invite {
            // Before everything else. PROTOCOL 3.5
            Some(invite)
                if self.link.shows_invite && matches!(self.link.phase, Phase::Up { .. }) =>
            {
                self.link.shows_invite = false;
                let number = INVITE;
                Request::Invite { number, invite }.emit(room).ok()
            }
            _ => {
                let (endpoint, mut cx) = alive.split(uptime);
                // Also where there is no link: it commits what was staged.
                endpoint.poll_transmit(&mut cx, crate::LINK, room)?
            }
        };
        let Some(len) = frame.or_else(|| self.own_frame(uptime)) else {
            return Ok(false);
        };
        let Phase::Up { sealer, .. } = &mut self.link.phase else {
            return Ok(false);
        };
        let prefix = FRAME_AT - PREFIX_LEN..FRAME_AT;
        self.wire.tx[prefix].copy_from_slice(&(len as u16).to_be_bytes());
        match sealer.seal(&mut self.wire.tx, PREFIX_LEN + len) {
            Ok(len) => {
                self.wire.pending = 0..len;
                Ok(true)
            }
            // Larger than this relay takes: PROTOCOL 3.3 forbids it to take so little.
            Err(_) => Err(Stop::Link(Down::Protocol)),
        }
    }

    /// What this module itself has to say: who may write, and that it is still here.
    #[inline(never)]
    fn own_frame(&mut self, uptime: u64) -> Option<usize> {
        let (true, Body::Alive(alive)) = (self.link.is_welcome(), &self.body) else {
            return None;
        };
        let room = self.wire.tx.get_mut(FRAME_AT..)?;
        let open = self.settings.strangers;
        // Of who is not registered the relay keeps none of it.
        let chores = if self.link.registered {
            self.link.chores
        } else {
            0
        };
        if chores & LIST != 0 && !open {
            self.link.chores &= !LIST;
            let trusted = alive
                .store
                .contacts()
                .filter(|peer| peer.standing == Standing::Contact);
            let list: heapless::Vec<[u8; 20], CONTACTS> =
                trusted.map(|peer| peer.address.0).take(CONTACTS).collect();
            if !list.is_empty() {
                let request = Request::Contacts {
                    number: CHORE,
                    change: ContactsChange::Add,
                    addresses: Addresses::new(&list),
                };
                return request.emit(room).ok();
            }
        }
        if chores & MODE != 0 {
            self.link.chores = 0;
            let mode = if open {
                MailboxMode::Open
            } else {
                MailboxMode::ContactsOnly
            };
            let number = CHORE;
            return Request::Mode { number, mode }.emit(room).ok();
        }
        if uptime.saturating_sub(self.link.said_at) >= PING_AFTER {
            return Request::Ping { number: PING }.emit(room).ok();
        }
        None
    }

    /// Handles the next thing that came, if it is whole.
    fn receive(&mut self, uptime: u64) -> Result<bool, Stop> {
        if self.handle_frame(uptime)? {
            return Ok(true);
        }
        if !self.wire.frames.is_empty() {
            return Ok(false);
        }
        let bounds = match &self.link.phase {
            Phase::Greeting(_) => Bounds::exactly(MESSAGE_2_LEN),
            Phase::Up { bounds, .. } => *bounds,
            Phase::Down | Phase::Connecting => return Ok(false),
        };
        let broken = |_| Stop::Link(Down::Protocol);
        let Scan::Whole(len) = scan(self.wire.raw(), bounds).map_err(broken)? else {
            return Ok(false);
        };
        self.link.heard_at = uptime;
        let record = self.wire.take(len);
        if let Phase::Up { opener, .. } = &mut self.link.phase {
            let opened = opener
                .open(record)
                .map_err(|_| Stop::Link(Down::Protocol))?
                .len();
            self.wire.frames.end = self.wire.frames.start + opened;
        } else {
            self.greeted()?;
        }
        Ok(true)
    }

    /// Message 2 is in the buffer: message 3 ends the handshake.
    #[inline(never)]
    fn greeted(&mut self) -> Result<(), Stop> {
        let frames = core::mem::take(&mut self.wire.frames);
        let Body::Alive(alive) = &mut self.body else {
            return Ok(());
        };
        let phase = core::mem::replace(&mut self.link.phase, Phase::Connecting);
        let Phase::Greeting(sent) = phase else {
            return Ok(());
        };
        let (identity, p256) = alive.endpoint.hardware();
        let wire = &mut *self.wire;
        let finished = (|| {
            let received = sent.read_message_2(p256, wire.received(frames))?;
            let tx = &mut wire.tx;
            let flight = tx
                .first_chunk_mut::<FLIGHT_3_LEN>()
                .ok_or(HandshakeError::Length)?;
            received.write_message_3(p256, identity, flight)
        })();
        let Ok(transport) = finished else {
            return Err(Stop::Link(Down::Key));
        };
        let bounds = Bounds::records(transport.own_limits());
        if transport.peer_limits().max_frame() < MIN_LINK_FRAME {
            return Err(Stop::Link(Down::Protocol));
        }
        let (sealer, opener) = transport.split();
        self.wire.pending = 0..FLIGHT_3_LEN;
        self.link.phase = Phase::Up {
            sealer,
            opener,
            bounds,
            welcome: false,
        };
        Ok(())
    }

    fn handle_frame(&mut self, uptime: u64) -> Result<bool, Stop> {
        let broken = |()| Stop::Link(Down::Protocol);
        let Body::Alive(alive) = &mut self.body else {
            return Ok(false);
        };
        let Phase::Up {
            welcome: greeted, ..
        } = self.link.phase
        else {
            return Ok(false);
        };
        if alive.store.inbox_room() == 0 {
            return Ok(false);
        }
        let Some(frame) = self.wire.next_frame().map_err(broken)? else {
            return Ok(false);
        };
        let (mut welcomed, mut refused, mut told) = (None, None, None);
        let answer = Answer::parse(frame);
        let away = answer.as_ref().ok();
        if let Some(reason) = away.and_then(|answer| turned_away(answer, self.link.registered)) {
            return Err(Stop::Link(Down::TurnedAway(reason)));
        }
        match answer {
            Ok(Answer::Welcome(welcome)) => welcomed = Some(welcome.bundle_counter > 0),
            Ok(Answer::Notice {
                kind: NoticeKind::Superseded,
                ..
            }) => self.link.superseded = true,
            Ok(Answer::Failed {
                number: CHORE,
                reason,
                ..
            }) => refused = Some(reason),
            Ok(Answer::RelayKey(point)) => told = Some(point),
            _ => {}
        }
        if !greeted && welcomed.is_none() {
            // PROTOCOL 3.6: the welcome is the first frame; before it nothing can be acked.
            return Err(Stop::Link(Down::Protocol));
        }
        let (endpoint, mut cx) = alive.split(uptime);
        endpoint.handle_frame(&mut cx, crate::LINK, frame)?;
        let published = endpoint.is_published(crate::LINK);
        if let Some(reason) = refused {
            self.log.note(
                uptime,
                format_args!("the relay keeps no list of who may write: {reason}"),
            );
        }
        if welcomed.is_some()
            && let Phase::Up { welcome, .. } = &mut self.link.phase
        {
            *welcome = true;
            self.link.up_at = uptime;
        }
        if let Some(point) = told {
            self.relay_key(uptime, &point)?;
        }
        if !self.link.registered && (published || welcomed == Some(true)) {
            self.registered(uptime)?;
        }
        Ok(true)
    }
}
