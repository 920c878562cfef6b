//! WebSocket and TLS around the link: the same conversation, and the same bounds.

use std::net::SocketAddr;
use std::time::Duration;

use hushwire_core::crypto::Software;
use hushwire_core::link::{
    FLIGHT_1_LEN, FLIGHT_2_LEN, FLIGHT_3_LEN, HEAD_ROOM, Initiator, PREAMBLE,
};
use hushwire_relay::entrance::{Coat, Entrance};
use hushwire_relay::limits::Limits;
use hushwire_relay::tls::{Tls, TlsError};
use hushwire_websocket::{PATH, SUBPROTOCOL};
use rand_core::UnwrapErr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::relay::Relay;
use crate::support::coats::{Pair, Way, bridge};
use crate::support::{Client, PATIENCE, Result, address_of, fails};

/// A relay with a listener of each kind.
struct Coated {
    relay: Relay,
    ws: SocketAddr,
    tls: SocketAddr,
    pair: Pair,
    reload: Tls,
}

async fn coated(limits: Limits) -> Coated {
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::make(folder.path(), "relay");
    let reload = Tls::load(&pair.cert, &pair.key).unwrap();
    let (web, secure) = (listener().await, listener().await);
    let (ws, tls) = (web.local_addr().unwrap(), secure.local_addr().unwrap());
    let more = vec![
        Entrance {
            listener: web,
            coat: Coat::WebSocket,
        },
        Entrance {
            listener: secure,
            coat: Coat::Tls(reload.clone()),
        },
    ];
    let relay = Relay::start_at(folder, limits, more).await;
    Coated {
        relay,
        ws,
        tls,
        pair,
        reload,
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

impl Coated {
    async fn client(&self, way: Way<'_>, seed: u16) -> Result<Client> {
        let to = match way {
            Way::Ws => self.ws,
            Way::Tls(_) | Way::Wss(_) => self.tls,
        };
        let target = bridge(way, to, &self.relay.target).await?;
        Client::connect(&target, seed).await
    }
}

/// Until the relay hangs up.
async fn closed(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut scrap = [0; 1024];
    let closed = async { while stream.read(&mut scrap).await.is_ok_and(|count| count > 0) {} };
    timeout(PATIENCE, closed).await.is_ok()
}

/// An upgrade without the link after it.
async fn upgraded(to: SocketAddr) -> TcpStream {
    upgrade(TcpStream::connect(to).await.unwrap()).await
}

async fn upgrade(mut stream: TcpStream) -> TcpStream {
    let request = format!(
        "GET {PATH} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
         sec-websocket-protocol: {SUBPROTOCOL}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_conversation_through_every_coat() {
    let coated = coated(Limits::default()).await;
    let pair = &coated.pair;
    let mut bob = Client::connect(&coated.relay.target, 1).await.unwrap();
    bob.register().await.unwrap();
    // Longer than a message of a WebSocket, so that it takes several.
    for (seed, way) in [(2, Way::Ws), (3, Way::Tls(pair)), (4, Way::Wss(pair))] {
        let mut alice = coated.client(way, seed).await.unwrap();
        alice.register().await.unwrap();
        // Together more than a stranger may send.
        let long = [seed as u8, 10 + seed as u8].map(|byte| vec![byte; 16_800]);
        for long in &long {
            alice.submit(address_of(1), long).await.unwrap().unwrap();
            assert_eq!(bob.delivery().await.unwrap().1, *long);
        }
        let [long, _] = long;
        bob.submit(address_of(seed), &long).await.unwrap().unwrap();
        assert_eq!(alice.delivery().await.unwrap().1, long);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_deadline_covers_the_coat_and_the_link() {
    let handshake_timeout = Duration::from_secs(2);
    let coated = coated(Limits {
        handshake_timeout,
        ..Limits::default()
    })
    .await;
    let connect = async |to, bytes: &[u8]| {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    };
    let mut strangers = Vec::new();
    for to in [coated.ws, coated.tls] {
        for bytes in [b"".as_slice(), b"G", b"GET /hush"] {
            strangers.push(connect(to, bytes).await);
        }
    }
    let mut tls = coated.pair.connect(coated.tls, false).await.unwrap();
    // The request comes late: what is left of the time is left for the link.
    let late = connect(coated.ws, b"").await;
    tokio::time::sleep(handshake_timeout * 3 / 4).await;
    // Were the time begun anew, it would end behind that of who comes now.
    let mut newcomer = connect(coated.ws, b"").await;
    tokio::time::sleep(handshake_timeout / 10).await;
    let mut late = upgrade(late).await;
    tokio::select! {
        biased;
        is_closed = closed(&mut late) => assert!(is_closed),
        _ = closed(&mut newcomer) => panic!("begun anew"),
    }
    assert!(closed(&mut tls).await, "TLS, and nothing in it");
    for mut stranger in strangers {
        assert!(closed(&mut stranger).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn places_are_counted_over_all_listeners() {
    let coated = coated(Limits {
        connections_per_ip: 3,
        ..Limits::default()
    })
    .await;
    let pair = &coated.pair;
    let mut plain = Client::connect(&coated.relay.target, 1).await.unwrap();
    let mut web = coated.client(Way::Ws, 2).await.unwrap();
    let tls = coated.client(Way::Tls(pair), 3).await.unwrap();
    for to in [coated.ws, coated.tls, coated.relay.target.address] {
        let mut refused = TcpStream::connect(to).await.unwrap();
        assert!(closed(&mut refused).await);
    }
    let refused = "hushwire_relay_connections_refused_total 3";
    coated.relay.wait_for(refused).await;
    drop(tls);
    let mut again = None;
    for _ in 0..100 {
        match coated.client(Way::Wss(pair), 3).await {
            Ok(client) => again = Some(client),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        if again.is_some() {
            break;
        }
    }
    again.expect("a place comes back").ping().await.unwrap();
    plain.ping().await.unwrap();
    web.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_link_is_closed() {
    let coated = coated(Limits::default()).await;
    let (text, binary) = (frame(1, &PREAMBLE), frame(2, b"GET / HTTP/1.1\r\n\r\n"));
    let endless = [&[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0][..], &[0; 4]].concat();
    let unmasked = [&[0x82, 5][..], &PREAMBLE].concat();
    for bytes in [text, binary, endless, unmasked] {
        let mut stream = upgraded(coated.ws).await;
        stream.write_all(&bytes).await.unwrap();
        assert!(closed(&mut stream).await, "{bytes:x?}");
    }
    for request in [
        "GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "POST /hushwire HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\n", "x".repeat(100_000)),
        "HW\x01\x01\x01".to_owned() + "\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(coated.ws).await.unwrap();
        // The relay may close while this still writes.
        let _ = stream.write_all(request.as_bytes()).await;
        assert!(closed(&mut stream).await, "{}", &request[..5]);
    }
    // Neither the link nor a WebSocket in TLS; and no TLS at all.
    let mut stream = coated.pair.connect(coated.tls, false).await.unwrap();
    stream.write_all(b"SSH-2.0-OpenSSH\r\n").await.unwrap();
    assert!(closed(&mut stream).await);
    let mut stream = TcpStream::connect(coated.tls).await.unwrap();
    stream.write_all(&PREAMBLE).await.unwrap();
    assert!(closed(&mut stream).await);
    let mut honest = coated.client(Way::Ws, 1).await.unwrap();
    honest.ping().await.unwrap();
}

/// A frame of a client, under a mask of zeros.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    [&[0x80 | opcode, 0xfe], &length[..], &[0; 4], payload].concat()
}

/// A link in a WebSocket whose bytes the test holds in its hands. Nothing was read after message 2.
async fn linked(coated: &Coated, seed: u16, window: u16) -> TcpStream {
    let mut stream = upgraded(coated.ws).await;
    let rng = &mut UnwrapErr(getrandom::SysRng);
    let limits = crate::support::link_limits(window);
    let mut first = [0; FLIGHT_1_LEN];
    let sent = Initiator::new(coated.relay.target.key, limits)
        .write_message_1(&mut Software, rng, &mut first)
        .unwrap();
    stream.write_all(&frame(2, &first)).await.unwrap();
    let mut second = [0; 2 + FLIGHT_2_LEN];
    stream.read_exact(&mut second).await.unwrap();
    assert_eq!(second[..2], [0x82, FLIGHT_2_LEN as u8]);
    let mut third = [0; FLIGHT_3_LEN];
    sent.read_message_2(&mut Software, &second[2 + HEAD_ROOM..])
        .unwrap()
        .write_message_3(
            &mut Software,
            &mut crate::support::identity(seed),
            &mut third,
        )
        .unwrap();
    stream.write_all(&frame(2, &third)).await.unwrap();
    stream
}

/// Pings of the WebSocket are no requests: who sends nothing else is silent.
#[tokio::test(flavor = "multi_thread")]
async fn pings_of_the_websocket_keep_no_link_open() {
    let coated = coated(Limits {
        idle_timeout: Duration::from_secs(2),
        ..Limits::default()
    })
    .await;
    let (mut reading, mut writing) = linked(&coated, 1, 1).await.into_split();
    coated.relay.wait_for("hushwire_relay_connections 1").await;
    let pings = async {
        // It ends with the connection.
        while writing.write_all(&frame(9, b"?")).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let (closed, ()) = tokio::join!(closed(&mut reading), pings);
    assert!(closed);
    coated.relay.wait_for("hushwire_relay_connections 0").await;
}

/// A reader that does not read is let go, and its mailbox keeps what it did not take.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stands_still_is_let_go() {
    let coated = coated(Limits {
        mailbox_messages: 1_000,
        mailbox_bytes: 1 << 24,
        sender_share: 1,
        window: 1_000,
        window_bytes: u32::MAX,
        outbox_frames: 10_000,
        submit_burst: 10_000,
        write_timeout: Duration::from_secs(1),
        ..Limits::default()
    })
    .await;
    let mut bob = coated.client(Way::Ws, 1).await.unwrap();
    bob.register().await.unwrap();
    drop(bob);
    coated.relay.wait_for("hushwire_relay_connections 0").await;
    let mut alice = Client::connect(&coated.relay.target, 2).await.unwrap();
    for n in 0..500u16 {
        let envelope = [n.to_be_bytes().as_slice(), &[0; 16_000]].concat();
        let sent = alice.submit(address_of(1), &envelope).await.unwrap();
        sent.unwrap();
    }
    let bob = linked(&coated, 1, 1_000).await;
    coated.relay.wait_for("hushwire_relay_connections 2").await;
    coated.relay.wait_for("hushwire_relay_connections 1").await;
    coated
        .relay
        .wait_for("hushwire_relay_stored_messages 500")
        .await;
    alice.ping().await.unwrap();
    drop(bob);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_exchanged_while_the_relay_runs() {
    let coated = coated(Limits::default()).await;
    let old = &coated.pair;
    let mut before = coated.client(Way::Tls(old), 1).await.unwrap();
    // Half of a renewal: the files do not fit, and the old pair stays.
    let folder = coated.relay.folder.path();
    let fresh = Pair::make(folder, "fresh");
    std::fs::copy(&fresh.cert, &old.cert).unwrap();
    let torn = coated.reload.reload().unwrap_err();
    assert!(matches!(torn, TlsError::Mismatch(..)), "{torn}");
    coated.client(Way::Tls(old), 2).await.unwrap();

    std::fs::copy(&fresh.key, &old.key).unwrap();
    coated.reload.reload().unwrap();
    fails(
        coated.client(Way::Tls(old), 2).await,
        "the certificate from before",
    );
    coated.client(Way::Wss(&fresh), 2).await.unwrap();
    before.ping().await.unwrap();
}
