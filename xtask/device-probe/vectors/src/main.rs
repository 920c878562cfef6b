//! The project's vectors on a Cortex-M4 in QEMU, over both P-256 backends.
//!
//! Prints one line for each set, `passed BACKEND COUNT SET`, and ends QEMU. The first vector that goes
//! wrong panics, which ends QEMU with a failure.
#![no_std]
#![no_main]

mod both;
mod file;
mod frozen;
mod script;
mod symmetric;
mod transcript;
mod vectors;
mod wycheproof;

// The panic handler: tells the host, and ends QEMU with a failure.
use panic_semihosting as _;
// Brings the interrupt guard that printing needs.
use cortex_m as _;

use cortex_m_rt::entry;
use cortex_m_semihosting::{
    debug::{EXIT_SUCCESS, exit},
    hprintln,
};
use hushwire_core::crypto::{P256, Software};
use hushwire_p256_cortex_m4::CortexM4;

fn passed(backend: &str, set: &str, count: usize) {
    hprintln!("passed {} {} {}", backend, count, set);
}

fn over<B: P256 + Copy>(name: &str, curve: B) {
    passed(name, "Wycheproof ECDH", wycheproof::ecdh(curve));
    passed(name, "Wycheproof ECDSA", wycheproof::ecdsa(curve));
    passed(name, "RFC 6979 A.2.5", wycheproof::rfc6979(curve));
    passed(name, "frozen transcript", frozen::replay(curve));
    passed(name, "docs/vectors", transcript::replay(curve));
}

#[entry]
fn main() -> ! {
    over("portable", Software);
    over("assembly", CortexM4);
    passed("both", "the same answers", both::compare());
    passed("any", "Wycheproof AES-GCM", symmetric::aes_gcm());
    passed("any", "Wycheproof HKDF", symmetric::hkdf_sha256());
    passed("any", "Wycheproof HMAC", symmetric::hmac_sha256());
    loop {
        exit(EXIT_SUCCESS);
    }
}
