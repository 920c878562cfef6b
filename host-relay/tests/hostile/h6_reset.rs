//! H6: the connection is reset in the middle of a valid exchange. In full, at every byte:
//! `HUSHWIRE_RESET_STEP=1`.

use hushwire_core::crypto::Software;
use hushwire_core::link::{
    FLIGHT_1_LEN, FLIGHT_2_LEN, FLIGHT_3_LEN, HEAD_ROOM, Initiator, MESSAGE_2_LEN, TAIL_ROOM,
};
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::request::Request;
use rand_core::UnwrapErr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::support::{Client, PATIENCE, Target, address_of, identity, link_limits};
use crate::victim::{Victim, scale};

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

/// Resets both ends of a client's connection behind `cut` bytes of the relay's, or when its delivery is there; returns
/// how many came.
async fn cut_delivery(target: &Target, cut: usize) -> usize {
    let way = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = Target {
        address: way.local_addr().unwrap(),
        ..*target
    };
    let relay = target.address;
    let carried = async {
        let (near, _) = way.accept().await.unwrap();
        let far = TcpStream::connect(relay).await.unwrap();
        for end in [&near, &far] {
            end.set_zero_linger().unwrap();
        }
        let ((mut heard, mut said), (mut answers, mut asks)) =
            (near.into_split(), far.into_split());
        let mut came = 0;
        let back = async {
            let mut bytes = [0; 256];
            while came < cut {
                let most = bytes.len().min(cut - came);
                let count = answers.read(&mut bytes[..most]).await.unwrap_or(0);
                if count == 0 || said.write_all(&bytes[..count]).await.is_err() {
                    return;
                }
                came += count;
            }
        };
        tokio::select! {
            () = back => {}
            _ = tokio::io::copy(&mut heard, &mut asks) => {}
        }
        came
    };
    let client = async {
        if let Ok(mut bob) = Client::connect(&through, 1).await {
            // What is cut off ends the wait.
            let _ = bob.delivery().await;
        }
    };
    let (came, ()) = timeout(PATIENCE, async { tokio::join!(carried, client) })
        .await
        .expect("whoever is reset hears of it");
    came
}

/// A submit's frame: recipient and a short envelope.
fn submit(envelope: &[u8]) -> Vec<u8> {
    let submit = [&[0x01][..], &address_of(1).0, envelope].concat();
    [&(submit.len() as u16).to_be_bytes(), submit.as_slice()].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn h6_reset_at_every_byte_leaves_no_task_and_no_partial_effect() {
    let step = scale("HUSHWIRE_RESET_STEP", 7);
    let relay = Victim::start(&[]);
    let mut honest = Client::connect(&relay.target, 1).await.unwrap();
    honest.register().await.unwrap();
    let (base, descriptors) = (relay.base_kib(), relay.descriptors());

    let mut resets = 0;
    for cut in (0..FLIGHT_1_LEN + FLIGHT_3_LEN).step_by(step) {
        cut_handshake(&relay.target, cut).await;
        resets += 1;
    }
    relay.is_as_before(descriptors, 1, base).await;
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
        .says(&format!("hushwire_relay_requests_total {}", 2 + PINGS))
        .await;
    relay.is_as_before(descriptors, 1, base).await;
    let figures = relay.figures().await;
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
    let whole = Request::Ack(EnvelopeId::of(b"whole"));
    honest.send(&whole).await.unwrap();

    // The relay's own bytes: whoever is reset while a delivery is on its way gets it when it comes again.
    drop(honest);
    let mail = [7; 300];
    let said = mallory.submit(address_of(1), &mail).await.unwrap();
    said.expect("it waits for its recipient");
    drop(mallory);
    let all = cut_delivery(&relay.target, usize::MAX).await;
    assert!(all > FLIGHT_2_LEN + mail.len(), "{all} bytes");
    let mut resets = 0;
    for cut in (0..all).step_by(step) {
        cut_delivery(&relay.target, cut).await;
        resets += 1;
    }
    let mut bob = Client::connect(&relay.target, 1).await.unwrap();
    assert_eq!(bob.delivery().await.unwrap().1, mail);
    bob.send(&Request::Ack(EnvelopeId::of(&mail)))
        .await
        .unwrap();
    bob.ping().await.unwrap();
    relay.is_as_before(descriptors, 1, base).await;
    let bob = Client::connect(&relay.target, 1).await.unwrap();
    assert_eq!(bob.welcome.waiting, 0, "it is still there");
    println!("h6: {resets} resets behind the relay's own bytes; its delivery came all the same");
}
