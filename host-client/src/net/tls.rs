//! TLS to a relay. It opens ways and proves nothing: the link inside proves the relay's key.

use std::{io, sync::Arc};

use tokio::{io::AsyncRead, io::AsyncWrite};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        CertificateError, ClientConfig, Error as TlsError, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};

use super::error::Failure;

/// Whose certificates hold.
#[derive(Debug)]
pub(crate) struct Trust(RootCertStore);

/// Why a file of certificates is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file of --tls-ca holds no certificate in PEM form")]
pub struct NoCertificates;

impl NoCertificates {
    /// Whether `pem` has certificates that a client can trust, before anything is done with them.
    ///
    /// # Errors
    /// Itself, where it has none.
    pub fn check(pem: &[u8]) -> Result<(), Self> {
        Trust::only(pem).map(drop)
    }
}

impl Trust {
    /// The authorities of the web, as Mozilla lists them.
    pub(crate) fn web() -> Self {
        let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned();
        Self(RootCertStore::from_iter(roots))
    }

    /// These certificates alone, PEM.
    pub(crate) fn only(pem: &[u8]) -> Result<Self, NoCertificates> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| NoCertificates)?;
            roots.add(certificate).map_err(|_| NoCertificates)?;
        }
        match roots.is_empty() {
            true => Err(NoCertificates),
            false => Ok(Self(roots)),
        }
    }

    /// TLS with the server at the other end, which must be the authority's host. `web` for what
    /// carries HTTP.
    pub(super) async fn connect<S>(
        &self,
        stream: S,
        authority: &str,
        web: bool,
    ) -> Result<TlsStream<S>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let host = authority
            .rsplit_once(':')
            .map_or(authority, |(host, _)| host);
        let host = host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host)
            .map_err(|_| Failure::Certificate("no certificate can be for this host".into()))?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Failure::Connect(error.to_string()))?
            .with_root_certificates(self.0.clone());
        let mut config = config.with_no_client_auth();
        if web {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
        }
        let connected = TlsConnector::from(Arc::new(config)).connect(name, stream);
        connected.await.map_err(|error| failure(&error))
    }
}

/// A certificate that does not hold is told apart from a network that fails.
fn failure(error: &io::Error) -> Failure {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    let Some(TlsError::InvalidCertificate(fault)) = inner else {
        return Failure::Connect(format!("no TLS: {error}"));
    };
    Failure::Certificate(match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired: its operator has to renew it, or this machine's clock is wrong".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet: this machine's clock may be wrong".into()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another host than the URL's: ask the relay's operator for the URL".into()
        }
        // Another authority of the same name gives a bad signature.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "nobody whom this client trusts has signed it: if the relay's operator made it, get \
             its file from there and give --tls-ca FILE"
                .into()
        }
        other => other.to_string(),
    })
}
