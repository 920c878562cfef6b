//! Who has claimed the store, term by term: by this a copy tells its own history from another one.
//!
//! Terms alone do not tell. When the servers lose their newest entries, another relay that starts first
//! claims a term that the one before had claimed as well, and what it then accepts must not be
//! taken for a part of the first one's history that came to the servers late. The list is a row of the store
//! and changes with the claim itself, so every copy, snapshot and back-up has the one of its own history.

use crate::store::{Key, StoreError};

/// Where the list stands.
pub(super) const CLAIMED: Key = Key::Meta("claims");
/// Claims that are remembered: the servers go back by minutes, a claim is a relay's start.
const REMEMBERED: usize = 256;
const LEN: usize = 16;

/// Terms and the nodes that claimed them, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Claims(Vec<(u64, u64)>);

impl Claims {
    /// `row` is absent in a store from before there was one.
    pub(super) fn parse(row: Option<&[u8]>) -> Result<Self, StoreError> {
        let (claims, rest) = row.unwrap_or_default().as_chunks::<LEN>();
        if !rest.is_empty() {
            return Err(StoreError::Damaged("its list of claims is cut".into()));
        }
        let claim = |bytes: &[u8; LEN]| {
            let both = u128::from_be_bytes(*bytes);
            ((both >> 64) as u64, both as u64)
        };
        Ok(Self(claims.iter().map(claim).collect()))
    }

    pub(super) fn emit(&self) -> Vec<u8> {
        let claims = self.0.iter();
        claims
            .flat_map(|(term, node)| [term.to_be_bytes(), node.to_be_bytes()])
            .flatten()
            .collect()
    }

    /// Whether an entry of that term by that node is of this history, as far as the list goes.
    pub(super) fn agree(&self, term: u64, node: u64) -> bool {
        let (Some(oldest), Some(newest)) = (self.0.first(), self.0.last()) else {
            return true;
        };
        match self.0.iter().find(|(claimed, _)| *claimed == term) {
            Some((_, by)) => *by == node,
            None => term < oldest.0 || term > newest.0,
        }
    }

    /// With one more. What was claimed for that term or a later one did not come to pass.
    pub(super) fn and(mut self, term: u64, node: u64) -> Self {
        self.0.retain(|(claimed, _)| *claimed < term);
        self.0.push((term, node));
        let oldest = self.0.len().saturating_sub(REMEMBERED);
        self.0.drain(..oldest);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_is_of_this_history_by_its_node() {
        let claims = Claims::default().and(2, 7).and(4, 8).and(9, 1).and(5, 7);
        assert_eq!(Claims::parse(Some(&claims.emit())).unwrap(), claims);
        let agree = |term, node| claims.agree(term, node);
        assert!(agree(2, 7) && agree(4, 8) && agree(5, 7));
        assert!(!agree(2, 8) && !agree(5, 1));
        assert!(!agree(3, 7), "nobody claimed it in this history");
        assert!(agree(1, 99) && agree(9, 1), "older and newer: not known");
        assert!(Claims::parse(None).unwrap().agree(1, 1));
        assert!(Claims::parse(Some(&[0; 17])).is_err());
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let claims = (0..1_000).fold(Claims::default(), |claims, term| claims.and(term, 5));
        assert_eq!(claims.emit().len(), REMEMBERED * LEN);
        assert!(claims.agree(3, 6) && !claims.agree(999, 6));
    }
}
