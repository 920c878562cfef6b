//! The figures for people.

use serde_json::{Map, Value};

/// Above this share of its core the generator may be the bound.
const BUSY: f64 = 0.9;

/// The name of the figure at that rate.
pub(super) fn paced(rate: u64, forwarder: bool) -> String {
    match forwarder {
        true => format!("{rate} a second, forwarder"),
        false => format!("{rate} a second"),
    }
}

pub(super) fn table(figures: &Map<String, Value>) {
    println!("| work | msg/s | CPU of the relay per message | p50 | p99 | generator's core |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    for (name, of) in figures {
        let (Some(_), Some(cpu)) = (number(of, "per_second"), number(of, "cpu_ns_per_message"))
        else {
            continue;
        };
        if name.contains("a second") {
            continue;
        }
        println!(
            "| {name} | {} | {:.2} µs | {:.0} µs | {:.0} µs | {} |",
            rate(of),
            cpu / 1e3,
            time(of, "p50"),
            time(of, "p99"),
            generator(of),
        );
    }
    latencies(figures);
    if let Some(idle) = figures.get("idle") {
        println!(
            "\n{} idle connections: {} bytes each",
            number(idle, "connections").unwrap_or(f64::NAN),
            number(idle, "bytes_each").unwrap_or(f64::NAN),
        );
        let registered = figures.get("idle_registered");
        let registered = registered.and_then(|idle| number(idle, "bytes_each"));
        println!(
            "of identities that publish a bundle first: {} bytes each",
            registered.unwrap_or(f64::NAN)
        );
        let peers = figures.get("idle_peers").and_then(Value::as_array);
        for peer in peers.into_iter().flatten() {
            println!(
                "{}: {} bytes each",
                peer["name"].as_str().unwrap_or_default(),
                number(peer, "bytes_each").unwrap_or(f64::NAN),
            );
        }
    }
    if let Some(Value::Array(measured)) = figures.get("peers") {
        peers(figures, measured);
    }
}

/// A delivery beside the forwarder's, rate by rate.
fn latencies(figures: &Map<String, Value>) {
    println!(
        "\n| messages a second | p50 | forwarder's | ratio | p99 | forwarder's | ratio | relay's core busy | forwarder's |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let rates = figures
        .get("work")
        .and_then(|work| work["rates"].as_array());
    for per_second in rates.into_iter().flatten().filter_map(Value::as_u64) {
        let of = |forwarder| figures.get(&paced(per_second, forwarder));
        let (Some(own), Some(bare)) = (of(false), of(true)) else {
            continue;
        };
        let busy = |of| number(of, "cpu_share").unwrap_or(f64::NAN) * 100.0;
        println!(
            "| {} | {:.0} µs | {:.0} µs | {:.2} | {:.0} µs {} | {:.0} µs {} | {:.2} | {:.0} % | {:.0} % |",
            reached(per_second, own),
            time(own, "p50"),
            time(bare, "p50"),
            time(own, "p50") / time(bare, "p50"),
            time(own, "p99"),
            range(own, "/delivery_us/p99"),
            time(bare, "p99"),
            range(bare, "/delivery_us/p99"),
            time(own, "p99") / time(bare, "p99"),
            busy(own),
            busy(bare),
        );
    }
}

/// The rate, and what the relay reached where that was another.
fn reached(per_second: u64, of: &Value) -> String {
    let reached = number(of, "per_second").unwrap_or(f64::NAN);
    match (reached / per_second as f64 - 1.0).abs() < 0.01 {
        true => per_second.to_string(),
        false => format!("{per_second} ({reached:.0} reached)"),
    }
}

/// Messages a second, and the range of the rounds.
fn rate(of: &Value) -> String {
    let median = number(of, "per_second").unwrap_or(f64::NAN);
    format!("{median:.0} {}", range(of, "/per_second"))
}

fn range(of: &Value, pointer: &str) -> String {
    let range = of
        .get("ranges")
        .and_then(|ranges| ranges[pointer].as_array());
    match range.map(Vec::as_slice) {
        Some([least, most]) => format!(
            "({:.0} to {:.0})",
            least.as_f64().unwrap_or(f64::NAN),
            most.as_f64().unwrap_or(f64::NAN)
        ),
        _ => String::new(),
    }
}

/// The relay and the other servers on the same work.
fn peers(figures: &Map<String, Value>, peers: &[Value]) {
    println!(
        "\n| work | server | msg/s | of Hushwire's | CPU of the server per message | p50 | p99 | \
         generator's core | encrypted | acks | fsync before ack |"
    );
    println!("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- | --- |");
    let own = [
        ("online", "the recipient's", "fsync or the recipient's ack"),
        ("durable", "yes", "yes"),
    ];
    for (work, acks, fsync) in own {
        let Some(hushwire) = figures.get(work) else {
            continue;
        };
        line(work, "**Hushwire**", hushwire, 1.0, ["yes", acks, fsync]);
        for of in peers.iter().filter(|of| text(of, "beside") == work) {
            let ratio = number(of, "of_hushwires").unwrap_or(f64::NAN);
            let promise = ["encrypted", "acks", "fsync_before_ack"].map(|part| text(of, part));
            line(work, text(of, "name"), of, ratio, promise);
        }
    }
    let mut versions: Vec<_> = peers.iter().map(|of| text(of, "version")).collect();
    versions.sort_unstable();
    versions.dedup();
    println!(
        "\nHushwire's link is encrypted; no peer has TLS. The peers: {}.",
        versions.join("; ")
    );
}

fn line(work: &str, name: &str, of: &Value, ratio: f64, promise: [&str; 3]) {
    println!(
        "| {work} | {name} | {} | {ratio:.2} | {:.2} µs | {:.0} µs | {:.0} µs | {} | {} |",
        rate(of),
        number(of, "cpu_ns_per_message").unwrap_or(f64::NAN) / 1e3,
        time(of, "p50"),
        time(of, "p99"),
        generator(of),
        promise.join(" | "),
    );
}

/// A percentile in microseconds.
fn time(of: &Value, part: &str) -> f64 {
    of.get("delivery_us")
        .or(of.get("accepted_us"))
        .and_then(|times| number(times, part))
        .unwrap_or(f64::NAN)
}

/// The generator's share of its core, and whether that was the bound.
fn generator(of: &Value) -> String {
    let share = number(of, "generator_share").unwrap_or(f64::NAN);
    let bound = if share > BUSY { ", the bound" } else { "" };
    format!("{:.0} %{bound}", share * 100.0)
}

fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(of: &Value, name: &str) -> Option<f64> {
    of.get(name)?.as_f64()
}
