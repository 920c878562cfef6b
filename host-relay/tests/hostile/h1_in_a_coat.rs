//! H1 inside a WebSocket and TLS: what a stranger can make the relay keep before there is a link.

use std::net::SocketAddr;
use std::time::Duration;

use hushwire_websocket::{PATH, SUBPROTOCOL};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::coats::Pair;
use crate::support::{Client, PATIENCE, Target};
use crate::victim::Victim;

/// Strangers of each kind, all there at once: so many that what others cost the relay is little beside them.
const STRANGERS: u64 = 100;
/// Memory that one of them may cost, KiB.
const EACH_KIB: u64 = 64;
/// A socket that takes this little and is not read fills up soon: answers stay with the relay.
const RECEIVE_BUFFER: u32 = 4096;
/// What a stranger may send inside a coat is 32 KiB: nearly all of it, so that the relay waits for the rest.
const MOST: usize = 30 << 10;
/// Less than the 64 KiB at which TLS itself would hang up.
const MORE: usize = 40 << 10;
/// Nothing was taken for so long: the relay reads no more of it.
const STALLED: Duration = Duration::from_millis(300);

/// A relay with every way in, whose deadline helps nobody.
struct Open {
    victim: Victim,
    pair: Pair,
    web: SocketAddr,
    secure: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Open {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pair = Pair::make(folder.path(), "relay");
        let mut victim = Victim::start(&[
            "--handshake-timeout",
            "1h",
            // The honest one asks after each of them.
            "--request-burst",
            "10000",
            "--listen-ws",
            "127.0.0.1:0",
            "--listen-tls",
            "127.0.0.1:0",
            "--tls-cert",
            pair.cert.to_str().unwrap(),
            "--tls-key",
            pair.key.to_str().unwrap(),
        ]);
        let mut next = || {
            let url = victim.relay.line();
            let (_, rest) = url.split_once("://").unwrap();
            Target::parse(&format!("hush://{rest}")).address
        };
        let (web, secure) = (next(), next());
        Self {
            victim,
            pair,
            web,
            secure,
            _folder: folder,
        }
    }
}

/// What each of many strangers costs who do as `attack` does and stay.
async fn costs<S>(most_kib: u64, what: &str, attack: impl AsyncFn(&Open) -> S) {
    let open = Open::start();
    let victim = &open.victim;
    let mut honest = Client::connect(&victim.target, 1).await.unwrap();
    honest.ping().await.unwrap();
    let (base, descriptors) = (victim.base_kib(), victim.descriptors());
    // What one wave leaves for ever, two leave twice.
    for wave in ["a first", "a second"] {
        let mut held = Vec::new();
        for _ in 0..STRANGERS {
            held.push(attack(&open).await);
            honest.ping().await.unwrap();
        }
        let each = (victim.peak_kib() - base) / STRANGERS;
        println!("h1: {each} KiB for each of {STRANGERS} strangers, {wave} time: {what}");
        assert!(each <= most_kib, "{what}: {each} KiB");
        drop(held);
        victim.is_as_before(descriptors, 1, base).await;
    }
    honest.ping().await.unwrap();
}

/// A connection that takes little.
async fn narrow(to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(RECEIVE_BUFFER).unwrap();
    socket.connect(to).await.unwrap()
}

/// Asks for a WebSocket, and gets it.
async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> S {
    let request = format!(
        "GET {PATH} HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
         Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{answer:?}");
    stream
}

/// Writes `block` again and again: so many bytes, or until the relay takes no more of it or hangs up.
async fn press<S: AsyncWrite + Unpin>(stream: &mut S, block: &[u8], most: usize) {
    let mut taken = 0;
    while taken < most {
        let rest = &block[taken % block.len()..];
        let part = &rest[..rest.len().min(most - taken)];
        match timeout(STALLED, stream.write(part)).await {
            Ok(Ok(count)) => taken += count,
            _ => break,
        }
    }
    let _ = timeout(STALLED, stream.flush()).await;
}

/// Sends more than a stranger may, and is hung up on.
async fn is_cut_off<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, block: &[u8]) {
    press(&mut stream, block, MORE).await;
    let mut said = [0; 4096];
    loop {
        match timeout(PATIENCE, stream.read(&mut said)).await.unwrap() {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// The longest pings there are, masked by zeros.
fn pings() -> Vec<u8> {
    const LONGEST: usize = 125;
    let mut ping = [0; 6 + LONGEST];
    ping[..2].copy_from_slice(&[0x89, 0x80 | LONGEST as u8]);
    ping.repeat(256)
}

/// A binary message that is as long as one may be, and lacks its last byte.
fn torn_message() -> Vec<u8> {
    let len = hushwire_websocket::MAX_MESSAGE;
    let mut message = vec![0; 8 + len - 1];
    message[..2].copy_from_slice(&[0x82, 0x80 | 126]);
    message[2..4].copy_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
    message
}

/// TLS records of 16 KiB, the longest that there are, of what announces one message of `len` bytes.
fn records(kind: u8, len: usize) -> Vec<u8> {
    const LONGEST: usize = 1 << 14;
    let mut message = vec![0; len];
    // A client's hello: its kind, and how long it is.
    message[0] = 1;
    message[1..4].copy_from_slice(&u32::try_from(len - 4).unwrap().to_be_bytes()[1..]);
    let mut records = Vec::new();
    for part in message.chunks(LONGEST) {
        records.extend([kind, 3, 3]);
        records.extend(u16::try_from(part.len()).unwrap().to_be_bytes());
        records.extend(part);
    }
    // Its last byte never comes.
    records.pop();
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn h1_strangers_in_a_websocket_cost_at_most_64_kib() {
    costs(EACH_KIB, "a request without end", async |open: &Open| {
        let mut stream = narrow(open.web).await;
        stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        press(&mut stream, &[b'x'; 4096], MOST).await;
        stream
    })
    .await;
    costs(
        EACH_KIB,
        "a message that lacks its last byte",
        async |open: &Open| {
            let mut stream = upgrade(narrow(open.web).await).await;
            stream.write_all(&torn_message()).await.unwrap();
            stream
        },
    )
    .await;
    costs(
        EACH_KIB,
        "pings, and their answers unread",
        async |open: &Open| {
            let mut stream = upgrade(narrow(open.web).await).await;
            press(&mut stream, &pings(), MOST).await;
            stream
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h1_strangers_in_tls_cost_at_most_64_kib() {
    costs(
        EACH_KIB,
        "a hello that lacks its last byte",
        async |open: &Open| {
            const HANDSHAKE: u8 = 22;
            // The library takes 64 KiB, heads of records included; the relay takes less.
            const LONGEST: usize = 65_000;
            let mut stream = TcpStream::connect(open.secure).await.unwrap();
            press(&mut stream, &records(HANDSHAKE, LONGEST), MOST).await;
            stream
        },
    )
    .await;
    costs(
        EACH_KIB,
        "a record that lacks its last byte",
        async |open: &Open| {
            const DATA: u8 = 23;
            let stream = open.pair.connect(open.secure, false).await.unwrap();
            let (mut stream, session) = stream.into_inner();
            stream.write_all(&records(DATA, 1 << 14)).await.unwrap();
            (stream, session)
        },
    )
    .await;
    costs(
        EACH_KIB,
        "a WebSocket's message that lacks its last byte",
        async |open: &Open| {
            let stream = open.pair.connect(open.secure, true).await.unwrap();
            let mut stream = upgrade(stream).await;
            stream.write_all(&torn_message()).await.unwrap();
            stream.flush().await.unwrap();
            stream
        },
    )
    .await;
    costs(
        EACH_KIB,
        "pings in a WebSocket, and their answers unread",
        async |open: &Open| {
            let stream = narrow(open.secure).await;
            let stream = open.pair.secure(stream, true).await.unwrap();
            let mut stream = upgrade(stream).await;
            press(&mut stream, &pings(), MOST).await;
            stream
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h1_strangers_in_a_coat_who_send_more_are_cut_off() {
    let open = Open::start();
    let web = upgrade(TcpStream::connect(open.web).await.unwrap()).await;
    is_cut_off(web, &pings()).await;
    let hello = TcpStream::connect(open.secure).await.unwrap();
    is_cut_off(hello, &records(22, 65_000)).await;
    let both = open.pair.connect(open.secure, true).await.unwrap();
    is_cut_off(upgrade(both).await, &pings()).await;
}
