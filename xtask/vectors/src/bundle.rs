//! PROTOCOL 4.1: the bundle, and the uploads that carry it and the one-time prekeys.

use crate::{
    identity::Identity,
    json::Object,
    primitives::{Pair, join, sha256},
    script::Script,
};

/// What every party of the vectors takes.
pub(crate) const LARGEST_BODY: u16 = 1024;

/// What Bob has published.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) owner: Identity,
    pub(crate) signed: (u32, Pair),
    pub(crate) one_time: Vec<(u32, Pair)>,
}

impl Published {
    pub(crate) fn bobs() -> Self {
        let mut script = Script::new("prekeys of bob");
        Self {
            owner: Identity::bob(),
            signed: (0x0102_0304, script.pair()),
            one_time: (0..2).map(|i| (0x0102_0305 + i, script.pair())).collect(),
        }
    }

    /// The bytes that are signed.
    fn signed_part(&self) -> Vec<u8> {
        let (id, pair) = &self.signed;
        join(&[
            &[0x42, 0x01],
            &self.owner.public(),
            &1_u64.to_be_bytes(),
            &LARGEST_BODY.to_be_bytes(),
            &id.to_be_bytes(),
            &pair.point,
            &[1, 0x01],
            &sha256(b""),
        ])
    }

    fn digest(&self) -> [u8; 32] {
        let address = self.owner.address();
        sha256(&join(&[
            b"hushwire v1 bundle",
            &address,
            &self.signed_part(),
        ]))
    }

    pub(crate) fn bundle(&self) -> Vec<u8> {
        let signature = self.owner.signing.sign(&self.digest());
        join(&[&self.signed_part(), &signature])
    }
}

fn prekey(id: u32, pair: &Pair) -> Object {
    Object::new()
        .with("id", u64::from(id))
        .hex("scalar", pair.scalar)
        .hex("point", &pair.point)
}

pub(crate) fn file() -> String {
    let published = Published::bobs();
    let (id, pair) = &published.signed;
    let bundle = published.bundle();
    let list = published.one_time.iter();
    let list = list.flat_map(|(id, pair)| join(&[&id.to_be_bytes(), &pair.point]));
    let list: Vec<u8> = list.collect();
    let one_time = published.one_time.iter();
    let one_time: Vec<_> = one_time.map(|(id, pair)| prekey(*id, pair)).collect();
    Object::new()
        .with("about", "Bob's bundle, and the frames that publish it and upload one-time prekeys. PROTOCOL 4.1, 4.3, 3.5")
        .with("owner", published.owner.json())
        .with("counter", 1)
        .with("largest_body", u64::from(LARGEST_BODY))
        .with("signed_prekey", prekey(*id, pair))
        .hex("digest", published.digest())
        .hex("signature", &bundle[bundle.len() - 64..])
        .hex("bundle", &bundle)
        .with("one_time_prekeys", one_time)
        .hex("publish_frame", join(&[&[0x04, 0x80, 0x00], &bundle]))
        .hex("prekeys_frame", join(&[&[0x05, 0x80, 0x01, 0x01], &list]))
        .file()
}
