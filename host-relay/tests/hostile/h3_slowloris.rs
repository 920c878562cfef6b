//! H3: connections that dribble their handshake. In full: `HUSHWIRE_SLOW_CONNECTIONS=2000`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hushwire_core::link::PREAMBLE;
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::request::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{Client, PATIENCE, address_of};
use crate::victim::{Victim, scale};

/// Messages of two honest clients before the attack, and at least as many during it.
const HONEST: u32 = 2_000;
/// Between two bytes.
const BYTE: Duration = Duration::from_secs(5);
/// What may be said of a machine that other tests have too. The full run has it alone, and the row's bound.
const EVERYDAY: f64 = 10.0;
const FULL: f64 = 2.0;

/// Dribbles one handshake after another for ever; counts how often the relay hangs up.
async fn dribble(address: SocketAddr, cut: Arc<AtomicUsize>) {
    let bytes = [PREAMBLE.as_slice(), &81u16.to_be_bytes(), &[4; 81]].concat();
    loop {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut left = bytes.chunks(1);
        loop {
            let byte = left.next().expect("the relay waits for the whole message");
            let mut scrap = [0; 1];
            match timeout(BYTE, stream.read(&mut scrap)).await {
                Err(_) if stream.write_all(byte).await.is_ok() => {}
                _ => break,
            }
        }
        cut.fetch_add(1, Ordering::Relaxed);
    }
}

/// Two honest clients.
struct Pair {
    alice: Client,
    bob: Client,
    next: u32,
}

impl Pair {
    /// How long a message takes until its sender knows that the recipient has it.
    async fn exchange(&mut self) -> Duration {
        let began = Instant::now();
        let envelope = [&self.next.to_be_bytes()[..], b"envelope"].concat();
        self.next += 1;
        let submit = Request::Submit {
            to: address_of(2),
            envelope: &envelope,
        };
        self.alice.send(&submit).await.unwrap();
        let (_, got) = self.bob.delivery().await.unwrap();
        assert_eq!(got, envelope);
        let id = EnvelopeId::of(&got);
        self.bob.send(&Request::Ack(id)).await.unwrap();
        let said = self.alice.submitted(id).await.unwrap();
        said.expect("an honest message is accepted");
        began.elapsed()
    }
}

/// The one at `part` of all of them, in seconds.
fn rank(times: &mut [Duration], part: f64) -> f64 {
    times.sort();
    times[(times.len() as f64 * part) as usize].as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn h3_slowloris() {
    let count = scale("HUSHWIRE_SLOW_CONNECTIONS", 500);
    let most = match std::env::var_os("HUSHWIRE_SLOW_CONNECTIONS") {
        Some(_) => FULL,
        None => EVERYDAY,
    };
    // The deadline is the default one; the honest ones ask as fast as they are answered.
    let victim = Victim::start(&[
        "--submit-rate",
        "1000000",
        "--submit-burst",
        "1000000",
        "--request-rate",
        "1000000",
        "--request-burst",
        "1000000",
        // The honest ones' acks are bounded by count, and are no growth of the slow ones'.
        "--remembered-acks",
        "1000",
        "--cache-bytes",
        "4194304",
    ]);
    let alice = Client::connect(&victim.target, 1).await.unwrap();
    let mut bob = Client::connect(&victim.target, 2).await.unwrap();
    bob.register().await.unwrap();
    let mut pair = Pair {
        alice,
        bob,
        next: 0,
    };
    let mut quiet = Vec::new();
    for warm in [true, false] {
        for _ in 0..HONEST {
            quiet.push(pair.exchange().await);
        }
        if warm {
            quiet.clear();
        }
    }
    let (base, descriptors) = (victim.base_kib(), victim.descriptors());

    let (address, cut) = (victim.target.address, Arc::<AtomicUsize>::default());
    let mut slow = JoinSet::new();
    for _ in 0..count {
        slow.spawn(dribble(address, Arc::clone(&cut)));
    }
    let all = || victim.descriptors() >= descriptors + count * 9 / 10;
    let deadline = Instant::now() + PATIENCE;
    while !all() {
        assert!(Instant::now() < deadline, "no attack");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut busy = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    // Until each of them was cut off and has come again.
    while busy.len() < HONEST as usize || cut.load(Ordering::Relaxed) < count {
        busy.push(pair.exchange().await);
        assert!(Instant::now() < deadline, "the slow ones are not cut off");
    }
    let deadline = Instant::now() + PATIENCE;
    while !all() {
        assert!(Instant::now() < deadline, "the attack was over before");
        busy.push(pair.exchange().await);
    }
    slow.shutdown().await;
    let grown = victim.grew(descriptors, 2, base).await;
    // What the allocator keeps of a few KiB for each task, and no more.
    assert!(grown <= 4 * count as u64 + 2048, "{grown} KiB stay");
    pair.exchange().await;

    let mut ratio = |part: f64| rank(&mut busy, part) / rank(&mut quiet, part);
    let (median, p99) = (ratio(0.5), ratio(0.99));
    println!(
        "h3: {count} slow ones, cut off {} times; {HONEST} exchanges before them and {} beside them: {median:.2} times \
         the median, {p99:.2} times the p99",
        cut.load(Ordering::Relaxed),
        busy.len(),
    );
    assert!(median < most && p99 < most, "{median:.2}, {p99:.2}");
}
