//! The 24 words that bring an identity back: BIP 39's English list over the identity's seed.

use bip39::{Language, Mnemonic};
use hushwire_core::identity::SoftwareIdentity;
use zeroize::Zeroizing;

/// The seed from which both identity keys grow.
pub(crate) type Seed = Zeroizing<[u8; SoftwareIdentity::SEED_LEN]>;

/// Why words bring no identity back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// Too few or too many.
    #[error("{0} words were given; the list has 24")]
    Count(usize),
    /// A word that is not on the list: counted from 1, so that nobody has to show it.
    #[error("word number {0} is not on the list: look for a typing error")]
    Unknown(usize),
    /// The check sum does not hold.
    #[error("the words are all on the list, but one is wrong or two are swapped")]
    CheckSum,
}

/// The words of a seed.
#[must_use]
pub fn from_seed(seed: &[u8; SoftwareIdentity::SEED_LEN]) -> Zeroizing<String> {
    // 32 bytes are one of BIP 39's five lengths, so there are always words.
    let words = Mnemonic::from_entropy_in(Language::English, seed).map(|list| list.to_string());
    Zeroizing::new(words.unwrap_or_default())
}

/// The seed of words, in whatever case and spacing.
///
/// # Errors
/// [`WordsError`], which never shows a word.
pub fn to_seed(words: &str) -> Result<Seed, WordsError> {
    let count = words.split_whitespace().count();
    if count != 24 {
        return Err(WordsError::Count(count));
    }
    let words = Zeroizing::new(words.to_lowercase());
    let mnemonic =
        Mnemonic::parse_in(Language::English, words.as_str()).map_err(|error| match error {
            bip39::Error::UnknownWord(at) => WordsError::Unknown(at + 1),
            _ => WordsError::CheckSum,
        })?;
    let (entropy, len) = mnemonic.to_entropy_array();
    let entropy = Zeroizing::new(entropy);
    let seed = entropy.get(..len).and_then(|bytes| bytes.try_into().ok());
    seed.map(Zeroizing::new).ok_or(WordsError::CheckSum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        let words = from_seed(&[0xa5; 32]);
        assert_eq!(words.split(' ').count(), 24);
        assert_eq!(*to_seed(&words).unwrap(), [0xa5; 32]);
        let spread = words.to_uppercase().replace(' ', "\n ");
        assert_eq!(*to_seed(&spread).unwrap(), [0xa5; 32]);
    }

    #[test]
    fn mistakes_are_named_without_showing_words() {
        let words = from_seed(&[7; 32]);
        let (short, _) = words.rsplit_once(' ').unwrap();
        assert_eq!(to_seed(short), Err(WordsError::Count(23)));
        assert_eq!(
            to_seed(&format!("{short} hushwire")),
            Err(WordsError::Unknown(24))
        );
        let mut list: Vec<_> = words.split(' ').collect();
        let swap = (1..24).find(|at| list[*at] != list[0]).unwrap();
        list.swap(0, swap);
        assert_eq!(to_seed(&list.join(" ")), Err(WordsError::CheckSum));
    }
}
