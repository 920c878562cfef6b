//! What the build script wrote.

/// What a vector's maker says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Valid,
    Invalid,
    Acceptable,
}

/// One vector of Wycheproof.
pub(crate) struct Case {
    pub(crate) id: u32,
    pub(crate) verdict: Verdict,
    pub(crate) fields: &'static [&'static [u8]],
}

impl Case {
    /// Holds the outcome against the verdict: whether the wrapper accepted the vector *and* gave its
    /// bytes. A vector that does not fit the wrapper's types counts as refused.
    pub(crate) fn decide(&self, set: &str, outcome: bool) {
        let expected = self.verdict != Verdict::Invalid;
        assert_eq!(outcome, expected, "{set} {}: {:?}", self.id, self.verdict);
    }
}

include!(concat!(env!("OUT_DIR"), "/vectors.rs"));
