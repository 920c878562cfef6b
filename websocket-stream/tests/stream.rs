//! Two ends over a pipe in memory: one ours, one ours or a stock WebSocket.

use std::io::ErrorKind;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use hushwire_websocket::{ByteStream, MAX_MESSAGE, PATH, SUBPROTOCOL, accept, connect};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Message};

const PATIENCE: Duration = Duration::from_secs(20);

async fn pair(room: usize) -> (ByteStream<DuplexStream>, ByteStream<DuplexStream>) {
    let (near, far) = duplex(room);
    let (client, server) = tokio::join!(connect(near, "relay.example:80"), accept(far));
    (client.unwrap(), server.unwrap())
}

/// A client that does not have our habits.
async fn stock() -> (WebSocketStream<DuplexStream>, ByteStream<DuplexStream>) {
    stock_over(4 * MAX_MESSAGE).await
}

async fn stock_over(room: usize) -> (WebSocketStream<DuplexStream>, ByteStream<DuplexStream>) {
    let (near, far) = duplex(room);
    let mut request = format!("ws://x{PATH}").into_client_request().unwrap();
    let offer = format!("other, {SUBPROTOCOL}");
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", offer.parse().unwrap());
    let client = tokio_tungstenite::client_async(request, near);
    let (client, server) = tokio::join!(client, accept(far));
    (client.unwrap().0, server.unwrap())
}

#[tokio::test]
async fn bytes_arrive_as_they_were_whatever_the_messages() {
    // A pipe with less room than a message has: writes wait, reads get pieces.
    let (mut client, mut server) = pair(1000).await;
    let sent: Vec<u8> = (0..100_000u32).map(|n| (n * 7 / 3) as u8).collect();
    let expected = sent.clone();
    let writes = async move {
        client.write_all(&sent).await.unwrap();
        client.flush().await.unwrap();
        let mut answer = [0; 5];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"taken");
        client.shutdown().await.unwrap();
    };
    let reads = async move {
        let mut received = vec![0; expected.len()];
        server.read_exact(&mut received).await.unwrap();
        assert!(received == expected);
        server.write_all(b"taken").await.unwrap();
        server.flush().await.unwrap();
        assert_eq!(server.read(&mut received).await.unwrap(), 0);
    };
    let both = async { tokio::join!(writes, reads) };
    timeout(PATIENCE, both).await.unwrap();
}

#[tokio::test]
async fn fragments_and_pings_in_between_are_one_stream() {
    let (mut client, mut server) = stock().await;
    let part = |bytes: &'static [u8], code, last| {
        let frame = Frame::message(Bytes::from_static(bytes), OpCode::Data(code), last);
        Message::Frame(frame)
    };
    client.send(part(b"ab", Data::Binary, false)).await.unwrap();
    client.send(Message::Ping("?".into())).await.unwrap();
    client
        .send(part(b"cd", Data::Continue, true))
        .await
        .unwrap();
    client.send(Message::Binary(Bytes::new())).await.unwrap();
    client.send(Message::Binary("ef".into())).await.unwrap();
    let mut received = [0; 6];
    server.read_exact(&mut received).await.unwrap();
    assert_eq!(&received, b"abcdef");
    let answer = timeout(PATIENCE, client.next()).await.unwrap();
    assert_eq!(answer.unwrap().unwrap(), Message::Pong("?".into()));
}

/// The close code that the other end is told.
async fn told(client: &mut WebSocketStream<DuplexStream>) -> CloseCode {
    match timeout(PATIENCE, client.next()).await.unwrap() {
        Some(Ok(Message::Close(Some(frame)))) => frame.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn text_is_refused() {
    let (mut client, mut server) = stock().await;
    client.send(Message::Text("hello".into())).await.unwrap();
    let error = server.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(told(&mut client).await, CloseCode::Unsupported);
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn the_longest_message_is_taken_and_one_byte_more_is_not() {
    let (mut client, mut server) = stock().await;
    let message = |len| Message::Binary(vec![7; len].into());
    client.send(message(MAX_MESSAGE)).await.unwrap();
    server.read_exact(&mut [0; MAX_MESSAGE]).await.unwrap();
    client.send(message(MAX_MESSAGE + 1)).await.unwrap();
    let error = server.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(told(&mut client).await, CloseCode::Size);

    // In fragments, each of which is short enough.
    let (mut client, mut server) = stock().await;
    let part = |code, last| {
        let bytes = vec![7; MAX_MESSAGE / 2 + 1];
        Message::Frame(Frame::message(bytes, OpCode::Data(code), last))
    };
    client.send(part(Data::Binary, false)).await.unwrap();
    client.send(part(Data::Continue, true)).await.unwrap();
    assert!(server.read(&mut [0; 8]).await.is_err());
}

/// A frame's length is believed by nobody: 2^62 bytes are announced, and none follows.
#[tokio::test]
async fn an_announced_length_is_refused_before_it_is_waited_for() {
    let (near, far) = duplex(4096);
    let request = format!(
        "GET {PATH} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
         sec-websocket-protocol: {SUBPROTOCOL}\r\n\r\n"
    );
    let mut near = near;
    near.write_all(request.as_bytes()).await.unwrap();
    let mut server = accept(far).await.unwrap();
    let header = [0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
    near.write_all(&header).await.unwrap();
    let refused = timeout(PATIENCE, server.read(&mut [0; 8])).await.unwrap();
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidData);
}

#[tokio::test]
async fn another_path_and_another_protocol_are_refused() {
    for (path, offer, status) in [
        ("/", SUBPROTOCOL, "404"),
        (PATH, "mqtt", "400"),
        (PATH, "", "400"),
    ] {
        let (near, far) = duplex(4096);
        let mut request = format!("ws://x{path}").into_client_request().unwrap();
        if !offer.is_empty() {
            let headers = request.headers_mut();
            headers.insert("sec-websocket-protocol", offer.parse().unwrap());
        }
        let client = tokio_tungstenite::client_async(request, near);
        let (client, server) = tokio::join!(client, accept(far));
        assert!(server.is_err());
        let error = client.unwrap_err().to_string();
        assert!(error.contains(status), "{error}");
    }
}

#[tokio::test]
async fn what_is_no_websocket_is_named() {
    let (near, mut far) = duplex(4096);
    let other = async {
        let mut request = [0; 512];
        let _ = far.read(&mut request).await.unwrap();
        far.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
            .await
            .unwrap();
    };
    let (client, ()) = tokio::join!(connect(near, "x:80"), other);
    let error = client.unwrap_err();
    assert!(error.to_string().contains("403"), "{error}");
    assert!(!error.is_io());

    let (near, mut far) = duplex(4096);
    far.write_all(b"SSH-2.0-x\r\n").await.unwrap();
    drop(far);
    assert!(accept(near).await.is_err());
}

#[tokio::test]
async fn an_end_without_a_goodbye_is_an_end() {
    let (client, mut server) = pair(4096).await;
    drop(client);
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
}

/// Answers to pings take no message's room: whoever reads late gets all of both.
#[tokio::test]
async fn answers_to_pings_that_wait_hold_up_a_message_and_lose_nothing() {
    const PINGS: usize = 20;
    let (mut client, mut server) = stock_over(1000).await;

    // The server reads them all, and its answers find room for a few.
    let mut scrap = [0; 1];
    let pings = async {
        for _ in 0..PINGS {
            client.feed(Message::Ping(vec![7; 125].into())).await?;
        }
        client.flush().await
    };
    tokio::select! {
        sent = pings => sent.unwrap(),
        _ = server.read(&mut scrap) => unreachable!("nothing was said"),
    }
    let reading = timeout(Duration::from_millis(50), server.read(&mut scrap));
    assert!(reading.await.is_err(), "nothing was said");

    let sent = vec![9; MAX_MESSAGE];
    let writes = async {
        server.write_all(&sent).await.unwrap();
        server.flush().await.unwrap();
    };
    let reads = async {
        loop {
            match client.next().await.unwrap().unwrap() {
                Message::Binary(bytes) => break bytes,
                other => assert!(matches!(other, Message::Pong(_)), "{other}"),
            }
        }
    };
    let both = async { tokio::join!(writes, reads) };
    let ((), received) = timeout(PATIENCE, both).await.unwrap();
    assert!(received == sent);
}
