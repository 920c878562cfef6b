//! The boards, one file each; a feature chooses one.

#[cfg(any(
    all(feature = "mps2-an386", feature = "nucleo-h563zi"),
    all(feature = "mps2-an386", feature = "w5500-evb-pico2"),
    all(feature = "nucleo-h563zi", feature = "w5500-evb-pico2"),
))]
compile_error!("an image is for one board: choose one feature of the boards, not several");

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
