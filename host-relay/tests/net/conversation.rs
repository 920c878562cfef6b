//! What clients that keep the rules see.

use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::{Answer, NoticeKind};
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::{MailboxMode, Request};

use crate::relay::Relay;
use crate::support::{Client, address_of};

const ALICE: u16 = 1;
const BOB: u16 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn messages_reach_who_is_there_and_who_comes_later() {
    let relay = Relay::start().await;
    let target = relay.target;
    let mut alice = Client::connect(&target, ALICE).await.unwrap();
    alice.register().await.unwrap();
    let mut bob = Client::connect(&target, BOB).await.unwrap();
    bob.register().await.unwrap();

    alice
        .submit(address_of(BOB), b"now")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        bob.delivery().await.unwrap(),
        (address_of(ALICE), b"now".to_vec())
    );
    bob.send(&Request::Ack(EnvelopeId::of(b"now")))
        .await
        .unwrap();
    bob.ping().await.unwrap();
    drop(bob);

    let largest = vec![7; hushwire_core::limits::MAX_ENVELOPE];
    alice
        .submit(address_of(BOB), b"later")
        .await
        .unwrap()
        .unwrap();
    alice
        .submit(address_of(BOB), &largest)
        .await
        .unwrap()
        .unwrap();
    drop(alice);

    // Over an orderly stop and a new start.
    let folder = relay.stop().await;
    let relay = Relay::start_in(folder, Default::default()).await;
    let mut bob = Client::connect(&relay.target, BOB).await.unwrap();
    assert_eq!((bob.welcome.waiting, bob.welcome.bundle_counter), (2, 1));
    assert_eq!(bob.delivery().await.unwrap().1, b"later");
    assert_eq!(bob.delivery().await.unwrap().1, largest);
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_names_itself_and_sequences_rise_over_starts() {
    let relay = Relay::start().await;
    let first = Client::connect(&relay.target, ALICE).await.unwrap().welcome;
    let folder = relay.stop().await;
    let relay = Relay::start_in(folder, Default::default()).await;
    let second = Client::connect(&relay.target, ALICE).await.unwrap().welcome;
    assert_eq!(first.epoch, second.epoch);
    assert!(second.next_sequence > first.next_sequence);

    let another = Relay::start().await;
    let elsewhere = Client::connect(&another.target, ALICE)
        .await
        .unwrap()
        .welcome;
    assert_ne!(first.epoch, elsewhere.epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn take_over_tells_the_first_connection_and_closes_it() {
    let relay = Relay::start().await;
    let mut first = Client::connect(&relay.target, ALICE).await.unwrap();
    let mut second = Client::connect(&relay.target, ALICE).await.unwrap();
    let told = first
        .wait(|answer| match answer {
            Answer::Notice { kind, .. } => Some(*kind),
            _ => None,
        })
        .await;
    assert_eq!(told.unwrap(), NoticeKind::Superseded);
    first.wait_for_close().await;
    second.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_are_the_owners_and_rightly_signed() {
    let relay = Relay::start().await;
    let mut alice = Client::connect(&relay.target, ALICE).await.unwrap();
    let mut bob = Client::connect(&relay.target, BOB).await.unwrap();
    let good = bob.bundle(3);
    assert_eq!(alice.publish(&good).await.unwrap(), Err(Reason::NotYours));
    let mut altered = good.clone();
    altered[80] ^= 1;
    assert_eq!(bob.publish(&altered).await.unwrap(), Err(Reason::NotYours));
    assert_eq!(
        bob.publish(&good[1..]).await.unwrap(),
        Err(Reason::Malformed)
    );
    assert_eq!(bob.publish(&good).await.unwrap(), Ok(()));
    let older = bob.bundle(2);
    assert_eq!(
        bob.publish(&older).await.unwrap(),
        Err(Reason::CounterWentBack)
    );
    assert_eq!(alice.fetch(address_of(BOB)).await.unwrap(), Ok(None));
    assert_eq!(
        alice.fetch(address_of(99)).await.unwrap(),
        Err(Reason::NotFound)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_has_its_answer() {
    let relay = Relay::start().await;
    let mut alice = Client::connect(&relay.target, ALICE).await.unwrap();
    alice.register().await.unwrap();
    alice.upload(5).await.unwrap();
    let own = alice.address();
    let name = "alice";
    for (number, request) in [
        (
            101,
            Request::Mode {
                number: 101,
                mode: MailboxMode::Open,
            },
        ),
        (
            102,
            Request::Claim {
                number: 102,
                owner: own,
                name,
            },
        ),
    ] {
        alice.send(&request).await.unwrap();
        assert_eq!(alice.done(number).await.unwrap(), Ok(()));
    }

    alice
        .send(&Request::LookUp { number: 103, name })
        .await
        .unwrap();
    let owner = alice
        .wait(|answer| match answer {
            Answer::Name {
                number: 103,
                owner,
                name: "alice",
            } => Some(*owner),
            _ => None,
        })
        .await;
    assert_eq!(owner.unwrap(), own);

    alice.send(&Request::Status { number: 104 }).await.unwrap();
    let status = alice
        .wait(|answer| match answer {
            Answer::Status {
                number: 104,
                status,
            } => Some(*status),
            _ => None,
        })
        .await;
    assert_eq!(status.unwrap().prekeys, 5);

    alice.send(&Request::Leave { number: 105 }).await.unwrap();
    assert_eq!(alice.done(105).await.unwrap(), Ok(()));
    assert_eq!(
        alice.submit(own, b"nobody").await.unwrap(),
        Err(Reason::NotAccepted)
    );
}

/// Nothing that people wrote is on the disk in the clear: not even the nickname.
#[tokio::test(flavor = "multi_thread")]
async fn a19_no_nickname_on_the_disk() {
    let relay = Relay::start().await;
    let mut alice = Client::connect(&relay.target, ALICE).await.unwrap();
    alice.register().await.unwrap();
    let (owner, name) = (alice.address(), "a-name-to-look-for");
    alice
        .send(&Request::Claim {
            number: 50,
            owner,
            name,
        })
        .await
        .unwrap();
    assert_eq!(alice.done(50).await.unwrap(), Ok(()));
    let folder = relay.stop().await;
    let mut files = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(
            !bytes
                .windows(name.len())
                .any(|window| window == name.as_bytes())
        );
        files += 1;
    }
    assert_eq!(files, 2, "the store and the key");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_senders_at_once_lose_nothing() {
    let relay = Relay::start().await;
    let mut bob = Client::connect(&relay.target, BOB).await.unwrap();
    bob.register().await.unwrap();
    let target = relay.target;
    let senders = (10..30u16).map(|seed| {
        tokio::spawn(async move {
            let mut sender = Client::connect(&target, seed).await.unwrap();
            for n in 0..20u8 {
                let envelope = [seed.to_be_bytes().as_slice(), &[n; 256]].concat();
                sender
                    .submit(address_of(BOB), &envelope)
                    .await
                    .unwrap()
                    .unwrap();
            }
        })
    });
    let senders: Vec<_> = senders.collect();

    let mut seen = std::collections::HashSet::new();
    while seen.len() < 20 * 20 {
        let (_, envelope) = bob.delivery().await.unwrap();
        bob.send(&Request::Ack(EnvelopeId::of(&envelope)))
            .await
            .unwrap();
        assert!(seen.insert(envelope), "a message came twice");
    }
    for sender in senders {
        sender.await.unwrap();
    }
    bob.ping().await.unwrap();
    relay.wait_for("hushwire_relay_stored_messages 0").await;
}
