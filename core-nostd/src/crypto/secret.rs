//! Secret byte arrays: wiped on drop, compared in constant time, never shown, never copied.

/// Declares a newtype over a fixed array that holds a secret.
macro_rules! secret {
    ($(#[$doc:meta])* $vis:vis struct $name:ident([u8; $len:expr]);) => {
        $(#[$doc])*
        #[derive(zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
        $vis struct $name([u8; $len]);

        #[allow(dead_code, reason = "each secret uses the part of this surface that it needs")]
        impl $name {
            pub(crate) const LEN: usize = $len;

            pub(crate) const fn new(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            pub(crate) const fn bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let Self(_secret) = self;
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

pub(crate) use secret;
