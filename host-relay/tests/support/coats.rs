//! Certificates, and bridges by which the plain client goes through a WebSocket or TLS.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::support::{Result, Target};

/// A certificate for this machine, as two files.
pub(crate) struct Pair {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    pem: String,
}

impl Pair {
    pub(crate) fn make(folder: &Path, name: &str) -> Self {
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        let signing_key: KeyPair = signing_key;
        let path = |end: &str| folder.join(format!("tls-{name}.{end}"));
        let pair = Self {
            cert: path("pem"),
            key: path("key"),
            pem: cert.pem(),
        };
        std::fs::write(&pair.cert, &pair.pem).unwrap();
        std::fs::write(&pair.key, signing_key.serialize_pem()).unwrap();
        pair
    }

    /// A connection in TLS that trusts this certificate alone.
    pub(crate) async fn connect(&self, to: SocketAddr, web: bool) -> Result<TlsStream<TcpStream>> {
        self.secure(TcpStream::connect(to).await?, web).await
    }

    /// The same over a connection that is there.
    pub(crate) async fn secure(
        &self,
        stream: TcpStream,
        web: bool,
    ) -> Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes())?)?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = config.with_no_client_auth();
        if web {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
        }
        let name = ServerName::try_from("localhost")?;
        Ok(TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await?)
    }
}

/// What is between a bridge and the relay.
#[derive(Clone, Copy)]
pub(crate) enum Way<'a> {
    Ws,
    Tls(&'a Pair),
    Wss(&'a Pair),
}

/// Makes one connection to the relay's listener at `to`, and a port that leads there once.
pub(crate) async fn bridge(way: Way<'_>, to: SocketAddr, target: &Target) -> Result<Target> {
    match way {
        Way::Ws => {
            let stream = TcpStream::connect(to).await?;
            lead(
                hushwire_websocket::connect(stream, "localhost:80").await?,
                target,
            )
            .await
        }
        Way::Tls(pair) => lead(pair.connect(to, false).await?, target).await,
        Way::Wss(pair) => {
            let stream = pair.connect(to, true).await?;
            lead(
                hushwire_websocket::connect(stream, "localhost:443").await?,
                target,
            )
            .await
        }
    }
}

async fn lead<S>(mut far: S, target: &Target) -> Result<Target>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        if let Ok((mut near, _)) = listener.accept().await {
            // It ends when one of both does.
            let _ = copy_bidirectional(&mut near, &mut far).await;
        }
    });
    Ok(Target {
        address,
        key: target.key,
    })
}
