//! The boards, one file each; a feature chooses one.

#[cfg(feature = "mps2-an386")]
mod mps2_an386;
#[cfg(feature = "mps2-an386")]
pub(crate) use mps2_an386::{LastWords, take};

#[cfg(feature = "nucleo-h563zi")]
mod nucleo_h563zi;
#[cfg(feature = "nucleo-h563zi")]
pub(crate) use nucleo_h563zi::{LastWords, take};

#[cfg(feature = "w5500-evb-pico2")]
mod w5500_evb_pico2;
#[cfg(feature = "w5500-evb-pico2")]
pub(crate) use w5500_evb_pico2::{LastWords, take};
