//! Secret byte arrays: wiped on drop, compared in constant time, never shown, never copied.

use zeroize::Zeroize as _;

/// Overwrites bytes for good. Out of line: each secret that is dropped ends here, and a copy of it
/// at each would cost a device as much flash as AES does.
#[inline(never)]
pub(crate) fn wipe(bytes: &mut [u8]) {
    bytes.zeroize();
}

macro_rules! secret {
    ($(#[$doc:meta])* $vis:vis struct $name:ident([u8; $len:expr]);) => {
        $(#[$doc])*
        $vis struct $name([u8; $len]);

        #[allow(dead_code, reason = "each secret uses the part of this surface that it needs")]
        impl $name {
            pub(crate) const LEN: usize = $len;

            pub(crate) const fn new(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// Made where it will stand: no other copy of it needs to be wiped.
            pub(crate) fn made(fill: impl FnOnce(&mut [u8; $len])) -> Self {
                let mut secret = Self([0; $len]);
                fill(&mut secret.0);
                secret
            }

            pub(crate) const fn bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl zeroize::Zeroize for $name {
            fn zeroize(&mut self) {
                crate::crypto::secret::wipe(&mut self.0);
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                crate::crypto::secret::wipe(&mut self.0);
            }
        }

        impl zeroize::ZeroizeOnDrop for $name {}

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let Self(_secret) = self;
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

pub(crate) use secret;
