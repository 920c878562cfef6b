//! kill -9, and what must be true afterwards.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::Answer;
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::Request;
use tokio::task::JoinSet;

use crate::process::{self, Process, WIDE};
use crate::support::{Client, address_of};

const BOB: u16 = 2;
const CAROL: u16 = 3;
/// Senders, and what each has under way at once.
const SENDERS: std::ops::Range<u16> = 10..14;
const UNDER_WAY: u64 = 64;

/// Kills: 30 in the everyday run; `HUSHWIRE_KILLS=500` is the full one, which goes on until more than a million
/// messages are accepted.
fn kills() -> u64 {
    let given = std::env::var("HUSHWIRE_KILLS").ok();
    given.map_or(30, |text| text.parse().expect("a number"))
}

/// The full run is worth its name with so many kills, and messages that were accepted.
const FULL: u64 = 500;
const MILLION: usize = 1_000_000;

/// A message that tells whose it is, and whether it is as it was sent.
fn envelope(seed: u16, kill: u64, n: u64, to: u16) -> Vec<u8> {
    let words = [u64::from(seed), kill, n, u64::from(to)];
    let mix = |sum: u64, word: &u64| {
        (sum ^ word)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
    };
    let check = words.iter().fold(1, mix);
    [&words[..], &[check]]
        .concat()
        .into_iter()
        .flat_map(u64::to_be_bytes)
        .collect()
}

/// What came to the mailbox `of` was sent to it, and is what was sent.
#[track_caller]
fn assert_sent_to(of: u16, came: &[u8]) {
    let word = |at: usize| {
        let bytes = came.get(at * 8..at * 8 + 8).expect("it was cut");
        u64::from_be_bytes(bytes.try_into().unwrap())
    };
    let (seed, to) = (word(0) as u16, word(3) as u16);
    assert_eq!(to, of, "of another mailbox");
    assert_eq!(came, envelope(seed, word(1), word(2), to), "altered");
}

/// Messages under way all the time, the relay killed at any moment: what was accepted arrives, in the
/// mailbox that it was sent to, and arrives unaltered. Who got no answer sends again when the relay is back; what
/// arrives twice has one id.
#[tokio::test(flavor = "multi_thread")]
async fn r1_kill_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let accepted = Arc::new(Mutex::new(HashSet::new()));
    let mut received = HashSet::new();
    let start = || {
        let mut command = process::command(folder.path());
        Process::spawn(command.args(WIDE))
    };
    let mut relay = start();
    for owner in [BOB, CAROL] {
        let mut owner = Client::connect(&relay.target, owner).await.unwrap();
        owner.register().await.unwrap();
    }

    let kills = kills();
    let (mut twice, mut sent, mut again, mut kill) = (0u64, 0u64, 0, 0);
    let mut unanswered = SENDERS.map(|seed| (seed, Vec::new())).collect::<Vec<_>>();
    while kill < kills || kills >= FULL && accepted.lock().unwrap().len() < MILLION {
        let target = relay.target;
        let mut tasks = Vec::new();
        for (seed, unanswered) in unanswered.drain(..) {
            let accepted = Arc::clone(&accepted);
            again += unanswered.len();
            tasks.push(tokio::spawn(async move {
                let mut sender = Sender {
                    seed,
                    kill,
                    sent: 0,
                    unanswered,
                };
                if let Ok(client) = Client::connect(&target, seed).await {
                    sender.send_until_killed(client, &accepted).await;
                }
                sender
            }));
        }

        // One of them reads in two of three, so that the kill meets both kinds of traffic.
        let moment = Duration::from_millis(60 + 61 * kill % 353);
        let reader = [Some(BOB), Some(CAROL), None][kill as usize % 3];
        if let Some(reader) = reader {
            let mut owner = Client::connect(&target, reader).await.unwrap();
            let reading = async {
                while let Ok((_, envelope)) = owner.delivery().await {
                    let acked = owner.send(&Request::Ack(EnvelopeId::of(&envelope))).await;
                    assert_sent_to(reader, &envelope);
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
            let sender = task.await.unwrap();
            sent += sender.sent;
            unanswered.push((sender.seed, sender.unanswered));
        }
        relay = start();
        kill += 1;
    }

    for reader in [BOB, CAROL] {
        let mut owner = Client::connect(&relay.target, reader).await.unwrap();
        for _ in 0..owner.welcome.waiting {
            let (_, envelope) = owner.delivery().await.unwrap();
            let ack = Request::Ack(EnvelopeId::of(&envelope));
            owner.send(&ack).await.unwrap();
            assert_sent_to(reader, &envelope);
            twice += u64::from(!received.insert(envelope));
        }
    }
    let accepted = std::mem::take(&mut *accepted.lock().unwrap());
    let lost: Vec<_> = accepted.difference(&received).collect();
    println!(
        "r1: {kill} kills, {sent} sent, {again} of them again for want of an answer, {} accepted, {} received, {twice} \
         again under the same id",
        accepted.len(),
        received.len()
    );
    assert!(again > 0, "no kill met a message under way");
    assert!(
        accepted.len() > 100,
        "only {} were accepted",
        accepted.len()
    );
    assert!(lost.is_empty(), "accepted and lost: {lost:?}");
    assert!(relay.terminate().0.success());
}

/// Who sends between two kills.
struct Sender {
    seed: u16,
    kill: u64,
    sent: u64,
    /// What nobody said anything of: recipient and envelope.
    unanswered: Vec<(Address, Vec<u8>)>,
}

impl Sender {
    /// Says again what got no answer, and keeps some messages under way until the relay is gone.
    async fn send_until_killed(&mut self, mut client: Client, accepted: &Mutex<HashSet<Vec<u8>>>) {
        let mailboxes = [BOB, CAROL].map(|owner| (owner, address_of(owner)));
        let mut next = 0;
        loop {
            if self.unanswered.is_empty() {
                let fresh = (next..next + UNDER_WAY).map(|n| {
                    let (owner, address) = mailboxes[n as usize % 2];
                    (address, envelope(self.seed, self.kill, n, owner))
                });
                self.unanswered = fresh.collect();
                next += UNDER_WAY;
            }
            let submits: Vec<_> = self
                .unanswered
                .iter()
                .map(|(to, envelope)| Request::Submit { to: *to, envelope })
                .collect();
            if client.send_all(&submits).await.is_err() {
                return;
            }
            self.sent += submits.len() as u64;
            // Who is there acks sooner than the disk takes what is for who is away.
            while !self.unanswered.is_empty() {
                let word = client.wait(|answer| match answer {
                    Answer::Accepted(id) => Some((*id, Ok(()))),
                    Answer::Rejected { id, reason, .. } => Some((*id, Err(*reason))),
                    _ => None,
                });
                let Ok((id, said)) = word.await else {
                    return;
                };
                let of = |(_, envelope): &(Address, Vec<u8>)| EnvelopeId::of(envelope) == id;
                let at = self.unanswered.iter().position(of).expect("it was sent");
                let (_, envelope) = self.unanswered.swap_remove(at);
                match said {
                    Ok(()) => drop(accepted.lock().unwrap().insert(envelope)),
                    Err(Reason::ShareFull | Reason::MailboxFull | Reason::RateLimited) => {}
                    Err(reason) => panic!("{reason}"),
                }
            }
        }
    }
}

/// A hundred clients ask for the prekeys of one at once, the relay is killed in between, and again:
/// none of the keys is handed out twice.
#[tokio::test(flavor = "multi_thread")]
async fn a8_one_prekey_claimed_by_100_at_once_with_a_crash_between() {
    const ROUNDS: u32 = 3;
    const PREKEYS: u32 = 40;
    /// Keys that are out when the relay is killed, and more that are on their way.
    const KILLED_AFTER: usize = 10;
    let folder = tempfile::tempdir().unwrap();
    let mut relay = Process::start(folder.path());
    let mut bob = Client::connect(&relay.target, BOB).await.unwrap();
    bob.register().await.unwrap();
    drop(bob);

    let mut all = Vec::new();
    for round in 0..ROUNDS {
        let mut bob = Client::connect(&relay.target, BOB).await.unwrap();
        let ids = round * PREKEYS + 1..=(round + 1) * PREKEYS;
        bob.upload_ids(ids).await.unwrap();
        drop(bob);
        let mut crowd = Vec::new();
        for seed in 0..100u16 {
            crowd.push(Client::connect(&relay.target, 1_000 + seed).await.unwrap());
        }
        let mut tasks = JoinSet::new();
        for mut client in crowd {
            tasks.spawn(async move { client.fetch(address_of(BOB)).await.ok()?.ok()? });
        }
        let mut seen = Vec::new();
        while seen.len() < KILLED_AFTER
            && let Some(fetched) = tasks.join_next().await
        {
            seen.extend(fetched.unwrap());
        }
        assert_eq!(seen.len(), KILLED_AFTER, "a hundred ask for forty");
        relay.kill();
        while let Some(fetched) = tasks.join_next().await {
            seen.extend(fetched.unwrap());
        }
        all.append(&mut seen);
        relay = Process::start(folder.path());
    }

    let in_the_crowd = all.len();
    // What is left goes out one by one.
    for seed in 0..=(ROUNDS * PREKEYS) as u16 {
        let mut client = Client::connect(&relay.target, 2_000 + seed).await.unwrap();
        match client.fetch(address_of(BOB)).await.unwrap().unwrap() {
            Some(id) => all.push(id),
            None => break,
        }
    }
    let unique: HashSet<_> = all.iter().collect();
    println!(
        "{} of {} prekeys handed out, {in_the_crowd} of them around {ROUNDS} kills",
        all.len(),
        ROUNDS * PREKEYS
    );
    assert_eq!(unique.len(), all.len(), "handed out twice: {all:?}");
    let bob = Client::connect(&relay.target, BOB).await.unwrap();
    assert_eq!(bob.welcome.prekeys, 0, "none is left");
}
