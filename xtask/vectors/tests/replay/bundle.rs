//! PROTOCOL 4.1, 4.3.

use hushwire_core::{
    crypto::{PublicKey, Software},
    identity::IdentityKeys as _,
    wire::{
        bundle::{self, Bundle, BundleFields},
        request::{Prekeys, Request},
    },
};

use crate::support::{read, same};

#[test]
fn the_core_signs_these_bytes() {
    let file = read("bundle.json");
    let mut bob = file.identity("owner");
    let public = *bob.public();
    let prekey = file.at("signed_prekey");
    let fields = BundleFields {
        identity: &public,
        counter: file.number("counter"),
        max_body: file.number("largest_body") as u16,
        signed_prekey: (prekey.number("id") as u32, prekey.point("point")),
    };
    let mut buffer = [0; bundle::MAX_LEN];
    let sign = |digest: &[u8; 32]| {
        same("digest", digest, &file.bytes("digest"));
        bob.sign(&mut Software, digest, &[])
    };
    let len = fields.sign(&mut buffer, sign).unwrap();
    same("bundle", &buffer[..len], &file.bytes("bundle"));
}

#[test]
fn the_core_verifies_them() {
    let file = read("bundle.json");
    let public = *file.identity("owner").public();
    let bytes = file.bytes("bundle");
    let bundle = Bundle::parse(&bytes).unwrap();
    assert_eq!(bundle.counter, file.number("counter"));
    assert_eq!(u64::from(bundle.max_body), file.number("largest_body"));
    let verified = bundle.verify(&mut Software, &public.address()).unwrap();
    assert_eq!(*verified.identity(), public);
    for at in 0..bytes.len() {
        let mut wrong = bytes.clone();
        wrong[at] ^= 1;
        let bundle = Bundle::parse(&wrong).ok();
        let verified = bundle.and_then(|b| b.verify(&mut Software, &public.address()).ok());
        assert!(verified.is_none(), "byte {at}");
    }
}

#[test]
fn the_uploads() {
    let file = read("bundle.json");
    let bundle = file.bytes("bundle");
    let keys = file.list("one_time_prekeys");
    let list = keys.iter().flat_map(|key| {
        let id = (key.number("id") as u32).to_be_bytes();
        let point: PublicKey = *key.pair("scalar").public();
        assert_eq!(point, key.point("point"));
        [&id[..], point.bytes()].concat()
    });
    let list: Vec<u8> = list.collect();
    let requests = [
        (
            Request::Publish {
                number: 0x8000,
                bundle: &bundle,
            },
            "publish_frame",
        ),
        (
            Request::Prekeys {
                number: 0x8001,
                keys: Prekeys::new(&list).unwrap(),
            },
            "prekeys_frame",
        ),
    ];
    for (request, name) in requests {
        let mut buffer = [0; 512];
        let len = request.emit(&mut buffer).unwrap();
        same(name, &buffer[..len], &file.bytes(name));
        assert_eq!(Request::parse(&file.bytes(name)), Ok(request));
    }
}
