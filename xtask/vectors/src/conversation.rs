//! PROTOCOL 6: eight messages with steps, of which one comes last.

use crate::{
    bundle::{LARGEST_BODY, Published},
    identity::Identity,
    json::Object,
    ratchet::{Content, Session},
    script::Script,
    start::Start,
};

/// Each message: who seals it (`true`: Alice), its text, whether it is delivered at once.
const TALK: [(bool, &str, bool); 8] = [
    (true, "Are you there?", true),
    (true, "This one comes last: it was skipped.", false),
    (true, "I ask because of the door.", true),
    (false, "I am here. Which door?", true),
    (
        false,
        "There are two doors and a gate, and both doors were locked when I last passed them.",
        true,
    ),
    (true, "The gate.", true),
    (true, "Somebody left it open.", true),
    (false, "Closed it.", true),
];

/// What was said, and where both sides stand before the skipped message comes.
pub(crate) struct Conversation {
    pub(crate) bob: Session,
    messages: Vec<Object>,
    agreement: Object,
    first_step: Object,
    alice_random: Vec<u8>,
    bob_random: Vec<u8>,
}

impl Conversation {
    pub(crate) fn run() -> Self {
        let (alice, published) = (Identity::alice(), Published::bobs());
        let mut alice_script = Script::new("conversation, alice");
        let mut bob_script = Script::new("conversation, bob");
        let start = Start::new(&alice, &published, true, &mut alice_script);
        let signed = &published.signed.1;
        let mut a = start.initiator(signed, &mut alice_script);
        let first_step = a.last_step();
        let mut b = start.responder(signed);

        let (mut messages, mut late) = (Vec::new(), Vec::new());
        for (number, (by_alice, text, at_once)) in TALK.into_iter().enumerate() {
            let content = Content::new(0x01, 0xb0 + number as u8, text.as_bytes());
            let message = match by_alice {
                true => a.seal(&content, &mut alice_script),
                false => b.seal(&content, &mut bob_script),
            };
            let name = if by_alice { "alice" } else { "bob" };
            let json = Object::new().with("by", name).with("message", message.json);
            messages.push(json);
            if !at_once {
                late.push((message.envelope, content));
                continue;
            }
            let opened = match by_alice {
                true => b.open(&message.envelope, (number == 0).then_some(signed)),
                false => a.open(&message.envelope, None),
            };
            assert_eq!(opened.unwrap(), content.padded(), "message {number}");
        }
        let bob = b.clone();
        for (envelope, content) in late {
            assert_eq!(b.open(&envelope, None).unwrap(), content.padded());
            assert_eq!(b.open(&envelope, None), None, "a repeat");
        }
        Self {
            bob,
            messages,
            agreement: start.json(),
            first_step,
            alice_random: alice_script.drawn().to_vec(),
            bob_random: bob_script.drawn().to_vec(),
        }
    }
}

/// Numbers from 0, in the order in which they arrive.
fn arrivals() -> Vec<u64> {
    let of = |now: bool| {
        let talk = TALK.iter().enumerate();
        talk.filter_map(move |(i, (.., at_once))| (*at_once == now).then_some(i as u64))
    };
    of(true).chain(of(false)).collect()
}

pub(crate) fn file() -> String {
    let conversation = Conversation::run();
    let published = Published::bobs();
    let (signed_id, signed) = &published.signed;
    let (one_time_id, one_time) = &published.one_time[0];
    Object::new()
        .with("about", "Eight messages: a start repeated, a step each way, one message skipped and delivered last. PROTOCOL 5, 6")
        .with("alice", Identity::alice().json())
        .with("bob", published.owner.json())
        .hex("bundle", published.bundle())
        .with("signed_prekey_id", u64::from(*signed_id))
        .hex("signed_prekey_scalar", signed.scalar)
        .with("one_time_prekey_id", u64::from(*one_time_id))
        .hex("one_time_prekey_scalar", one_time.scalar)
        .with("largest_body", u64::from(LARGEST_BODY))
        .hex("alice_random", &conversation.alice_random)
        .hex("bob_random", &conversation.bob_random)
        .with("agreement", conversation.agreement)
        .with("first_step", conversation.first_step)
        .with("messages", conversation.messages)
        .with("arrivals", arrivals())
        .file()
}
