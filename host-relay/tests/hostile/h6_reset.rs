//! H6: the connection is reset in the middle of a valid exchange. In full, at every byte:
//! `HUSHWIRE_RESET_STEP=1`.

use hushwire_core::crypto::Software;
use hushwire_core::link::{
    FLIGHT_1_LEN, FLIGHT_3_LEN, HEAD_ROOM, Initiator, MESSAGE_2_LEN, TAIL_ROOM,
};
use rand_core::UnwrapErr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::relay::Relay;
use crate::support::{Client, Target, address_of, identity, link_limits};
use crate::victim::scale;

const PINGS: u32 = 3;

/// What is not yet read is lost to the relay, and its writes fail.
fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
    drop(stream);
}

/// Resets behind `cut` bytes of the client's two flights.
async fn cut_handshake(target: &Target, cut: usize) {
    let mut stream = TcpStream::connect(target.address).await.unwrap();
    let mut first = [0; FLIGHT_1_LEN];
    let rng = &mut UnwrapErr(getrandom::SysRng);
    let sent = Initiator::new(target.key, link_limits(1))
        .write_message_1(&mut Software, rng, &mut first)
        .unwrap();
    let now = cut.min(FLIGHT_1_LEN);
    stream.write_all(&first[..now]).await.unwrap();
    if cut < FLIGHT_1_LEN {
        return reset(stream);
    }
    let mut second = [0; HEAD_ROOM + MESSAGE_2_LEN];
    stream.read_exact(&mut second).await.unwrap();
    let mut third = [0; FLIGHT_3_LEN];
    let received = sent.read_message_2(&mut Software, &second[HEAD_ROOM..]);
    let written = received.unwrap();
    written
        .write_message_3(&mut Software, &mut identity(66), &mut third)
        .unwrap();
    stream
        .write_all(&third[..cut - FLIGHT_1_LEN])
        .await
        .unwrap();
    reset(stream);
}

/// A submit's frame: recipient and a short envelope.
fn submit(envelope: &[u8]) -> Vec<u8> {
    let submit = [&[0x01][..], &address_of(1).0, envelope].concat();
    [&(submit.len() as u16).to_be_bytes(), submit.as_slice()].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn h6_reset_at_every_byte_leaves_no_task_and_no_partial_effect() {
    let step = scale("HUSHWIRE_RESET_STEP", 7);
    let relay = Relay::start().await;
    let mut honest = Client::connect(&relay.target, 1).await.unwrap();
    honest.register().await.unwrap();

    let mut resets = 0;
    for cut in (0..FLIGHT_1_LEN + FLIGHT_3_LEN).step_by(step) {
        cut_handshake(&relay.target, cut).await;
        resets += 1;
    }
    // Whoever has a place has a task, a stranger too.
    relay.wait_for("hushwire_relay_open_connections 1").await;
    relay.wait_for("hushwire_relay_connections 1").await;
    honest.ping().await.unwrap();

    let frame = submit(b"envelope");
    let whole = HEAD_ROOM + frame.len() + TAIL_ROOM;
    for cut in (0..whole).step_by(step) {
        let mut mallory = Client::connect(&relay.target, 66).await.unwrap();
        let mut record = vec![0; whole];
        record[HEAD_ROOM..][..frame.len()].copy_from_slice(&frame);
        mallory.sealer.seal(&mut record, frame.len()).unwrap();
        mallory.stream.write_all(&record[..cut]).await.unwrap();
        reset(mallory.stream);
        resets += 1;
    }
    // The figures are of a moment: until the relay has seen these pings they may be of before the resets.
    for _ in 0..PINGS {
        honest.ping().await.unwrap();
    }
    relay
        .wait_for(&format!("hushwire_relay_requests_total {}", 2 + PINGS))
        .await;
    relay.wait_for("hushwire_relay_open_connections 1").await;
    relay.wait_for("hushwire_relay_connections 1").await;
    let figures = relay.metrics.render();
    for none in ["submitted_total 0", "stored_messages 0"] {
        assert!(
            figures.contains(&format!("hushwire_relay_{none}\n")),
            "{figures}"
        );
    }
    println!("h6: {resets} resets; no connection left, nothing submitted");

    // Uncut, the same bytes have their effect.
    let mut mallory = Client::connect(&relay.target, 66).await.unwrap();
    mallory.send_raw(&submit(b"whole")).await.unwrap();
    assert_eq!(honest.delivery().await.unwrap().1, b"whole");
}
