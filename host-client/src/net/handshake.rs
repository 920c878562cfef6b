//! Noise XK over a stream, as the client.

use std::io::ErrorKind;

use hushwire_core::{
    crypto::Software,
    identity::SoftwareIdentity,
    limits::{MAX_ENVELOPE, MAX_WINDOW},
    link::{
        FLIGHT_1_LEN, FLIGHT_2_LEN, FLIGHT_3_LEN, HEAD_ROOM, Initiator, LinkLimits, MESSAGE_2_LEN,
        Transport,
    },
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{dial::Stream, error::Failure};
use crate::{card::RelayUrl, vault::OsRng, words::Seed};

/// Bytes of the largest record that this side takes, ciphertext and tag.
pub(super) const MAX_RECORD: u16 = 32_768;
/// Bytes of the largest frame: an envelope in its delivery, rounded up.
pub(crate) const MAX_FRAME: usize = MAX_ENVELOPE + 64;

/// Proves both keys to each other.
pub(super) async fn run(
    stream: &mut Stream,
    url: &RelayUrl,
    seed: &Seed,
) -> Result<Transport, Failure> {
    let limits = LinkLimits::new(MAX_RECORD, MAX_FRAME as u16, MAX_WINDOW as u16);
    let limits = limits.map_err(|error| Failure::Lost(error.to_string()))?;
    let (p256, rng) = (&mut Software, &mut OsRng::default());
    let mut identity = SoftwareIdentity::from_seed(p256, seed)
        .map_err(|error| Failure::Lost(error.to_string()))?;

    let mut first = [0; FLIGHT_1_LEN];
    let sent = Initiator::new(url.key, limits).write_message_1(p256, rng, &mut first)?;
    stream.write_all(&first).await?;
    stream.flush().await?;

    let mut second = [0; FLIGHT_2_LEN];
    stream.read_exact(&mut second).await.map_err(no_answer)?;
    let (length, message) = second.split_at(HEAD_ROOM);
    if length != u16::try_from(MESSAGE_2_LEN).unwrap_or(0).to_be_bytes() {
        return Err(Failure::Key("it answers with something else".into()));
    }
    let received = sent.read_message_2(p256, message)?;

    let mut third = [0; FLIGHT_3_LEN];
    let transport = received.write_message_3(p256, &mut identity, &mut third)?;
    stream.write_all(&third).await?;
    stream.flush().await?;
    Ok(transport)
}

/// A relay that cannot read the first message hangs up without a word.
fn no_answer(error: std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => {
            Failure::Key("it hung up during the handshake".into())
        }
        _ => error.into(),
    }
}
