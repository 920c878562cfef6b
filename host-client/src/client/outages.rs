//! Which relays are away: told once for each time, and not where the link is back at once.

use std::{collections::BTreeMap, future::pending, time::Duration};

use tokio::{sync::watch, time::Instant};

use crate::{driver::LinkStates, net::LinkError};

/// A link that is back after so long was never away: a relay was started anew, or a network changed.
const SHORT: Duration = Duration::from_secs(3);

/// What changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outage {
    Began(LinkError),
    /// With the relay's `host:port`.
    Ended(String),
}

#[derive(Debug)]
enum Away {
    Since(Instant),
    Told { is_final: bool, relay: String },
}

#[derive(Debug)]
pub(super) struct Outages {
    states: watch::Receiver<LinkStates>,
    away: BTreeMap<u8, Away>,
}

impl Outages {
    pub(super) const fn of(states: watch::Receiver<LinkStates>) -> Self {
        Self {
            states,
            away: BTreeMap::new(),
        }
    }

    /// The next one. Cancel-safe.
    pub(super) async fn next(&mut self) -> Outage {
        loop {
            let states = self.states.borrow_and_update().clone();
            self.away.retain(|link, _| states.contains_key(link));
            let now = Instant::now();
            for (link, state) in states {
                if let Some(outage) = self.see(link, state, now) {
                    return outage;
                }
            }
            let since = self.away.values().filter_map(|away| match away {
                Away::Since(since) => Some(*since),
                Away::Told { .. } => None,
            });
            let due = since.min().map(|since| since + SHORT);
            tokio::select! {
                // Where the client has stopped, nothing changes any more.
                changed = self.states.changed() => if changed.is_err() { pending().await },
                () = tokio::time::sleep_until(due.unwrap_or(now)), if due.is_some() => {}
            }
        }
    }

    fn see(&mut self, link: u8, state: Result<(), LinkError>, now: Instant) -> Option<Outage> {
        let Err(error) = state else {
            return match self.away.remove(&link)? {
                Away::Told { relay, .. } => Some(Outage::Ended(relay)),
                Away::Since(_) => None,
            };
        };
        let is_final = error.is_final();
        let since = match self.away.get(&link) {
            // Once it is told that it is away, only what trying again does not help is news.
            Some(Away::Told {
                is_final: known, ..
            }) if *known || !is_final => return None,
            Some(Away::Since(since)) => *since,
            _ => now,
        };
        if !is_final && now < since + SHORT {
            self.away.insert(link, Away::Since(since));
            return None;
        }
        let relay = error.relay().to_owned();
        self.away.insert(link, Away::Told { is_final, relay });
        Some(Outage::Began(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable() -> LinkError {
        LinkError::Unreachable {
            relay: "r:1".into(),
            cause: "refused".into(),
        }
    }

    fn barred() -> LinkError {
        LinkError::Barred {
            relay: "r:1".into(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_told_once_and_a_short_one_never() {
        let (states, watched) = watch::channel(LinkStates::new());
        let mut outages = Outages::of(watched);
        let set = |state| {
            states.send_modify(|states| {
                states.insert(0, state);
            });
        };
        let quiet = |outages: Outages, time| async move {
            let mut outages = outages;
            let told = tokio::time::timeout(time, outages.next()).await;
            assert!(told.is_err(), "{told:?}");
            outages
        };
        set(Ok(()));
        outages = quiet(outages, 10 * SHORT).await;
        set(Err(unreachable()));
        outages = quiet(outages, SHORT / 2).await;
        set(Ok(()));
        outages = quiet(outages, 10 * SHORT).await;

        set(Err(unreachable()));
        assert_eq!(outages.next().await, Outage::Began(unreachable()));
        set(Err(unreachable()));
        outages = quiet(outages, 10 * SHORT).await;
        // It is back, and says why it wants nothing of this client.
        set(Err(barred()));
        assert_eq!(outages.next().await, Outage::Began(barred()));
        set(Err(barred()));
        set(Err(unreachable()));
        outages = quiet(outages, 10 * SHORT).await;
        set(Ok(()));
        assert_eq!(outages.next().await, Outage::Ended("r:1".into()));
        quiet(outages, 10 * SHORT).await;
    }
}
