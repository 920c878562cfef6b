//! H7: one identity fills a mailbox, many mailboxes, the whole store.

use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::Request;
use hushwire_relay::limits::Limits;

use crate::relay::Relay;
use crate::support::{Client, address_of};

#[tokio::test(flavor = "multi_thread")]
async fn h7_a_filled_mailbox_is_answered_and_others_are_unaffected() {
    let relay = Relay::start_with(Limits {
        mailbox_messages: 16,
        ..Limits::default()
    })
    .await;
    let mut bob = Client::connect(&relay.target, 2).await.unwrap();
    bob.register().await.unwrap();
    let mut carol = Client::connect(&relay.target, 3).await.unwrap();
    carol.register().await.unwrap();
    drop(bob);
    relay.wait_for("hushwire_relay_connections 1").await;

    // A quarter for each sender, then for nobody.
    for sender in 10..14 {
        let mut mallory = Client::connect(&relay.target, sender).await.unwrap();
        for n in 0..6u8 {
            let said = mallory.submit(address_of(2), &[sender as u8, n]).await;
            let expected = match n {
                0..4 => Ok(()),
                _ if sender == 13 => Err(Reason::MailboxFull),
                _ => Err(Reason::ShareFull),
            };
            assert_eq!(said.unwrap(), expected, "message {n} of {sender}");
        }
    }
    let mut honest = Client::connect(&relay.target, 20).await.unwrap();
    let to_bob = honest.submit(address_of(2), b"full").await.unwrap();
    assert_eq!(to_bob, Err(Reason::MailboxFull));
    let to_carol = honest.submit(address_of(3), b"free").await.unwrap();
    assert_eq!(to_carol, Ok(()));
    assert_eq!(carol.delivery().await.unwrap().1, b"free");
    relay.wait_for("hushwire_relay_stored_messages 17").await;
}

/// One identity writes to many mailboxes until the store holds its total: submits are told to come
/// back, reads and deletes go on, and what they free can be used again.
#[tokio::test(flavor = "multi_thread")]
async fn h7_the_store_never_holds_more_than_its_total() {
    const TOTAL: u64 = 1 << 20;
    const BODY: usize = 16_000;
    let relay = Relay::start_with(Limits {
        store_bytes: TOTAL,
        ..Limits::default()
    })
    .await;
    for seed in 1..=6 {
        let mut owner = Client::connect(&relay.target, seed).await.unwrap();
        owner.register().await.unwrap();
    }
    let mut mallory = Client::connect(&relay.target, 66).await.unwrap();
    let (mut taken, mut refused) = (0, 0);
    for n in 0..90u16 {
        let envelope = [&n.to_be_bytes()[..], &[0; BODY - 2]].concat();
        let to = address_of(1 + n % 6);
        match mallory.submit(to, &envelope).await.unwrap() {
            Ok(()) => taken += 1,
            // Passing: the sender keeps the message and comes back.
            Err(reason) => {
                assert!(matches!(reason, Reason::StoreTrouble | Reason::ShareFull));
                refused += 1;
            }
        }
    }
    assert_eq!(taken, TOTAL / BODY as u64);
    let line = format!("hushwire_relay_stored_bytes {}", taken * BODY as u64);
    relay.wait_for(&line).await;
    let files = std::fs::read_dir(relay.folder.path()).unwrap();
    let disk: u64 = files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    println!("h7: {taken} taken, {refused} refused, {disk} bytes of files for {TOTAL} of total");

    let mut owner = Client::connect(&relay.target, 1).await.unwrap();
    let mut honest = Client::connect(&relay.target, 20).await.unwrap();
    let full = [1; BODY];
    let said = honest.submit(address_of(2), &full).await.unwrap();
    assert_eq!(said, Err(Reason::StoreTrouble));
    let (_, envelope) = owner.delivery().await.unwrap();
    owner
        .send(&Request::Ack(EnvelopeId::of(&envelope)))
        .await
        .unwrap();
    owner.ping().await.unwrap();
    let said = honest.submit(address_of(2), &full).await.unwrap();
    assert_eq!(said, Ok(()));
}
