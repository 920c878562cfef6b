//! The figures for people.

use serde_json::{Map, Value};

/// Above this share of its core the generator may be the bound.
const BUSY: f64 = 0.9;

pub(super) fn table(figures: &Map<String, Value>) {
    println!("| work | msg/s | CPU of the relay per message | p50 | p99 | generator's core |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    for (name, of) in figures {
        let (Some(rate), Some(cpu)) = (number(of, "per_second"), number(of, "cpu_ns_per_message"))
        else {
            continue;
        };
        let times = of.get("delivery_us").or(of.get("accepted_us"));
        let time = |part| {
            times
                .and_then(|times| number(times, part))
                .unwrap_or(f64::NAN)
        };
        let share = number(of, "generator_share").unwrap_or(f64::NAN);
        // A paced generator spins: its share says nothing.
        let bound = match share > BUSY && !name.contains("paced") {
            true => ", the bound",
            false => "",
        };
        println!(
            "| {name} | {rate:.0} | {:.2} µs | {:.0} µs | {:.0} µs | {:.0} %{bound} |",
            cpu / 1e3,
            time("p50"),
            time("p99"),
            share * 100.0,
        );
    }
    if let Some(idle) = figures.get("idle") {
        println!(
            "\n{} idle connections: {} bytes each",
            number(idle, "connections").unwrap_or(f64::NAN),
            number(idle, "bytes_each").unwrap_or(f64::NAN),
        );
    }
}

fn number(of: &Value, name: &str) -> Option<f64> {
    of.get(name)?.as_f64()
}
