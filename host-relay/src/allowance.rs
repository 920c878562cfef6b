//! What strangers may send inside a coat before their link is there.
//!
//! The libraries of WebSockets and TLS keep what is not whole yet: a hello, a record, a message, answers to
//! pings that nobody reads. Each has bounds of its own, and together they are more than a stranger is worth.
//! Who has sent this much and is no client is cut off, whatever it was.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of a stranger, as they come from TCP: a hello of TLS (2 KiB), a request with what proxies add to it (8), the
/// link's handshake, and the longest record of TLS (16), for it can be opened as a whole only and a hasty client may
/// have put more into it than the handshake's last message.
const BYTES: usize = 32 * 1024;

/// Lifts the bound of its [`Metered`] stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowance(Arc<AtomicBool>);

impl Allowance {
    /// The stranger is a client now.
    pub(crate) fn lift(&self) {
        // Nothing else is told by it, and the same task reads it.
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A stream whose peer is a stranger until its allowance is lifted.
#[derive(Debug)]
pub(crate) struct Metered<S> {
    stream: S,
    left: usize,
    allowance: Allowance,
}

impl<S> Metered<S> {
    pub(crate) fn new(stream: S) -> (Self, Allowance) {
        let allowance = Allowance::default();
        let metered = Self {
            stream,
            left: BYTES,
            allowance: allowance.clone(),
        };
        (metered, allowance)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let stream = Pin::new(&mut this.stream);
        if this.allowance.0.load(Ordering::Relaxed) {
            return stream.poll_read(cx, buffer);
        }
        if this.left == 0 {
            let much = format!("it sent {BYTES} bytes and is no client yet");
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, much)));
        }
        let most = this.left.min(buffer.remaining());
        let mut room = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(stream.poll_read(cx, &mut room))?;
        let count = room.filled().len();
        buffer.advance(count);
        this.left -= count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_stranger_is_cut_off_and_a_client_is_not() {
        let (near, mut far) = duplex(4 * BYTES);
        far.write_all(&vec![7; 3 * BYTES]).await.unwrap();
        let (mut near, allowance) = Metered::new(near);
        let mut read = vec![0; BYTES];
        near.read_exact(&mut read).await.unwrap();
        let refused = near.read_u8().await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
        allowance.lift();
        for _ in 0..2 {
            near.read_exact(&mut read).await.unwrap();
            assert_eq!(read, [7; BYTES]);
        }
    }
}
