//! Files, fields, and a generator that replays bytes.

use std::{convert::Infallible, fs, ops::Index, path::Path};

use hushwire_core::{
    crypto::{KeyPair, PublicKey, SecretKey, Software},
    identity::SoftwareIdentity,
};
use rand_core::{TryCryptoRng, TryRng};
use serde_json::Value;

/// A file of `docs/vectors`, or a part of one.
pub(crate) struct Vector<'a>(std::borrow::Cow<'a, Value>);

pub(crate) fn read(name: &str) -> Vector<'static> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/vectors");
    let text = fs::read_to_string(folder.join(name)).expect("cargo xtask vectors writes it");
    Vector(std::borrow::Cow::Owned(
        serde_json::from_str(&text).unwrap(),
    ))
}

impl Vector<'_> {
    pub(crate) fn at(&self, name: &str) -> Vector<'_> {
        assert!(!self.0[name].is_null(), "no field {name}");
        Vector(std::borrow::Cow::Borrowed(self.0.index(name)))
    }

    pub(crate) fn list(&self, name: &str) -> Vec<Vector<'_>> {
        let list = self.0[name].as_array().expect("a list");
        list.iter()
            .map(|item| Vector(std::borrow::Cow::Borrowed(item)))
            .collect()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        !self.0[name].is_null()
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.0[name]
            .as_str()
            .unwrap_or_else(|| panic!("no text {name}"))
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        self.0[name]
            .as_u64()
            .unwrap_or_else(|| panic!("no number {name}"))
    }

    pub(crate) fn as_text(&self) -> &str {
        self.0.as_str().expect("text")
    }

    pub(crate) fn as_number(&self) -> usize {
        self.0.as_u64().expect("a number") as usize
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        hex(self.text(name))
    }

    pub(crate) fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        let bytes = self.bytes(name);
        bytes
            .try_into()
            .unwrap_or_else(|_| panic!("{name} has another length"))
    }

    pub(crate) fn pair(&self, name: &str) -> KeyPair {
        let secret = SecretKey::from_bytes(&mut Software, &self.array(name)).unwrap();
        KeyPair::from_secret(&mut Software, secret).unwrap()
    }

    pub(crate) fn point(&self, name: &str) -> PublicKey {
        PublicKey::parse(&mut Software, &self.array(name)).unwrap()
    }

    pub(crate) fn identity(&self, name: &str) -> SoftwareIdentity {
        SoftwareIdentity::from_seed(&mut Software, &self.at(name).array("seed")).unwrap()
    }
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "{text}");
    let digits = text.as_bytes().chunks(2);
    let bytes = digits.map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap());
    bytes.collect()
}

/// Two byte strings, shown in hexadecimal where they differ.
#[track_caller]
pub(crate) fn same(what: &str, core: &[u8], vector: &[u8]) {
    let show = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert!(
        core == vector,
        "{what}:\n  core   {}\n  vector {}",
        show(core),
        show(vector)
    );
}

/// Gives the bytes of a vector in their order; a test ends with [`Script::is_used_up`].
pub(crate) struct Script(std::collections::VecDeque<u8>);

impl Script {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    pub(crate) fn is_used_up(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("the protocol draws bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("the protocol draws bytes")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for slot in out {
            *slot = self
                .0
                .pop_front()
                .expect("more was drawn than the protocol says");
        }
        Ok(())
    }
}

impl TryCryptoRng for Script {}
