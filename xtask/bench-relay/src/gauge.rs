//! What processes cost, by the kernel's own accounts.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::Load;

/// CPU time of this process and of those that are measured, from a moment on.
pub(crate) struct Gauge {
    pid: u32,
    also: Vec<(u32, Duration)>,
    began: Instant,
    own: Duration,
    other: Duration,
    switches: u64,
}

impl Gauge {
    pub(crate) fn start(load: &Load) -> Result<Self> {
        let pid = load.pid;
        let also = load.also.iter();
        Ok(Self {
            pid,
            also: also
                .map(|pid| Ok((*pid, cpu_time(*pid)?)))
                .collect::<Result<_>>()?,
            began: Instant::now(),
            own: cpu_time(std::process::id())?,
            other: cpu_time(pid)?,
            switches: switches(pid)?,
        })
    }

    /// The figures of so many messages since the start.
    pub(crate) fn stop(&self, messages: u64) -> Result<Value> {
        let took = self.began.elapsed().as_secs_f64();
        let own = (cpu_time(std::process::id())? - self.own).as_secs_f64();
        let other = (cpu_time(self.pid)? - self.other).as_secs_f64();
        let switches = switches(self.pid)? - self.switches;
        let also = self.also.iter();
        let also = also.map(|(pid, before)| Ok((cpu_time(*pid)? - *before).as_secs_f64()));
        let also = also.collect::<Result<Vec<_>>>()?;
        let each = |seconds: f64| (seconds * 1e9 / messages.max(1) as f64).round();
        Ok(json!({
            "messages": messages,
            "seconds": round(took, 3),
            "per_second": (messages as f64 / took).round(),
            "cpu_ns_per_message": each(other),
            "also_ns_per_message": also.into_iter().map(each).collect::<Vec<_>>(),
            "cpu_share": round(other / took, 3),
            "generator_ns_per_message": each(own),
            "generator_share": round(own / took, 3),
            "resident": resident(self.pid)?,
            "switches_per_message": round(switches as f64 / messages.max(1) as f64, 3),
        }))
    }
}

pub(crate) fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

/// Of all threads, in the kernel's nanoseconds.
fn cpu_time(pid: u32) -> Result<Duration> {
    let mut total = 0;
    for task in tasks(pid)? {
        // A thread may end meanwhile.
        let Ok(text) = fs::read_to_string(format!("{task}/schedstat")) else {
            continue;
        };
        let ran = text.split_whitespace().next().unwrap_or_default();
        total += ran.parse::<u64>().context("an unknown schedstat")?;
    }
    Ok(Duration::from_nanos(total))
}

fn switches(pid: u32) -> Result<u64> {
    let mut total = 0;
    for task in tasks(pid)? {
        let text = fs::read_to_string(format!("{task}/status")).unwrap_or_default();
        let lines = text.lines().filter(|line| line.contains("ctxt_switches:"));
        total += lines
            .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
            .sum::<u64>();
    }
    Ok(total)
}

fn tasks(pid: u32) -> Result<Vec<String>> {
    let folder = format!("/proc/{pid}/task");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))?;
    Ok(entries
        .filter_map(|entry| Some(entry.ok()?.path().to_str()?.to_owned()))
        .collect())
}

/// Resident memory in bytes.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kib.context("no VmRSS")?.parse::<u64>()? * 1024)
}
