//! Senders through a peer to recipients who are away: what is counted is the server's answer, which
//! promises what the server's own settings promise.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::task::{JoinSet, LocalSet};

use super::connection::{Connection, Event};
use super::{Protocol, Role};
use crate::Load;
use crate::gauge::Gauge;
use crate::times::Times;

/// Not measured: what the first messages cost.
const WARM_UP: Duration = Duration::from_millis(500);

/// What all senders share, on one thread.
struct Course {
    mailboxes: usize,
    window: usize,
    payload: usize,
    accepted: Cell<u64>,
    measuring: Cell<bool>,
    times: RefCell<Times>,
}

pub(crate) async fn run(
    protocol: Protocol,
    to: SocketAddr,
    load: &Load,
    senders: usize,
    mailboxes: usize,
) -> Result<Value> {
    let stores = matches!(
        protocol,
        Protocol::Jetstream | Protocol::Mqtt1 | Protocol::RedisStreams
    );
    ensure!(stores, "this protocol keeps nothing for those who are away");
    for number in 0..protocol.made(mailboxes) as u32 {
        let owner = Connection::open(to, protocol, Role::Away(number)).await?;
        owner.close().await?;
    }
    let course = Rc::new(Course {
        mailboxes,
        window: load.window,
        payload: load.payload.max(16),
        accepted: Cell::new(0),
        measuring: Cell::new(false),
        times: RefCell::default(),
    });
    let (local, mut tasks) = (LocalSet::new(), JoinSet::new());
    for number in 0..senders as u32 {
        let client = Connection::open(to, protocol, Role::Sender(number)).await?;
        tasks.spawn_local_on(send(client, number, Rc::clone(&course)), &local);
    }
    let measured = local.run_until(async {
        tokio::time::sleep(WARM_UP).await;
        course.measuring.set(true);
        let (gauge, before) = (Gauge::start(load)?, course.accepted.get());
        tokio::time::sleep(Duration::from_secs(load.seconds)).await;
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

/// Mailboxes in turn, each sender from another one on, as with Hushwire's relay.
async fn send(mut client: Connection, number: u32, course: Rc<Course>) -> Result<()> {
    let (mut sent, mut under_way) = (0_u64, VecDeque::<Instant>::new());
    let mut payload = vec![0x5a; course.payload];
    payload[..4].copy_from_slice(&number.to_be_bytes());
    loop {
        let now = Instant::now();
        while under_way.len() < course.window {
            payload[4..12].copy_from_slice(&sent.to_be_bytes());
            let turn = sent as usize + number as usize * 37;
            client.publish((turn % course.mailboxes) as u32, &payload);
            under_way.push_back(now);
            sent += 1;
        }
        client.flush().await?;
        client.read().await?;
        let now = Instant::now();
        client.events(|event| {
            match event {
                Event::Answered => {
                    let at = under_way
                        .pop_front()
                        .context("more answers than messages")?;
                    course.accepted.set(course.accepted.get() + 1);
                    if course.measuring.get() {
                        course.times.borrow_mut().push(now - at);
                    }
                }
                Event::Other => {}
                _ => bail!("a sender got what is not its own"),
            }
            Ok(())
        })?;
    }
}
