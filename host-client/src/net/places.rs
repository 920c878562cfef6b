//! The places at which one relay may be, tried in turn (docs/PROTOCOL.md 2.4).

use std::time::Duration;

use crate::card::RelayUrl;

/// One step of a connection, to the only place there is.
const ALONE: Duration = Duration::from_secs(10);
/// The same where others are to be tried: a machine that is gone answers nothing.
const AMONG_OTHERS: Duration = Duration::from_secs(3);

/// A walk over them.
#[derive(Debug)]
pub(crate) struct Places {
    all: Vec<String>,
    at: usize,
    /// Tries in a row that failed.
    failed: usize,
}

impl Places {
    /// `random` says where the walk begins: the places share their clients.
    pub(crate) fn of(url: &RelayUrl, random: u32) -> Self {
        let all: Vec<_> = url.hosts().map(str::to_owned).collect();
        Self {
            at: random as usize % all.len().max(1),
            all,
            failed: 0,
        }
    }

    /// Where the next try goes: `host:port`.
    pub(crate) fn current(&self) -> &str {
        &self.all[self.at]
    }

    /// How long to wait there for a connection, and for its handshake.
    pub(crate) fn patience(&self) -> Duration {
        match self.all.len() {
            1 => ALONE,
            _ => AMONG_OTHERS,
        }
    }

    /// The try has ended. Goes on to the next place, and says whether all had their turn since the
    /// link was up: then it is time to pause. A link that was up ended with its relay, so the
    /// others have their turn at once.
    pub(crate) fn is_round_done(&mut self, was_up: bool) -> bool {
        let several = self.all.len() > 1;
        self.at = (self.at + 1) % self.all.len();
        self.failed = if was_up { 0 } else { self.failed + 1 };
        match was_up {
            true => !several,
            false => self.failed.is_multiple_of(self.all.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";

    fn places(hosts: &str) -> Places {
        from(hosts, 0)
    }

    fn from(hosts: &str, random: u32) -> Places {
        Places::of(&format!("hush://{hosts}/#{KEY}").parse().unwrap(), random)
    }

    #[test]
    fn clients_begin_at_different_places() {
        let begins = |random| from("a:1,b:2,c:3", random).current().to_owned();
        assert_eq!([0, 1, 2, 5].map(begins), ["a:1", "b:2", "c:3", "c:3"]);
        assert_eq!(from("a:1", u32::MAX).current(), "a:1");
    }

    #[test]
    fn one_place_pauses_after_every_try() {
        let mut one = places("a:1");
        for was_up in [false, false, true, false] {
            assert_eq!((one.current(), one.patience()), ("a:1", ALONE));
            assert!(one.is_round_done(was_up));
        }
    }

    #[test]
    fn several_are_tried_in_turn_and_then_there_is_a_pause() {
        let mut three = places("a:1,b:2,c:3");
        assert_eq!(three.patience(), AMONG_OTHERS);
        let mut tried = Vec::new();
        let mut step = |was_up| {
            tried.push(three.current().to_owned());
            three.is_round_done(was_up)
        };
        assert!(!step(false));
        // The second takes it, and dies: the third is next, at once.
        assert!(!step(true));
        assert!(!step(false));
        assert!(!step(false));
        assert!(step(false));
        assert!(!step(false));
        assert_eq!(tried, ["a:1", "b:2", "c:3", "a:1", "b:2", "c:3"]);
    }
}
