//! The safety number: what two people compare to know that nobody stands between them. PROTOCOL 2.2

use core::fmt;

use crate::{
    crypto::kdf::{label, sha256},
    identity::IdentityPublic,
};

/// 12 groups of 5 digits for two identities, the same on both sides.
///
/// Each identity gives 30 digits (99 bits of a second pre-image); the smaller half comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SafetyNumber {
    groups: [u32; 12],
    hashes: [[u8; 32]; 2],
}

impl SafetyNumber {
    /// The number of two identities, in whichever order.
    #[must_use]
    pub fn new(one: &IdentityPublic, other: &IdentityPublic) -> Self {
        let hash = |id: &IdentityPublic| sha256(&[label::FINGERPRINT, &id.bytes()]);
        let (one, other) = (hash(one), hash(other));
        let hashes = if one <= other {
            [one, other]
        } else {
            [other, one]
        };
        let mut groups = [0; 12];
        let chunks = hashes.iter().flat_map(|hash| hash.as_chunks::<5>().0);
        for (group, chunk) in groups.iter_mut().zip(chunks) {
            let value = chunk
                .iter()
                .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
            *group = (value % 100_000) as u32;
        }
        Self { groups, hashes }
    }

    /// The 12 groups, each below 100000.
    #[must_use]
    pub const fn groups(&self) -> &[u32; 12] {
        &self.groups
    }

    /// Writes what the QR code carries, the same on both sides: `HUSHWIRE-VERIFY:1:` and both whole
    /// hashes in upper-case hexadecimal (QR's compact alphabet).
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_qr(&self, out: &mut impl fmt::Write) -> fmt::Result {
        out.write_str("HUSHWIRE-VERIFY:1:")?;
        self.hashes
            .iter()
            .flatten()
            .try_for_each(|byte| write!(out, "{byte:02X}"))
    }
}

impl fmt::Display for SafetyNumber {
    /// Groups with spaces between; three rows of four with `{:#}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, group) in self.groups.iter().enumerate() {
            match i {
                0 => {}
                4 | 8 if f.alternate() => f.write_str("\n")?,
                _ => f.write_str(" ")?,
            }
            write!(f, "{group:05}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString as _};

    use super::*;
    use crate::{
        crypto::Software,
        identity::{IdentityKeys as _, SoftwareIdentity},
    };

    fn identity(seed: u8) -> IdentityPublic {
        *SoftwareIdentity::from_seed(&mut Software, &[seed; 32])
            .unwrap()
            .public()
    }

    #[test]
    fn both_sides_see_the_same_digits() {
        let (a, b) = (identity(1), identity(2));
        let number = SafetyNumber::new(&a, &b);
        assert_eq!(number, SafetyNumber::new(&b, &a));
        assert_ne!(number, SafetyNumber::new(&a, &identity(3)));
        let text = number.to_string();
        assert_eq!(
            text.split(' ').map(str::len).collect::<std::vec::Vec<_>>(),
            [5; 12]
        );
        assert!(
            text.bytes()
                .all(|byte| byte == b' ' || byte.is_ascii_digit())
        );
        let mut qr = String::new();
        number.write_qr(&mut qr).unwrap();
        assert_eq!(qr.len(), 18 + 128);
    }
}
