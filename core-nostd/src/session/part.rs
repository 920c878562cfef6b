//! The mutable parts of an envelope, for sealing and opening in place. PROTOCOL 6.2

use crate::{
    crypto::aead::TAG_LEN,
    wire::envelope::{COMMITMENT_LEN, HEADER_LEN, SALT_LEN},
};

/// The mutable parts of an envelope's ratchet part, for sealing and opening in place.
pub(super) struct RatchetPart<'a> {
    /// Version up to the salt, then salt ‖ commitment: every clear byte, in order.
    pub(super) clear: &'a mut [u8],
    pub(super) header: &'a mut [u8; HEADER_LEN],
    pub(super) header_tag: &'a mut [u8; TAG_LEN],
    pub(super) body: &'a mut [u8],
    pub(super) body_tag: &'a mut [u8; TAG_LEN],
}

impl<'a> RatchetPart<'a> {
    /// Splits a whole envelope whose prefix is `prefix_len` bytes.
    pub(super) fn split(bytes: &'a mut [u8], prefix_len: usize) -> Option<Self> {
        let clear_len = prefix_len.checked_add(SALT_LEN + COMMITMENT_LEN)?;
        let (clear, rest) = bytes.split_at_mut_checked(clear_len)?;
        let (header, rest) = rest.split_first_chunk_mut()?;
        let (header_tag, rest) = rest.split_first_chunk_mut()?;
        let (body, body_tag) = rest.split_last_chunk_mut()?;
        Some(Self {
            clear,
            header,
            header_tag,
            body,
            body_tag,
        })
    }

    /// Salt and commitment.
    pub(super) fn salt(&self) -> Option<(&[u8; SALT_LEN], &[u8; COMMITMENT_LEN])> {
        let (rest, commitment) = self.clear.split_last_chunk()?;
        Some((rest.last_chunk()?, commitment))
    }
}
