//! Numbers in as few bytes as they need: seven bits each, the lowest first.

use crate::wire::{Reader, WireError, Writer};

pub(super) fn put(w: &mut Writer<'_>, mut value: u64) -> Result<(), WireError> {
    while value >= 0x80 {
        w.u8((value & 0x7f) as u8 | 0x80)?;
        value >>= 7;
    }
    w.u8((value & 0x7f) as u8)
}

/// Refuses what is no u64, and what could be shorter.
pub(super) fn take(r: &mut Reader<'_>) -> Result<u64, WireError> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = r.u8()?;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(WireError::Value);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return if byte == 0 && shift > 0 {
                Err(WireError::Value)
            } else {
                Ok(value)
            };
        }
    }
    Err(WireError::Value)
}

/// A number of at most 32 bits.
pub(super) fn take_u32(r: &mut Reader<'_>) -> Result<u32, WireError> {
    u32::try_from(take(r)?).map_err(|_| WireError::Value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_one_form() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut buffer = [0; 10];
            let mut w = Writer::new(&mut buffer);
            put(&mut w, value).unwrap();
            let len = w.len();
            let mut r = Reader::new(&buffer[..len]);
            assert_eq!(take(&mut r).unwrap(), value);
            assert!(r.finish().is_ok());
            assert!(take(&mut Reader::new(&buffer[..len - 1])).is_err());
        }
        for wrong in [&[0x80, 0x00][..], &[0xff; 10], &[0x80; 11]] {
            assert!(take(&mut Reader::new(wrong)).is_err(), "{wrong:?}");
        }
    }
}
