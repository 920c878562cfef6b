//! What each sender holds of one mailbox.

use foldhash::HashMap;
use hushwire_core::identity::Address;

/// One sender's part.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Share {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// All of them. Most mailboxes have one sender or two, and a list of them takes the least room.
#[derive(Debug)]
pub(crate) enum Shares {
    Few(Vec<(Address, Share)>),
    Many(HashMap<Address, Share>),
}

/// Above this a map is faster than a look through the list.
const FEW: usize = 4;

impl Default for Shares {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Shares {
    pub(crate) fn of(&self, sender: &Address) -> Share {
        match self {
            Self::Few(list) => list.iter().find(|(of, _)| of == sender).map(|(_, s)| *s),
            Self::Many(map) => map.get(sender).copied(),
        }
        .unwrap_or_default()
    }

    /// One more message.
    pub(crate) fn add(&mut self, sender: Address, bytes: u64) {
        if let Self::Few(list) = self
            && list.len() >= FEW
        {
            *self = Self::Many(list.drain(..).collect());
        }
        let share = match self {
            Self::Few(list) => match list.iter().position(|(of, _)| *of == sender) {
                Some(place) => list.get_mut(place),
                None => {
                    list.push((sender, Share::default()));
                    list.last_mut()
                }
            }
            .map(|(_, share)| share),
            Self::Many(map) => Some(map.entry(sender).or_default()),
        };
        if let Some(share) = share {
            share.messages += 1;
            share.bytes += bytes;
        }
    }

    /// One message less.
    pub(crate) fn subtract(&mut self, sender: &Address, bytes: u64) {
        let less = |share: &mut Share| {
            share.messages -= 1;
            share.bytes -= bytes;
            share.messages > 0
        };
        match self {
            Self::Few(list) => list.retain_mut(|(of, share)| of != sender || less(share)),
            Self::Many(map) => {
                if map.get_mut(sender).is_some_and(|share| !less(share)) {
                    map.remove(sender);
                }
            }
        }
    }
}
