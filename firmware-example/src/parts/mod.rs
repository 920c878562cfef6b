//! Parts that board files share, so that a further board stays one file. All are optional.
//!
//! | part | gives |
//! | --- | --- |
//! | [`SectorKeeper`] | a [`Keeper`](crate::board::Keeper) in one erasable sector of a flash |
//! | [`Window`] | a region of a flash as a flash of its own, which reads back what it writes |
//! | [`local_mac`] | an Ethernet address from the chip's serial number |
//! | [`Line`] | a sensor's count to its unit, from two calibration points |

mod line;
mod mac;
mod sector_keeper;
mod window;

pub use line::Line;
pub use mac::local_mac;
pub use sector_keeper::SectorKeeper;
pub use window::{Window, WindowError};
