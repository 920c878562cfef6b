//! People who talk through a relay: online, offline, restarted, restored.

mod common;

use std::time::Duration;

use common::{PATIENCE, Person, Relay, friends, next_text};
use hushwire::{Client, Error, LinkError, MailboxMode, Reason, State, VaultError, Who};

#[tokio::test(flavor = "multi_thread")]
async fn two_people_talk() {
    let relay = Relay::start().await;
    let (alice, bob) = friends(&relay).await;
    let (mut at_alice, mut at_bob) = (alice.client.listen(0), bob.client.listen(0));
    alice.tell("bob", "hello").await;
    assert_eq!(next_text(&mut at_bob).await, "hello");
    bob.tell("alice", "hi").await;
    assert_eq!(next_text(&mut at_alice).await, "hi");
    let history = alice.history().await;
    let states: Vec<_> = history.iter().map(|message| message.state).collect();
    assert_eq!(states, [State::Delivered, State::Received]);
    assert_eq!(history[0].id, bob.history().await[0].id);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_while_the_other_is_away_waits() {
    let relay = Relay::start().await;
    let (alice, mut bob) = friends(&relay).await;
    bob.client.close().await.unwrap();
    let mut sent = alice.send("bob", "one").await;
    sent = alice
        .client
        .wait(sent, State::Accepted, PATIENCE)
        .await
        .unwrap();
    assert_eq!(sent.state, State::Accepted);
    assert!(
        bob.client.contacts().await.is_err(),
        "a closed client does nothing"
    );
    bob.restart().await;
    alice.delivered(sent).await;
    assert_eq!(bob.received().await, ["one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_offline_is_queued_and_goes_out_later() {
    let mut relay = Relay::start().await;
    let (mut alice, bob) = friends(&relay).await;
    relay.stop().await;
    let sent = alice.send("bob", "queued").await;
    let now = alice
        .client
        .wait(sent, State::Accepted, Duration::from_millis(50))
        .await
        .unwrap();
    assert_eq!(
        (now.state, alice.client.waiting().await.unwrap()),
        (State::Queued, 1)
    );
    alice.restart().await;
    assert_eq!(
        alice.client.waiting().await.unwrap(),
        1,
        "it is in the vault"
    );
    relay.resume().await;
    alice.delivered(sent).await;
    assert_eq!(bob.received().await, ["queued"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_of_everybody_cost_nothing() {
    let mut relay = Relay::start().await;
    let (mut alice, mut bob) = friends(&relay).await;
    let mut last = None;
    for round in 0..6 {
        for n in 0..5 {
            last = Some(alice.send("bob", &format!("a{round}{n}")).await);
            bob.send("alice", &format!("b{round}{n}")).await;
        }
        match round % 3 {
            0 => alice.restart().await,
            1 => bob.restart().await,
            _ => {
                relay.stop().await;
                relay.resume().await;
            }
        }
    }
    alice.delivered(last.unwrap()).await;
    assert_eq!(
        alice
            .client
            .drain(State::Delivered, PATIENCE)
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        bob.client.drain(State::Delivered, PATIENCE).await.unwrap(),
        0
    );
    for (person, letter) in [(&alice, "b"), (&bob, "a")] {
        let mut received = person.received().await;
        received.sort();
        let all = (0..6).flat_map(|round| (0..5).map(move |n| format!("{letter}{round}{n}")));
        assert_eq!(received, all.collect::<Vec<_>>(), "none lost, none doubled");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_on_another_machine_the_conversation_goes_on() {
    let relay = Relay::start().await;
    let (alice, bob) = friends(&relay).await;
    alice.tell("bob", "to the first machine").await;
    bob.tell("alice", "from the first machine").await;
    bob.client.close().await.unwrap();

    let bob = Person::restored(&bob.words, &relay).await;
    assert_eq!(
        bob.client.address(),
        alice.client.contact("bob").await.unwrap().address
    );
    bob.learn("alice", &alice).await;
    // The first receipt may go to the session of the machine that is no more: what counts is that
    // words arrive.
    bob.send("alice", "from the second machine").await;
    alice.hears("from the second machine").await;
    alice.send("bob", "to the second machine").await;
    bob.hears("to the second machine").await;
    assert_eq!(bob.received().await, ["to the second machine"]);
    assert_eq!(
        alice.received().await,
        ["from the first machine", "from the second machine"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_contact_is_not_heard() {
    let relay = Relay::start().await;
    let (alice, bob) = friends(&relay).await;
    alice.tell("bob", "before").await;
    bob.client.block_contact("alice", true).await.unwrap();
    assert!(matches!(
        bob.client.send("alice", b"x").await,
        Err(Error::Blocked(_))
    ));
    let sent = alice.send("bob", "while blocked").await;
    alice
        .client
        .wait(sent, State::Accepted, PATIENCE)
        .await
        .unwrap();
    bob.client.fetch(PATIENCE).await.unwrap();
    assert_eq!(bob.received().await, ["before"]);
    bob.client.block_contact("alice", false).await.unwrap();
    alice.tell("bob", "after").await;
    assert!(bob.received().await.contains(&"after".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_at_two_relays_talk() {
    let (here, there) = (Relay::start().await, Relay::start().await);
    let (alice, bob) = (Person::at(&here).await, Person::at(&there).await);
    alice.learn("bob", &bob).await;
    alice.tell("bob", "across").await;
    assert_eq!(alice.client.relays().await.unwrap().len(), 2);
    // The answer goes back where the question came from: Alice has a mailbox at both.
    let stranger = alice.client.address().to_string();
    bob.tell(&stranger, "and back").await;
    assert_eq!(alice.received().await, ["and back"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a9_a_nickname_that_changes_hands_is_refused_until_it_is_accepted() {
    let relay = Relay::start().await;
    let (alice, bob, carol) = (
        Person::at(&relay).await,
        Person::at(&relay).await,
        Person::at(&relay).await,
    );
    bob.client.claim("bobby").await.unwrap();
    let taken = carol.client.claim("bobby").await;
    assert!(matches!(
        taken,
        Err(Error::Refused {
            reason: Reason::NameTaken,
            ..
        })
    ));
    alice
        .client
        .add_contact("bob", Who::Nickname("bobby".into()))
        .await
        .unwrap();
    let safety = alice.client.safety("bob").await.unwrap();
    assert_eq!(safety.contact.address, bob.client.address());

    bob.client.release("bobby").await.unwrap();
    carol.client.claim("bobby").await.unwrap();
    let changed = alice.client.safety("bob").await;
    assert!(matches!(changed, Err(Error::KeyChanged { .. })));
    let contact = alice.client.contact("bob").await.unwrap();
    assert_eq!(contact.address, bob.client.address(), "nothing was changed");

    let contact = alice.client.accept_key("bob").await.unwrap();
    assert_eq!(
        (contact.address, contact.verified),
        (carol.client.address(), false)
    );
    alice.tell("bob", "hello, whoever you are").await;
    assert_eq!(carol.received().await, ["hello, whoever you are"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_see_one_safety_number() {
    let relay = Relay::start().await;
    let (alice, bob) = friends(&relay).await;
    let (one, other) = (
        alice.client.safety("bob").await.unwrap(),
        bob.client.safety("alice").await.unwrap(),
    );
    assert_eq!((one.number.len(), &one.number), (71, &other.number));
    assert_eq!(one.qr, other.qr);
    assert!(
        alice
            .client
            .set_verified("bob", true)
            .await
            .unwrap()
            .verified
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_for_contacts_takes_nothing_of_strangers() {
    let relay = Relay::start().await;
    let (alice, bob) = friends(&relay).await;
    let carol = Person::at(&relay).await;
    carol.learn("bob", &bob).await;
    bob.client
        .set_mode(MailboxMode::ContactsOnly)
        .await
        .unwrap();
    let sent = carol.send("bob", "let me in").await;
    let refused = carol.client.wait(sent, State::Accepted, PATIENCE).await;
    assert!(
        matches!(refused, Err(Error::NoBundle(_))),
        "who is no contact learns nothing"
    );
    alice.tell("bob", "a friend").await;
    bob.learn("carol", &carol).await;
    bob.client.refresh_list().await.unwrap();
    bob.client.set_mode(MailboxMode::Open).await.unwrap();
    assert_eq!(bob.client.mailbox().await.unwrap().mode, MailboxMode::Open);
    assert_eq!(bob.received().await, ["a friend"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a26_another_key_than_the_pinned_one_is_no_relay() {
    let (relay, other) = (Relay::start().await, Relay::start().await);
    let mut url = relay.url.clone();
    url.key = other.url.key;
    let folder = tempfile::tempdir().unwrap();
    let vault = folder.path().join("vault");
    let (client, _) = Client::create(vault, common::key_file(&folder), url)
        .await
        .unwrap();
    client.connect();
    let mut error = None;
    for _ in 0..100 {
        let refused = client
            .connected(0, Duration::from_millis(100))
            .await
            .unwrap_err();
        if !matches!(refused, Error::Link(LinkError::Connecting { .. })) {
            error = Some(refused);
            break;
        }
    }
    assert!(
        matches!(error, Some(Error::Link(LinkError::WrongKey { .. }))),
        "{error:?}"
    );
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_owns_a_vault() {
    let relay = Relay::start().await;
    let alice = Person::at(&relay).await;
    let second = Client::open(alice.vault(), common::key_file(&alice.folder)).await;
    assert!(matches!(second, Err(Error::Vault(VaultError::InUse(_)))));
    alice.client.close().await.unwrap();
    let third = Client::open(alice.vault(), common::key_file(&alice.folder))
        .await
        .unwrap();
    third.close().await.unwrap();
}
