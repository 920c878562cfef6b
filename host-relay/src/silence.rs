//! How long something has been failing: counted from its first failure, not from its last success, which
//! may be hours ago where nobody asked.

use std::time::{Duration, Instant};

/// Failures without a success between them.
#[derive(Debug, Default)]
pub(crate) struct Silence(Option<Instant>);

impl Silence {
    /// It failed. How long it has.
    pub(crate) fn goes_on(&mut self) -> Duration {
        self.0.get_or_insert_with(Instant::now).elapsed()
    }

    /// It worked.
    pub(crate) fn ends(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_with_a_failure_and_ends_with_a_success() {
        let (mut silence, long) = (Silence::default(), Duration::from_millis(50));
        std::thread::sleep(long);
        assert!(silence.goes_on() < long, "nothing had failed");
        std::thread::sleep(long);
        assert!(silence.goes_on() >= long);
        silence.ends();
        assert!(silence.goes_on() < long);
    }
}
