//! A relay with a former key: both are answered to, and the new one is told to who pins the old.

use std::time::Duration;

use hushwire_core::wire::answer::Answer;
use hushwire_relay::key::RelayKey;
use hushwire_relay::limits::Limits;
use hushwire_relay::rotation::unix_now_s;

use crate::relay::Relay;
use crate::support::{Client, Target, address_of, fails, public_key};

/// A relay whose key was rotated before it started, and its former key.
async fn rotated(overlap: Duration) -> (Relay, Target) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.key");
    let former = RelayKey::load_or_create(&path).unwrap().public();
    RelayKey::rotate(&path, overlap, unix_now_s()).unwrap();
    let relay = Relay::start_in(folder, Limits::default()).await;
    let key = public_key(&former);
    let address = relay.target.address;
    (relay, Target { address, key })
}

/// The key that is told before the answer to a ping, if any is.
async fn told(client: &mut Client) -> Option<[u8; 33]> {
    let number = client.number();
    let ping = hushwire_core::wire::request::Request::Ping { number };
    client.send(&ping).await.unwrap();
    let mut told = None;
    let pong = |answer: &Answer<'_>| match *answer {
        Answer::RelayKey(key) => {
            assert!(told.replace(key).is_none(), "told once");
            None
        }
        Answer::Pong { .. } => Some(()),
        _ => None,
    };
    client.wait(pong).await.unwrap();
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn both_keys_lead_to_the_same_mailboxes_and_the_old_one_is_told_the_new() {
    let (relay, former) = rotated(Duration::from_secs(600)).await;
    // The welcome comes first: the client checks that.
    let mut old = Client::connect(&former, 1).await.unwrap();
    assert_eq!(told(&mut old).await, Some(*relay.target.key.bytes()));
    assert_eq!(told(&mut old).await, None);
    let mut new = Client::connect(&relay.target, 2).await.unwrap();
    assert_eq!(told(&mut new).await, None);

    old.register().await.unwrap();
    new.submit(address_of(1), b"hello").await.unwrap().unwrap();
    assert_eq!(old.delivery().await.unwrap().1, b"hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_former_key_is_refused_when_its_time_is_over() {
    let overlap = Duration::from_secs(3);
    let (relay, former) = rotated(overlap).await;
    let mut old = Client::connect(&former, 1).await.unwrap();
    tokio::time::sleep(overlap + Duration::from_secs(1)).await;
    fails(
        Client::connect(&former, 2).await,
        "a key whose time is over",
    );
    Client::connect(&relay.target, 2).await.unwrap();
    // A link that is there goes on.
    old.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_never_the_relays_is_refused() {
    let (relay, _) = rotated(Duration::from_secs(600)).await;
    let address = relay.target.address;
    let key = public_key(&RelayKey::generate().unwrap().public());
    fails(
        Client::connect(&Target { address, key }, 1).await,
        "a foreign key",
    );
}
