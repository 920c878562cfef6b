//! Clients that break the rules lose their connection; nobody else notices.

use std::time::{Duration, Instant};

use hushwire_core::identity::IdentityKeys as _;
use hushwire_core::link::{HEAD_ROOM, PREAMBLE, TAIL_ROOM};
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::Request;
use hushwire_relay::limits::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::relay::Relay;
use crate::support::{Client, PATIENCE, Target, address_of, fails, identity};

const HONEST: u16 = 1;
const MALLORY: u16 = 66;

/// Writes `bytes` on a fresh connection; returns whether the relay closed it.
async fn is_closed_after(target: &Target, bytes: &[u8]) -> bool {
    let mut stream = TcpStream::connect(target.address).await.unwrap();
    // The relay may close while this still writes.
    let _ = stream.write_all(bytes).await;
    let mut scrap = [0; 1024];
    let closed = async { while stream.read(&mut scrap).await.is_ok_and(|count| count > 0) {} };
    tokio::time::timeout(PATIENCE, closed).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn h1_wrong_first_bytes_close_the_connection() {
    let timeout = PATIENCE * 2;
    let relay = Relay::start_with(Limits {
        handshake_timeout: timeout,
        ..Limits::default()
    })
    .await;
    let mut honest = Client::connect(&relay.target, HONEST).await.unwrap();
    let flood = vec![0x48; 1 << 20];
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n".as_slice(),
        &[0x16, 3, 1, 2, 0],
        b"HW\x02\x01\x01",
        b"HW\x01\x02\x01",
        b"HW\x01\x01\x02",
        &flood,
    ] {
        assert!(
            is_closed_after(&relay.target, bytes).await,
            "{:x?}",
            &bytes[..5]
        );
    }
    honest.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn h2_wrong_lengths_in_the_handshake_close_the_connection() {
    let timeout = PATIENCE * 2;
    let relay = Relay::start_with(Limits {
        handshake_timeout: timeout,
        ..Limits::default()
    })
    .await;
    let mut honest = Client::connect(&relay.target, HONEST).await.unwrap();
    for length in [0, 1, 80, 82, 32_768, 65_535u16] {
        let bytes = [PREAMBLE.as_slice(), &length.to_be_bytes()].concat();
        assert!(is_closed_after(&relay.target, &bytes).await, "{length}");
    }
    // The right length, and no point of the curve.
    let bytes = [PREAMBLE.as_slice(), &81u16.to_be_bytes(), &[4; 81]].concat();
    assert!(is_closed_after(&relay.target, &bytes).await);
    honest.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn h2_wrong_record_lengths_close_the_connection_at_once() {
    let relay = Relay::start().await;
    let mut honest = Client::connect(&relay.target, HONEST).await.unwrap();
    let largest = Limits::default().max_record;
    for length in [0, 1, 18, largest + 1, u16::MAX] {
        let mut mallory = Client::connect(&relay.target, MALLORY).await.unwrap();
        // The length alone: the relay does not wait for what it would not take.
        mallory
            .stream
            .write_all(&length.to_be_bytes())
            .await
            .unwrap();
        mallory.wait_for_close().await;
        honest.ping().await.unwrap();
    }
    // The largest that is taken is read to its end, and then does not verify.
    let mut mallory = Client::connect(&relay.target, MALLORY).await.unwrap();
    mallory
        .stream
        .write_all(&largest.to_be_bytes())
        .await
        .unwrap();
    let body = vec![0; usize::from(largest)];
    mallory.stream.write_all(&body).await.unwrap();
    mallory.wait_for_close().await;
    honest.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn h10_garbage_after_a_valid_login_closes_that_connection_only() {
    let relay = Relay::start().await;
    let mut honest = Client::connect(&relay.target, HONEST).await.unwrap();
    honest.register().await.unwrap();

    let frame = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
    let too_large = [vec![1], vec![0; 16_964]].concat();
    let too_many = [vec![8, 0, 1, 0], vec![7; 20 * 900]].concat();
    let bad = [
        (
            "an empty frame",
            [frame(&[0x0c, 0, 1]), vec![0, 0]].concat(),
        ),
        ("a frame longer than its record", vec![0, 9, 0x0c]),
        ("an unknown opcode", frame(&[0x7f, 0, 1])),
        ("the reserved opcode", frame(&[0x20, 0, 1])),
        ("an opcode of the relay's", frame(&[0x81; 17])),
        ("a short ping", frame(&[0x0c, 0])),
        ("a long ping", frame(&[0x0c, 0, 1, 2])),
        ("an ack of 15 bytes", frame(&[0x02; 16])),
        ("a submit of nothing", frame(&[0x01; 21])),
        (
            "a name with a capital",
            frame(&[0x0a, 0, 1, b'A', b'l', b'f']),
        ),
        ("a torn prekey", frame(&[0x05, 0, 1, 1, 9, 9])),
        ("an unknown suite", frame(&[0x05, 0, 1, 9])),
        ("an unknown mode", frame(&[0x07, 0, 1, 3])),
        ("a submit above the limit", frame(&too_large)),
        ("contacts above the limit", frame(&too_many)),
    ];
    for (what, plaintext) in bad {
        let mut mallory = Client::connect(&relay.target, MALLORY).await.unwrap();
        mallory.send_raw(&plaintext).await.unwrap();
        fails(mallory.next_frame().await, what);
        honest
            .ping()
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
    }

    // Bytes that no key sealed.
    let mut mallory = Client::connect(&relay.target, MALLORY).await.unwrap();
    let mut record = vec![0x99; HEAD_ROOM + 64 + TAIL_ROOM];
    record[..2].copy_from_slice(&80u16.to_be_bytes());
    mallory.stream.write_all(&record).await.unwrap();
    mallory.wait_for_close().await;
    honest.ping().await.unwrap();
    relay.wait_for("hushwire_relay_connections 1").await;
}

/// Strangers take places, and the figure that the alert watches counts them.
#[tokio::test(flavor = "multi_thread")]
async fn open_connections_are_counted_before_they_say_anything() {
    let relay = Relay::start().await;
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(TcpStream::connect(relay.target.address).await.unwrap());
    }
    relay.wait_for("hushwire_relay_open_connections 5").await;
    assert!(
        relay
            .metrics
            .render()
            .contains("hushwire_relay_connections 0\n")
    );
    drop(silent);
    relay.wait_for("hushwire_relay_open_connections 0").await;
}

/// A record is taken whole or not at all: a good frame beside a bad one does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_with_one_bad_frame_does_nothing() {
    let relay = Relay::start().await;
    let mut honest = Client::connect(&relay.target, HONEST).await.unwrap();
    honest.register().await.unwrap();
    let mut mallory = Client::connect(&relay.target, MALLORY).await.unwrap();
    let submit = [&[1][..], &address_of(HONEST).0, b"envelope"].concat();
    let good = [&(submit.len() as u16).to_be_bytes(), submit.as_slice()].concat();
    mallory
        .send_raw(&[good.as_slice(), &[0, 1, 0x7f]].concat())
        .await
        .unwrap();
    mallory.wait_for_close().await;
    let number = honest.number();
    honest.send(&Request::Status { number }).await.unwrap();
    let messages = honest
        .wait(|answer| match answer {
            hushwire_core::wire::answer::Answer::Status { status, .. } => Some(status.messages),
            _ => None,
        })
        .await;
    assert_eq!(messages.unwrap(), 0);
}

/// Between client and relay, with a key of one's own: the client pins the relay's and notices; with
/// the right key in the URL, whoever forwards the bytes altered gets no further.
#[tokio::test(flavor = "multi_thread")]
async fn a26_a_man_in_the_middle_of_the_link_is_noticed() {
    let relay = Relay::start().await;

    // A relay of Mallory's under the address that the client dials.
    let impostor = Relay::start().await;
    let confused = Target {
        address: impostor.target.address,
        key: relay.target.key,
    };
    fails(Client::connect(&confused, HONEST).await, "an impostor");
    let own_key = *identity(MALLORY).public().agreement();
    let confused = Target {
        address: relay.target.address,
        key: own_key,
    };
    fails(Client::connect(&confused, HONEST).await, "another key");

    // A forwarder that flips one bit, in a message of the handshake or in the welcome.
    for (from_client, position) in [
        (true, 6),
        (true, 40),
        (true, 90),
        (true, 120),
        (false, 2),
        (false, 50),
        (false, 100),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let between = Target {
            address: listener.local_addr().unwrap(),
            ..relay.target
        };
        let upstream = relay.target.address;
        let forwarder = tokio::spawn(async move {
            let (client, _) = listener.accept().await.unwrap();
            let relay = TcpStream::connect(upstream).await.unwrap();
            let (client_in, client_out) = client.into_split();
            let (relay_in, relay_out) = relay.into_split();
            let up = from_client.then_some(position);
            let down = (!from_client).then_some(position);
            tokio::join!(
                forward(client_in, relay_out, up),
                forward(relay_in, client_out, down)
            );
        });
        let what = format!("byte {position} altered, client's {from_client}");
        fails(Client::connect(&between, HONEST).await, &what);
        forwarder.abort();
    }

    // Unaltered, it is nothing but a wire.
    Client::connect(&relay.target, HONEST)
        .await
        .unwrap()
        .ping()
        .await
        .unwrap();
}

async fn forward(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    flip: Option<usize>,
) {
    let (mut at, mut bytes) = (0, [0; 1024]);
    while let Ok(count) = from.read(&mut bytes).await {
        if count == 0 {
            return;
        }
        if let Some(byte) = flip.and_then(|flip| bytes[..count].get_mut(flip.wrapping_sub(at))) {
            *byte ^= 1;
        }
        at += count;
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h3_a_handshake_that_dawdles_is_ended() {
    let limits = Limits {
        handshake_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let relay = Relay::start_with(limits).await;
    assert!(is_closed_after(&relay.target, &[]).await);
    assert!(is_closed_after(&relay.target, &PREAMBLE).await);
    relay
        .wait_for("hushwire_relay_failed_handshakes_total 2")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_silent_is_disconnected() {
    let limits = Limits {
        idle_timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    let relay = Relay::start_with(limits).await;
    let mut silent = Client::connect(&relay.target, HONEST).await.unwrap();
    silent.wait_for_close().await;

    // Bytes that never become a request are silence, too.
    let mut mallory = Client::connect(&relay.target, MALLORY).await.unwrap();
    mallory.stream.write_all(&[0x10]).await.unwrap();
    mallory.wait_for_close().await;
}

/// A reader that never reads: its queue is bounded, it is disconnected, its mailbox keeps all.
#[tokio::test(flavor = "multi_thread")]
async fn h4_who_never_reads_is_disconnected_and_keeps_its_messages() {
    let limits = Limits {
        mailbox_messages: 1_000,
        mailbox_bytes: 1 << 24,
        sender_share: 1,
        window: 1_000,
        window_bytes: u32::MAX,
        outbox_frames: 16,
        submit_burst: 10_000,
        request_burst: 100_000,
        write_timeout: Duration::from_millis(500),
        ..Limits::default()
    };
    let relay = Relay::start_with(limits).await;
    let mut bob = Client::connect_with(&relay.target, HONEST, crate::support::link_limits(1_000))
        .await
        .unwrap();
    bob.register().await.unwrap();
    let mut alice = Client::connect(&relay.target, 2).await.unwrap();
    for n in 0..500u16 {
        let envelope = [n.to_be_bytes().as_slice(), &[0; 16_000]].concat();
        alice
            .submit(address_of(HONEST), &envelope)
            .await
            .unwrap()
            .unwrap();
    }
    relay.wait_for("hushwire_relay_connections 1").await;
    relay.wait_for("hushwire_relay_stored_messages 500").await;
    alice.ping().await.unwrap();
    drop(bob);
}

/// A small question with a large answer, asked again and again by who reads none of them.
#[tokio::test(flavor = "multi_thread")]
async fn h4_who_fetches_and_never_reads_is_disconnected() {
    let limits = Limits {
        write_timeout: Duration::from_secs(3_600),
        request_burst: 1_000_000,
        outbox_frames: 1 << 20,
        // Bundles of clients are small: those of one read are more than this.
        window_bytes: 1,
        outbox_bytes: 32 * 1024,
        ..Limits::default()
    };
    let relay = Relay::start_with(limits).await;
    let mut bob = Client::connect(&relay.target, HONEST).await.unwrap();
    bob.register().await.unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(1).unwrap();
    let stream = socket.connect(relay.target.address).await.unwrap();
    let limits = crate::support::link_limits(64);
    let mallory = Client::over(stream, &relay.target, identity(MALLORY), limits).await;
    let mut mallory = mallory.unwrap();
    let fetches = [Request::Fetch {
        number: 7,
        address: address_of(HONEST),
    }; 256];
    // Whatever the network holds.
    let asks = async {
        while mallory.send_all(&fetches).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asks)
        .await
        .expect("it is let go");
    relay.wait_for("hushwire_relay_connections 1").await;
    bob.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn h5_connections_above_the_cap_are_refused_and_slots_return() {
    let relay = Relay::start_with(Limits {
        connections: 2,
        ..Limits::default()
    })
    .await;
    let mut first = Client::connect(&relay.target, 1).await.unwrap();
    let second = Client::connect(&relay.target, 2).await.unwrap();
    fails(Client::connect(&relay.target, 3).await, "one too many");
    first.ping().await.unwrap();
    drop(second);
    relay.wait_for("hushwire_relay_connections 1").await;
    let mut third = None;
    for _ in 0..100 {
        third = Client::connect(&relay.target, 3).await.ok();
        if third.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    third.expect("the slot came back").ping().await.unwrap();
}

/// A signature costs the relay a thousand times what it costs the client to send another.
#[tokio::test(flavor = "multi_thread")]
async fn bundles_are_verified_a_few_at_once_and_then_one_a_second() {
    let relay = Relay::start_with(Limits::default()).await;
    let mut mallory = Client::connect(&relay.target, MALLORY).await.unwrap();
    let began = Instant::now();
    let mut verified = 0;
    for counter in 1..=40 {
        let bundle = mallory.bundle(counter);
        match mallory.publish(&bundle).await.unwrap() {
            Ok(()) => verified += 1,
            Err(Reason::RateLimited) => {}
            Err(other) => panic!("{other}"),
        }
    }
    let most = 8 + began.elapsed().as_secs() + 1;
    assert!((8..=most).contains(&verified), "{verified} of {most}");
    // Another connection of another identity is not touched by it.
    let mut honest = Client::connect(&relay.target, HONEST).await.unwrap();
    honest.register().await.unwrap();
}
