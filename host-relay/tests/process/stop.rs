//! R6 with the program itself: SIGTERM under load.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::Request;

use crate::process::Process;
use crate::support::{Client, address_of};

const BOB: u16 = 2;
const SENDERS: std::ops::Range<u16> = 10..18;
const UNDER_WAY: u16 = 16;

/// What one sender heard.
#[derive(Default)]
struct Heard {
    accepted: Vec<Vec<u8>>,
    refused: u64,
    /// Sent, and the relay closed behind its last answer: no promise was made.
    unanswered: u64,
    /// When these were sent.
    sent: Option<Instant>,
}

async fn send_until_closed(mut sender: Client, seed: u16) -> Heard {
    let mut heard = Heard::default();
    for round in 0u16.. {
        let numbers = 0..UNDER_WAY;
        let envelopes: Vec<_> = numbers
            .map(|n| [seed, round, n].map(u16::to_be_bytes).concat())
            .collect();
        let to = address_of(BOB);
        let submits: Vec<_> = envelopes
            .iter()
            .map(|envelope| Request::Submit { to, envelope })
            .collect();
        let sent = Instant::now();
        if sender.send_all(&submits).await.is_err() {
            break;
        }
        for (at, envelope) in envelopes.iter().enumerate() {
            match sender.submitted(EnvelopeId::of(envelope)).await {
                Ok(Ok(())) => heard.accepted.push(envelope.clone()),
                Ok(Err(
                    Reason::Stopping
                    | Reason::ShareFull
                    | Reason::MailboxFull
                    | Reason::RateLimited,
                )) => heard.refused += 1,
                Ok(Err(reason)) => panic!("{reason}"),
                Err(_) => {
                    heard.unanswered += (envelopes.len() - at) as u64;
                    heard.sent = Some(sent);
                    return heard;
                }
            }
        }
    }
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn r6_sigterm_under_load_keeps_what_it_accepted_and_ends_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Process::start(folder.path());
    let mut bob = Client::connect(&relay.target, BOB).await.unwrap();
    bob.register().await.unwrap();
    drop(bob);
    // It does not hang up, whatever it is told.
    let stubborn = Client::connect(&relay.target, 3).await.unwrap();
    let mut tasks = Vec::new();
    for seed in SENDERS {
        let sender = Client::connect(&relay.target, seed).await.unwrap();
        tasks.push(tokio::spawn(send_until_closed(sender, seed)));
    }
    tokio::time::sleep(Duration::from_millis(40)).await;
    let began = Instant::now();
    let ended = tokio::task::spawn_blocking(move || relay.terminate()).await;
    let took = began.elapsed();
    let (status, log) = ended.unwrap();
    assert!(status.success(), "{status}: {log}");
    drop(stubborn);

    let mut accepted = HashSet::new();
    let (mut refused, mut unanswered) = (0, 0);
    for task in tasks {
        let heard = task.await.unwrap();
        accepted.extend(heard.accepted);
        (refused, unanswered) = (refused + heard.refused, unanswered + heard.unanswered);
        // What was under way is answered; only what is said to a relay that stops may find the link closed.
        let before = heard.sent.map(|sent| began.saturating_duration_since(sent));
        let before = before.unwrap_or_default();
        assert!(
            before.is_zero(),
            "no answer to what was sent {before:?} before"
        );
    }
    println!(
        "r6: {} accepted, {refused} refused, {unanswered} sent to a closing socket; ended in {took:?}",
        accepted.len()
    );
    assert!(!accepted.is_empty() && refused > 0);
    // The bound itself is held on a clock that no busy machine stretches: `net/stop.rs`. Here it shows that
    // the program has nothing to wait for beside it.
    assert!(took < Duration::from_secs(10), "{took:?}");

    let relay = Process::start(folder.path());
    let mut bob = Client::connect(&relay.target, BOB).await.unwrap();
    for _ in 0..bob.welcome.waiting {
        let (_, envelope) = bob.delivery().await.unwrap();
        bob.send(&Request::Ack(EnvelopeId::of(&envelope)))
            .await
            .unwrap();
        accepted.remove(&envelope);
    }
    assert!(accepted.is_empty(), "accepted and lost: {accepted:?}");
    assert!(relay.terminate().0.success());
}
