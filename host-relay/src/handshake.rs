//! A stranger becomes a client: the preamble and three messages, each of one length only.

use std::io;

use hushwire_core::crypto::{PublicKey, Software};
use hushwire_core::identity::Address;
use hushwire_core::link::{
    Bounds, FLIGHT_2_LEN, HEAD_ROOM, HandshakeError, LinkLimits, MESSAGE_1_LEN, MESSAGE_3_LEN,
    OpenError, PREAMBLE_LEN, PreambleError, ReceivedMessage1, RecordError, Responder, SealError,
    Transport, scan,
};
use hushwire_core::wire::WireError;
use rand_core::UnwrapErr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::key::RelayKey;
use crate::rotation::unix_now_s;
use crate::socket::Socket;

/// Why a connection ended by the peer's fault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the network failed: {0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Preamble(#[from] PreambleError),
    #[error("{0}")]
    Handshake(#[from] HandshakeError),
    #[error("{0}")]
    Record(#[from] RecordError),
    #[error("{0}")]
    Open(#[from] OpenError),
    #[error("{0}")]
    Frame(#[from] WireError),
    #[error("{0}")]
    Seal(#[from] SealError),
    #[error("it was silent or slow for too long")]
    Slow,
}

/// A stranger that became a client.
pub(crate) struct Shaken {
    pub(crate) transport: Transport,
    pub(crate) address: Address,
    /// The relay's present key, where the client pins one that the relay had before.
    pub(crate) new_key: Option<PublicKey>,
}

/// `own` is what the relay takes, as every handshake says.
pub(crate) async fn shake_hands(
    stream: &mut impl Socket,
    key: &RelayKey,
    own: LinkLimits,
) -> Result<Shaken, Fault> {
    let mut preamble = [0; PREAMBLE_LEN];
    stream.read_exact(&mut preamble).await?;
    Responder::greet(&preamble)?;

    let message: [u8; MESSAGE_1_LEN] = read_message(stream).await?;
    let (received, meant) = read_message_1(&preamble, key, &message)?;
    let new_key = (meant != key.current()).then_some(*key.current());
    let mut flight = [0; FLIGHT_2_LEN];
    let rng = &mut UnwrapErr(getrandom::SysRng);
    let sent = received.write_message_2(&mut Software, rng, own, &mut flight)?;
    stream.write_all(&flight).await?;
    stream.flush().await?;

    let message: [u8; MESSAGE_3_LEN] = read_message(stream).await?;
    let (transport, identity) = sent.read_message_3(&mut Software, &message)?;
    Ok(Shaken {
        transport,
        address: identity.address(),
        new_key,
    })
}

/// Noise XK's first message does not say which static key the client means: its tag verifies under
/// that one alone. PROTOCOL 3.9
fn read_message_1<'a>(
    preamble: &[u8; PREAMBLE_LEN],
    key: &'a RelayKey,
    message: &[u8; MESSAGE_1_LEN],
) -> Result<(ReceivedMessage1, &'a PublicKey), Fault> {
    let mut refused = HandshakeError::Refused;
    for own in key.links(unix_now_s()) {
        let responder = Responder::greet(preamble)?;
        match responder.read_message_1(&mut Software, own, message) {
            Ok(received) => return Ok((received, own.public())),
            Err(error) => refused = error,
        }
        // Anything but a tag of another key is the client's fault under every key.
        if refused != HandshakeError::Refused {
            break;
        }
    }
    Err(refused.into())
}

async fn read_message<const LEN: usize>(stream: &mut impl Socket) -> Result<[u8; LEN], Fault> {
    let mut head = [0; HEAD_ROOM];
    stream.read_exact(&mut head).await?;
    scan(&head, Bounds::exactly(LEN))?;
    let mut message = [0; LEN];
    stream.read_exact(&mut message).await?;
    Ok(message)
}
