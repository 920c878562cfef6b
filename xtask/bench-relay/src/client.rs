//! One client's connection.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result, bail, ensure};
use hushwire_core::crypto::{PublicKey, Software};
use hushwire_core::identity::{Address, IdentityKeys as _, SoftwareIdentity};
use hushwire_core::link::{FLIGHT_1_LEN, FLIGHT_3_LEN, HEAD_ROOM, Initiator, MESSAGE_2_LEN};
use hushwire_core::wire::answer::Answer;
use hushwire_core::wire::bundle::{self, BundleFields};
use hushwire_core::wire::request::Request;
use rand_core::UnwrapErr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::wire::{In, Open, Out, Seal, limits};

/// What a relay is reached by.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    address: SocketAddr,
    key: PublicKey,
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let rest = url.trim().strip_prefix("hush://").context("no URL")?;
        let (address, key) = rest.split_once("/#").context("no key in the URL")?;
        let mut bytes = [0; 33];
        hex::decode_to_slice(key, &mut bytes)?;
        Ok(Self {
            address: address.parse()?,
            key: PublicKey::parse(&mut Software, &bytes)?,
        })
    }
}

/// The identity with this number.
pub(crate) fn identity(number: u32) -> Result<SoftwareIdentity> {
    let mut seed = [0x5e; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    Ok(SoftwareIdentity::from_seed(&mut Software, &seed)?)
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) input: In,
    pub(crate) output: Out,
    pub(crate) address: Address,
}

impl Client {
    /// Shakes hands; the welcome is not awaited.
    pub(crate) async fn connect(target: &Target, number: u32, window: u16) -> Result<Self> {
        let mut identity = identity(number)?;
        let mut stream = dial(target.address, number).await?;
        let mut first = [0; FLIGHT_1_LEN];
        let rng = &mut UnwrapErr(getrandom::SysRng);
        let sent = Initiator::new(target.key, limits(window)?).write_message_1(
            &mut Software,
            rng,
            &mut first,
        )?;
        stream.write_all(&first).await?;
        let mut second = [0; HEAD_ROOM + MESSAGE_2_LEN];
        stream.read_exact(&mut second).await?;
        let mut third = [0; FLIGHT_3_LEN];
        let transport = sent
            .read_message_2(&mut Software, &second[HEAD_ROOM..])?
            .write_message_3(&mut Software, &mut identity, &mut third)?;
        stream.write_all(&third).await?;
        let (sealer, opener) = transport.split_with();
        Ok(Self {
            stream,
            input: In::new(Open::Link(Box::new(opener)))?,
            output: Out::new(Seal::Link(Box::new(sealer))),
            address: identity.public().address(),
        })
    }

    /// Connects to the forwarder as an end of a pair.
    pub(crate) async fn plain(to: SocketAddr, pair: u32) -> Result<Self> {
        let mut stream = dial(to, 0).await?;
        stream.write_all(&pair.to_be_bytes()).await?;
        Ok(Self {
            stream,
            input: In::new(Open::Plain)?,
            output: Out::new(Seal::Plain),
            address: Address::ZERO,
        })
    }

    /// Publishes a first bundle, so that others may write, and waits for the relay's word.
    pub(crate) async fn register(&mut self, number: u32) -> Result<()> {
        let mut identity = identity(number)?;
        let public = *identity.public();
        let fields = BundleFields {
            identity: &public,
            counter: 1,
            max_body: 1024,
            signed_prekey: (1, *public.agreement()),
        };
        let mut bytes = [0; bundle::MAX_LEN];
        let len = fields
            .sign(&mut bytes, |digest: &[u8; 32]| {
                identity.sign(&mut Software, digest, &[])
            })
            .ok()
            .context("no bundle")?;
        let bundle = bytes.get(..len).context("no bundle")?;
        self.output.push(&Request::Publish { number: 1, bundle })?;
        self.flush().await?;
        let mut done = None;
        while done.is_none() {
            self.read().await?;
            self.input.frames(|frame| {
                match Answer::parse(frame)? {
                    Answer::Done { .. } => done = Some(Ok(())),
                    Answer::Failed { reason, .. } => done = Some(Err(reason)),
                    _ => {}
                }
                Ok(())
            })?;
        }
        if let Some(Err(reason)) = done {
            bail!("the relay does not register: {reason}");
        }
        Ok(())
    }

    /// Reads at least one byte.
    pub(crate) async fn read(&mut self) -> Result<()> {
        let count = self.stream.read_buf(&mut self.input.received).await?;
        ensure!(count > 0, "the connection was closed");
        Ok(())
    }

    /// Writes what was pushed.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        Ok(self.stream.write_all(self.output.take()?).await?)
    }
}

/// One loopback address has about 28,000 ports for one destination.
async fn dial(to: SocketAddr, number: u32) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let block = u8::try_from(number / 20_000 % 200)?;
    socket.bind((IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1 + block)), 0).into())?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
