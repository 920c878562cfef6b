//! A busy quarter of an hour of one shard, played through event by event: what the plan's averages do not show is how
//! long senders wait, and what piles up while nobody has the store.
//!
//! Messages come at random moments. One writer takes all rows that wait into one commit, as the relay does; a commit
//! takes what `cluster_bench` measured, times [`SLOWER`], spread as measured. Three times nothing is committed for as
//! long as the tests saw: a relay that is killed, a server, a relay that hangs.

/// Microseconds of a commit on a cluster, and of each row in it (`cluster_bench`, one run of six:
/// 1, 10, 50 and 500 messages took 615, 687, 874 and 2,946 at the median; 480, 563, 837 and 2,792 in another).
const COMMIT_US: f64 = 620.0;
const ROW_US: f64 = 4.65;
/// The slowest hundredth of those commits took 2.8 to 5.5 times the median in that run (1.9 to 3.1 in others): four times, of a
/// lognormal spread.
const SPREAD: f64 = 0.6;
/// As the plan has it: networks and disks of one's own kind are slower than a loopback.
const SLOWER: f64 = 7.0;
/// When, and for how many seconds, nothing is committed (docs/SCALE.md): take-over after a kill with 3,000,000 messages
/// that wait, the most that was measured; the longest time without an acceptance over 100 kills; take-over after a hang,
/// measured with few messages, and what these 3,000,000 took more.
const OUTAGES: [(f64, f64); 3] = [(120.0, 3.7), (300.0, 8.6), (540.0, 13.7)];
const END: f64 = 900.0;
/// Bytes that a message takes while it waits for its commit.
const WAITING: f64 = 320.0;
/// Of so many rows one is timed.
const TIMED: usize = 7;

/// What came of it.
pub(crate) struct Quarter {
    /// Rows of a commit, on average.
    pub(crate) rows: f64,
    /// Milliseconds from a message's arrival to its `accepted`, before the first outage: half of them, and all but a
    /// hundredth.
    pub(crate) median_ms: f64,
    pub(crate) most_ms: f64,
    /// The longest of all.
    pub(crate) longest_ms: f64,
    /// The most bytes that waited.
    pub(crate) waited: f64,
    /// Seconds from the longest outage's end until a commit was no larger than twice the average before the first.
    pub(crate) caught_up_s: f64,
}

/// SplitMix64: the same quarter each time.
struct Random(u64);

impl Random {
    /// Above 0, and 1 at most.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        ((z >> 11) as f64 + 1.0) / (1u64 << 53) as f64
    }

    fn gap(&mut self, rate: f64) -> f64 {
        -self.unit().ln() / rate
    }

    fn normal(&mut self) -> f64 {
        let angle = self.unit() * std::f64::consts::TAU;
        (-2.0 * self.unit().ln()).sqrt() * angle.cos()
    }
}

/// `stored` messages a second are stored, and as many of those that wait are acked, which removes a row each.
pub(crate) fn busy_quarter(stored: f64) -> Quarter {
    let mut random = Random(7);
    let mut next = random.gap(2.0 * stored);
    let (mut now, mut commits, mut rows) = (0.0, 0, 0);
    let (mut calm, mut longest, mut waited) = (Vec::new(), 0.0_f64, 0);
    let [(first, _), .., (hangs, for_s)] = OUTAGES;
    // However many rows go together, each takes this long, on average.
    let keeps_up = 2.0 * stored * ROW_US * SLOWER * (SPREAD * SPREAD / 2.0).exp() < 1e6;
    // Of a commit's rows, before the first outage.
    let mut average = 0.0;
    let mut caught_up_s = None;
    while now < END {
        let is_out = |(began, lasts): &(f64, f64)| (*began..began + lasts).contains(&now);
        if let Some((began, lasts)) = OUTAGES.iter().copied().find(is_out) {
            now = began + lasts;
        }
        // A commit takes whatever is there; where nothing is, it waits for the first.
        now = next.max(now);
        let mut batch = Vec::new();
        while next <= now {
            batch.push(next);
            next += random.gap(2.0 * stored);
        }
        waited = waited.max(batch.len());
        commits += 1;
        rows += batch.len();
        if now < first {
            average = rows as f64 / f64::from(commits);
        }
        if now >= hangs + for_s && batch.len() as f64 <= 2.0 * average {
            caught_up_s.get_or_insert(now - hangs - for_s);
        }
        let median = (COMMIT_US + ROW_US * batch.len() as f64) * SLOWER / 1e6;
        let took = median * (SPREAD * random.normal()).exp();
        now += took;
        for came in batch.into_iter().step_by(TIMED) {
            longest = longest.max(now - came);
            if now < first {
                calm.push((now - came) * 1e3);
            }
        }
    }
    Quarter {
        rows: rows as f64 / f64::from(commits),
        median_ms: at(&mut calm, 0.5),
        most_ms: at(&mut calm, 0.99),
        longest_ms: longest * 1e3,
        waited: waited as f64 * WAITING,
        caught_up_s: caught_up_s.filter(|_| keeps_up).unwrap_or(f64::INFINITY),
    }
}

/// The time below which this part of all is.
fn at(times: &mut [f64], part: f64) -> f64 {
    if times.is_empty() {
        return f64::INFINITY;
    }
    let place = ((times.len() - 1) as f64 * part) as usize;
    *times.select_nth_unstable_by(place, f64::total_cmp).1
}
