//! What contacts ask of the device, what it tells them of itself, and what it tells its owner.

use embedded_storage::nor_flash::NorFlash;
use heapless::Vec;
use hushwire_core::{
    endpoint::SendError,
    identity::Address,
    peer::Standing,
    session::Kind,
    storage::{Event, Storage as _},
    wire::MessageId,
};

use super::{Body, Device, Stop};
use crate::{
    CONTACTS,
    board::{Entropy, Keeper, Panel},
    remote::{HELP, Request},
    settings::Settings,
    text::{Foreign, Line, add, set},
};

/// Places of the inbox that stay free while answers wait for room in the outbox: receipts, which
/// make that room, come in by them.
const RESERVE: usize = 2;

/// The last telemetry message to each contact: while it waits, there is no other.
#[derive(Debug)]
pub(super) struct Telemetry(Vec<(Address, MessageId), CONTACTS>);

impl Telemetry {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }
}

impl<F: NorFlash, E: Entropy, K: Keeper, P: Panel> Device<'_, F, E, K, P> {
    /// Does what the oldest message of the inbox asks, and answers. The effect comes first, then
    /// one commit for the answer and for the message's end: a loss of power in between repeats the
    /// effect, and never the answer.
    #[inline(never)]
    pub(super) fn serve(&mut self, uptime: u64) -> Result<bool, Stop> {
        let Body::Alive(alive) = &mut self.body else {
            return Ok(false);
        };
        let Some(message) = alive.store.next_message(&mut self.wire.tx)? else {
            return Ok(false);
        };
        let (from, id, kind, replayable) =
            (message.from, message.id, message.kind, message.replayable);
        let body = message.body;
        let mut peers = alive.store.contacts();
        let trusted = peers.any(|peer| peer.address == from && peer.standing == Standing::Contact);
        drop(peers);

        let again = self.served == Some(id);
        if !again {
            let mut who = Line::new();
            call(self.settings, &from, &mut who);
            self.log
                .note(uptime, format_args!("from {who}: {}", Foreign(body)));
        }
        let mut answer = Line::new();
        let text = match Request::parse(body) {
            _ if !trusted || kind != Kind::DATA => None,
            // Somebody may have stored an old first message and sent it again.
            _ if replayable => {
                set(
                    &mut answer,
                    format_args!("not done: this may be a repetition; say it again"),
                );
                Some(answer.as_bytes())
            }
            Request::Echo(text) => Some(text),
            request => {
                if let Request::Led(on) = request {
                    self.lit = on;
                }
                match request {
                    Request::Led(on) => set(&mut answer, format_args!("led {}", on_off(on))),
                    Request::Read => match self.panel.read() {
                        Some(value) => set(&mut answer, format_args!("{value} {}", P::UNIT)),
                        None => set(&mut answer, format_args!("this board has no sensor")),
                    },
                    Request::Status => {
                        let boot = super::desk::boot_text(self.boot);
                        let (lamp, up) = (on_off(self.lit), uptime / 1000);
                        let name = self.name;
                        set(
                            &mut answer,
                            format_args!("{name} up {up} s, lamp {lamp}, image {boot}"),
                        );
                    }
                    Request::Help | Request::Echo(_) => set(&mut answer, format_args!("{HELP}")),
                }
                Some(answer.as_bytes())
            }
        };
        self.served = Some(id);
        let Some(text) = text else {
            alive.store.done(&id)?;
            return Ok(true);
        };
        // The answer is tried again when receipts have made room.
        if !alive.store.outbox_takes(text.len()) && alive.store.inbox_room() > RESERVE {
            return Ok(false);
        }
        // Staged before the answer, so that one commit holds both: no loss of power comes between.
        alive.store.done(&id)?;
        let (endpoint, mut cx) = alive.split(uptime);
        match endpoint.send(&mut cx, &from, text) {
            Ok(_) => {}
            Err(SendError::Storage(error)) => return Err(error.into()),
            Err(_) => self
                .log
                .note(uptime, format_args!("an answer was dropped: no room")),
        }
        Ok(true)
    }

    /// Tells all contacts of the device, now and then.
    #[inline(never)]
    pub(super) fn telemetry(&mut self, uptime: u64) -> Result<(), Stop> {
        let every = self.settings.telemetry;
        if every == 0 || uptime < self.telemetry_at {
            return Ok(());
        }
        self.telemetry_at = uptime.saturating_add(u64::from(every) * 1000);
        let Body::Alive(alive) = &mut self.body else {
            return Ok(());
        };
        let mut text = Line::new();
        set(&mut text, format_args!("telemetry: up {} s", uptime / 1000));
        if let Some(value) = self.panel.read() {
            add(&mut text, format_args!(", {value} {}", P::UNIT));
        }
        let trusted = alive
            .store
            .contacts()
            .filter(|peer| peer.standing == Standing::Contact);
        let trusted: Vec<Address, CONTACTS> =
            trusted.map(|peer| peer.address).take(CONTACTS).collect();
        let last = &mut self.telemetry.0;
        last.retain(|(to, _)| trusted.contains(to));
        for to in &trusted {
            let known = last.iter().position(|(of, _)| of == to);
            if let Some((_, id)) = known.and_then(|at| last.get(at))
                && alive.store.find(to, *id)?.is_some()
            {
                continue;
            }
            let (endpoint, mut cx) = alive.split(uptime);
            match endpoint.send(&mut cx, to, text.as_bytes()) {
                Ok(id) => {
                    if let Some(at) = known {
                        last.swap_remove(at);
                    }
                    // As many places as contacts.
                    let _ = last.push((*to, id));
                }
                Err(SendError::Storage(error)) => return Err(error.into()),
                // The next one will do.
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Puts what happened into the log.
    #[inline(never)]
    pub(super) fn tell(&mut self, uptime: u64) {
        let Body::Alive(alive) = &mut self.body else {
            return;
        };
        while let Some(event) = alive.store.next_event() {
            let mut who = Line::new();
            let mut name = |of: &Address| call(self.settings, of, &mut who);
            let log = &mut *self.log;
            match event {
                // What is on its way concerns nobody until it is there, or is not.
                Event::Accepted { .. } => {}
                Event::Delivered { to, id } => {
                    name(&to);
                    log.note(uptime, format_args!("delivered {id} to {who}"));
                }
                Event::Delayed { to, reason, .. } => {
                    name(&to);
                    log.note(uptime, format_args!("delayed to {who}: {reason}"));
                }
                Event::Failed { to, id, reason } => {
                    name(&to);
                    match reason {
                        Some(reason) => {
                            log.note(uptime, format_args!("failed {id} to {who}: {reason}"));
                        }
                        None => log.note(uptime, format_args!("failed {id} to {who}: no receipt")),
                    }
                }
                Event::Restarted { peer } => {
                    name(&peer);
                    log.note(
                        uptime,
                        format_args!("alarm: the conversation with {who} began anew"),
                    );
                }
                Event::Lost { peer, count } => {
                    name(&peer);
                    log.note(
                        uptime,
                        format_args!("{count} messages of {who} cannot be opened"),
                    );
                }
                Event::NoBundle { peer } => {
                    name(&peer);
                    log.note(uptime, format_args!("{who} is not at this relay yet"));
                }
                Event::BadBundle { peer, .. } => {
                    name(&peer);
                    log.note(
                        uptime,
                        format_args!("alarm: the relay gave wrong keys for {who}"),
                    );
                }
                Event::RelayWentBack { .. } => {
                    log.note(
                        uptime,
                        format_args!("alarm: the relay is another one, or its store went back"),
                    );
                }
                Event::Notice { peer, count, .. } => {
                    name(&peer);
                    log.note(
                        uptime,
                        format_args!(
                            "the relay says: {count} messages with {who} expired or were refused"
                        ),
                    );
                }
            }
        }
    }
}

/// Puts what somebody is called into a line: a name, or the address.
pub(super) fn call(settings: &Settings, of: &Address, line: &mut Line) {
    match settings.name(of) {
        Some(name) => set(line, format_args!("{name}")),
        None => set(line, format_args!("{of}")),
    }
}

pub(super) const fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
