//! One connection to a peer: a stream, what came, what goes.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Protocol, Role};

/// A server that does not answer the opening within this time never will.
const OPENING: Duration = Duration::from_secs(10);

/// What a step of parsing found.
pub(crate) enum Event<'a> {
    /// The connection may be used.
    Ready,
    /// A message's payload, at a recipient.
    Message(&'a [u8]),
    /// The server answered the oldest message that it had not answered, at a sender.
    Answered,
    /// Nothing that the work is about.
    Other,
}

/// One protocol in one role.
pub(crate) trait Wire {
    /// Appends what a connection begins with. `Ready` follows when it was all taken.
    fn open(&mut self, out: &mut Vec<u8>);

    /// Appends a message to a mailbox.
    fn publish(&mut self, out: &mut Vec<u8>, to: u32, payload: &[u8]);

    /// Takes one step from the front of `input` and appends what it is to be answered with.
    /// Returns how many bytes it took; `None` where more must come first.
    ///
    /// # Errors
    /// The server refused something, or said what this work cannot make it say.
    fn next<'a>(
        &mut self,
        input: &'a [u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<(usize, Event<'a>)>>;

    /// Appends what a connection ends with.
    fn close(&mut self, _out: &mut Vec<u8>) {}
}

pub(crate) struct Connection {
    stream: TcpStream,
    wire: Box<dyn Wire>,
    received: Vec<u8>,
    output: Vec<u8>,
}

impl Connection {
    /// Connects and awaits that the connection is ready.
    pub(crate) async fn open(to: SocketAddr, protocol: Protocol, role: Role) -> Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let mut connection = Self {
            stream,
            wire: protocol.wire(role),
            received: Vec::with_capacity(128 * 1024),
            output: Vec::with_capacity(128 * 1024),
        };
        let opening = connection.opening();
        tokio::time::timeout(OPENING, opening)
            .await
            .context("the server does not answer")??;
        Ok(connection)
    }

    async fn opening(&mut self) -> Result<()> {
        self.wire.open(&mut self.output);
        let mut ready = false;
        while !ready {
            self.flush().await?;
            self.read().await?;
            self.events(|event| match event {
                Event::Ready => {
                    ready = true;
                    Ok(())
                }
                Event::Other => Ok(()),
                _ => bail!("a message before the connection was ready"),
            })?;
        }
        self.flush().await
    }

    /// The connection without its buffers.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    pub(crate) async fn close(mut self) -> Result<()> {
        self.wire.close(&mut self.output);
        self.flush().await?;
        Ok(self.stream.shutdown().await?)
    }

    pub(crate) fn publish(&mut self, to: u32, payload: &[u8]) {
        self.wire.publish(&mut self.output, to, payload);
    }

    /// Reads at least one byte. Cancelling it loses nothing.
    pub(crate) async fn read(&mut self) -> Result<()> {
        let count = self.stream.read_buf(&mut self.received).await?;
        ensure!(count > 0, "the connection was closed");
        Ok(())
    }

    /// Writes what was appended.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        if !self.output.is_empty() {
            self.stream.write_all(&self.output).await?;
            self.output.clear();
        }
        Ok(())
    }

    /// Hands everything that came whole to `visit`.
    pub(crate) fn events(&mut self, mut visit: impl FnMut(Event<'_>) -> Result<()>) -> Result<()> {
        let mut taken = 0;
        while let Some((len, event)) = self.wire.next(&self.received[taken..], &mut self.output)? {
            visit(event)?;
            taken += len;
        }
        self.received.drain(..taken);
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Event, Wire};

    /// What `wire` finds in `input` when it comes byte by byte, as one word for each event, and what
    /// it answers.
    pub(crate) fn fed(wire: &mut dyn Wire, input: &[u8]) -> (Vec<String>, Vec<u8>) {
        let (mut words, mut out, mut received) = (Vec::new(), Vec::new(), Vec::new());
        for byte in input {
            received.push(*byte);
            let step = wire.next(&received, &mut out).expect("a known protocol");
            let Some((len, event)) = step else { continue };
            let word = match event {
                Event::Ready => "ready".to_owned(),
                Event::Message(payload) => String::from_utf8_lossy(payload).into_owned(),
                Event::Answered => "answered".to_owned(),
                Event::Other => String::new(),
            };
            words.push(word);
            assert_eq!(
                len,
                received.len(),
                "a step is taken as soon as it is whole"
            );
            received.clear();
        }
        assert!(received.is_empty(), "bytes were left");
        words.retain(|word| !word.is_empty());
        (words, out)
    }
}
