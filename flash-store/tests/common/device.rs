//! Sizes of endpoints, as the world asks for them: on flash all have one.

use hushwire_core::limits::MAX_WINDOW;

pub use super::node::{Device, PREKEYS};

/// Which endpoint a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Host,
    Small,
    SmallWithTwoLinks,
}

impl Size {
    /// Deliveries that it takes at once.
    pub fn window(self) -> usize {
        MAX_WINDOW
    }
}
