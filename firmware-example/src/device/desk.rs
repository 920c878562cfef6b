//! What the owner says at the console, done.

use core::fmt::Arguments;

use embedded_storage::nor_flash::NorFlash;
use hushwire_core::{
    crypto::PublicKey, endpoint::SendError, fingerprint::SafetyNumber, identity::Address,
    peer::Standing,
};
use hushwire_flash::Boot;

use super::{
    Body, Device, Down, End, Fault, Stop,
    inbox::{call, on_off},
};
use crate::{
    CONTACTS,
    board::{Entropy, Keeper, Panel},
    console::{Command, Desk},
    lamp::Mood,
    log::Cursor,
    relay::{Card, Invited, Relay},
    settings::Name,
    text::{Line, add, set},
};

/// Why a command was not done.
enum No {
    Because(&'static str),
    Stop(Stop),
}

impl<T: Into<Stop>> From<T> for No {
    fn from(error: T) -> Self {
        Self::Stop(error.into())
    }
}

const UNUSABLE: No = No::Because("this device has no keys that work; see status");
const NOBODY: No = No::Because("no contact of that name");

impl<F: NorFlash, E: Entropy, K: Keeper, P: Panel> Desk for Device<'_, F, E, K, P> {
    fn logged(&self, cursor: &mut Cursor, line: &mut Line) -> bool {
        self.log.next(cursor, line)
    }

    fn oldest(&self) -> Cursor {
        self.log.oldest()
    }

    fn is_new(&self) -> bool {
        self.boot == Some(Boot::Fresh)
    }

    fn execute(&mut self, uptime: u64, command: &Command<'_>, reply: &mut Line) {
        match self.attempt(uptime, command, reply) {
            Ok(()) => {}
            Err(No::Because(why)) => set(reply, format_args!("error {why}")),
            Err(No::Stop(stop)) => {
                if let Stop::Reload(why) = stop {
                    set(
                        reply,
                        format_args!("error {why}; starting again from flash"),
                    );
                }
                self.finish(End::Reload);
            }
        }
    }

    fn state(&mut self, uptime: u64, at: usize, line: &mut Line) -> bool {
        line.clear();
        let word = self.state_word();
        let mut is = |text: Arguments<'_>| set(line, text);
        match (at, &mut self.body) {
            (0, _) => is(format_args!("state: {word}")),
            (1, _) => is(format_args!("board: {}", self.name)),
            (2, _) => is(format_args!("image: {}", boot_text(self.boot))),
            (3, _) => match self.generator.borrow().sick() {
                Some(sick) => is(format_args!("noise: sick: {}", sick.text())),
                None => is(format_args!("noise: healthy")),
            },
            (4, _) => is(format_args!("up: {} s", uptime / 1000)),
            (5, _) => match self.panel.stack() {
                Some(stack) => is(format_args!(
                    "stack: {} of {} bytes",
                    stack.most, stack.size
                )),
                None => is(format_args!("stack: unknown")),
            },
            (_, Body::Closed(..) | Body::Broken(_)) => return false,
            (6, Body::Alive(alive)) => is(format_args!("address: {}", alive.endpoint.address())),
            (7, _) => match &self.settings.relay {
                Some(relay) => is(format_args!("relay: {relay}")),
                None => is(format_args!("relay: none")),
            },
            (8, _) => match self.link.down() {
                _ if self.link.is_online() => is(format_args!("link: up")),
                Some(down) => is(format_args!("link: down: {down}")),
                None => is(format_args!("link: down")),
            },
            (9, _) => match &self.settings.invite {
                Some(_) => is(format_args!("invitation: kept until registered")),
                None => is(format_args!("invitation: none")),
            },
            (10, _) => match self.ip {
                Some(ip) => is(format_args!("ip: {ip}")),
                None => is(format_args!("ip: none")),
            },
            (11, Body::Alive(alive)) => {
                let known = alive.store.contacts().count();
                is(format_args!("contacts: {known} of {CONTACTS}"));
            }
            (12, _) => is(format_args!(
                "strangers: {}",
                on_off(self.settings.strangers)
            )),
            (13, _) => is(format_args!("telemetry: {}", self.settings.telemetry)),
            (14, _) => is(format_args!("lamp: {}", on_off(self.lit))),
            (15, _) => is(format_args!("boots: {}", self.settings.starts)),
            (16, Body::Alive(alive)) => {
                let wear = alive.store.wear();
                is(format_args!(
                    "flash: {} bytes, {} erases",
                    wear.bytes, wear.erases
                ));
            }
            _ => return false,
        }
        true
    }

    fn contact(&self, at: usize, line: &mut Line) -> bool {
        let Body::Alive(alive) = &self.body else {
            return false;
        };
        let Some(peer) = alive.store.contacts().nth(at) else {
            return false;
        };
        let standing = match peer.standing {
            Standing::Contact => "contact",
            Standing::Stranger => "stranger",
            Standing::Blocked => "blocked",
        };
        let session = match &peer.session {
            Some(session) if session.is_confirmed() => "in conversation",
            Some(_) => "conversation begun",
            None => "no conversation yet",
        };
        let name = self.settings.name(&peer.address).unwrap_or("-");
        set(
            line,
            format_args!("{name} {} {standing}, {session}", peer.address),
        );
        true
    }

    fn card(&self, line: &mut Line) {
        line.clear();
        if let Some(relay) = &self.settings.relay {
            let relay: &Relay = relay;
            add(line, format_args!("{relay}/"));
        }
        if let Some(address) = self.address() {
            add(line, format_args!("{address}"));
        }
    }
}

impl<F: NorFlash, E: Entropy, K: Keeper, P: Panel> Device<'_, F, E, K, P> {
    fn attempt(&mut self, uptime: u64, command: &Command<'_>, reply: &mut Line) -> Result<(), No> {
        let mut ok = |text: Arguments<'_>| set(reply, text);
        match command {
            Command::Nothing | Command::Status | Command::Help | Command::List | Command::Log => {
                ok(format_args!("ok"));
                return Ok(());
            }
            Command::Restart => {
                self.finish(End::Restart);
                ok(format_args!("ok restarting"));
                return Ok(());
            }
            Command::Reset => {
                self.finish(End::Reset);
                ok(format_args!("ok everything is forgotten"));
                return Ok(());
            }
            _ => {}
        }
        let sick = self.is_sick();
        let Body::Alive(alive) = &mut self.body else {
            return Err(UNUSABLE);
        };
        match command {
            Command::Address => {
                ok(format_args!("ok {}", alive.endpoint.address()));
                return Ok(());
            }
            Command::Card => {
                let mut card = Line::new();
                self.card(&mut card);
                ok(format_args!("ok {card}"));
                return Ok(());
            }
            // All that follows writes records under fresh keys.
            _ if sick => return Err(No::Because("there is no healthy noise: no key can be made")),
            _ => {}
        }
        let (store, settings) = (&mut alive.store, &mut self.settings);
        match command {
            Command::Relay(Invited { relay, invite }) => {
                // One that was for this relay stays; another relay never sees it.
                let same = settings.relay.is_some_and(|old| old.key == relay.key);
                let kept = settings.invite.filter(|_| same);
                settings.set_relay(store, *relay, invite.or(kept))?;
                self.close(uptime, Down::Changed);
                ok(format_args!("ok relay {}", relay.at));
            }
            Command::Invite(invite) => {
                let Some(relay) = settings.relay else {
                    return Err(No::Because("which relay is it for? relay URL/INVITATION"));
                };
                if self.link.is_online() {
                    return Err(No::Because("this device is registered: it needs none"));
                }
                settings.set_relay(store, relay, Some(*invite))?;
                self.close(uptime, Down::Changed);
                ok(format_args!("ok"));
            }
            Command::Network(network) => {
                settings.set_network(store, *network)?;
                self.close(uptime, Down::Changed);
                ok(format_args!("ok"));
            }
            Command::Strangers(on) => {
                settings.set_policy(store, *on, settings.telemetry)?;
                alive.endpoint.accept_strangers(*on);
                self.link.tell_policy();
                ok(format_args!("ok strangers {}", on_off(*on)));
            }
            Command::Telemetry(seconds) => {
                settings.set_policy(store, settings.strangers, *seconds)?;
                self.telemetry_at = uptime;
                ok(format_args!("ok telemetry {seconds}"));
            }
            Command::Add(name, card) => {
                self.add(name, card)?;
                ok(format_args!("ok {name} is {}", card.address));
            }
            Command::Remove(name) => {
                let who = self.known(name)?;
                let Body::Alive(alive) = &mut self.body else {
                    return Err(UNUSABLE);
                };
                alive.store.remove_contact(&who)?;
                self.settings.forget_name(&mut alive.store, &who)?;
                ok(format_args!("ok {name} is forgotten"));
            }
            Command::Block(name) => {
                let who = self.known(name)?;
                let Body::Alive(alive) = &mut self.body else {
                    return Err(UNUSABLE);
                };
                if !alive.store.set_standing(&who, Standing::Blocked)? {
                    return Err(NOBODY);
                }
                ok(format_args!("ok {name} is blocked"));
            }
            Command::Send(name, text) => {
                let to = self.known(name)?;
                let Body::Alive(alive) = &mut self.body else {
                    return Err(UNUSABLE);
                };
                let (endpoint, mut cx) = alive.split(uptime);
                match endpoint.send(&mut cx, &to, text.as_bytes()) {
                    Ok(id) => ok(format_args!("ok {id}")),
                    Err(SendError::Storage(error)) => return Err(error.into()),
                    Err(SendError::OutboxFull) => {
                        return Err(No::Because("the outbox is full: wait for receipts"));
                    }
                    Err(SendError::TooLarge) => return Err(No::Because("the message is too long")),
                    Err(SendError::Blocked) => return Err(No::Because("that contact is blocked")),
                    Err(SendError::UnknownContact) => return Err(NOBODY),
                }
            }
            Command::Verify(name) => {
                let who = self.known(name)?;
                let Body::Alive(alive) = &mut self.body else {
                    return Err(UNUSABLE);
                };
                let mut peers = alive.store.contacts();
                let theirs = peers
                    .find(|peer| peer.address == who)
                    .and_then(|peer| peer.identity);
                let Some(theirs) = theirs else {
                    return Err(No::Because(
                        "their keys are not known yet: exchange a message first",
                    ));
                };
                let number = SafetyNumber::new(alive.endpoint.identity(), &theirs);
                ok(format_args!("ok {number}"));
            }
            _ => ok(format_args!("ok")),
        }
        Ok(())
    }

    /// Whom a name or an address means.
    fn known(&self, name: &str) -> Result<Address, No> {
        let named = self.settings.named(name);
        named.or_else(|| name.parse().ok()).ok_or(NOBODY)
    }

    fn add(&mut self, name: &Name, card: &Card) -> Result<(), No> {
        let Body::Alive(alive) = &mut self.body else {
            return Err(UNUSABLE);
        };
        let who = card.address;
        if who == alive.endpoint.address() {
            return Err(No::Because("that is this device itself"));
        }
        let elsewhere = |key: &PublicKey| !self.settings.is_own_relay(key);
        if self.settings.relay.is_some() && card.relay.as_ref().is_some_and(elsewhere) {
            return Err(No::Because(
                "their mailbox is at another relay; this device has one",
            ));
        }
        if self.settings.named(name).is_some_and(|other| other != who) {
            return Err(No::Because(
                "somebody else has that name; remove them first",
            ));
        }
        if !alive.store.add_contact(&who, crate::LINK)? {
            // A stranger's place is a contact's first.
            let stranger = {
                let mut peers = alive.store.contacts();
                let found = peers.find(|peer| peer.standing == Standing::Stranger);
                found.map(|peer| peer.address)
            };
            let room = match stranger {
                Some(stranger) => alive.store.remove_contact(&stranger)?,
                None => false,
            };
            if !room || !alive.store.add_contact(&who, crate::LINK)? {
                return Err(No::Because("no room: remove a contact first"));
            }
        }
        if !self.settings.set_name(&mut alive.store, who, name)? {
            return Err(No::Because("no room for the name: remove a contact first"));
        }
        self.link.tell_policy();
        Ok(())
    }

    fn state_word(&self) -> &'static str {
        match (self.fault(), self.mood()) {
            (Some(Fault::Pairing(_)), _) => "needs-pairing",
            (Some(Fault::Keeper | Fault::Flash), _) | (None, Mood::Fault) => "fault",
            (None, Mood::Unprovisioned) => "unprovisioned",
            (None, Mood::Connecting) if self.link.is_turned_away() => "turned-away",
            (None, Mood::Connecting) => "connecting",
            (None, Mood::Online) => "online",
        }
    }

    /// Puts what a contact is called into a line.
    pub fn name_of(&self, who: &Address, line: &mut Line) {
        call(self.settings, who, line);
    }
}

/// What an image was found to be, in a word.
pub(super) const fn boot_text(boot: Option<Boot>) -> &'static str {
    match boot {
        Some(Boot::Fresh) => "new",
        Some(Boot::Ready) => "ready",
        Some(Boot::Recovered(_)) => "recovered",
        Some(Boot::RolledBack) => "older",
        Some(Boot::NeedsPairing(_)) | None => "unusable",
    }
}
