//! PROTOCOL 2: seed, words, keys, address, safety number, QR code.

use bip39::{Language, Mnemonic};

use crate::{
    json::Object,
    primitives::{Pair, hkdf, join, sha256},
};

/// Two key pairs.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) seed: [u8; 32],
    pub(crate) signing: Pair,
    pub(crate) agreement: Pair,
}

impl Identity {
    /// PROTOCOL 2.3
    pub(crate) fn from_seed(seed: [u8; 32]) -> Self {
        Self {
            seed,
            signing: grow(&seed, 0x01),
            agreement: grow(&seed, 0x02),
        }
    }

    pub(crate) fn alice() -> Self {
        Self::from_seed(sha256(b"hushwire vectors: seed of alice"))
    }

    pub(crate) fn bob() -> Self {
        Self::from_seed(sha256(b"hushwire vectors: seed of bob"))
    }

    /// `IKs ‖ IKd`.
    pub(crate) fn public(&self) -> Vec<u8> {
        join(&[&self.signing.point, &self.agreement.point])
    }

    /// PROTOCOL 2.1
    pub(crate) fn address(&self) -> Vec<u8> {
        sha256(&join(&[b"hushwire v1 address", &self.public()]))[..20].to_vec()
    }

    /// What the other files say of a party.
    pub(crate) fn json(&self) -> Object {
        Object::new()
            .hex("seed", self.seed)
            .hex("IKs", &self.signing.point)
            .hex("IKd", &self.agreement.point)
            .hex("address", self.address())
    }
}

fn grow(seed: &[u8; 32], role: u8) -> Pair {
    (0..=u8::MAX)
        .find_map(|counter| {
            let info = join(&[b"hushwire v1 restore", &[role, counter]]);
            Pair::new(hkdf(b"", seed, &info, 32).try_into().unwrap())
        })
        .unwrap()
}

/// BIP 350's constant, and BIP 173's.
const BECH32M: u32 = 0x2bc8_30a3;
const BECH32: u32 = 1;

/// An address as people see it: bech32m over 32 values of 5 bits.
fn show(address: &[u8]) -> String {
    encode("hush", &values(address), BECH32M)
}

fn values(address: &[u8]) -> Vec<u8> {
    let bits = address
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let bits: Vec<u8> = bits.collect();
    let fives = bits.chunks(5);
    fives
        .map(|five| five.iter().fold(0, |sum, bit| sum << 1 | bit))
        .collect()
}

fn encode(prefix: &str, values: &[u8], constant: u32) -> String {
    const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let expanded = prefix.bytes().map(|c| c >> 5).chain([0]);
    let expanded = expanded.chain(prefix.bytes().map(|c| c & 31));
    let sum = polymod(expanded.chain(values.iter().copied()).chain([0; 6])) ^ constant;
    let check = (0..6).rev().map(|i| (sum >> (5 * i) & 31) as u8);
    let text = values.iter().copied().chain(check);
    let text: String = text
        .map(|value| char::from(ALPHABET[usize::from(value)]))
        .collect();
    format!("{prefix}1{text}")
}

/// Texts that are no address, although their check sums hold.
fn refused(address: &[u8]) -> Vec<Object> {
    let (values, mut longer) = (values(address), values(address));
    longer.push(0);
    let shorter = &values[..31];
    let cases = [
        ("one value more", encode("hush", &longer, BECH32M)),
        ("one value less", encode("hush", shorter, BECH32M)),
        ("another prefix", encode("hash", &values, BECH32M)),
        ("bech32, not bech32m", encode("hush", &values, BECH32)),
    ];
    let cases = cases.map(|(why, text)| Object::new().with("why", why).with("text", text));
    cases.into()
}

fn polymod(values: impl Iterator<Item = u8>) -> u32 {
    const GENERATOR: [u32; 5] = [
        0x3b6a_57b2,
        0x2650_8e6d,
        0x1ea1_19fa,
        0x3d42_33dd,
        0x2a14_62b3,
    ];
    values.fold(1, |sum, value| {
        let shifted = (sum & 0x01ff_ffff) << 5 ^ u32::from(value);
        let taken = GENERATOR.iter().enumerate();
        taken.fold(shifted, |acc, (i, g)| match sum >> 25 >> i & 1 {
            1 => acc ^ g,
            _ => acc,
        })
    })
}

fn whole(identity: &Identity, name: &str) -> Object {
    let words = Mnemonic::from_entropy_in(Language::English, &identity.seed).unwrap();
    Object::new()
        .with("name", name)
        .hex("seed", identity.seed)
        .with("words", words.to_string())
        .hex("IKs_scalar", identity.signing.scalar)
        .hex("IKs", &identity.signing.point)
        .hex("IKs_uncompressed", &identity.signing.long_point)
        .hex("IKd_scalar", identity.agreement.scalar)
        .hex("IKd", &identity.agreement.point)
        .hex("IKd_uncompressed", &identity.agreement.long_point)
        .hex("address", identity.address())
        .with("address_text", show(&identity.address()))
}

/// PROTOCOL 2.2
fn safety(one: &Identity, other: &Identity) -> Object {
    let hash = |id: &Identity| sha256(&join(&[b"hushwire v1 fingerprint", &id.public()]));
    let mut hashes = [hash(one), hash(other)];
    hashes.sort();
    let groups = hashes.iter().flat_map(|hash| hash[..30].chunks(5));
    let groups = groups.map(|five| {
        let number = five.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        format!("{:05}", number % 100_000)
    });
    let qr = hex::encode_upper(hashes.concat());
    Object::new()
        .hex("first", hashes[0])
        .hex("second", hashes[1])
        .with("number", groups.collect::<Vec<_>>().join(" "))
        .with("qr", format!("HUSHWIRE-VERIFY:1:{qr}"))
}

pub(crate) fn file() -> String {
    let (alice, bob) = (Identity::alice(), Identity::bob());
    Object::new()
        .with(
            "about",
            "Seed, words, keys and address; safety number and QR code of both. PROTOCOL 2",
        )
        .with(
            "identities",
            vec![whole(&alice, "alice"), whole(&bob, "bob")],
        )
        .with("safety", safety(&alice, &bob))
        .with("refused_addresses", refused(&alice.address()))
        .file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_sum_of_bip_350() {
        // BIP 350's valid string "A1LQFN3A": prefix "a", no data.
        let prefix = [b'a' >> 5, 0, b'a' & 31];
        let data = b"LQFN3A".map(|c| {
            let alphabet = b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
            alphabet.iter().position(|known| *known == c).unwrap() as u8
        });
        let sum = polymod(prefix.into_iter().chain(data));
        assert_eq!(sum, BECH32M);
    }
}
