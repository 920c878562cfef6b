//! The link over simulated TCP, as a client: handshake, records in, records out, silence.

use std::time::Duration;

use hushwire_core::{
    crypto::{PublicKey, Software},
    identity::SoftwareIdentity,
    limits::MAX_WINDOW,
    link::{
        Bounds, FLIGHT_1_LEN, FLIGHT_2_LEN, FLIGHT_3_LEN, HEAD_ROOM, Initiator, LinkLimits, Next,
        Opener, RecordReader, Sealer, TAIL_ROOM,
    },
    wire::{frame::Frames, request::Request},
};
use rand_chacha::ChaCha20Rng;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, timeout, timeout_at},
};
use turmoil::net::{
    TcpStream,
    tcp::{OwnedReadHalf, OwnedWriteHalf},
};

const CONNECT: Duration = Duration::from_secs(3);
const PING_AFTER: Duration = Duration::from_secs(4);
const SILENCE: Duration = Duration::from_secs(12);
const MAX_RECORD: u16 = 32_768;
/// A number that no endpoint uses.
const PING: u16 = 0x7fff;

pub(crate) type Broken = Box<dyn std::error::Error>;

pub(crate) struct Link {
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
    reader: RecordReader<Box<[u8]>>,
    opener: Opener,
    sealer: Sealer,
    bounds: Bounds,
    heard: Instant,
    pinged: Instant,
}

impl Link {
    pub(crate) async fn open(
        relay: &str,
        key: PublicKey,
        identity: SoftwareIdentity,
        rng: &mut ChaCha20Rng,
    ) -> Result<Self, Broken> {
        timeout(CONNECT, Self::dial(relay, key, identity, rng)).await?
    }

    async fn dial(
        relay: &str,
        key: PublicKey,
        mut identity: SoftwareIdentity,
        rng: &mut ChaCha20Rng,
    ) -> Result<Self, Broken> {
        let mut stream = TcpStream::connect(relay).await?;
        let limits = LinkLimits::new(MAX_RECORD, 17_500, MAX_WINDOW as u16)?;
        let mut first = [0; FLIGHT_1_LEN];
        let sent = Initiator::new(key, limits).write_message_1(&mut Software, rng, &mut first)?;
        stream.write_all(&first).await?;
        let mut second = [0; FLIGHT_2_LEN];
        stream.read_exact(&mut second).await?;
        let mut third = [0; FLIGHT_3_LEN];
        let received = sent.read_message_2(&mut Software, &second[HEAD_ROOM..])?;
        let transport = received.write_message_3(&mut Software, &mut identity, &mut third)?;
        stream.write_all(&third).await?;

        let bounds = Bounds::records(transport.own_limits());
        let (sealer, opener) = transport.split();
        let (read, write) = stream.into_split();
        let room = HEAD_ROOM + usize::from(MAX_RECORD);
        Ok(Self {
            read,
            write,
            reader: RecordReader::new(vec![0; room].into_boxed_slice()),
            opener,
            sealer,
            bounds,
            heard: Instant::now(),
            pinged: Instant::now(),
        })
    }

    /// The frames of the next record; none if nothing came until `until`.
    pub(crate) async fn receive(&mut self, until: Instant) -> Result<Vec<Vec<u8>>, Broken> {
        loop {
            if let Next::Record(record) = self.reader.next_record(self.bounds)? {
                let plaintext = self.opener.open(record)?;
                let frames = Frames::new(plaintext).map(|frame| Ok(frame?.to_vec()));
                return frames.collect();
            }
            match timeout_at(until, self.read.read(self.reader.room())).await {
                Ok(Ok(0)) => return Err("the relay closed".into()),
                Ok(count) => self.reader.filled(count?),
                Err(_) if self.heard.elapsed() > SILENCE => return Err("silence".into()),
                Err(_) => return Ok(Vec::new()),
            }
            self.heard = Instant::now();
        }
    }

    pub(crate) async fn send(&mut self, frame: &[u8]) -> Result<(), Broken> {
        let len = 2 + frame.len();
        let mut record = vec![0; HEAD_ROOM];
        record.extend_from_slice(&(frame.len() as u16).to_be_bytes());
        record.extend_from_slice(frame);
        record.resize(record.len() + TAIL_ROOM, 0);
        let sealed = self.sealer.seal(&mut record, len)?;
        timeout(SILENCE, self.write.write_all(&record[..sealed])).await??;
        Ok(())
    }

    /// Asks for a sign of life where none came for a while.
    pub(crate) async fn ping(&mut self) -> Result<(), Broken> {
        let since = self.heard.max(self.pinged);
        if since.elapsed() < PING_AFTER {
            return Ok(());
        }
        self.pinged = Instant::now();
        let mut frame = [0; 8];
        let len = Request::Ping { number: PING }.emit(&mut frame)?;
        self.send(&frame[..len]).await
    }
}
