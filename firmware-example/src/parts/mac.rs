//! [`local_mac`]: an Ethernet address for a board that carries none.

/// A locally administered unicast address (IEEE 802 8.4.2) that is the same at every boot of one chip.
///
/// The chip's serial number is spread over the 46 free bits by FNV-1a: two chips of one wafer differ
/// in a few bits only, and the maker's first bytes would be the same for all of them. Not a secret,
/// and nothing but the local network sees it.
pub fn local_mac(serial: &[u8]) -> [u8; 6] {
    let spread = serial.iter().fold(0xCBF2_9CE4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    // The upper bits are the better mixed ones of this sum.
    let [first, second, third, fourth, fifth, sixth, ..] = spread.to_be_bytes();
    // Bit 0: not a group. Bit 1: assigned here, not by the maker.
    [(first & !0x01) | 0x02, second, third, fourth, fifth, sixth]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_unicast_and_locally_administered() {
        for serial in 0..=255_u8 {
            assert_eq!(local_mac(&[serial; 12])[0] & 0x03, 0x02);
        }
    }

    #[test]
    fn neighbours_on_a_wafer_differ() {
        let mut seen = std::collections::BTreeSet::new();
        for x in 0..64_u8 {
            for y in 0..64_u8 {
                assert!(seen.insert(local_mac(&[x, 0, y, 0, 7, b'Q', b'3', b'1'])));
            }
        }
    }

    #[test]
    fn is_the_same_at_every_boot() {
        // FNV-1a 64 of "a" is 0xaf63dc4c8601ec8c.
        assert_eq!(local_mac(b"a"), [0xAE, 0x63, 0xDC, 0x4C, 0x86, 0x01]);
    }
}
