//! kill -9, and what must be true afterwards.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::Request;

use crate::process::Process;
use crate::support::{Client, address_of};

const BOB: u16 = 2;

/// Kills: 30 in the everyday run; `HUSHWIRE_KILLS=500` is the full one.
fn kills() -> u64 {
    let given = std::env::var("HUSHWIRE_KILLS").ok();
    given.map_or(30, |text| text.parse().expect("a number"))
}

/// Messages under way all the time, the relay killed at any moment: what was accepted arrives, and
/// arrives unaltered; what arrives twice has one id.
#[tokio::test(flavor = "multi_thread")]
async fn r1_kill_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let accepted = Arc::new(Mutex::new(HashSet::new()));
    let mut received = HashSet::new();
    let mut relay = Process::start(folder.path());
    Client::connect(&relay.target, BOB)
        .await
        .unwrap()
        .register()
        .await
        .unwrap();

    let kills = kills();
    let mut twice = 0u64;
    for kill in 0..kills {
        let target = relay.target;
        let mut tasks = Vec::new();
        for seed in 10..14u16 {
            let accepted = Arc::clone(&accepted);
            tasks.push(tokio::spawn(async move {
                let Ok(mut sender) = Client::connect(&target, seed).await else {
                    return;
                };
                for n in 0..5_000u64 {
                    let envelope = [
                        u64::from(seed).to_be_bytes(),
                        kill.to_be_bytes(),
                        n.to_be_bytes(),
                    ]
                    .concat();
                    match sender.submit(address_of(BOB), &envelope).await {
                        Ok(Ok(())) => drop(accepted.lock().unwrap().insert(envelope)),
                        Ok(Err(Reason::ShareFull | Reason::MailboxFull | Reason::RateLimited)) => {
                            tokio::time::sleep(Duration::from_millis(2)).await;
                        }
                        Ok(Err(reason)) => panic!("{reason}"),
                        Err(_) => return,
                    }
                }
            }));
        }

        // Bob reads half of the time, so that the kill meets both kinds of traffic.
        let moment = Duration::from_millis(60 + 61 * kill % 353);
        if kill % 2 == 0 {
            let mut bob = Client::connect(&target, BOB).await.unwrap();
            let reading = async {
                while let Ok((_, envelope)) = bob.delivery().await {
                    let acked = bob.send(&Request::Ack(EnvelopeId::of(&envelope))).await;
                    assert_eq!(envelope.len(), 24, "altered, or of another mailbox");
                    twice += u64::from(!received.insert(envelope));
                    if acked.is_err() {
                        return;
                    }
                }
            };
            let _ = tokio::time::timeout(moment, reading).await;
        } else {
            tokio::time::sleep(moment).await;
        }
        relay.kill();
        for task in tasks {
            task.await.unwrap();
        }
        relay = Process::start(folder.path());
    }

    let mut bob = Client::connect(&relay.target, BOB).await.unwrap();
    for _ in 0..bob.welcome.waiting {
        let (_, envelope) = bob.delivery().await.unwrap();
        bob.send(&Request::Ack(EnvelopeId::of(&envelope)))
            .await
            .unwrap();
        assert_eq!(envelope.len(), 24, "altered, or of another mailbox");
        twice += u64::from(!received.insert(envelope));
    }
    let accepted = std::mem::take(&mut *accepted.lock().unwrap());
    let lost: Vec<_> = accepted.difference(&received).collect();
    println!(
        "{kills} kills, {} accepted, {} received, {twice} of them again under the same id",
        accepted.len(),
        received.len()
    );
    assert!(
        accepted.len() > 100,
        "only {} were accepted",
        accepted.len()
    );
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
    assert!(relay.terminate().0.success());
}

/// A hundred clients ask for the prekeys of one at once, the relay is killed in between, and again:
/// none of the keys is handed out twice.
#[tokio::test(flavor = "multi_thread")]
async fn a8_one_prekey_claimed_by_100_at_once_with_a_crash_between() {
    const PREKEYS: u32 = 40;
    let folder = tempfile::tempdir().unwrap();
    let mut relay = Process::start(folder.path());
    let mut bob = Client::connect(&relay.target, BOB).await.unwrap();
    bob.register().await.unwrap();
    bob.upload(PREKEYS).await.unwrap();
    drop(bob);

    let seen = Arc::new(Mutex::new(Vec::new()));
    for round in 0..4u16 {
        let target = relay.target;
        let mut tasks = Vec::new();
        for seed in 0..100u16 {
            let seen = Arc::clone(&seen);
            tasks.push(tokio::spawn(async move {
                let Ok(mut client) = Client::connect(&target, 1_000 + seed).await else {
                    return;
                };
                if let Ok(Ok(Some(id))) = client.fetch(address_of(BOB)).await {
                    seen.lock().unwrap().push(id);
                }
            }));
        }
        // The last round is left alone, so that the rest of the keys goes out.
        if round < 3 {
            tokio::time::sleep(Duration::from_millis(40 + 35 * u64::from(round))).await;
            relay.kill();
            for task in tasks {
                task.await.unwrap();
            }
            relay = Process::start(folder.path());
        } else {
            for task in tasks {
                task.await.unwrap();
            }
        }
    }

    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let unique: HashSet<_> = seen.iter().collect();
    println!(
        "{} of {PREKEYS} prekeys handed out over 3 kills",
        seen.len()
    );
    assert_eq!(unique.len(), seen.len(), "handed out twice: {seen:?}");
    assert!(!seen.is_empty());
    let bob = Client::connect(&relay.target, BOB).await.unwrap();
    assert_eq!(
        bob.welcome.prekeys, 0,
        "a hundred clients leave none of forty"
    );
}
