//! PROTOCOL 8.1: Bob's session at rest.

use crate::{
    conversation::Conversation,
    identity::Identity,
    json::Object,
    primitives::{hkdf, join, seal, sha256},
    script::Script,
};

pub(crate) fn file() -> String {
    let contents = Conversation::run().bob.snapshot();
    let storage_key = sha256(b"hushwire vectors: storage key");
    let slot = join(&[b"session ", &Identity::alice().address()]);
    let epoch = 3_u64;
    let mut script = Script::new("record");
    let salt: [u8; 16] = script.draw();
    let slot_len = (slot.len() as u64).to_be_bytes();
    let info = join(&[
        b"hushwire v1 record",
        &slot_len,
        &slot,
        &epoch.to_be_bytes(),
    ]);
    let key = hkdf(&salt, &storage_key, &info, 44);
    let sealed = seal(&key[..32], &key[32..], &[0x01], &contents);
    Object::new()
        .with("about", "Bob's session of conversation.json, before the skipped message comes, as a sealed record. PROTOCOL 8")
        .hex("storage_key", storage_key)
        .hex("slot", slot)
        .with("epoch", epoch)
        .hex("contents", contents)
        .hex("random", script.drawn())
        .hex("key", &key[..32])
        .hex("nonce", &key[32..])
        .hex("record", join(&[&[0x01], &salt, &sealed]))
        .file()
}
