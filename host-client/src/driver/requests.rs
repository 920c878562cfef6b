//! Requests of the application's own, beside the endpoint's: each waits for its answer.

use std::collections::HashMap;

use hushwire_core::{
    crypto::Software,
    endpoint::FIRST_NUMBER,
    identity::{Address, IdentityPublic},
    wire::{
        answer::{Answer, Status},
        bundle::{Bundle, BundleError},
        reason::Reason,
        request::Request,
    },
};
use tokio::sync::oneshot;

use super::Driver;
use crate::{error::Error, net::LinkError};

/// A relay's answer.
#[derive(Clone, Debug)]
pub(crate) enum Response {
    /// It is done.
    Done,
    /// Whose a nickname is.
    Name(Address),
    /// The mailbox.
    Status(Status),
    /// The keys of a verified bundle.
    Identity(IdentityPublic),
    /// A bundle that must not be used.
    Bad(BundleError),
}

type Waiting = oneshot::Sender<Result<Response, Error>>;

/// What waits for answers.
#[derive(Default)]
pub(super) struct Requests {
    waiting: HashMap<(u8, u16), Waiting>,
    number: u16,
}

impl Requests {
    fn add(&mut self, link: u8, waiting: Waiting) -> u16 {
        // The last number below the endpoint's is the link's own ping.
        self.number = (self.number + 1) % (FIRST_NUMBER - 1);
        self.waiting.insert((link, self.number), waiting);
        self.number
    }

    pub(super) fn answered(&mut self, link: u8, answer: &Answer<'_>) {
        let (number, response) = match *answer {
            Answer::Done { number } => (number, Ok(Response::Done)),
            Answer::Name { number, owner, .. } => (number, Ok(Response::Name(owner))),
            Answer::Status { number, status } => (number, Ok(Response::Status(status))),
            Answer::Failed {
                number,
                reason: Reason::Invitation,
                ..
            } => (number, Err(Error::Uninvited)),
            Answer::Failed {
                number,
                reason,
                retry_after,
            } => (
                number,
                Err(Error::Refused {
                    reason,
                    retry_after,
                }),
            ),
            Answer::Bundle {
                number,
                address,
                bundle,
                ..
            } => {
                let verified = Bundle::parse(bundle)
                    .map_err(BundleError::from)
                    .and_then(|bundle| bundle.verify(&mut Software, &address));
                let response = match verified {
                    Ok(verified) => Response::Identity(*verified.identity()),
                    Err(error) => Response::Bad(error),
                };
                (number, Ok(response))
            }
            _ => return,
        };
        if let Some(waiting) = self.waiting.remove(&(link, number)) {
            // Who asked has gone: nobody is interested.
            let _ = waiting.send(response);
        }
    }

    pub(super) fn lost(&mut self, link: u8, state: Option<&Result<(), LinkError>>) {
        let error = state.and_then(|state| state.clone().err());
        for (_, waiting) in self.waiting.extract_if(|(at, _), _| *at == link) {
            let error = error.clone().map_or(Error::NoAnswer, Error::Link);
            let _ = waiting.send(Err(error));
        }
    }
}

impl Driver {
    /// Asks a relay; the answer comes through the channel, or the link's end does.
    pub(crate) fn request(
        &mut self,
        link: u8,
        build: impl FnOnce(u16) -> Request<'static>,
        waiting: Waiting,
    ) {
        self.request_with(link, waiting, |number, frame| {
            build(number).emit(frame).ok()
        });
    }

    /// The same for requests that borrow.
    pub(crate) fn request_with(
        &mut self,
        link: u8,
        waiting: Waiting,
        emit: impl FnOnce(u16, &mut [u8]) -> Option<usize>,
    ) {
        let Some(up) = self.links.get_mut(&link) else {
            let state = self.states.borrow().get(&link).cloned();
            let error = state
                .and_then(Result::err)
                .map_or(Error::NoAnswer, Error::Link);
            let _ = waiting.send(Err(error));
            return;
        };
        let number = self.requests.add(link, waiting);
        let mut frame = vec![0; crate::net::MAX_FRAME];
        if let Some(len) = emit(number, &mut frame) {
            frame.truncate(len);
            up.requests.push_back(frame);
        }
    }
}
