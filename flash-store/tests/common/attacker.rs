//! Who has the raw image and the storage key, and knows the format.

use hushwire_core::snapshot::{EpochKey, StorageKey};

/// Everything that opens, wherever in the image it lies, superseded or not.
///
/// Every place where the header of an item could stand is tried, each under no epoch key and under
/// every 16 bytes of the key pages that are not blank.
pub fn opened(image: &[u8], page: usize, key: &StorageKey) -> Vec<Vec<u8>> {
    let epochs = epochs(&image[..2 * page]);
    let mut found = Vec::new();
    for at in (2 * page..image.len() - 8).step_by(4) {
        let len = usize::from(u16::from_le_bytes([image[at + 4], image[at + 5]]));
        let sum = u16::from_le_bytes([image[at + 6], image[at + 7]]);
        let start = at + 8;
        if sum != crc16(&image[at + 4..at + 6]) || start + len > image.len() || len < 26 {
            continue;
        }
        let item = &image[start..start + len];
        let clear = match item[0] {
            0x00 => 5,
            0x80.. => 2,
            _ => 0,
        };
        let name = &item[..1 + clear];
        let mut attempt = |epoch: Option<&EpochKey>| {
            let mut sealed = item[1 + clear..].to_vec();
            if let Ok(contents) = key.open_item(epoch, name, &mut sealed) {
                found.push(contents.to_vec());
            }
        };
        attempt(None);
        epochs.iter().for_each(|epoch| attempt(Some(epoch)));
    }
    found
}

/// Every 16 bytes that could be a key.
fn epochs(pages: &[u8]) -> Vec<EpochKey> {
    let windows = pages.windows(16).step_by(4);
    let plausible = windows.filter(|w| w.iter().any(|b| *b != 0xff) && w.iter().any(|b| *b != 0));
    plausible
        .map(|w| EpochKey::from_bytes(w.try_into().unwrap()))
        .collect()
}

/// Whether a secret lies in what opened, or in the image itself.
pub fn finds(secret: &[u8], image: &[u8], opened: &[Vec<u8>]) -> bool {
    let within = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
    within(image) || opened.iter().any(|contents| within(contents))
}

/// The sum over an item's length, as `sequential-storage` makes it.
pub fn crc16(data: &[u8]) -> u16 {
    let mut crc = 0xffff_u16;
    for byte in data {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0x1a2e
            } else {
                crc >> 1
            };
        }
    }
    match crc ^ 0xffff {
        0xffff => 0xfffe,
        other => other,
    }
}
