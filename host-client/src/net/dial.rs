//! From a relay's URL to a stream of bytes: TCP, and what is around the link on the way.
//! PROTOCOL 3.8

#[cfg(feature = "tls")]
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::error::Failure;
#[cfg(feature = "tls")]
use super::tls::Trust;
use crate::card::{RelayUrl, Way};

/// An ordered stream of bytes, whatever is under it.
pub(super) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Bytes for S {}

pub(super) type Stream = Box<dyn Bytes>;

/// How relays are reached.
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    #[cfg(feature = "tls")]
    pub(crate) trust: Arc<Trust>,
}

impl Dialer {
    /// Certificates are those of the web.
    pub(crate) fn new() -> Self {
        Self {
            #[cfg(feature = "tls")]
            trust: Arc::new(Trust::web()),
        }
    }

    /// A connection to one of the URL's places, ready for the link's first byte.
    pub(super) async fn dial(&self, url: &RelayUrl, authority: &str) -> Result<Stream, Failure> {
        if !url.way.is_built_in() {
            let scheme = url.way.scheme();
            return Err(Failure::Connect(format!(
                "this build of hushwire cannot speak {scheme}"
            )));
        }
        let unreachable = |error: std::io::Error| Failure::Connect(error.to_string());
        let stream = TcpStream::connect(authority).await.map_err(unreachable)?;
        // Frames are small and wait for answers; a failure only makes them slower.
        let _ = stream.set_nodelay(true);
        match url.way {
            Way::Tcp => Ok(Box::new(stream)),
            #[cfg(feature = "websocket")]
            Way::WebSocket => upgrade(stream, authority).await,
            #[cfg(feature = "tls")]
            Way::Tls => {
                let stream = self.trust.connect(stream, authority, false).await?;
                Ok(Box::new(stream))
            }
            #[cfg(all(feature = "websocket", feature = "tls"))]
            Way::WebSocketInTls => {
                let stream = self.trust.connect(stream, authority, true).await?;
                upgrade(stream, authority).await
            }
            #[cfg(not(all(feature = "websocket", feature = "tls")))]
            _ => Err(Failure::Connect("this build cannot speak it".into())),
        }
    }
}

#[cfg(feature = "websocket")]
async fn upgrade(stream: impl Bytes + 'static, authority: &str) -> Result<Stream, Failure> {
    match hushwire_websocket::connect(stream, authority).await {
        Ok(bytes) => Ok(Box::new(bytes)),
        Err(error) => Err(Failure::Connect(error.to_string())),
    }
}
