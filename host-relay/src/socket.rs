//! What a connection needs of the stream under it. TCP has it as it is; what is wrapped around TCP
//! has buffers of its own, which are read in place.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// An ordered stream of bytes that says when there is something to read, so that whoever waits
/// needs no buffer meanwhile.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {
    /// Until there are bytes, or the end, or an error. May be dropped half-way.
    fn readable(&mut self) -> impl Future<Output = io::Result<()>> + Send;

    /// Appends what is there. `Ok(0)` is the end.
    fn try_read_buf(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize>;

    /// Writes what the stream takes at once, and says how much. What has buffers of its own takes
    /// nothing here: it has to be flushed, and for that one may have to wait.
    fn try_write_all(&mut self, bytes: &[u8]) -> io::Result<usize>;
}

impl Socket for TcpStream {
    fn readable(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        // Its own future has room for one of many waiters. There is only this one.
        poll_fn(|cx| self.poll_read_ready(cx))
    }

    fn try_read_buf(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        Self::try_read_buf(self, buffer)
    }

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
}

/// A stream with a buffer of its own: TLS, a WebSocket.
#[cfg_attr(
    not(any(feature = "websocket", feature = "tls", feature = "simulation")),
    allow(dead_code, reason = "without coats there is only TCP")
)]
pub(crate) struct Buffered<S>(pub(crate) S);

impl<S: AsyncBufRead + AsyncWrite + Unpin + Send> Socket for Buffered<S> {
    async fn readable(&mut self) -> io::Result<()> {
        self.0.fill_buf().await.map(drop)
    }

    fn try_read_buf(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        // Nobody is woken by this: who finds nothing waits in `readable`.
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(&mut self.0).poll_fill_buf(&mut cx) {
            Poll::Ready(there) => {
                let there = there?;
                let amount = there.len();
                buffer.extend_from_slice(there);
                self.0.consume(amount);
                Ok(amount)
            }
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn try_write_all(&mut self, _: &[u8]) -> io::Result<usize> {
        Ok(0)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Buffered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Buffered<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, BufStream, duplex};

    use super::*;

    #[tokio::test]
    async fn a_buffer_is_read_where_it_is() {
        let (mut far, near) = duplex(64);
        let mut near = Buffered(BufStream::new(near));
        let mut got = Vec::new();
        let nothing = near.try_read_buf(&mut got).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        far.write_all(b"some bytes").await.unwrap();
        near.readable().await.unwrap();
        assert_eq!(near.try_read_buf(&mut got).unwrap(), 10);
        assert_eq!(got, b"some bytes");
        drop(far);
        near.readable().await.unwrap();
        assert_eq!(near.try_read_buf(&mut got).unwrap(), 0);
    }
}
