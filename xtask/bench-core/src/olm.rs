//! vodozemac's side: Olm, as Matrix uses it.

use vodozemac::Curve25519PublicKey;
use vodozemac::olm::{Account, OlmMessage, Session, SessionConfig};

use crate::subject::Subject;

/// Two Olm sessions of one conversation.
pub(crate) struct Olm {
    first: Session,
    second: Session,
}

/// A message with its type, as Olm hands it to the transport.
pub(crate) type Parts = (usize, Vec<u8>);

/// Identity key and one-time key. Matrix signs them outside of Olm, so nothing is verified here.
pub(crate) struct Keys {
    identity: Curve25519PublicKey,
    one_time: Curve25519PublicKey,
}

const BODY: [u8; 16] = [7; 16];

impl Subject for Olm {
    type Sealed = Parts;
    type Offer = Keys;
    type Recipient = Account;

    fn conversation() -> Self {
        let (mut account, keys) = Self::publish();
        let mut first = outbound(&keys);
        let opening = wire(first.encrypt(BODY));
        let second = inbound(&mut account, &opening);
        let mut conversation = Self { first, second };
        conversation.answer(&BODY);
        conversation
    }

    fn publish() -> (Account, Keys) {
        let mut account = Account::new();
        account.generate_one_time_keys(1);
        let one_time = *account
            .one_time_keys()
            .values()
            .next()
            .expect("one key was made");
        let keys = Keys {
            identity: account.curve25519_key(),
            one_time,
        };
        (account, keys)
    }

    fn initiate(offer: &Keys) -> Parts {
        wire(outbound(offer).encrypt(BODY))
    }

    fn accept(recipient: &mut Account, first: Parts) {
        let _ = inbound(recipient, &first);
    }

    fn seal(&mut self, body: &[u8]) -> Parts {
        wire(self.first.encrypt(body))
    }

    fn open(&mut self, sealed: Parts, body: &[u8]) {
        assert_eq!(self.second.decrypt(&message(&sealed)).expect("opens"), body);
    }

    fn answer(&mut self, body: &[u8]) {
        let answer = wire(self.second.encrypt(body));
        assert_eq!(self.first.decrypt(&message(&answer)).expect("opens"), body);
    }
}

fn outbound(keys: &Keys) -> Session {
    // The sender's account exists long before; making it is no part of a start.
    thread_local!(static SENDER: Account = Account::new());
    SENDER.with(|sender| {
        sender
            .create_outbound_session(SessionConfig::version_1(), keys.identity, keys.one_time)
            .expect("the keys are good")
    })
}

fn inbound(account: &mut Account, first: &Parts) -> Session {
    let OlmMessage::PreKey(message) = message(first) else {
        panic!("a start was expected")
    };
    let sender = message.identity_key();
    account
        .create_inbound_session(SessionConfig::version_1(), sender, &message)
        .expect("the start is good")
        .session
}

fn wire<E: std::fmt::Debug>(sealed: Result<OlmMessage, E>) -> Parts {
    sealed.expect("seals").to_parts()
}

fn message((kind, bytes): &Parts) -> OlmMessage {
    OlmMessage::from_parts(*kind, bytes).expect("decodes")
}
