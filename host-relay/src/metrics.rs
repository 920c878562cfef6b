//! Figures for the operator, in Prometheus' text form. None names an identity.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use crate::tally::{REASONS, Tally};

static METADATA: Metadata<'static> =
    Metadata::new("hushwire_relay", Level::INFO, Some(module_path!()));

/// Seconds: from a fast disk's fsync to one that is in trouble.
const COMMIT_SECONDS: [f64; 10] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5,
];

/// Picks a figure out of the logic's counts.
type Of = fn(&Tally) -> u64;

/// One relay's figures. Each relay has its own recorder, so that several can run in one process.
pub struct Metrics {
    handle: PrometheusHandle,
    counters: Vec<(Counter, Of)>,
    gauges: Vec<(Gauge, Of)>,
    refused: Vec<Counter>,
    commit_seconds: Histogram,
    commit_writes: Counter,
    inputs_waiting: Gauge,
    ready: Gauge,
    has_store: Gauge,
    /// Relays that pass their clients on to this one.
    #[cfg_attr(
        not(feature = "cluster"),
        allow(dead_code, reason = "without a cluster there is no other relay")
    )]
    pub(crate) trunks: Gauge,
    /// Connections that have a place, whoever they are.
    pub(crate) open_connections: Gauge,
    /// Connections taken, and refused at the cap.
    pub(crate) accepted_connections: Counter,
    pub(crate) refused_connections: Counter,
    /// Connections that ended before the handshake did, and those closed for a fault afterwards.
    pub(crate) failed_handshakes: Counter,
    pub(crate) faulty_peers: Counter,
    works: AtomicBool,
    serving: AtomicBool,
}

impl Metrics {
    /// A fresh set of figures, all zero.
    pub fn new() -> Result<Self, BuildError> {
        let buckets = Matcher::Full("hushwire_relay_commit_seconds".into());
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(buckets, &COMMIT_SECONDS)?
            .build_recorder();
        let counter = |name, help: &'static str| counter(&recorder, name, help);
        let gauge = |name, help: &'static str| gauge(&recorder, name, help);

        recorder.describe_counter(
            "hushwire_relay_refused_total".into(),
            None,
            "Requests refused, by reason.".into(),
        );
        let refused = REASONS.iter().map(|(_, name)| {
            let key = Key::from_static_labels("hushwire_relay_refused_total", &[]);
            let key = key.with_extra_labels(vec![Label::from_static_parts("reason", name)]);
            recorder.register_counter(&key, &METADATA)
        });
        recorder.describe_histogram(
            "hushwire_relay_commit_seconds".into(),
            None,
            "How long one commit took, its fsync included.".into(),
        );
        let commit_seconds = Key::from_static_name("hushwire_relay_commit_seconds");
        Ok(Self {
            handle: recorder.handle(),
            counters: vec![
                (counter("requests_total", "Requests taken."), |t| t.requests),
                (counter("submitted_total", "Messages taken over."), |t| {
                    t.submitted
                }),
                (counter("accepted_total", "Accepted answers sent."), |t| {
                    t.accepted
                }),
                (counter("delivered_total", "Deliveries sent."), |t| {
                    t.delivered
                }),
                (counter("acknowledged_total", "Deliveries acked."), |t| {
                    t.acknowledged
                }),
                (
                    counter("unopened_total", "Deliveries refused by recipients."),
                    |t| t.unopened,
                ),
                (counter("expired_total", "Messages expired."), |t| t.expired),
                (
                    counter("prekeys_total", "One-time prekeys handed out."),
                    |t| t.prekeys_handed_out,
                ),
                (
                    counter(
                        "prekeys_exhausted_total",
                        "Bundles fetched whose owner had no one-time prekey left.",
                    ),
                    |t| t.prekeys_exhausted,
                ),
                (counter("takeovers_total", "Connections taken over."), |t| {
                    t.takeovers
                }),
                (
                    counter("failed_commits_total", "Commits that failed."),
                    |t| t.failed_commits,
                ),
            ],
            gauges: vec![
                (gauge("connections", "Clients connected."), |t| {
                    t.connections
                }),
                (gauge("accounts", "Identities registered."), |t| t.accounts),
                (
                    gauge("prekeys_low", "Identities with few one-time prekeys left."),
                    |t| t.prekeys_low,
                ),
                (gauge("mailboxes", "Mailboxes with messages."), |t| {
                    t.mailboxes
                }),
                (gauge("stored_messages", "Messages that wait."), |t| {
                    t.stored_messages
                }),
                (
                    gauge("stored_bytes", "Bytes of envelopes that wait."),
                    |t| t.stored_bytes,
                ),
                (
                    gauge("damaged_rows", "Rows of the store that were found damaged."),
                    |t| t.damaged_rows,
                ),
                (
                    gauge(
                        "oldest_message_seconds",
                        "Age of the oldest waiting message, as expiry counts it.",
                    ),
                    |t| t.oldest_message_s,
                ),
                (
                    gauge("store_file_bytes", "Bytes of the store's file."),
                    |t| t.store_file_bytes,
                ),
                (
                    gauge(
                        "store_full",
                        "1 while the file has no room and may not grow.",
                    ),
                    |t| u64::from(t.store_is_full),
                ),
                (
                    gauge(
                        "servers_behind",
                        "Servers of a cluster that should hold the newest batch, and do not or are gone.",
                    ),
                    |t| t.servers_behind,
                ),
                (
                    gauge(
                        "backlog_bytes",
                        "Bytes for the next commit, with answers that wait for it.",
                    ),
                    |t| t.backlog_bytes,
                ),
            ],
            refused: refused.collect(),
            commit_seconds: recorder.register_histogram(&commit_seconds, &METADATA),
            commit_writes: counter("commit_writes_total", "Rows written or deleted."),
            inputs_waiting: gauge(
                "inputs_waiting",
                "Reads of clients that wait for the logic.",
            ),
            ready: gauge(
                "ready",
                "1 while the relay takes messages, as /readyz says.",
            ),
            has_store: gauge(
                "has_store",
                "1 while this relay has the store; of the relays of one store only one has it.",
            ),
            trunks: gauge(
                "trunks",
                "Relays of the same store that pass their clients on to this one.",
            ),
            open_connections: gauge(
                "open_connections",
                "Connections that take a place of this relay's, strangers' among them.",
            ),
            accepted_connections: counter("connections_total", "Connections taken."),
            refused_connections: counter("connections_refused_total", "Connections over a cap."),
            failed_handshakes: counter("failed_handshakes_total", "Handshakes not finished."),
            faulty_peers: counter(
                "faulty_peers_total",
                "Connections closed for a peer's fault.",
            ),
            works: AtomicBool::new(true),
            serving: AtomicBool::new(false),
        })
    }

    /// Takes over the logic's counts.
    pub(crate) fn observe(&self, tally: &Tally) {
        for (counter, of) in &self.counters {
            counter.absolute(of(tally));
        }
        for (gauge, of) in &self.gauges {
            gauge.set(of(tally) as f64);
        }
        for (counter, count) in self.refused.iter().zip(tally.refused) {
            counter.absolute(count);
        }
    }

    pub(crate) fn committed(&self, writes: usize, took: Duration) {
        self.commit_seconds.record(took.as_secs_f64());
        self.commit_writes.increment(writes as u64);
    }

    /// How long the queue before the logic is.
    pub(crate) fn queued(&self, inputs: usize) {
        self.inputs_waiting.set(inputs as f64);
    }

    pub(crate) fn store_works(&self, works: bool) {
        self.works.store(works, Ordering::Relaxed);
    }

    /// Clients are taken from now on, or not any more.
    pub(crate) fn serving(&self, serving: bool) {
        self.serving.store(serving, Ordering::Relaxed);
    }

    /// The store is this relay's.
    pub(crate) fn has_store(&self) {
        self.has_store.set(1.0);
    }

    /// Whether the relay takes messages: it serves, and the store works.
    pub fn is_ready(&self) -> bool {
        self.serving.load(Ordering::Relaxed) && self.works.load(Ordering::Relaxed)
    }

    /// The text that Prometheus reads.
    pub fn render(&self) -> String {
        self.ready.set(f64::from(u8::from(self.is_ready())));
        self.handle.run_upkeep();
        self.handle.render()
    }
}

fn counter(recorder: &PrometheusRecorder, name: &str, help: &'static str) -> Counter {
    let name = format!("hushwire_relay_{name}");
    recorder.describe_counter(name.clone().into(), None, help.into());
    recorder.register_counter(&Key::from_name(name), &METADATA)
}

fn gauge(recorder: &PrometheusRecorder, name: &str, help: &'static str) -> Gauge {
    let name = format!("hushwire_relay_{name}");
    recorder.describe_gauge(name.clone().into(), None, help.into());
    recorder.register_gauge(&Key::from_name(name), &METADATA)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_appear_under_their_names() {
        let metrics = Metrics::new().unwrap();
        metrics.serving(true);
        let mut tally = Tally {
            submitted: 7,
            connections: 3,
            ..Tally::default()
        };
        tally.refuse(REASONS[1].0);
        metrics.observe(&tally);
        metrics.committed(5, Duration::from_millis(3));
        let text = metrics.render();
        for line in [
            "hushwire_relay_submitted_total 7",
            "hushwire_relay_connections 3",
            "hushwire_relay_refused_total{reason=\"share_full\"} 1",
            "hushwire_relay_refused_total{reason=\"mailbox_full\"} 0",
            "hushwire_relay_commit_seconds_bucket{le=\"0.005\"} 1",
            "hushwire_relay_commit_writes_total 5",
            "hushwire_relay_ready 1",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
    }

    #[test]
    fn ready_while_clients_are_taken_and_the_store_works() {
        let metrics = Metrics::new().unwrap();
        assert!(!metrics.is_ready());
        metrics.serving(true);
        assert!(metrics.is_ready());
        metrics.store_works(false);
        assert!(!metrics.is_ready());
        metrics.store_works(true);
        metrics.serving(false);
        assert!(!metrics.is_ready());
    }
}
