//! Binary messages in, bytes out, and the other way round.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{Sink as _, Stream as _};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use crate::MAX_MESSAGE;

/// Allocated for each WebSocket as long as it lives, so it is small.
const READ_BUFFER: usize = 1024;
/// A message that is on its way, and the answers to pings beside it, which a peer need not read.
const WRITE_BUFFER: usize = MAX_MESSAGE + 1024;

pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        // What is written goes at once: whoever writes has put together what belongs together.
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
}

/// A WebSocket that reads and writes like a TCP connection. Pings are answered while it is read.
#[derive(Debug)]
pub struct ByteStream<S> {
    socket: WebSocketStream<S>,
    /// What was received and is not read yet.
    message: Bytes,
    /// The peer sent what is none of ours: nothing more is read.
    refused: bool,
    /// The peer said goodbye: it need not wait for ours.
    goodbye: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> ByteStream<S> {
    pub(crate) const fn new(socket: WebSocketStream<S>) -> Self {
        Self {
            socket,
            message: Bytes::new(),
            refused: false,
            goodbye: false,
        }
    }

    /// Says why the WebSocket ends, as far as the network takes it at once.
    fn refuse(&mut self, code: CloseCode, why: &'static str) -> io::Error {
        self.refused = true;
        let reason = CloseFrame {
            code,
            reason: why.into(),
        };
        // A peer that does not take it loses an explanation.
        let _ = Pin::new(&mut self.socket).start_send(Message::Close(Some(reason)));
        io::Error::new(io::ErrorKind::InvalidData, why)
    }
}

fn io_error(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncBufRead for ByteStream<S> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        while this.message.is_empty() && !this.refused {
            match ready!(Pin::new(&mut this.socket).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => this.message = bytes,
                Some(Ok(Message::Text(_))) => {
                    let error = this.refuse(CloseCode::Unsupported, "messages must be binary");
                    return Poll::Ready(Err(error));
                }
                Some(Ok(Message::Close(_))) => this.goodbye = true,
                Some(Err(_)) if this.goodbye => return Poll::Ready(Ok(&[])),
                // Answered by the WebSocket itself when it is polled again.
                Some(Ok(_)) => {}
                // Records tell by themselves whether they are whole: an end is an end.
                Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) | None => {
                    return Poll::Ready(Ok(&[]));
                }
                Some(Err(Error::Capacity(_))) => {
                    let error = this.refuse(CloseCode::Size, "the message is too long");
                    return Poll::Ready(Err(error));
                }
                Some(Err(error)) => return Poll::Ready(Err(io_error(error))),
            }
        }
        Poll::Ready(Ok(&this.message))
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        let message = &mut self.get_mut().message;
        // Its buffer is given back with its last byte.
        *message = match amount < message.len() {
            true => message.split_off(amount),
            false => Bytes::new(),
        };
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for ByteStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let there = ready!(self.as_mut().poll_fill_buf(cx))?;
        let amount = there.len().min(buffer.remaining());
        buffer.put_slice(there.get(..amount).unwrap_or_default());
        self.consume(amount);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ByteStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut socket = Pin::new(&mut self.get_mut().socket);
        // Answers to pings wait before it, and would leave it no room.
        ready!(socket.as_mut().poll_flush(cx)).map_err(io_error)?;
        ready!(socket.as_mut().poll_ready(cx)).map_err(io_error)?;
        let part = bytes.get(..MAX_MESSAGE).unwrap_or(bytes);
        let message = Message::Binary(Bytes::copy_from_slice(part));
        socket.start_send(message).map_err(io_error)?;
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = Pin::new(&mut self.get_mut().socket);
        socket.poll_flush(cx).map_err(io_error)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = &mut self.get_mut().socket;
        ready!(Pin::new(&mut *socket).poll_close(cx)).map_err(io_error)?;
        Pin::new(socket.get_mut()).poll_shutdown(cx)
    }
}
