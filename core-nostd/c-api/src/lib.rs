//! Hushwire's core inside C programs: `libhushwire.a` and [`hushwire.h`](../include/hushwire.h).
//!
//! ```text
//!   C program ── contexts, buffers ──> hw_identity_*  hw_prekeys_*  hw_session_*  hw_link_*
//!             <── random, store ─────  env       every call: memory -> context -> core -> status
//! ```
//! No heap, no global state, no libc beyond memcpy and its family. The program allocates contexts of
//! fixed size, gives buffers, and lends call-backs for randomness and storage. Three modules hold
//! what the rest relies on: `memory` turns pointers into slices that do not overlap, `context` turns
//! the core's typestates into a checked tag, `env` stores before anything leaves.
//!
//! # Safety
//!
//! One contract for all functions, which the header states first: a pointer is null or points to
//! memory of the size that the call says, which nobody else uses until the call returns; contexts are
//! zeroed before their first use, stay where they are, and change only through these functions. What
//! can be checked is checked: null, alignment, overlap, lengths, and whether a context is live.
#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::unreachable,
        clippy::float_arithmetic
    )
)]
#![allow(
    clippy::missing_safety_doc,
    reason = "one contract for all functions: see the crate's documentation and the header"
)]

#[cfg(test)]
extern crate std;

mod context;
mod memory;
#[cfg(feature = "standalone")]
mod standalone;

// In the header's order, which is this one.
pub mod status;

pub mod env;

pub mod identity;

pub mod prekeys;

pub mod session;

pub mod link;

use hushwire_core::snapshot::OVERHEAD;

/// Rises when a function, a structure or a record of this header changes.
pub const HW_API_VERSION: u32 = 1;
/// Bytes of the largest record that the store call-back is given.
pub const HW_RECORD_MAX: usize = 1780;
/// Bytes of the storage key.
pub const HW_STORAGE_KEY_LEN: usize = 32;

const _: () = {
    assert!(session::Inner::MAX_ENCODED + OVERHEAD <= HW_RECORD_MAX);
    assert!(prekeys::Own::MAX_ENCODED + OVERHEAD <= HW_RECORD_MAX);
};

/// The library's HW_API_VERSION. A program whose header says otherwise must not call it.
#[unsafe(no_mangle)]
pub const extern "C" fn hw_api_version() -> u32 {
    HW_API_VERSION
}
