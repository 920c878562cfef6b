//! What happens often and is said seldom, so that it does not fill the log.

use std::time::Duration;

use tokio::time::Instant;

/// When it was said last.
#[derive(Default)]
pub(crate) struct Seldom(Option<Instant>);

impl Seldom {
    const PAUSE: Duration = Duration::from_secs(10);

    /// Whether it may be said again.
    pub(crate) fn may(&mut self) -> bool {
        let now = Instant::now();
        let may = self.0.is_none_or(|last| now - last >= Self::PAUSE);
        if may {
            self.0 = Some(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_happens_often_is_said_now_and_then() {
        let (mut seldom, mut said) = (Seldom::default(), 0);
        for _ in 0..600 {
            said += u32::from(seldom.may());
            tokio::time::advance(Duration::from_millis(50)).await;
        }
        assert_eq!(said, 3, "in half a minute");
    }
}
