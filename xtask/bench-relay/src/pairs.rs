//! Pairs of a sender and a recipient who is there: every message is delivered and acked.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use hushwire_core::identity::Address;
use hushwire_core::wire::answer::Answer;
use hushwire_core::wire::request::Request;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::{JoinSet, LocalSet, yield_now};

use crate::Load;
use crate::client::{Client, Target};
use crate::envelopes::Envelopes;
use crate::gauge::Gauge;
use crate::times::Times;

/// Not measured: what the first messages cost.
const WARM_UP: Duration = Duration::from_millis(500);

/// What all pairs share, on one thread.
struct Course {
    envelopes: Envelopes,
    window: usize,
    delivered: Cell<u64>,
    measuring: Cell<bool>,
    times: RefCell<Times>,
}

/// One pair's messages under way.
struct Pair {
    sent_at: RefCell<Vec<Instant>>,
    /// How many may be sent altogether: the pacer's word.
    allowed: Cell<u64>,
    bell: Notify,
    /// Messages that the recipient had while it was measured.
    received: Cell<u64>,
}

/// Through a relay.
pub(crate) async fn linked(target: &Target, load: &Load, pairs: usize, rate: u64) -> Result<Value> {
    let mut ends = Vec::new();
    for pair in 0..pairs as u32 {
        let window = load.window.min(usize::from(u16::MAX)) as u16;
        let mut recipient = Client::connect(target, 2 * pair + 1, window).await?;
        recipient.register(2 * pair + 1).await?;
        ends.push((Client::connect(target, 2 * pair, 1).await?, recipient));
    }
    run(ends, load, rate).await
}

/// Through the bare forwarder.
pub(crate) async fn plain(to: SocketAddr, load: &Load, pairs: usize, rate: u64) -> Result<Value> {
    let mut ends = Vec::new();
    for pair in 0..pairs as u32 {
        ends.push((
            Client::plain(to, pair).await?,
            Client::plain(to, pair).await?,
        ));
    }
    run(ends, load, rate).await
}

async fn run(ends: Vec<(Client, Client)>, load: &Load, rate: u64) -> Result<Value> {
    let course = Rc::new(Course {
        envelopes: Envelopes::make(ends.len(), load.payload),
        window: load.window,
        delivered: Cell::new(0),
        measuring: Cell::new(false),
        times: RefCell::default(),
    });
    let local = LocalSet::new();
    let (mut tasks, mut all) = (JoinSet::new(), Vec::new());
    for (sender, recipient) in ends {
        let pair = Rc::new(Pair {
            sent_at: RefCell::new(vec![Instant::now(); 2 * load.window]),
            allowed: Cell::new(if rate == 0 { u64::MAX } else { 0 }),
            bell: Notify::new(),
            received: Cell::new(0),
        });
        let to = recipient.address;
        tasks.spawn_local_on(
            receive(recipient, Rc::clone(&course), Rc::clone(&pair)),
            &local,
        );
        tasks.spawn_local_on(
            send(sender, to, Rc::clone(&course), Rc::clone(&pair)),
            &local,
        );
        all.push(pair);
    }
    if rate > 0 {
        tasks.spawn_local_on(pace(all.clone(), rate), &local);
    }

    let measured = local.run_until(async {
        tokio::time::sleep(WARM_UP).await;
        course.measuring.set(true);
        let (gauge, before) = (Gauge::start(load)?, course.delivered.get());
        tokio::time::sleep(Duration::from_secs(load.seconds)).await;
        let mut figures = gauge.stop(course.delivered.get() - before)?;
        // Whether each had its turn.
        let each = || all.iter().map(|pair| pair.received.get());
        figures["pair_messages"] = json!({"least": each().min(), "most": each().max()});
        figures["delivery_us"] = course.times.borrow_mut().figures();
        anyhow::Ok(figures)
    });
    tokio::select! {
        biased;
        Some(ended) = tasks.join_next() => {
            ended??;
            bail!("a client ended before its time")
        }
        figures = measured => figures,
    }
}

async fn send(mut client: Client, to: Address, course: Rc<Course>, pair: Rc<Pair>) -> Result<()> {
    let (mut sent, mut taken) = (0_u64, 0_u64);
    loop {
        let most = pair.allowed.get().min(taken + course.window as u64);
        if sent < most {
            let (now, mut sent_at) = (Instant::now(), pair.sent_at.borrow_mut());
            while sent < most {
                let (_, envelope) = course.envelopes.at(sent);
                client.output.push(&Request::Submit { to, envelope })?;
                let slot = sent as usize % sent_at.len();
                sent_at[slot] = now;
                sent += 1;
            }
        }
        client.flush().await?;
        tokio::select! {
            read = client.read() => read?,
            () = pair.bell.notified() => {}
        }
        client.input.frames(|frame| {
            // The forwarder hands the recipient's own ack over.
            if let Ok(Request::Ack(_)) = Request::parse(frame) {
                taken += 1;
                return Ok(());
            }
            match Answer::parse(frame)? {
                Answer::Accepted(_) => taken += 1,
                Answer::Rejected { reason, .. } => bail!("a message was rejected: {reason}"),
                _ => {}
            }
            Ok(())
        })?;
    }
}

async fn receive(mut client: Client, course: Rc<Course>, pair: Rc<Pair>) -> Result<()> {
    let mut received = 0;
    loop {
        client.read().await?;
        let now = Instant::now();
        let (input, output) = (&mut client.input, &mut client.output);
        input.frames(|frame| {
            let envelope = match Answer::parse(frame) {
                Ok(Answer::Deliver { envelope, .. }) => envelope,
                Ok(_) => return Ok(()),
                // The forwarder hands the sender's own frame over.
                Err(_) => match Request::parse(frame)? {
                    Request::Submit { envelope, .. } => envelope,
                    _ => return Ok(()),
                },
            };
            let (id, expected) = course.envelopes.at(received);
            if envelope != expected {
                let came = envelope
                    .first_chunk()
                    .map(|number| u64::from_be_bytes(*number));
                bail!("message {received} of a ring came as {came:?}");
            }
            if course.measuring.get() {
                pair.received.set(pair.received.get() + 1);
                let sent_at = pair.sent_at.borrow();
                let at = sent_at[received as usize % sent_at.len()];
                course.times.borrow_mut().push(now - at);
            }
            received += 1;
            course.delivered.set(course.delivered.get() + 1);
            output.push(&Request::Ack(id))
        })?;
        client.flush().await?;
    }
}

/// Lets the pairs send in turn, evenly. It spins: the timer's milliseconds would make bursts.
async fn pace(pairs: Vec<Rc<Pair>>, rate: u64) -> Result<()> {
    let (began, mut let_go) = (Instant::now(), 0_u64);
    loop {
        let due = began.elapsed().as_nanos() as u64 * rate / 1_000_000_000;
        while let_go < due {
            let pair = &pairs[let_go as usize % pairs.len()];
            pair.allowed.set(pair.allowed.get() + 1);
            pair.bell.notify_one();
            let_go += 1;
        }
        yield_now().await;
    }
}
