//! The boards, one file each; a feature chooses one.

#[cfg(feature = "mps2-an386")]
mod mps2_an386;
#[cfg(feature = "mps2-an386")]
pub(crate) use mps2_an386::take;
