//! HTTP's part: who may open a WebSocket, and for what.

use std::fmt;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue, StatusCode};
use tokio_tungstenite::{accept_hdr_async_with_config, client_async_with_config};

use crate::stream::config;
use crate::{ByteStream, PATH, SUBPROTOCOL};

/// Why a stranger got no WebSocket.
#[derive(Debug)]
pub struct AcceptError(Error);

/// Why a server gave no WebSocket.
#[derive(Debug)]
pub struct ConnectError(Error);

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no WebSocket: {}", self.0)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Error::Http(answer) => {
                let status = answer.status();
                write!(f, "it gives no WebSocket at {PATH} (HTTP {status})")
            }
            Error::Io(error) => error.fmt(f),
            other => write!(f, "it does not speak WebSocket as it should: {other}"),
        }
    }
}

impl std::error::Error for AcceptError {}
impl std::error::Error for ConnectError {}

impl ConnectError {
    /// Whether the connection ended before there was an answer.
    #[must_use]
    pub const fn is_io(&self) -> bool {
        matches!(self.0, Error::Io(_))
    }
}

/// Answers a client's request for a WebSocket. Whoever calls bounds the time, and may bound what `stream` gives; the
/// request's size is bounded here, to 64 KiB.
///
/// # Errors
/// [`AcceptError`]: another path (answered with 404), without the subprotocol (400), or no request
/// for a WebSocket at all.
pub async fn accept<S>(stream: S) -> Result<ByteStream<S>, AcceptError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // The refusal is a whole HTTP response, as the callback's type has it.
    #[allow(clippy::result_large_err, reason = "the type is the library's")]
    let check = |request: &Request, mut response: Response| {
        if request.uri().path() != PATH {
            return Err(refusal(StatusCode::NOT_FOUND));
        }
        if !offers(request.headers()) {
            return Err(refusal(StatusCode::BAD_REQUEST));
        }
        let name = HeaderValue::from_static(SUBPROTOCOL);
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
        Ok(response)
    };
    accept_hdr_async_with_config(stream, check, Some(config()))
        .await
        .map(ByteStream::new)
        .map_err(AcceptError)
}

fn offers(headers: &HeaderMap) -> bool {
    let offers = headers.get_all(SEC_WEBSOCKET_PROTOCOL).into_iter();
    let mut names = offers
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    names.any(|name| name.trim() == SUBPROTOCOL)
}

fn refusal(status: StatusCode) -> ErrorResponse {
    let mut response = ErrorResponse::new(None);
    *response.status_mut() = status;
    response
}

/// Asks the server at the other end of `stream` for a WebSocket. `authority` is its `host:port`.
///
/// # Errors
/// [`ConnectError`].
pub async fn connect<S>(stream: S, authority: &str) -> Result<ByteStream<S>, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // The scheme is not sent: TLS, if there is any, is around the stream.
    let mut request = format!("ws://{authority}{PATH}")
        .into_client_request()
        .map_err(ConnectError)?;
    let name = HeaderValue::from_static(SUBPROTOCOL);
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
    let (socket, _) = client_async_with_config(request, stream, Some(config()))
        .await
        .map_err(ConnectError)?;
    Ok(ByteStream::new(socket))
}
