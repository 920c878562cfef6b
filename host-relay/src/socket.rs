//! What a connection needs of the stream under it. TCP has it as it is; what is wrapped around TCP
//! has buffers of its own.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::allowance::Allowance;

/// An ordered stream of bytes.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {
    /// Writes what the stream takes at once, and says how much. What has buffers of its own takes
    /// nothing here: it has to be flushed, and for that one may have to wait.
    fn try_write_all(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// The peer is no stranger any more: what is only for clients is for it.
    fn admit(&mut self);
}

impl Socket for TcpStream {
    fn try_write_all(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.try_write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// Nothing is kept of what a stranger sends here but the one message of the handshake.
    fn admit(&mut self) {}
}

/// A stream with a buffer of its own: TLS, a WebSocket.
#[cfg_attr(
    not(any(feature = "websocket", feature = "tls", feature = "simulation")),
    allow(dead_code, reason = "without coats there is only TCP")
)]
pub(crate) struct Buffered<S> {
    stream: S,
    allowance: Allowance,
}

#[cfg_attr(
    not(any(feature = "websocket", feature = "tls", feature = "simulation")),
    allow(dead_code, reason = "without coats there is only TCP")
)]
impl<S> Buffered<S> {
    /// `allowance` is what is metered below `stream`.
    pub(crate) const fn new(stream: S, allowance: Allowance) -> Self {
        Self { stream, allowance }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for Buffered<S> {
    fn try_write_all(&mut self, _: &[u8]) -> io::Result<usize> {
        Ok(0)
    }

    fn admit(&mut self) {
        self.allowance.lift();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Buffered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Buffered<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
