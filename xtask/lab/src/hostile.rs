//! A relay that means harm: it holds the key that the device has pinned, and sends what no honest
//! relay would.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use hushwire_core::crypto::{KeyPair, PublicKey, Software};
use hushwire_core::identity::Address;
use hushwire_core::link::{
    FLIGHT_1_LEN, FLIGHT_2_LEN, FLIGHT_3_LEN, HEAD_ROOM, LinkLimits, MESSAGE_2_LEN, Opener,
    PREAMBLE_LEN, Responder, Sealer, TAIL_ROOM,
};
use hushwire_core::wire::answer::{Answer, Welcome};
use hushwire_core::wire::frame::Frames;
use hushwire_core::wire::request::Request;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// Ways of doing harm; each connection takes the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spite {
    /// Noise instead of a handshake.
    Noise,
    /// A handshake whose second message is forged.
    ForgedHandshake,
    /// Records that nobody sealed, after a good handshake.
    ForgedRecords,
    /// Record lengths that nobody may use.
    Lengths,
    /// Sealed records whose frames are cut off, too long, or of no known kind.
    BrokenFrames,
    /// Well-formed frames, thousands of them: deliveries that no one sealed, answers to questions
    /// that were never asked, notices without sense.
    Flood,
    /// Silence, and a connection that is cut in the middle of a record.
    CutOff,
}

/// Bytes that a message, and a first one, is longer than its bucket (PROTOCOL 5.1).
const MESSAGE_OVERHEAD: usize = 127;
const START_OVERHEAD: usize = 252;

/// All of them, the flood most often: it is the one that a link survives.
const PROGRAMME: [Spite; 10] = [
    Spite::Flood,
    Spite::Noise,
    Spite::Flood,
    Spite::ForgedHandshake,
    Spite::ForgedRecords,
    Spite::Flood,
    Spite::Lengths,
    Spite::BrokenFrames,
    Spite::Flood,
    Spite::CutOff,
];

/// A hostile relay that runs until it is dropped.
#[derive(Debug)]
pub struct HostileRelay {
    address: SocketAddr,
    key: PublicKey,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What a hostile relay has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Harmed {
    /// Frames that were sent.
    pub frames: u64,
    /// Connections that were taken.
    pub connections: u64,
    /// Deliveries that the device has read, tried and refused: it did get what was sent.
    pub refusals: u64,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    frames: AtomicU64,
    connections: AtomicU64,
    refusals: AtomicU64,
    contacts: Mutex<Vec<Address>>,
}

impl HostileRelay {
    /// Listens on any free port of loopback. A flood ends after `frames_each` frames.
    ///
    /// # Errors
    /// No free port.
    pub fn start(seed: u64, frames_each: u64) -> Result<Self> {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let key = KeyPair::generate(&mut Software, &mut rng)
            .map_err(|error| anyhow!("no relay key: {error:?}"))?;
        let public = *key.public();
        let listener = TcpListener::bind("127.0.0.1:0").context("no port on loopback")?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared::default());
        let worker = shared.clone();
        let thread = std::thread::spawn(move || {
            let mut harm = Harm {
                key,
                rng,
                frames_each,
                shared: worker,
            };
            let mut programme = PROGRAMME.iter().cycle();
            while !harm.stopped() {
                match listener.accept() {
                    Ok((stream, _)) => {
                        harm.shared.connections.fetch_add(1, Ordering::Relaxed);
                        let spite = programme.next().copied().unwrap_or(Spite::Noise);
                        // The device hangs up on most of them: that is its right.
                        let _ = harm.done_to(stream, spite);
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        Ok(Self {
            address,
            key: public,
            shared,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The key that the device is to pin, as it stands in a URL.
    #[must_use]
    pub fn key(&self) -> String {
        self.key
            .bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Names senders whom the device knows: forged deliveries are hinted at them, too.
    pub fn impersonate(&self, who: Address) {
        let mut contacts = self
            .shared
            .contacts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        contacts.push(who);
    }

    /// What was done so far.
    #[must_use]
    pub fn tale(&self) -> Harmed {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Harmed {
            frames: count(&self.shared.frames),
            connections: count(&self.shared.connections),
            refusals: count(&self.shared.refusals),
        }
    }
}

impl Drop for HostileRelay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic in there shows as frames that are never sent.
            let _ = thread.join();
        }
    }
}

struct Harm {
    key: KeyPair,
    rng: ChaCha20Rng,
    frames_each: u64,
    shared: Arc<Shared>,
}

impl Harm {
    fn stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }

    fn below(&mut self, end: usize) -> usize {
        self.rng.next_u32() as usize % end.max(1)
    }

    fn noise(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    fn counted(&self, frames: u64) {
        self.shared.frames.fetch_add(frames, Ordering::Relaxed);
    }

    fn done_to(&mut self, mut stream: TcpStream, spite: Spite) -> Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.set_write_timeout(Some(Duration::from_secs(20)))?;
        stream.set_nodelay(true)?;
        if spite == Spite::Noise {
            let len = self.below(4000);
            let noise = self.noise(len);
            stream.write_all(&noise)?;
            self.counted(1);
            return Ok(());
        }
        let mut first = [0; FLIGHT_1_LEN];
        stream.read_exact(&mut first)?;
        let (preamble, message) = first.split_at(PREAMBLE_LEN);
        let fault = |error: &dyn std::fmt::Debug| anyhow!("the device's handshake: {error:?}");
        let greeted = Responder::greet(preamble.try_into()?).map_err(|error| fault(&error))?;
        let mut second = [0; FLIGHT_2_LEN];
        let limits = LinkLimits::new(u16::MAX, 17_000, 64).map_err(|error| fault(&error))?;
        let sent = greeted
            .read_message_1(&mut Software, &self.key, &message[HEAD_ROOM..])
            .map_err(|error| fault(&error))?
            .write_message_2(&mut Software, &mut self.rng, limits, &mut second)
            .map_err(|error| fault(&error))?;
        if spite == Spite::ForgedHandshake {
            let at = HEAD_ROOM + self.below(MESSAGE_2_LEN);
            second[at] ^= 1 << self.below(8);
            stream.write_all(&second)?;
            self.counted(1);
            return Ok(());
        }
        stream.write_all(&second)?;
        let mut third = [0; FLIGHT_3_LEN];
        stream.read_exact(&mut third)?;
        let (transport, _) = sent
            .read_message_3(&mut Software, &third[HEAD_ROOM..])
            .map_err(|error| fault(&error))?;
        let max_frame = usize::from(transport.peer_limits().max_frame());
        let (sealer, opener) = transport.split();
        let mut link = Link {
            stream,
            sealer,
            max_frame,
        };
        self.after_handshake(&mut link, opener, spite)
    }

    fn after_handshake(&mut self, link: &mut Link, opener: Opener, spite: Spite) -> Result<()> {
        match spite {
            Spite::Noise | Spite::ForgedHandshake => Ok(()),
            Spite::ForgedRecords => {
                let len = 20 + self.below(1000);
                let mut record = self.noise(len);
                record[..2].copy_from_slice(&((len - 2) as u16).to_be_bytes());
                self.counted(1);
                Ok(link.stream.write_all(&record)?)
            }
            Spite::Lengths => {
                let length = [0, 1, 18, 0xffff][self.below(4)];
                let mut bytes = u16::to_be_bytes(length).to_vec();
                bytes.extend(self.noise(3000));
                self.counted(1);
                Ok(link.stream.write_all(&bytes)?)
            }
            Spite::BrokenFrames => {
                let mut record = Vec::new();
                push(&mut record, &self.broken_frame());
                if self.below(2) == 0 {
                    // A frame that says that it is longer than what is there.
                    record[0] ^= 0x80;
                }
                self.counted(1);
                link.send(&record)
            }
            Spite::CutOff => {
                link.stream.write_all(&[0x04, 0x00, 0x55])?;
                self.counted(1);
                Ok(())
            }
            Spite::Flood => self.flood(link, opener),
        }
    }

    fn broken_frame(&mut self) -> Vec<u8> {
        let len = 1 + self.below(80);
        let mut frame = self.noise(len);
        if self.below(2) == 0 {
            frame[0] = 0x81 + self.below(11) as u8;
        }
        frame
    }

    /// Records filled with frames that parse, until the device hangs up or it is enough.
    fn flood(&mut self, link: &mut Link, opener: Opener) -> Result<()> {
        let mut sent = 0;
        // The device answers deliveries; somebody has to take the answers off the wire.
        let answers = link.stream.try_clone()?;
        let shared = self.shared.clone();
        let drain = std::thread::spawn(move || count_refusals(answers, opener, &shared.refusals));
        while sent < self.frames_each && !self.stopped() {
            let mut record = Vec::new();
            let mut frames = 0;
            if sent == 0 {
                // Whatever comes before the welcome ends the link. PROTOCOL 3.6
                push(&mut record, &self.welcome());
                frames = 1;
            }
            loop {
                let frame = self.frame(link.max_frame);
                if record.len() + 2 + frame.len() > link.sealer.max_plaintext() {
                    break;
                }
                push(&mut record, &frame);
                frames += 1;
            }
            if frames == 0 {
                continue;
            }
            if link.send(&record).is_err() {
                break;
            }
            sent += frames;
            self.counted(frames);
        }
        // The device reads to the end, and hangs up then.
        let _ = link.stream.shutdown(std::net::Shutdown::Write);
        let _ = drain.join();
        Ok(())
    }

    /// A frame that parses and means nothing.
    fn frame(&mut self, max: usize) -> Vec<u8> {
        let mut frame = match self.below(8) {
            0 => self.welcome(),
            1 => [&[0x81][..], &self.noise(16)].concat(),
            2 => [
                &[0x82][..],
                &self.noise(16),
                &[1 + self.below(4) as u8],
                &[0; 4],
            ]
            .concat(),
            3 => {
                let kind = [1, 2, 3, 5, 6, 7][self.below(6)];
                [&[0x84, kind][..], &self.sender().0, &self.noise(4)].concat()
            }
            4 => [&[0x87][..], &self.noise(2)].concat(),
            5 => [&[0x8a][..], &self.noise(2)].concat(),
            _ => self.delivery(),
        };
        frame.truncate(max);
        frame
    }

    fn welcome(&mut self) -> Vec<u8> {
        let mut frame = vec![0; 64];
        let welcome = Answer::Welcome(Welcome {
            epoch: self.rng.next_u64(),
            next_sequence: self.rng.next_u64(),
            unix_seconds: self.rng.next_u64(),
            waiting: self.rng.next_u32(),
            prekeys: self.rng.next_u32() as u16,
            bundle_counter: self.rng.next_u64(),
        });
        let len = welcome.emit(&mut frame).unwrap_or(0);
        frame.truncate(len);
        frame
    }

    /// Somebody whom the device knows, or nobody.
    fn sender(&mut self) -> Address {
        let contacts = self
            .shared
            .contacts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match self.below(2) {
            0 if !contacts.is_empty() => contacts[self.below(contacts.len())],
            _ => {
                let mut address = Address::ZERO;
                self.rng.fill_bytes(&mut address.0);
                address
            }
        }
    }

    /// A delivery of an envelope that nobody sealed: of each kind, of each length.
    fn delivery(&mut self) -> Vec<u8> {
        // Lengths that a bucket gives come as far as the trial of keys; the rest ends in the parser.
        let len = match self.below(4) {
            0 => 1 + self.below(400),
            1 => MESSAGE_OVERHEAD + 32,
            2 => MESSAGE_OVERHEAD + 128,
            _ => START_OVERHEAD + 64,
        };
        let mut envelope = self.noise(len);
        // Version, suite and kind as they must be, as often as not.
        for (at, value) in [0x01, 0x01, 1 + self.below(3) as u8]
            .into_iter()
            .enumerate()
        {
            if at < envelope.len() && self.below(4) > 0 {
                envelope[at] = value;
            }
        }
        let sender = self.sender();
        [&[0x83][..], &self.noise(16), &sender.0, &envelope].concat()
    }
}

/// Reads the device's records until it hangs up.
fn count_refusals(mut stream: TcpStream, mut opener: Opener, refusals: &AtomicU64) {
    let mut head = [0; HEAD_ROOM];
    while stream.read_exact(&mut head).is_ok() {
        let mut record = vec![0; usize::from(u16::from_be_bytes(head))];
        if stream.read_exact(&mut record).is_err() {
            return;
        }
        let Ok(frames) = opener.open(&mut record) else {
            return;
        };
        let is_refusal = |frame: &&[u8]| matches!(Request::parse(frame), Ok(Request::Refuse(_)));
        let count = Frames::new(frames).flatten().filter(is_refusal).count();
        refusals.fetch_add(count as u64, Ordering::Relaxed);
    }
}

struct Link {
    stream: TcpStream,
    sealer: Sealer,
    max_frame: usize,
}

impl Link {
    fn send(&mut self, plaintext: &[u8]) -> Result<()> {
        let mut record = vec![0; HEAD_ROOM + plaintext.len() + TAIL_ROOM];
        record[HEAD_ROOM..][..plaintext.len()].copy_from_slice(plaintext);
        let len = self
            .sealer
            .seal(&mut record, plaintext.len())
            .map_err(|error| anyhow!("{error:?}"))?;
        Ok(self.stream.write_all(&record[..len])?)
    }
}

fn push(record: &mut Vec<u8>, frame: &[u8]) {
    record.extend((frame.len() as u16).to_be_bytes());
    record.extend(frame);
}
