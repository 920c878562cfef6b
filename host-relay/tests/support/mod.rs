//! A client that speaks the link and frames, and nothing above.

#![allow(dead_code, reason = "each test program uses its part")]

#[cfg(all(feature = "websocket", feature = "tls"))]
pub(crate) mod coats;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use hushwire_core::crypto::{PublicKey, Software};
use hushwire_core::identity::{Address, IdentityKeys as _, SoftwareIdentity};
use hushwire_core::link::{
    Bounds, FLIGHT_1_LEN, FLIGHT_3_LEN, HEAD_ROOM, Initiator, LinkLimits, MESSAGE_2_LEN, Opener,
    Scan, Sealer, TAIL_ROOM, scan,
};
use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::Answer;
use hushwire_core::wire::bundle::{self, BundleFields};
use hushwire_core::wire::frame::{self, Frames};
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::{PREKEY_LEN, Prekeys, Request};
use rand_core::UnwrapErr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::error::Elapsed;

/// No wait of a test is longer: what has not come by then never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// What must fail failed, and not because nothing happened until the patience ended.
#[track_caller]
pub(crate) fn fails<T>(outcome: Result<T>, what: &str) {
    let error = outcome.err().unwrap_or_else(|| panic!("{what}: it worked"));
    assert!(!error.is::<Elapsed>(), "{what}: nothing happened");
}

/// What a relay is reached by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) key: PublicKey,
}

impl Target {
    /// Out of the line that a relay prints.
    pub(crate) fn parse(url: &str) -> Self {
        let rest = url.trim().strip_prefix("hush://").expect("no URL");
        let (address, key) = rest.split_once("/#").expect("no key in the URL");
        Self {
            address: address.parse().expect("no address"),
            key: public_key(key),
        }
    }
}

pub(crate) fn public_key(digits: &str) -> PublicKey {
    let mut bytes = [0; 33];
    hex::decode_to_slice(digits, &mut bytes).expect("66 lower-case digits");
    PublicKey::parse(&mut Software, &bytes).expect("a point of the curve")
}

pub(crate) fn identity(seed: u16) -> SoftwareIdentity {
    let mut bytes = [0x5e; 32];
    bytes[..2].copy_from_slice(&seed.to_be_bytes());
    SoftwareIdentity::from_seed(&mut Software, &bytes).expect("a usable seed")
}

pub(crate) fn address_of(seed: u16) -> Address {
    identity(seed).public().address()
}

pub(crate) fn link_limits(window: u16) -> LinkLimits {
    LinkLimits::new(u16::MAX, 17_500, window).expect("sensible limits")
}

/// A connected client, its handshake done and its welcome read.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) sealer: Sealer,
    opener: Opener,
    received: Vec<u8>,
    frames: std::collections::VecDeque<Vec<u8>>,
    identity: SoftwareIdentity,
    next_number: u16,
    pub(crate) welcome: hushwire_core::wire::answer::Welcome,
}

impl Client {
    pub(crate) async fn connect(target: &Target, seed: u16) -> Result<Self> {
        Self::connect_with(target, seed, link_limits(64)).await
    }

    pub(crate) async fn connect_with(
        target: &Target,
        seed: u16,
        limits: LinkLimits,
    ) -> Result<Self> {
        tokio::time::timeout(PATIENCE, Self::dial(target, identity(seed), limits)).await?
    }

    async fn dial(target: &Target, identity: SoftwareIdentity, limits: LinkLimits) -> Result<Self> {
        let stream = TcpStream::connect(target.address).await?;
        Self::over(stream, target, identity, limits).await
    }

    /// Over a connection that is there.
    pub(crate) async fn over(
        mut stream: TcpStream,
        target: &Target,
        mut identity: SoftwareIdentity,
        limits: LinkLimits,
    ) -> Result<Self> {
        stream.set_nodelay(true)?;
        let mut first = [0; FLIGHT_1_LEN];
        let rng = &mut UnwrapErr(getrandom::SysRng);
        let sent =
            Initiator::new(target.key, limits).write_message_1(&mut Software, rng, &mut first)?;
        stream.write_all(&first).await?;
        let mut second = [0; HEAD_ROOM + MESSAGE_2_LEN];
        stream.read_exact(&mut second).await?;
        let mut third = [0; FLIGHT_3_LEN];
        let transport = sent
            .read_message_2(&mut Software, &second[HEAD_ROOM..])?
            .write_message_3(&mut Software, &mut identity, &mut third)?;
        stream.write_all(&third).await?;

        let (sealer, opener) = transport.split();
        let welcome = hushwire_core::wire::answer::Welcome {
            epoch: 0,
            next_sequence: 0,
            unix_seconds: 0,
            waiting: 0,
            prekeys: 0,
            bundle_counter: 0,
        };
        let (received, frames) = Default::default();
        let mut client = Self {
            stream,
            sealer,
            opener,
            received,
            frames,
            identity,
            next_number: 1,
            welcome,
        };
        let frame = client.next_frame().await?;
        let Answer::Welcome(welcome) = Answer::parse(&frame)? else {
            return Err("the first frame is no welcome".into());
        };
        client.welcome = welcome;
        Ok(client)
    }

    pub(crate) fn address(&self) -> Address {
        self.identity.public().address()
    }

    pub(crate) async fn send(&mut self, request: &Request<'_>) -> Result<()> {
        let mut record = vec![0; 18_000];
        let room = record.len() - HEAD_ROOM - TAIL_ROOM;
        let len = frame::append(&mut record[HEAD_ROOM..][..room], 0, |room| {
            request.emit(room)
        })?;
        self.send_plaintext(&mut record, len).await
    }

    /// Sends many requests, as many to a record as fit, in one write.
    pub(crate) async fn send_all(&mut self, requests: &[Request<'_>]) -> Result<()> {
        let mut out = Vec::new();
        let mut rest = requests.iter().peekable();
        while rest.peek().is_some() {
            let start = out.len();
            out.resize(start + HEAD_ROOM + 17_000 + TAIL_ROOM, 0);
            let record = &mut out[start..];
            let mut len = 0;
            while let Some(request) = rest.peek() {
                let room = &mut record[HEAD_ROOM..][..17_000];
                let Ok(longer) = frame::append(room, len, |room| request.emit(room)) else {
                    break;
                };
                len = longer;
                rest.next();
            }
            let sealed = self.sealer.seal(record, len)?;
            out.truncate(start + sealed);
        }
        self.stream.write_all(&out).await?;
        Ok(())
    }

    /// Seals and sends any plaintext: tests of bad input.
    pub(crate) async fn send_raw(&mut self, plaintext: &[u8]) -> Result<()> {
        let mut record = vec![0; HEAD_ROOM + plaintext.len() + TAIL_ROOM];
        record[HEAD_ROOM..][..plaintext.len()].copy_from_slice(plaintext);
        self.send_plaintext(&mut record, plaintext.len()).await
    }

    async fn send_plaintext(&mut self, record: &mut [u8], len: usize) -> Result<()> {
        let sealed = self.sealer.seal(record, len)?;
        self.stream.write_all(&record[..sealed]).await?;
        Ok(())
    }

    /// The next frame, whatever it is.
    pub(crate) async fn next_frame(&mut self) -> Result<Vec<u8>> {
        tokio::time::timeout(PATIENCE, self.read_frame()).await?
    }

    async fn read_frame(&mut self) -> Result<Vec<u8>> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Ok(frame);
            }
            if let Scan::Whole(len) = scan(&self.received, Bounds::records(&link_limits(1)))? {
                let record = &mut self.received[HEAD_ROOM..HEAD_ROOM + len];
                for frame in Frames::new(self.opener.open(record)?) {
                    self.frames.push_back(frame?.to_vec());
                }
                self.received.drain(..HEAD_ROOM + len);
                continue;
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err("the relay closed the connection".into());
            }
        }
    }

    /// The first frame that `wanted` takes; others are passed over.
    pub(crate) async fn wait<T>(
        &mut self,
        mut wanted: impl FnMut(&Answer<'_>) -> Option<T>,
    ) -> Result<T> {
        loop {
            let frame = self.next_frame().await?;
            if let Some(found) = wanted(&Answer::parse(&frame)?) {
                return Ok(found);
            }
        }
    }

    /// Waits for the relay to close; what it says before is passed over. A relay that is silent does
    /// not close.
    #[track_caller]
    pub(crate) fn wait_for_close(&mut self) -> impl Future<Output = ()> {
        let whose = std::panic::Location::caller();
        async move {
            let closed = async { while self.read_frame().await.is_ok() {} };
            let closed = tokio::time::timeout(PATIENCE, closed).await;
            assert!(closed.is_ok(), "the relay does not close: {whose}");
        }
    }

    pub(crate) fn number(&mut self) -> u16 {
        self.next_number += 1;
        self.next_number
    }

    /// Submits and waits for the relay's word.
    pub(crate) async fn submit(
        &mut self,
        to: Address,
        envelope: &[u8],
    ) -> Result<Result<(), Reason>> {
        self.send(&Request::Submit { to, envelope }).await?;
        self.submitted(EnvelopeId::of(envelope)).await
    }

    /// Waits for the relay's word on an envelope.
    pub(crate) async fn submitted(&mut self, of: EnvelopeId) -> Result<Result<(), Reason>> {
        self.wait(|answer| match answer {
            Answer::Accepted(id) if *id == of => Some(Ok(())),
            Answer::Rejected { id, reason, .. } if *id == of => Some(Err(*reason)),
            _ => None,
        })
        .await
    }

    /// The next delivery's sender and envelope; its ack is not sent.
    pub(crate) async fn delivery(&mut self) -> Result<(Address, Vec<u8>)> {
        self.wait(|answer| match answer {
            Answer::Deliver {
                sender, envelope, ..
            } => Some((*sender, envelope.to_vec())),
            _ => None,
        })
        .await
    }

    /// Waits for the answer to a numbered request that is done or failed.
    pub(crate) async fn done(&mut self, of: u16) -> Result<Result<(), Reason>> {
        self.wait(|answer| match answer {
            Answer::Done { number } if *number == of => Some(Ok(())),
            Answer::Failed { number, reason, .. } if *number == of => Some(Err(*reason)),
            _ => None,
        })
        .await
    }

    /// A round trip: everything asked before is answered, as far as it is answered at once.
    pub(crate) async fn ping(&mut self) -> Result<()> {
        let of = self.number();
        self.send(&Request::Ping { number: of }).await?;
        let pong = |answer: &Answer<'_>| matches!(answer, Answer::Pong { number } if *number == of);
        self.wait(|answer| pong(answer).then_some(())).await
    }

    /// A bundle as its owner signs it.
    pub(crate) fn bundle(&mut self, counter: u64) -> Vec<u8> {
        let public = *self.identity.public();
        let fields = BundleFields {
            identity: &public,
            counter,
            max_body: 1024,
            signed_prekey: (1, *identity(9_999).public().agreement()),
        };
        let mut bytes = [0; bundle::MAX_LEN];
        let sign = |digest: &[u8; 32]| self.identity.sign(&mut Software, digest, &[]);
        let len = fields.sign(&mut bytes, sign).expect("a bundle");
        bytes[..len].to_vec()
    }

    pub(crate) async fn publish(&mut self, bundle: &[u8]) -> Result<Result<(), Reason>> {
        let number = self.number();
        self.send(&Request::Publish { number, bundle }).await?;
        self.done(number).await
    }

    /// Publishes a first bundle, so that others may write.
    pub(crate) async fn register(&mut self) -> Result<()> {
        let bundle = self.bundle(1);
        self.publish(&bundle)
            .await?
            .map_err(|reason| reason.to_string().into())
    }

    /// Uploads one-time prekeys with ids from 1 to `count`.
    pub(crate) async fn upload(&mut self, count: u32) -> Result<()> {
        self.upload_ids(1..=count).await
    }

    pub(crate) async fn upload_ids(&mut self, ids: RangeInclusive<u32>) -> Result<()> {
        let mut list = Vec::with_capacity(ids.clone().count() * PREKEY_LEN);
        for id in ids {
            list.extend_from_slice(&id.to_be_bytes());
            list.extend_from_slice(identity(1).public().agreement().bytes());
        }
        let number = self.number();
        self.send(&Request::Prekeys {
            number,
            keys: Prekeys::new(&list)?,
        })
        .await?;
        self.done(number)
            .await?
            .map_err(|reason| reason.to_string().into())
    }

    /// Fetches a bundle: the one-time prekey's id, if one came.
    pub(crate) async fn fetch(&mut self, address: Address) -> Result<Result<Option<u32>, Reason>> {
        let of = self.number();
        self.send(&Request::Fetch {
            number: of,
            address,
        })
        .await?;
        self.wait(|answer| match answer {
            Answer::Bundle { number, prekey, .. } if *number == of => {
                Some(Ok(prekey.map(|(id, _)| id)))
            }
            Answer::Failed { number, reason, .. } if *number == of => Some(Err(*reason)),
            _ => None,
        })
        .await
    }
}
