//! A relay with several places, of which some serve nobody (docs/PROTOCOL.md 2.4).

mod common;

use std::net::{SocketAddr, TcpListener};

use common::{Relay, friends};

/// A place where nobody listens now.
fn vacant() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_go_where_the_relay_serves() {
    let mut relay = Relay::start().await;
    let (dead, elsewhere) = (vacant(), vacant());
    relay.url.authority = format!("{dead},{},{elsewhere}", relay.url.authority);

    // Wherever they begin: one place serves.
    let (alice, bob) = friends(&relay).await;
    alice.tell("bob", "one").await;
    let card = bob.client.card().await.unwrap();
    assert_eq!(card.relay, relay.url, "others are given every place");

    // It goes on in the third, as another process with the store would, and comes back.
    relay.stop().await;
    relay.resume_at(elsewhere).await;
    bob.tell("alice", "two").await;
    relay.stop().await;
    relay.resume().await;
    alice.tell("bob", "three").await;

    assert_eq!(bob.received().await, ["one", "three"]);
    assert_eq!(alice.received().await, ["two"]);
}
