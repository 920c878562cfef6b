//! Pairs through a peer: a sender, and a recipient who is there.
//!
//! A message is in its sender's window until its recipient has it and, where the server answers
//! messages at all, its sender has the answer. The first half is kept by the generator: both ends
//! are in one process, and the recipient counts for its sender what came. So a protocol without
//! acknowledgements (NATS core, QoS 0, Redis' PUBLISH) gets a window for nothing, and pays for no
//! acknowledgement on the wire.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::{JoinSet, LocalSet};

use super::connection::{Connection, Event};
use super::{Protocol, Role};
use crate::Load;
use crate::gauge::Gauge;
use crate::times::Times;

/// Not measured: what the first messages cost.
const WARM_UP: Duration = Duration::from_millis(500);

/// What all pairs share, on one thread.
struct Course {
    answers: bool,
    window: usize,
    payload: usize,
    delivered: Cell<u64>,
    measuring: Cell<bool>,
    times: RefCell<Times>,
}

/// One pair's messages under way.
struct Pair {
    number: u32,
    sent_at: RefCell<Vec<Instant>>,
    received: Cell<u64>,
    bell: Notify,
}

pub(crate) async fn run(
    protocol: Protocol,
    to: SocketAddr,
    load: &Load,
    pairs: usize,
) -> Result<Value> {
    let course = Rc::new(Course {
        answers: protocol.answers(),
        window: load.window,
        payload: load.payload.max(8),
        delivered: Cell::new(0),
        measuring: Cell::new(false),
        times: RefCell::default(),
    });
    let (local, mut tasks) = (LocalSet::new(), JoinSet::new());
    for number in 0..pairs as u32 {
        let pair = Rc::new(Pair {
            number,
            sent_at: RefCell::new(vec![Instant::now(); 2 * load.window]),
            received: Cell::new(0),
            bell: Notify::new(),
        });
        let recipient = Connection::open(to, protocol, Role::Recipient(number)).await?;
        let sender = Connection::open(to, protocol, Role::Sender(number)).await?;
        tasks.spawn_local_on(
            receive(recipient, Rc::clone(&course), Rc::clone(&pair)),
            &local,
        );
        tasks.spawn_local_on(send(sender, Rc::clone(&course), pair), &local);
    }
    let measured = local.run_until(async {
        tokio::time::sleep(WARM_UP).await;
        course.measuring.set(true);
        let (gauge, before) = (Gauge::start(load)?, course.delivered.get());
        tokio::time::sleep(Duration::from_secs(load.seconds)).await;
        let mut figures = gauge.stop(course.delivered.get() - before)?;
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

async fn send(mut client: Connection, course: Rc<Course>, pair: Rc<Pair>) -> Result<()> {
    let mut payload = vec![0x5a; course.payload];
    let (mut sent, mut answered) = (0_u64, 0_u64);
    loop {
        let received = pair.received.get();
        let done = if course.answers {
            received.min(answered)
        } else {
            received
        };
        let most = done + course.window as u64;
        if sent < most {
            let (now, mut sent_at) = (Instant::now(), pair.sent_at.borrow_mut());
            while sent < most {
                payload[..8].copy_from_slice(&sent.to_be_bytes());
                client.publish(pair.number, &payload);
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
        client.events(|event| {
            match event {
                Event::Answered => answered += 1,
                Event::Other => {}
                _ => bail!("a sender got what is not its own"),
            }
            Ok(())
        })?;
        ensure!(answered <= sent, "more answers than messages");
    }
}

async fn receive(mut client: Connection, course: Rc<Course>, pair: Rc<Pair>) -> Result<()> {
    let mut expected = vec![0x5a; course.payload];
    loop {
        client.read().await?;
        let now = Instant::now();
        let mut received = pair.received.get();
        client.events(|event| {
            let Event::Message(payload) = event else {
                return Ok(());
            };
            expected[..8].copy_from_slice(&received.to_be_bytes());
            ensure!(payload == expected, "message {received} came otherwise");
            if course.measuring.get() {
                let sent_at = pair.sent_at.borrow();
                let at = sent_at[received as usize % sent_at.len()];
                course.times.borrow_mut().push(now - at);
            }
            received += 1;
            course.delivered.set(course.delivered.get() + 1);
            Ok(())
        })?;
        pair.received.set(received);
        pair.bell.notify_one();
        client.flush().await?;
    }
}
