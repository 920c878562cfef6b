//! TLS around the link: a coat for networks that let nothing else through. Nothing is trusted for
//! it: clients pin the link's key, which is proved inside.

use std::fs;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, InconsistentKeys, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use crate::allowance::Metered;

/// Bytes that a session keeps of what the network does not take. Whatever waits beyond it waits outside, where
/// it is counted.
const UNSENT: usize = 8 * 1024;

/// Why TLS cannot be offered. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("the file {0} of --tls-cert or --tls-key cannot be read: {1}")]
    Io(PathBuf, io::Error),
    /// No certificate in it, or a broken one.
    #[error("{0} holds no certificate in PEM form (--tls-cert; the chain, the relay's own first)")]
    NoCertificate(PathBuf),
    /// No key in it, or a broken one.
    #[error("{0} holds no private key in PEM form (--tls-key)")]
    NoKey(PathBuf),
    /// Two files of different pairs.
    #[error("the private key {1} does not belong to the certificate {0}; renew both together")]
    Mismatch(PathBuf, PathBuf),
    /// What the library says.
    #[error("the certificate {0} cannot be used: {1}")]
    Unusable(PathBuf, Error),
}

/// A certificate that may be exchanged while the relay runs.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
}

#[derive(Debug)]
struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    /// Read at each handshake, written at a reload; held for a copy of the pointer only.
    current: RwLock<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current))
    }
}

impl Tls {
    /// Reads the certificate's chain and its key, both PEM.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(chain: &Path, key: &Path) -> Result<Self, TlsError> {
        let certificate = Arc::new(Certificate {
            chain: chain.into(),
            key: key.into(),
            current: RwLock::new(read(chain, key)?),
        });
        let unusable = |error| TlsError::Unusable(chain.into(), error);
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth();
        let resolver: Arc<Certificate> = Arc::clone(&certificate);
        let mut config = config.with_cert_resolver(resolver);
        // A client that offers nothing gets nothing: it means the link without a WebSocket.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Links last for days: resumption would save little and make clients recognisable.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate,
        })
    }

    /// Reads the files again. Connections that are there stay; where the files are wrong the old
    /// certificate stays as well.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn reload(&self) -> Result<(), TlsError> {
        let Certificate {
            chain,
            key,
            current,
        } = &*self.certificate;
        let fresh = read(chain, key)?;
        *current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    pub(crate) fn accept(
        &self,
        stream: Metered<TcpStream>,
    ) -> impl Future<Output = io::Result<TlsStream<Metered<TcpStream>>>> + use<> {
        let accepting: Accept<Metered<TcpStream>> = self.acceptor.accept_with(stream, |session| {
            session.set_buffer_limit(Some(UNSENT));
        });
        accepting
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn read(chain_file: &Path, key_file: &Path) -> Result<Arc<CertifiedKey>, TlsError> {
    let open = |path: &Path| fs::read(path).map_err(|error| TlsError::Io(path.into(), error));
    let (chain, key) = (open(chain_file)?, open(key_file)?);
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&chain).collect();
    let chain = chain.unwrap_or_default();
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(chain_file.into()));
    }
    let key = PrivateKeyDer::from_pem_slice(&key);
    let key = key.map_err(|_| TlsError::NoKey(key_file.into()))?;
    let pair = CertifiedKey::from_der(chain, key, &provider());
    pair.map(Arc::new).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            TlsError::Mismatch(chain_file.into(), key_file.into())
        }
        error => TlsError::Unusable(chain_file.into(), error),
    })
}
