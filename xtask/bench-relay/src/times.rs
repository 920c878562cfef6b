//! Latencies and their percentiles.

use std::time::Duration;

use serde_json::{Value, json};

use crate::gauge::round;

/// Times as they were taken, in microseconds.
#[derive(Default)]
pub(crate) struct Times(Vec<f32>);

impl Times {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time.as_secs_f32() * 1e6);
    }

    pub(crate) fn figures(&mut self) -> Value {
        self.0.sort_by(f32::total_cmp);
        let at = |part: f64| {
            let index = (self.0.len() as f64 * part) as usize;
            let time = self.0.get(index.min(self.0.len().saturating_sub(1)));
            round(f64::from(time.copied().unwrap_or(f32::NAN)), 1)
        };
        json!({ "p50": at(0.50), "p99": at(0.99), "p999": at(0.999) })
    }
}
