//! H10: random frames behind a valid login. In full: `HUSHWIRE_FRAMES=10000000`.

use rand_core::Rng as _;
use rand_core::UnwrapErr;

use crate::support::Client;
use crate::victim::{Victim, scale};

/// Lengths of the bodies that parse, by opcode (PROTOCOL 3.5).
const SHAPES: [(u8, usize); 12] = [
    (0x01, 60),
    (0x02, 16),
    (0x03, 16),
    (0x04, 215),
    (0x05, 40),
    (0x06, 22),
    (0x07, 3),
    (0x08, 23),
    (0x0b, 2),
    (0x0c, 2),
    (0x0d, 2),
    (0x0e, 25),
];

/// What one identity may take of memory, with its account, its keys, names, offers and contacts.
const MOST_KIB: u64 = 16 * 1024;

/// A frame with random contents; `sound` ones parse, so that the logic behind gets them.
fn append_frame(out: &mut Vec<u8>, sound: bool) {
    let mut random = [0; 256];
    UnwrapErr(getrandom::SysRng).fill_bytes(&mut random);
    let pick = usize::from(random[255]) % SHAPES.len();
    let (mut opcode, mut len) = SHAPES[pick];
    if !sound {
        opcode = random[254];
        len = usize::from(random[253]) % 200;
    }
    match opcode {
        0x05 if sound => random[2] = 1,
        0x07 | 0x08 if sound => random[2] %= 2,
        0x0e if sound => random[0] = 1,
        _ => {}
    }
    out.extend_from_slice(&(len as u16 + 1).to_be_bytes());
    out.push(opcode);
    out.extend_from_slice(&random[..len]);
}

#[tokio::test(flavor = "multi_thread")]
async fn h10_random_frames_at_a_live_relay() {
    const IN_A_RECORD: usize = 50;
    let frames = scale("HUSHWIRE_FRAMES", 100_000);
    // Nothing is refused for its rate: every frame that parses gets to the logic, and the honest client may
    // ask after each login of ten million frames.
    let relay = Victim::start(&[
        "--request-rate",
        "1000000",
        "--request-burst",
        "1000000",
        "--submit-rate",
        "1000000",
        "--submit-burst",
        "1000000",
        // What is bounded by count, and full before the attack is over, is no growth.
        "--cache-bytes",
        "4194304",
    ]);
    let mut honest = Client::connect(&relay.target, 1).await.unwrap();
    honest.register().await.unwrap();
    let (base, descriptors) = (relay.base_kib(), relay.descriptors());

    let (mut sent, mut logins) = (0, 0);
    while sent < frames {
        let Ok(mut mallory) = Client::connect(&relay.target, 66).await else {
            panic!("the relay takes no connection after {sent} frames");
        };
        logins += 1;
        for record in 0..40 {
            let mut plaintext = Vec::new();
            let sound = record < 39;
            for _ in 0..IN_A_RECORD {
                append_frame(&mut plaintext, sound);
            }
            if mallory.send_raw(&plaintext).await.is_err() {
                break;
            }
            sent += IN_A_RECORD;
            // Its answers are read, so that it is not cut for being slow.
            let mut scrap = [0; 65_536];
            let _ = mallory.stream.try_read(&mut scrap);
        }
        // The last record is wrong. Who hangs up first may take away what the relay has not read yet.
        mallory.wait_for_close().await;
        honest.ping().await.unwrap();
        let number = honest.number();
        let status = hushwire_core::wire::request::Request::Status { number };
        honest.send(&status).await.unwrap();
    }
    relay.wait_for_descriptors(descriptors).await;
    relay.says("hushwire_relay_open_connections 1").await;
    relay.says("hushwire_relay_connections 1").await;
    let figures = relay.figures().await;
    let taken = figures
        .lines()
        .find_map(|line| line.strip_prefix("hushwire_relay_requests_total "));
    let taken: usize = taken.unwrap().parse().unwrap();
    let grown = relay.peak_kib() - base;
    println!(
        "h10: {sent} frames over {logins} logins, {taken} got to the logic; the honest client saw no error; {grown} KiB \
         more at most"
    );
    assert!(grown <= MOST_KIB, "{grown} KiB");
    assert!(
        taken > sent / 2,
        "most of them did not parse: {taken} of {sent}"
    );
    honest.ping().await.unwrap();
}
