//! PROTOCOL 3.1 to 3.4: a link's handshake and two records each way.

use crate::{
    identity::Identity,
    json::Object,
    primitives::{Pair, hkdf, join, seal, sha256},
    script::Script,
};

/// Noise's symmetric state, with a log of what it held after each token.
struct State {
    h: [u8; 32],
    ck: [u8; 32],
    k: [u8; 32],
    counter: u64,
    log: Vec<Object>,
}

impl State {
    fn new() -> Self {
        let name: [u8; 32] = *b"Noise_XK_P256_AESGCM_SHA256\0\0\0\0\0";
        Self {
            h: name,
            ck: name,
            k: [0; 32],
            counter: 0,
            log: Vec::new(),
        }
    }

    fn note(&mut self, step: &str) -> Object {
        Object::new().with("step", step)
    }

    fn mix_hash(&mut self, what: &str, data: &[u8]) {
        self.h = sha256(&join(&[&self.h, data]));
        let entry = self.note(&format!("MixHash({what})")).hex("h", self.h);
        self.log.push(entry);
    }

    fn mix_key(&mut self, what: &str, dh: [u8; 32]) {
        let out = hkdf(&self.ck, &dh, b"", 64);
        self.ck.copy_from_slice(&out[..32]);
        self.k.copy_from_slice(&out[32..]);
        self.counter = 0;
        let entry = self.note(&format!("MixKey({what})"));
        let entry = entry.hex("dh", dh).hex("ck", self.ck).hex("k", self.k);
        self.log.push(entry);
    }

    fn seal(&mut self, what: &str, plain: &[u8]) -> Vec<u8> {
        let sealed = seal(&self.k, &nonce(self.counter), &self.h, plain);
        self.h = sha256(&join(&[&self.h, &sealed]));
        let entry = self.note(&format!("Seal({what})"));
        let entry = entry.with("counter", self.counter).hex("sealed", &sealed);
        self.log.push(entry.hex("h", self.h));
        self.counter += 1;
        sealed
    }
}

fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    nonce
}

fn framed(message: &[u8]) -> Vec<u8> {
    join(&[&(message.len() as u16).to_be_bytes(), message])
}

fn limits(record: u16, frame: u16, window: u16) -> Vec<u8> {
    let [record, frame, window] = [record, frame, window].map(u16::to_be_bytes);
    join(&[&record, &frame, &window])
}

/// One record: its key and counter, its frames. PROTOCOL 3.3
fn record(way: &str, sealing: (&[u8], u64), frames: &[&[u8]]) -> Object {
    let (key, counter) = sealing;
    let plain: Vec<u8> = frames.iter().flat_map(|frame| framed(frame)).collect();
    let bytes = framed(&seal(key, &nonce(counter), b"", &plain));
    let frames: Vec<_> = frames.iter().map(hex::encode).collect();
    Object::new()
        .with("way", way)
        .with("counter", counter)
        .with("frames", frames)
        .hex("plaintext", &plain)
        .hex("record", &bytes)
}

fn records(k1: &[u8], k2: &[u8]) -> Vec<Object> {
    let welcome = join(&[
        &[0x8b],
        &0x1122_3344_5566_7788_u64.to_be_bytes(),
        &41_u64.to_be_bytes(),
        &1_800_000_000_u64.to_be_bytes(),
        &0_u32.to_be_bytes(),
        &16_u16.to_be_bytes(),
        &1_u64.to_be_bytes(),
    ]);
    let status = [0x0d, 0x00, 0x01];
    let ping = [0x0c, 0x00, 0x02];
    let pong = [0x8a, 0x00, 0x02];
    let told = join(&[
        &[0x89, 0x00, 0x01],
        &0_u32.to_be_bytes(),
        &0_u64.to_be_bytes(),
        &16_u16.to_be_bytes(),
        &1_u64.to_be_bytes(),
        &[0x00],
    ]);
    let fetch = join(&[&[0x06, 0x80, 0x02], &Identity::bob().address()]);
    let not_found = [0x88, 0x80, 0x02, 0x09, 0, 0, 0, 0];
    vec![
        record("relay to client", (k2, 0), &[&welcome]),
        record("client to relay", (k1, 0), &[&status, &ping]),
        record("relay to client", (k2, 1), &[&told, &pong, &not_found]),
        record("client to relay", (k1, 1), &[&fetch]),
    ]
}

pub(crate) fn file() -> String {
    let client = Identity::alice();
    let mut script = Script::new("link");
    let [s, e, r]: [Pair; 3] = [script.pair(), script.pair(), script.pair()];
    let own = &client.agreement;
    let (client_limits, relay_limits) = (limits(1400, 1382, 1), limits(32_768, 16_960, 64));
    let prologue = b"hushwire link\x01\x01\x01";

    let mut state = State::new();
    state.mix_hash("prologue", prologue);
    state.mix_hash("S65", &s.long_point);
    state.mix_hash("E65", &e.long_point);
    state.mix_key("e.S", e.agree(&s.point));
    let sealed = state.seal("nothing", b"");
    let message_1 = join(&[&e.long_point, &sealed]);

    state.mix_hash("R65", &r.long_point);
    state.mix_key("r.E", r.agree(&e.point));
    let sealed = state.seal("relay's limits", &relay_limits);
    let message_2 = join(&[&r.long_point, &sealed]);

    let sealed_static = state.seal("IKd65", &own.long_point);
    state.mix_key("IKd.R", own.agree(&r.point));
    let payload = join(&[&client.signing.point, &client_limits]);
    let sealed = state.seal("IKs, client's limits", &payload);
    let message_3 = join(&[&sealed_static, &sealed]);
    let keys = hkdf(&state.ck, b"", b"", 64);
    let (k1, k2) = keys.split_at(32);

    Object::new()
        .with("about", "A link: handshake, and two records each way, in the order in which they are sent. PROTOCOL 3.1 to 3.6")
        .with("client", client.json())
        .hex("relay_scalar", s.scalar)
        .hex("relay_key", &s.point)
        .hex("client_random", e.scalar)
        .hex("relay_random", r.scalar)
        .hex("client_limits", &client_limits)
        .hex("relay_limits", &relay_limits)
        .hex("prologue", prologue)
        .with("steps", state.log)
        .hex("client_flight_1", join(&[b"HW\x01\x01\x01", &framed(&message_1)]))
        .hex("relay_flight", framed(&message_2))
        .hex("client_flight_2", framed(&message_3))
        .hex("k1", k1)
        .hex("k2", k2)
        .with("records", records(k1, k2))
        .file()
}
