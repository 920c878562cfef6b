//! Frames between links and the endpoint.

use std::collections::VecDeque;

use hushwire_core::{
    crypto::PublicKey,
    endpoint::{Cx, EndpointError, FIRST_NUMBER, Handled},
    link::HEAD_ROOM,
    wire::{WireError, answer::Answer, frame::Frames, invite::Invite, request::Request},
};
use tokio::sync::mpsc;

use super::Driver;
use crate::{
    net::{LinkError, LinkInput},
    vault::{HOME, VaultError},
};

/// Records that may wait for the socket: what comes after them waits in the outbox.
const CREDIT: usize = 4;
/// Bytes of plaintext after which a record is sent though it has room.
const FULL: usize = 16 * 1024;

/// A link that is up.
pub(super) struct LinkSlot {
    generation: u64,
    /// What the relay proved to hold.
    pub(super) key: PublicKey,
    records: mpsc::UnboundedSender<Vec<u8>>,
    max_plaintext: usize,
    max_frame: usize,
    waiting: usize,
    /// The application's own requests.
    pub(super) requests: VecDeque<Vec<u8>>,
}

type Fault = EndpointError<VaultError>;

impl Driver {
    pub(super) fn handle_link(&mut self, link: u8, generation: u64, input: LinkInput) {
        match input {
            LinkInput::Up {
                key,
                records,
                max_plaintext,
                max_frame,
            } => {
                let requests = self.first_words(link);
                let slot = LinkSlot {
                    generation,
                    key,
                    records,
                    max_plaintext,
                    max_frame,
                    waiting: 0,
                    requests,
                };
                self.links.insert(link, slot);
            }
            LinkInput::Down(error) => {
                let current = self
                    .links
                    .get(&link)
                    .is_none_or(|up| up.generation == generation);
                if current {
                    self.set_state(link, Err(error));
                    self.down(link);
                }
            }
            LinkInput::Written => {
                if let Some(up) = self.of(link, generation) {
                    up.waiting = up.waiting.saturating_sub(1);
                }
            }
            LinkInput::Record(mut record) => {
                if self.of(link, generation).is_none() {
                    return;
                }
                if let Err(fault) = self.handle_record(link, &mut record) {
                    self.fault(link, fault);
                }
            }
        }
    }

    /// An invitation goes before everything else. PROTOCOL 3.5
    fn first_words(&self, link: u8) -> VecDeque<Vec<u8>> {
        let invite = match link {
            HOME => self.vault.invite().unwrap_or_default(),
            _ => None,
        };
        let frame = invite.and_then(|invite| {
            let mut frame = vec![0; 64];
            let (number, invite) = (FIRST_NUMBER - 1, Invite(invite));
            let len = Request::Invite { number, invite }.emit(&mut frame).ok()?;
            frame.truncate(len);
            Some(frame)
        });
        frame.into_iter().collect()
    }

    /// Ends a link, which comes back by itself.
    pub(crate) fn restart(&mut self, link: u8) {
        if self.links.contains_key(&link) {
            let relay = self
                .vault
                .relay(link)
                .map_or_else(String::new, |url| url.authority);
            self.set_state(link, Err(LinkError::Connecting { relay }));
            self.down(link);
        }
    }

    fn of(&mut self, link: u8, generation: u64) -> Option<&mut LinkSlot> {
        self.links
            .get_mut(&link)
            .filter(|up| up.generation == generation)
    }

    fn handle_record(&mut self, link: u8, record: &mut [u8]) -> Result<(), Fault> {
        let mut rest = record;
        while !rest.is_empty() {
            let len = match Frames::new(rest).next() {
                Some(Ok(frame)) => frame.len(),
                _ => return Err(Fault::Wire(WireError::Length)),
            };
            let (frame, after) = rest.split_at_mut(2 + len);
            self.handle_frame(link, &mut frame[2..])?;
            rest = after;
        }
        Ok(())
    }

    fn handle_frame(&mut self, link: u8, frame: &mut [u8]) -> Result<(), Fault> {
        const WELCOME: u8 = 0x8b;
        let mut patience = 8;
        let handled = loop {
            let now = self.vault.now();
            let mut cx = Cx {
                store: &mut self.vault,
                rng: &mut self.rng,
                now,
            };
            match self.endpoint.handle_frame(&mut cx, link, frame) {
                // What waits to be acked has to leave first, whatever the socket says.
                Err(Fault::Busy) if patience > 0 => {
                    patience -= 1;
                    self.transmit(link, usize::MAX)?;
                }
                other => break other?,
            }
        };
        if frame.first() == Some(&WELCOME) {
            self.set_state(link, Ok(()));
        }
        if handled == Handled::NotMine {
            match Answer::parse(frame)? {
                Answer::RelayKey(point) => {
                    self.relay_key(link, &point).map_err(Fault::Storage)?;
                }
                answer => self.requests.answered(link, &answer),
            }
        }
        Ok(())
    }

    /// Everything that can leave leaves.
    pub(super) fn pump(&mut self) {
        let links: Vec<u8> = self.links.keys().copied().collect();
        for link in links {
            if let Err(fault) = self.transmit(link, CREDIT) {
                self.fault(link, fault);
            }
        }
        // What no link asks for is committed all the same.
        if let Err(error) = self.vault.flush() {
            self.fault(0, Fault::Storage(error));
        }
    }

    /// Fills records for a link while less than `credit` of them wait.
    fn transmit(&mut self, link: u8, credit: usize) -> Result<(), Fault> {
        let mut record = vec![0; HEAD_ROOM];
        while self.links.get(&link).is_some_and(|up| up.waiting < credit) {
            let Some(len) = self.next_frame(link)? else {
                break;
            };
            let Some(up) = self.links.get_mut(&link) else {
                return Ok(());
            };
            if len > up.max_frame {
                tracing::warn!("a frame is larger than the relay takes; it was left out");
                continue;
            }
            if record.len() - HEAD_ROOM + 2 + len > up.max_plaintext {
                up.dispatch(&mut record);
            }
            record.extend_from_slice(&(len as u16).to_be_bytes());
            record.extend_from_slice(&self.out[..len]);
            if record.len() >= FULL {
                up.dispatch(&mut record);
            }
        }
        if let Some(up) = self.links.get_mut(&link) {
            up.dispatch(&mut record);
        }
        Ok(())
    }

    /// The next frame for a link, in `out`.
    fn next_frame(&mut self, link: u8) -> Result<Option<usize>, Fault> {
        let request = self
            .links
            .get_mut(&link)
            .and_then(|up| up.requests.pop_front());
        if let Some(request) = request {
            self.out[..request.len()].copy_from_slice(&request);
            return Ok(Some(request.len()));
        }
        let now = self.vault.now();
        let mut cx = Cx {
            store: &mut self.vault,
            rng: &mut self.rng,
            now,
        };
        self.endpoint.poll_transmit(&mut cx, link, &mut self.out)
    }

    fn fault(&mut self, link: u8, fault: Fault) {
        match fault {
            Fault::Storage(error) => {
                tracing::error!("{error}");
                let _ = self.signals.send(super::Signal::Alarm(error.to_string()));
                self.recover();
            }
            other => {
                tracing::warn!("link {link} is closed: {other}");
                self.down(link);
            }
        }
    }

    /// The link is gone; dropping its sender closes the socket, if it is still there.
    pub(super) fn down(&mut self, link: u8) {
        self.links.remove(&link);
        self.requests.lost(link, self.states.borrow().get(&link));
        let now = self.vault.now();
        let mut cx = Cx {
            store: &mut self.vault,
            rng: &mut self.rng,
            now,
        };
        if let Err(Fault::Storage(error)) = self.endpoint.disconnected(&mut cx, link) {
            self.fault(link, Fault::Storage(error));
        }
    }
}

impl LinkSlot {
    fn dispatch(&mut self, record: &mut Vec<u8>) {
        if record.len() > HEAD_ROOM {
            let full = std::mem::replace(record, vec![0; HEAD_ROOM]);
            self.waiting += 1;
            // The task has ended: its last word is on its way.
            let _ = self.records.send(full);
        }
    }
}
