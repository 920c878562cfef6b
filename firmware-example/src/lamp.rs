//! What the lamp says. A device has one, and a contact may switch it: so the state winks over it.

use crate::board::Lamp;

/// What the lamp tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Nothing works until somebody comes: five times a second.
    Fault,
    /// Waits for its relay, its contacts, or a reset: two flashes every two seconds.
    Unprovisioned,
    /// Seeks its relay: half a second on, half a second off.
    Connecting,
    /// Steady as a contact has set it, with a wink every five seconds.
    Online,
}

/// The lamp at `uptime` milliseconds; `lit` is what a contact has set.
#[must_use]
pub const fn lamp(mood: Mood, lit: bool, uptime: u64) -> Lamp {
    let on = match mood {
        Mood::Fault => uptime % 200 < 100,
        Mood::Unprovisioned => matches!(uptime % 2000, 0..150 | 300..450),
        Mood::Connecting => uptime % 1000 < 500,
        Mood::Online => lit != (uptime % 5000 < 100),
    };
    if on { Lamp::On } else { Lamp::Off }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(mood: Mood, lit: bool) -> usize {
        (1..10_000)
            .filter(|at| lamp(mood, lit, *at) != lamp(mood, lit, at - 1))
            .count()
    }

    #[test]
    fn states_can_be_told_apart() {
        assert_eq!(edges(Mood::Fault, false), 99);
        assert_eq!(edges(Mood::Unprovisioned, false), 19);
        assert_eq!(edges(Mood::Connecting, false), 19);
        assert_eq!(edges(Mood::Online, false), 3);
        assert_eq!(lamp(Mood::Online, true, 2000), Lamp::On);
        assert_eq!(lamp(Mood::Online, false, 2000), Lamp::Off);
        assert_eq!(lamp(Mood::Unprovisioned, false, 1000), Lamp::Off);
    }
}
