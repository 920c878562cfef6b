//! One trunk: a link between two relays that have the same key file, carrying items.

use std::io;

use hushwire_core::crypto::kdf::hmac;
use hushwire_core::crypto::{KeyPair, Software};
use hushwire_core::identity::{Address, IdentityKeys as _, SoftwareIdentity};
use hushwire_core::link::{
    Bounds, FLIGHT_1_LEN, FLIGHT_2_LEN, FLIGHT_3_LEN, HEAD_ROOM, HandshakeError, Initiator,
    LinkLimits, OpenError, Opener, RecordError, Scan, SealError, Sealer, TAIL_ROOM, scan,
};
use rand_core::UnwrapErr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::item::{Item, NoItem, VERSION};
use super::{BEAT, CHUNKS, HANDSHAKE, SILENCE};
use crate::handshake::{Fault, Turns, shake_hands};
use crate::key::RelayKey;
use crate::limits::MAX_FRAME;
use crate::rotation::unix_now_s;

/// The least that a record carries.
const LEAST: usize = 3;
/// Bytes that are read at a time.
const READ: usize = 64 * 1024;

/// Why a trunk ended, or was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrunkError {
    #[error("the network failed: {0}")]
    Io(#[from] io::Error),
    #[error("the other relay closed it")]
    Closed,
    #[error("the other relay was silent for too long")]
    Silent,
    #[error("{0}; have both relays the same key file?")]
    Handshake(#[from] Fault),
    #[error("whoever called has not the key file of these relays")]
    Stranger,
    #[error("the other relay speaks version {0} of the trunk, this one {VERSION}")]
    Version(u8),
    #[error("{0}")]
    Record(#[from] RecordError),
    #[error("{0}")]
    Open(#[from] OpenError),
    #[error("{0}")]
    Seal(#[from] SealError),
    #[error("{0}")]
    Item(#[from] NoItem),
}

/// Both directions, right after the handshake.
pub(crate) struct Trunk {
    source: Source,
    sink: Sink,
}

/// The direction that is read.
pub(super) struct Source {
    read: OwnedReadHalf,
    opener: Opener,
    /// Not a whole record yet.
    received: Vec<u8>,
    opened: Vec<u8>,
    /// Of what was opened, items taken.
    taken: usize,
}

/// The direction that is written.
pub(super) struct Sink {
    write: OwnedWriteHalf,
    sealer: Sealer,
}

fn limits() -> Result<LinkLimits, Fault> {
    // The window is for deliveries, of which a trunk has none of its own.
    LinkLimits::new(u16::MAX, MAX_FRAME as u16, 1).map_err(|_| Fault::Record(RecordError::Buffer))
}

impl RelayKey {
    /// What relays that have this file prove to each other. It stays the same when the link's key rotates.
    fn trunk_identity(&self) -> Result<SoftwareIdentity, Fault> {
        let seed = hmac(&self.names, &[b"hushwire relay trunk"]);
        let identity = SoftwareIdentity::from_seed(&mut Software, &seed);
        identity.map_err(|error| Fault::Handshake(error.into()))
    }

    fn trunk_address(&self) -> Result<Address, Fault> {
        Ok(self.trunk_identity()?.public().address())
    }
}

impl Trunk {
    /// Calls the relay that has the store.
    pub(crate) async fn dial(at: &str, key: &RelayKey) -> Result<Self, TrunkError> {
        let mut refused = TrunkError::Closed;
        // While a new key is brought to one relay after the other, it may have either.
        for link in key.links(unix_now_s()) {
            let calling = Self::call(at, key, link);
            refused = match timeout(HANDSHAKE, calling).await {
                Ok(Ok(trunk)) => return Ok(trunk),
                Ok(Err(error)) => error,
                Err(_) => TrunkError::Silent,
            };
        }
        Err(refused)
    }

    async fn call(at: &str, key: &RelayKey, link: &KeyPair) -> Result<Self, TrunkError> {
        let mut stream = TcpStream::connect(at).await?;
        stream.set_nodelay(true)?;
        let rng = &mut UnwrapErr(getrandom::SysRng);
        let mut flight = [0; FLIGHT_1_LEN];
        let sent = Initiator::new(*link.public(), limits()?)
            .write_message_1(&mut Software, rng, &mut flight)
            .map_err(Fault::from)?;
        stream.write_all(&flight).await?;
        let mut flight = [0; FLIGHT_2_LEN];
        stream.read_exact(&mut flight).await?;
        let message = flight.get(HEAD_ROOM..).unwrap_or_default();
        let received = sent.read_message_2(&mut Software, message);
        let mut flight = [0; FLIGHT_3_LEN];
        let transport = received
            .and_then(|received| {
                let mut identity = key.trunk_identity().map_err(|_| HandshakeError::Backend)?;
                received.write_message_3(&mut Software, &mut identity, &mut flight)
            })
            .map_err(Fault::from)?;
        stream.write_all(&flight).await?;
        let (sealer, opener) = transport.split();
        Ok(Self::over(stream, sealer, opener))
    }

    /// Takes a call. Whoever has the relay's URL can make one; only relays get further than this.
    pub(super) async fn answer(
        mut stream: TcpStream,
        key: &RelayKey,
        turns: &Turns,
    ) -> Result<Self, TrunkError> {
        stream.set_nodelay(true)?;
        let shaking = shake_hands(&mut stream, key, limits()?, turns);
        let shaken = timeout(HANDSHAKE, shaking).await;
        let shaken = shaken.map_err(|_| TrunkError::Silent)??;
        if shaken.address != key.trunk_address()? {
            return Err(TrunkError::Stranger);
        }
        let (sealer, opener) = shaken.transport.split();
        Ok(Self::over(stream, sealer, opener))
    }

    fn over(stream: TcpStream, sealer: Sealer, opener: Opener) -> Self {
        let (read, write) = stream.into_split();
        Self {
            source: Source {
                read,
                opener,
                received: Vec::new(),
                opened: Vec::new(),
                taken: 0,
            },
            sink: Sink { write, sealer },
        }
    }

    pub(super) fn split(self) -> (Source, Sink) {
        (self.source, self.sink)
    }
}

impl Source {
    /// Waits for bytes and opens the records in them. May be dropped half-way.
    pub(super) async fn fill(&mut self) -> Result<(), TrunkError> {
        self.received.reserve(READ);
        let read = timeout(SILENCE, self.read.read_buf(&mut self.received)).await;
        if read.map_err(|_| TrunkError::Silent)?? == 0 {
            return Err(TrunkError::Closed);
        }
        self.opened.drain(..self.taken);
        self.taken = 0;
        let bounds = Bounds::records(&limits()?);
        let mut at = 0;
        while let Some(rest) = self.received.get_mut(at..) {
            let Scan::Whole(len) = scan(rest, bounds)? else {
                break;
            };
            let record = rest
                .get_mut(HEAD_ROOM..HEAD_ROOM + len)
                .ok_or(RecordError::Buffer)?;
            self.opened.extend_from_slice(self.opener.open(record)?);
            at += HEAD_ROOM + len;
        }
        self.received.drain(..at);
        Ok(())
    }

    /// The next item of what was read.
    pub(super) fn next(&mut self) -> Result<Option<Item<'_>>, TrunkError> {
        let rest = self.opened.get(self.taken..).unwrap_or_default();
        Ok(Item::parse(rest)?.map(|(item, len)| {
            self.taken += len;
            item
        }))
    }
}

impl Sink {
    /// Writes chunks of whole items, and signs of life, until nobody can send any more.
    pub(super) async fn run(
        mut self,
        mut chunks: mpsc::Receiver<Vec<u8>>,
    ) -> Result<(), TrunkError> {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut batch, mut items, mut out) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            items.clear();
            tokio::select! {
                biased;
                count = chunks.recv_many(&mut batch, CHUNKS) => {
                    if count == 0 {
                        return Ok(());
                    }
                    batch.drain(..).for_each(|chunk| items.extend(chunk));
                }
                _ = beat.tick() => Item::Beat.emit(&mut items),
            }
            out.clear();
            self.seal(&items, &mut out)?;
            // However long the other side takes: whether it lives is seen by what comes from it.
            self.write.write_all(&out).await?;
            items.shrink_to(READ);
            out.shrink_to(READ);
        }
    }

    fn seal(&mut self, mut items: &[u8], out: &mut Vec<u8>) -> Result<(), TrunkError> {
        let most = self.sealer.max_plaintext();
        while !items.is_empty() {
            // The last record may not be too short.
            let len = match items.len() {
                len if len <= most => len,
                len if len < most + LEAST => most - LEAST,
                _ => most,
            };
            let (piece, rest) = items.split_at_checked(len).unwrap_or((items, &[]));
            let start = out.len();
            out.resize(start + HEAD_ROOM, 0);
            out.extend_from_slice(piece);
            out.resize(out.len() + TAIL_ROOM, 0);
            let record = out.get_mut(start..).unwrap_or_default();
            self.sealer.seal(record, len)?;
            items = rest;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// The same key file, read by two relays.
    fn two_of_one_file() -> (RelayKey, RelayKey) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.key");
        let read = || RelayKey::load_or_create(&path).unwrap();
        (read(), read())
    }

    async fn meet(
        called: &RelayKey,
        caller: &RelayKey,
    ) -> (Result<Trunk, TrunkError>, Result<Trunk, TrunkError>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let answer = async {
            let (stream, _) = listener.accept().await.unwrap();
            Trunk::answer(stream, called, &Turns::new()).await
        };
        tokio::join!(answer, Trunk::dial(&at, caller))
    }

    #[tokio::test]
    async fn items_arrive_in_order_whatever_their_size() {
        let (one, other) = two_of_one_file();
        let (answered, dialed) = meet(&one, &other).await;
        let (mut source, _) = answered.unwrap().split();
        let (_, sink) = dialed.unwrap().split();
        let (chunks, written) = mpsc::channel(CHUNKS);
        let writing = tokio::spawn(sink.run(written));
        let sizes: Vec<_> = (0..20).chain([60_000, 200_000, 0, 200_000]).collect();
        let sent = sizes.clone();
        let sending = tokio::spawn(async move {
            for (client, size) in (0..).zip(sent) {
                let (frames, mut chunk) = (vec![client as u8; size], Vec::new());
                let frames = &frames;
                Item::Asked { client, frames }.emit(&mut chunk);
                chunks.send(chunk).await.unwrap();
            }
        });
        let mut expected = (0..).zip(sizes).peekable();
        while expected.peek().is_some() {
            source.fill().await.unwrap();
            while let Some(item) = source.next().unwrap() {
                let Item::Asked { client, frames } = item else {
                    continue;
                };
                assert_eq!(Some((client, frames.len())), expected.next());
                assert!(frames.iter().all(|byte| *byte == client as u8));
            }
        }
        sending.await.unwrap();
        // Nobody can send any more: the trunk ends in order.
        writing.await.unwrap().unwrap();
        while source.fill().await.is_ok() {}
    }

    #[tokio::test]
    async fn no_record_is_too_short() {
        let (one, other) = two_of_one_file();
        let (mut source, mut sink) = {
            let (answered, dialed) = meet(&one, &other).await;
            (answered.unwrap().split().0, dialed.unwrap().split().1)
        };
        let most = sink.sealer.max_plaintext();
        let sizes: Vec<_> = (LEAST..20).chain(most - 5..most + 5).collect();
        let mut out = Vec::new();
        for size in &sizes {
            sink.seal(&vec![0; *size], &mut out).unwrap();
        }
        let writing = tokio::spawn(async move { sink.write.write_all(&out).await });
        let all = sizes.iter().sum();
        while source.opened.len() < all {
            source.fill().await.unwrap();
        }
        assert_eq!(source.opened.len(), all);
        writing.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn who_has_not_the_key_file_is_refused() {
        let (one, mut thief) = two_of_one_file();
        // Everybody has the public key; a thief of the link's key alone is a stranger as well.
        thief.names[0] ^= 1;
        let (answered, _) = meet(&one, &thief).await;
        assert!(matches!(answered, Err(TrunkError::Stranger)));
        let (elsewhere, _) = two_of_one_file();
        let (answered, dialed) = meet(&one, &elsewhere).await;
        assert!(answered.is_err() && dialed.is_err());
    }

    #[tokio::test]
    async fn a_rotated_key_is_found_whichever_side_has_it_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.key");
        let before = RelayKey::load_or_create(&path).unwrap();
        let hour = std::time::Duration::from_secs(3600);
        let after = RelayKey::rotate(&path, hour, unix_now_s()).unwrap();
        let (answered, dialed) = meet(&after, &before).await;
        assert!(answered.is_ok() && dialed.is_ok());

        // The first call fails, for the called one does not know the new key yet.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let turns = Turns::new();
        let answer = async {
            let (first, _) = listener.accept().await.unwrap();
            assert!(Trunk::answer(first, &before, &turns).await.is_err());
            let (second, _) = listener.accept().await.unwrap();
            Trunk::answer(second, &before, &turns).await
        };
        let (answered, dialed) = tokio::join!(answer, Trunk::dial(&at, &after));
        assert!(answered.is_ok() && dialed.is_ok());
    }
}
