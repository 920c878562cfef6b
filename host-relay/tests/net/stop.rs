//! An orderly stop: everyone is told, and nothing is left unanswered.

use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::{Answer, NoticeKind};
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::Request;

use crate::relay::Relay;
use crate::support::{Client, address_of};

#[tokio::test(flavor = "multi_thread")]
async fn r6_a_stop_under_load_answers_what_it_took() {
    let relay = Relay::start().await;
    let mut bob = Client::connect(&relay.target, 1).await.unwrap();
    bob.register().await.unwrap();
    let mut clients = Vec::new();
    for seed in 10..18 {
        clients.push(Client::connect(&relay.target, seed).await.unwrap());
    }

    // Each has submits under way when the stop comes, and sends on until it is closed.
    let mut tasks = Vec::new();
    for (seed, mut client) in (10u16..).zip(clients) {
        tasks.push(tokio::spawn(async move {
            let mut accepted = Vec::new();
            let mut told = false;
            for n in 0..2_000u16 {
                let envelope = [seed.to_be_bytes(), n.to_be_bytes()].concat();
                let submit = Request::Submit {
                    to: address_of(1),
                    envelope: &envelope,
                };
                if client.send(&submit).await.is_err() {
                    break;
                }
                let of = EnvelopeId::of(&envelope);
                let answer = client
                    .wait(|answer| match answer {
                        Answer::Notice {
                            kind: NoticeKind::Stopping,
                            ..
                        } => {
                            told = true;
                            None
                        }
                        Answer::Accepted(id) if *id == of => Some(Ok(())),
                        Answer::Rejected { id, reason, .. } if *id == of => Some(Err(*reason)),
                        _ => None,
                    })
                    .await;
                match answer {
                    Ok(Ok(())) => accepted.push(envelope),
                    Ok(Err(Reason::ShareFull | Reason::MailboxFull | Reason::RateLimited)) => {}
                    Ok(Err(Reason::Stopping)) => told = true,
                    Ok(Err(reason)) => panic!("{reason}"),
                    Err(_) => break,
                }
            }
            client.wait_for_close().await;
            (accepted, told)
        }));
    }
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    let folder = relay.stop().await;

    let mut expected = std::collections::HashSet::new();
    for task in tasks {
        let (accepted, told) = task.await.unwrap();
        assert!(told, "a client was not told");
        expected.extend(accepted);
    }
    assert!(!expected.is_empty());

    let relay = Relay::start_in(folder, Default::default()).await;
    let mut bob = Client::connect(&relay.target, 1).await.unwrap();
    for _ in 0..bob.welcome.waiting {
        let (_, envelope) = bob.delivery().await.unwrap();
        bob.send(&Request::Ack(EnvelopeId::of(&envelope)))
            .await
            .unwrap();
        expected.remove(&envelope);
    }
    assert!(expected.is_empty(), "accepted and lost: {expected:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_clients_are_told_and_closed() {
    let relay = Relay::start().await;
    let mut client = Client::connect(&relay.target, 1).await.unwrap();
    let told = async {
        let told = client
            .wait(|answer| match answer {
                Answer::Notice { kind, .. } => Some(*kind),
                _ => None,
            })
            .await;
        client.wait_for_close().await;
        told
    };
    let (told, _) = tokio::join!(told, relay.stop());
    assert_eq!(told.unwrap(), NoticeKind::Stopping);
}
