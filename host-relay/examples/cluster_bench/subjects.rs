//! The layout that was not taken, measured beside the one that was: a stream with a subject for each
//! mailbox, of which the servers keep the limits, and a key-value bucket for the directory.
//!
//! Of a relay around it nothing is here, as in the other runs. Its advantages there: no outbox, so no fsync but
//! the servers', and as many batches at once as there are messages on their way. Its disadvantage: batches as a
//! whole, where the servers know them, are sent one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType, Stream};
use serde_json::{Value, json};

use super::nats::Nats;
use super::{AT_ONCE, LIST, ROW, RUN, Spent};

const MAILBOXES: u64 = 10_000;
/// How many requests wait for an answer at once.
const IN_FLIGHT: [u64; 4] = [1, 10, 50, 500];
/// The most that NATS takes as one batch is 1,000.
const BATCHES: [u64; 3] = [10, 50, 500];

/// Runs all of it on `nats`; `has_batches` where its servers can publish several messages as a whole.
pub(super) fn measure(nats: &Nats, what: &str, has_batches: bool) {
    nats.on_jetstream(async |context| {
        make(&context, has_batches).await;
        let stored = Arc::new(AtomicU64::new(0));
        let what_of = |of| format!("{what}, {AT_ONCE:>3} {of} on their way");
        for in_flight in IN_FLIGHT {
            let what = format!("{what}, {in_flight:>3} messages on their way");
            let (context, stored) = (context.clone(), Arc::clone(&stored));
            let work = move |_| store(context.clone(), stored.fetch_add(1, Ordering::Relaxed));
            run(nats, &what, 1, in_flight, work).await;
        }

        // One message of each mailbox in turn, and then whole mailboxes.
        let removed = Arc::new(AtomicU64::new(0));
        let (which, from) = (Arc::clone(&removed), context.clone());
        let work = move |_| remove(from.clone(), which.fetch_add(1, Ordering::Relaxed) + 1);
        run(nats, &what_of("removals"), 1, AT_ONCE, work).await;
        let left = stored.load(Ordering::Relaxed) - removed.load(Ordering::Relaxed);
        let (next, from) = (Arc::new(AtomicU64::new(0)), context.clone());
        let work = move |_| empty(from.clone(), next.fetch_add(1, Ordering::Relaxed));
        let each = left / MAILBOXES;
        run(nats, &what_of("whole mailboxes"), each, AT_ONCE, work).await;

        let bucket = context.get_stream("KV_subjects").await.expect("there");
        let directory = context.clone();
        let work = move |task| hand_out(directory.clone(), bucket.clone(), task);
        run(nats, &what_of("lists"), 1, AT_ONCE, work).await;

        for size in BATCHES.into_iter().filter(|_| has_batches) {
            let what = format!("{what}, {size:>3} messages a batch");
            let (context, stored) = (context.clone(), Arc::clone(&stored));
            let work = move |_| {
                store_batch(
                    context.clone(),
                    stored.fetch_add(size, Ordering::Relaxed),
                    size,
                )
            };
            run(nats, &what, size, 1, work).await;
        }
    });
}

/// Does `work` again and again, so many at once, until it says that nothing is left. Each is one of `size`
/// messages.
async fn run<F>(
    nats: &Nats,
    what: &str,
    size: u64,
    tasks: u64,
    work: impl Fn(u64) -> F + Clone + Send + 'static,
) where
    F: Future<Output = bool> + Send,
{
    let spent = Spent::since(Some(nats));
    let task = |task| {
        let work = work.clone();
        tokio::spawn(async move {
            let (mut times, began) = (Vec::new(), Instant::now());
            while began.elapsed() < RUN {
                let at = Instant::now();
                if !work(task).await {
                    break;
                }
                times.push(at.elapsed());
            }
            times
        })
    };
    let tasks: Vec<_> = (0..tasks).map(task).collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.expect("it goes well"));
    }
    spent.print(what, size, times);
}

async fn store(context: Context, number: u64) -> bool {
    let subject = format!("subjects.mail.{}", number % MAILBOXES);
    let sent = context.publish(subject, vec![0x5e; ROW].into()).await;
    sent.expect("it leaves").await.expect("it is taken");
    true
}

/// A message that its recipient has acknowledged goes; its bytes are not overwritten.
async fn remove(context: Context, sequence: u64) -> bool {
    let which = json!({ "seq": sequence, "no_erase": true });
    let subject = "STREAM.MSG.DELETE.subjects-mail";
    let answer: Result<Value, _> = context.request(subject, &which).await;
    let answer = answer.expect("an answer");
    assert_eq!(answer["success"], true, "{answer}");
    true
}

/// A recipient has acknowledged all that it had.
async fn empty(context: Context, mailbox: u64) -> bool {
    if mailbox >= MAILBOXES {
        return false;
    }
    let which = json!({ "filter": format!("subjects.mail.{mailbox}") });
    let answer: Result<Value, _> = context.request("STREAM.PURGE.subjects-mail", &which).await;
    let answer = answer.expect("an answer");
    assert!(answer["purged"].as_u64() > Some(0), "{answer}");
    true
}

/// A one-time prekey is handed out: the list changes by compare-and-set. The stream's leader is asked, for what
/// others answer (direct gets) may be older, and then the set fails.
async fn hand_out(context: Context, bucket: Stream, list: u64) -> bool {
    let key = format!("$KV.subjects.prekeys.{list}");
    let there = bucket.get_last_raw_message_by_subject(&key).await;
    let revision = there.map_or(0, |message| message.sequence).to_string();
    let mut headers = HeaderMap::new();
    headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, revision.as_str());
    let sent = context.publish_with_headers(key, headers, vec![0x5e; LIST].into());
    let sent = sent.await.expect("it leaves");
    sent.await.expect("nobody else changes it");
    true
}

/// Both streams, with the limits of a mailbox in the servers' hands.
async fn make(context: &Context, has_batches: bool) {
    let config = |name: &str, subject: &str| Config {
        name: name.to_owned(),
        subjects: vec![subject.to_owned()],
        num_replicas: 3,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        ..Config::default()
    };
    let mail = Config {
        max_messages_per_subject: 1_000_000,
        discard_new_per_subject: true,
        max_age: Duration::from_secs(30 * 24 * 3600),
        ..config("subjects-mail", "subjects.mail.*")
    };
    let mut mail = serde_json::to_value(mail).expect("JSON");
    if has_batches {
        mail["allow_atomic"] = json!(true);
    }
    let deadline = Instant::now() + super::nats::PATIENCE;
    loop {
        let made = context.request::<_, _, Value>("STREAM.CREATE.subjects-mail", &mail);
        match made.await {
            Ok(answer) if answer["error"].is_null() => break,
            answer => assert!(Instant::now() < deadline, "no stream: {answer:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let bucket = Config {
        max_messages_per_subject: 1,
        ..config("KV_subjects", "$KV.subjects.>")
    };
    context.create_stream(bucket).await.expect("a bucket");
}

/// Several messages as a whole, which servers of 2.12 and later can.
async fn store_batch(context: Context, first: u64, size: u64) -> bool {
    let client = context.client();
    for n in 1..=size {
        let subject = format!("subjects.mail.{}", (first + n) % MAILBOXES);
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Batch-Id", first.to_string().as_str());
        headers.insert("Nats-Batch-Sequence", n.to_string().as_str());
        let row = vec![0x5e; ROW].into();
        if n < size {
            let sent = client.publish_with_headers(subject, headers, row).await;
            sent.expect("it leaves");
        } else {
            headers.insert("Nats-Batch-Commit", "1");
            let answer = client.request_with_headers(subject, headers, row).await;
            let answer = answer.expect("an answer").payload;
            let answer: Value = serde_json::from_slice(&answer).expect("JSON");
            assert_eq!(answer["count"], size, "{answer}");
        }
    }
    true
}
