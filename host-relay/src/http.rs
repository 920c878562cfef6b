//! `/metrics`, `/healthz` (alive) and `/readyz` (takes messages), on a port of their own. As much HTTP as these need.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::metrics::Metrics;

/// A request's head may have so many bytes.
const MAX_HEAD: usize = 4096;
/// A request and its answer may take so long. Whoever asks is near, and says at once what it wants.
const DEADLINE: Duration = Duration::from_secs(2);
/// Requests at the same time.
const AT_ONCE: usize = 64;

/// Serves until the task is dropped.
pub async fn serve(listener: TcpListener, metrics: Arc<Metrics>) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let metrics = Arc::clone(&metrics);
        tokio::spawn(async move {
            // A client that goes away or dawdles is its own trouble.
            let _ = tokio::time::timeout(DEADLINE, answer(stream, &metrics)).await;
            drop(slot);
        });
    }
}

async fn answer(mut stream: TcpStream, metrics: &Metrics) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut chunk = [0; 512];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut chunk).await?;
        head.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if count == 0 || head.len() > MAX_HEAD {
            break;
        }
    }
    let (status, body) = respond(&head, metrics);
    let is_head = head.starts_with(b"HEAD ");
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    if !is_head {
        stream.write_all(body.as_bytes()).await?;
    }
    stream.shutdown().await
}

fn respond(head: &[u8], metrics: &Metrics) -> (&'static str, String) {
    let mut words = head.split(|byte| *byte == b' ');
    if !matches!(words.next(), Some(b"GET" | b"HEAD")) {
        return (
            "405 Method Not Allowed",
            "only GET and HEAD are answered\n".into(),
        );
    }
    let target = words.next().unwrap_or_default();
    match target.split(|byte| *byte == b'?').next() {
        Some(b"/metrics") => ("200 OK", metrics.render()),
        Some(b"/healthz" | b"/health") => ("200 OK", "ok\n".into()),
        Some(b"/readyz" | b"/ready") if metrics.is_ready() => ("200 OK", "ready\n".into()),
        Some(b"/readyz" | b"/ready") => ("503 Service Unavailable", "not ready\n".into()),
        _ => (
            "404 Not Found",
            "ask for /metrics, /healthz or /readyz\n".into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who sends no end of a head is answered and let go, and no more of it is kept.
    #[tokio::test]
    async fn a_head_without_an_end_is_cut_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let serving = tokio::spawn(serve(listener, metrics));
        let mut client = TcpStream::connect(at).await.unwrap();
        client.write_all(&[b'x'; MAX_HEAD + 1]).await.unwrap();
        let mut said = Vec::new();
        client.read_to_end(&mut said).await.unwrap();
        serving.abort();
        let said = String::from_utf8_lossy(&said);
        assert!(said.starts_with("HTTP/1.1 405"), "{said}");
    }

    /// Some who watch a service ask by HEAD: the same head, and nothing behind it.
    #[tokio::test]
    async fn head_is_answered_without_a_body() {
        let metrics = Metrics::new().unwrap();
        let mut said = Vec::new();
        for method in ["GET", "HEAD"] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap())
                .await
                .unwrap();
            let request = format!("{method} /healthz HTTP/1.1\r\n\r\n");
            client.write_all(request.as_bytes()).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            answer(stream, &metrics).await.unwrap();
            let mut answered = String::new();
            client.read_to_string(&mut answered).await.unwrap();
            said.push(answered);
        }
        assert!(said[1].starts_with("HTTP/1.1 200 OK"), "{said:?}");
        assert_eq!(said[0], format!("{}ok\n", said[1]));
    }

    #[test]
    fn three_pages_and_nothing_else() {
        let metrics = Metrics::new().unwrap();
        metrics.serving(true);
        let status = |head: &[u8]| respond(head, &metrics).0;
        assert_eq!(status(b"GET /healthz HTTP/1.1\r\n\r\n"), "200 OK");
        assert_eq!(status(b"GET /readyz HTTP/1.1\r\n\r\n"), "200 OK");
        assert_eq!(status(b"GET /metrics HTTP/1.1\r\n\r\n"), "200 OK");
        assert_eq!(status(b"GET /healthz?now HTTP/1.1\r\n\r\n"), "200 OK");
        assert_eq!(status(b"GET /etc HTTP/1.1\r\n\r\n"), "404 Not Found");
        assert_eq!(
            status(b"POST /metrics HTTP/1.1\r\n\r\n"),
            "405 Method Not Allowed"
        );
        assert_eq!(status(b""), "405 Method Not Allowed");
        metrics.serving(false);
        assert_eq!(
            status(b"GET /readyz HTTP/1.1\r\n\r\n"),
            "503 Service Unavailable"
        );
        assert_eq!(status(b"GET /healthz HTTP/1.1\r\n\r\n"), "200 OK");
    }
}
