//! A file of `docs/vectors`, flattened by the build script.

use core::fmt::Write as _;

use heapless::String;
use hushwire_core::{
    crypto::{KeyPair, P256, SecretKey},
    identity::SoftwareIdentity,
};

type Fields = &'static [(&'static str, &'static [u8])];

/// A file, or a part of one.
#[derive(Clone)]
pub(crate) struct File {
    fields: Fields,
    prefix: String<64>,
}

impl File {
    pub(crate) const fn new(fields: Fields) -> Self {
        Self {
            fields,
            prefix: String::new(),
        }
    }

    /// The part of a name.
    pub(crate) fn at(&self, name: &str) -> Self {
        let mut part = self.clone();
        write!(part.prefix, "{name}.").unwrap();
        part
    }

    /// The item of a list.
    pub(crate) fn item(&self, list: &str, at: usize) -> Self {
        let mut part = self.at(list);
        write!(part.prefix, "{at}.").unwrap();
        part
    }

    fn find(&self, name: &str) -> Option<&'static [u8]> {
        let below = |path: &str| path.strip_prefix(self.prefix.as_str()) == Some(name);
        let field = self.fields.iter().find(|(path, _)| below(path));
        field.map(|(_, bytes)| *bytes)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// How many items a list has; each item has the field `name`.
    pub(crate) fn len(&self, list: &str, name: &str) -> usize {
        (0..)
            .take_while(|at| self.item(list, *at).has(name))
            .count()
    }

    #[track_caller]
    pub(crate) fn bytes(&self, name: &str) -> &'static [u8] {
        match self.find(name) {
            Some(bytes) => bytes,
            None => panic!("no field {}{name}", self.prefix),
        }
    }

    #[track_caller]
    pub(crate) fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.bytes(name).try_into().expect("of another length")
    }

    #[track_caller]
    pub(crate) fn number(&self, name: &str) -> u64 {
        u64::from_be_bytes(self.array(name))
    }

    pub(crate) fn pair(&self, curve: &mut impl P256, name: &str) -> KeyPair {
        let secret = SecretKey::from_bytes(curve, &self.array(name)).unwrap();
        KeyPair::from_secret(curve, secret).unwrap()
    }

    pub(crate) fn identity(&self, curve: &mut impl P256, name: &str) -> SoftwareIdentity {
        SoftwareIdentity::from_seed(curve, &self.at(name).array("seed")).unwrap()
    }
}
