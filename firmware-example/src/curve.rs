//! Who computes on the curve P-256: portable software, or assembly where the feature `assembly` asks
//! for it and the chip has the instructions. Both give the same bytes.

#[cfg(not(all(feature = "assembly", target_os = "none")))]
pub use hushwire_core::crypto::Software as Curve;
#[cfg(all(feature = "assembly", target_os = "none"))]
pub use hushwire_p256_cortex_m4::CortexM4 as Curve;
