//! Senders to recipients who are away: `accepted` comes after an fsync.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use hushwire_core::identity::Address;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::Answer;
use hushwire_core::wire::request::Request;
use serde_json::Value;
use tokio::task::{JoinSet, LocalSet};

use crate::Load;
use crate::client::{Client, Target};
use crate::gauge::Gauge;
use crate::times::Times;

/// Not measured: what the first messages cost.
const WARM_UP: Duration = Duration::from_millis(500);
/// Between two looks at how many are stored.
const LOOK: Duration = Duration::from_millis(5);
/// Numbers of mailboxes' owners begin here.
const OWNERS: u32 = 1_000_000;

/// What all senders share, on one thread.
struct Course {
    mailboxes: Vec<Address>,
    window: usize,
    payload: usize,
    accepted: Cell<u64>,
    measuring: Cell<bool>,
    times: RefCell<Times>,
}

pub(crate) async fn run(
    target: &Target,
    load: &Load,
    senders: usize,
    mailboxes: usize,
    messages: Option<u64>,
) -> Result<Value> {
    let mut addresses = Vec::new();
    for number in 0..mailboxes as u32 {
        let mut owner = Client::connect(target, OWNERS + number, 1).await?;
        owner.register(OWNERS + number).await?;
        addresses.push(owner.address);
    }
    let course = Rc::new(Course {
        mailboxes: addresses,
        window: load.window,
        payload: load.payload.max(16),
        accepted: Cell::new(0),
        measuring: Cell::new(false),
        times: RefCell::default(),
    });
    let (local, mut tasks) = (LocalSet::new(), JoinSet::new());
    for number in 0..senders as u32 {
        let client = Client::connect(target, number, 1).await?;
        tasks.spawn_local_on(send(client, number, Rc::clone(&course)), &local);
    }
    let measured = local.run_until(async {
        if messages.is_none() {
            tokio::time::sleep(WARM_UP).await;
        }
        course.measuring.set(true);
        let (gauge, before) = (Gauge::start(load)?, course.accepted.get());
        match messages {
            None => tokio::time::sleep(Duration::from_secs(load.seconds)).await,
            Some(messages) => {
                while course.accepted.get() < messages {
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
        let mut figures = gauge.stop(course.accepted.get() - before)?;
        figures["accepted_us"] = course.times.borrow_mut().figures();
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

/// Every message is a new one; mailboxes in turn, each sender from another one on.
async fn send(mut client: Client, number: u32, course: Rc<Course>) -> Result<()> {
    let (mut sent, mut under_way) = (0_u64, VecDeque::<(EnvelopeId, Instant)>::new());
    let mut envelope = vec![0x5a; course.payload];
    envelope[..4].copy_from_slice(&number.to_be_bytes());
    loop {
        let now = Instant::now();
        while under_way.len() < course.window {
            envelope[4..12].copy_from_slice(&sent.to_be_bytes());
            let turn = sent as usize + number as usize * 37;
            let to = course.mailboxes[turn % course.mailboxes.len()];
            let envelope = &envelope;
            client.output.push(&Request::Submit { to, envelope })?;
            under_way.push_back((EnvelopeId::of(envelope), now));
            sent += 1;
        }
        client.flush().await?;
        client.read().await?;
        let now = Instant::now();
        client.input.frames(|frame| {
            match Answer::parse(frame)? {
                Answer::Accepted(id) => {
                    let first = under_way.pop_front();
                    let in_order = first.filter(|(expected, _)| *expected == id);
                    ensure!(in_order.is_some(), "answers came in another order");
                    course.accepted.set(course.accepted.get() + 1);
                    if let Some((_, at)) = in_order.filter(|_| course.measuring.get()) {
                        course.times.borrow_mut().push(now - at);
                    }
                }
                Answer::Rejected { reason, .. } => bail!("a message was rejected: {reason}"),
                _ => {}
            }
            Ok(())
        })?;
    }
}
