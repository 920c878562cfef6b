//! PROTOCOL 6.2 to 6.5: a message out.

use super::{Session, body_key, header_key};
use crate::{
    json::Object,
    primitives::{hmac, join, seal},
    script::Script,
};

const BUCKETS: [usize; 10] = [32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384];

/// PROTOCOL 6.5
#[derive(Clone, Debug)]
pub(crate) struct Content {
    kind: u8,
    id: [u8; 16],
    body: Vec<u8>,
}

impl Content {
    /// The ids of the vectors repeat one byte.
    pub(crate) fn new(kind: u8, id: u8, body: &[u8]) -> Self {
        let (id, body) = ([id; 16], body.to_vec());
        Self { kind, id, body }
    }

    pub(crate) fn padded(&self) -> Vec<u8> {
        let len = self.body.len();
        let bucket = BUCKETS.into_iter().find(|bucket| *bucket >= len).unwrap();
        let len_field = (len as u16).to_be_bytes();
        let mut bytes = join(&[&[self.kind], &self.id, &len_field, &self.body]);
        bytes.resize(19 + bucket, 0);
        bytes
    }

    fn json(&self) -> Object {
        Object::new()
            .with("kind", u64::from(self.kind))
            .hex("id", self.id)
            .hex("body", &self.body)
            .hex("padded", self.padded())
    }
}

/// A sealed message.
pub(crate) struct Message {
    pub(crate) json: Object,
    pub(crate) envelope: Vec<u8>,
}

impl Session {
    pub(crate) fn seal(&mut self, content: &Content, script: &mut Script) -> Message {
        let mut json = Object::new().with("content", content.json());
        if self.sending.is_none() {
            self.step_to_send(script);
            json.put("step", self.last_step());
        }
        let salt: [u8; 16] = script.draw();
        let prefix = match (&self.opening, &self.receiving) {
            (Some(opening), None) => opening.clone(),
            _ => vec![0x01, 0x01, 0x01],
        };
        let chain = self.sending.as_mut().unwrap();
        let message_key = hmac(&chain.key, &[0x01]);
        let next = hmac(&chain.key, &[0x02]);
        let header = join(&[
            &chain.pair.point,
            &self.pn.to_be_bytes(),
            &chain.n.to_be_bytes(),
        ]);

        let [key, nonce, commitment] = body_key(&message_key, &salt, self.way);
        let clear = join(&[&prefix, &salt, &commitment]);
        let ad = join(&[&self.id, &[self.way as u8], &clear, &header]);
        let body = seal(&key, &nonce, &ad, &content.padded());
        let body_tag = &body[body.len() - 16..];
        let [head_key, head_nonce] = header_key(&chain.header, &salt, body_tag, self.way);
        let sealed_header = seal(&head_key, &head_nonce, &clear, &header);
        let envelope = join(&[&clear, &sealed_header, &body]);

        let json = json
            .with("PN", u64::from(self.pn))
            .with("n", u64::from(chain.n))
            .hex("CK", &chain.key)
            .hex("MK", message_key)
            .hex("salt", salt)
            .hex("body_key", key)
            .hex("body_nonce", nonce)
            .hex("commitment", commitment)
            .hex("header", header)
            .hex("ad", ad)
            .hex("sealed_body", &body)
            .hex("chain_header_key", &chain.header)
            .hex("header_key", head_key)
            .hex("header_nonce", head_nonce)
            .hex("sealed_header", sealed_header)
            .hex("envelope", &envelope);
        chain.key = next.to_vec();
        chain.n += 1;
        Message { json, envelope }
    }
}
