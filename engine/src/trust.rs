//! By whom a server has to be certified that is spoken to under TLS.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};

/// What a server may choose by ALPN; the best first.
const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// See the module. Its clones share the tickets of sessions.
#[derive(Clone)]
pub struct Trust {
    with_http2: Arc<ClientConfig>,
    without: Arc<ClientConfig>,
}

/// Certificates are of no use. The caller's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The text holds no certificate.
    #[error("ca: holds no certificate in PEM")]
    NoCertificate,
    /// The text is no PEM.
    #[error("ca: is no PEM: {0}")]
    Pem(pem::Error),
    /// One of them is broken, or nothing could be set up with them.
    #[error("ca: cannot be used: {0}")]
    Unusable(rustls::Error),
}

impl Trust {
    /// Those whom browsers trust (Mozilla's list, as of the build).
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn of_the_web() -> Result<Trust, TrustError> {
        Trust::with(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
    }

    /// These, in PEM, and no others.
    ///
    /// # Errors
    /// See [`TrustError`].
    pub fn in_pem(certificates: &[u8]) -> Result<Trust, TrustError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(certificates) {
            roots.add(certificate.map_err(TrustError::Pem)?).map_err(TrustError::Unusable)?;
        }
        if roots.is_empty() { Err(TrustError::NoCertificate) } else { Trust::with(roots) }
    }

    fn with(roots: RootCertStore) -> Result<Trust, TrustError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TrustError::Unusable)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut without = config.clone();
        config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
        without.alpn_protocols = config.alpn_protocols[1..].to_vec();
        Ok(Trust { with_http2: Arc::new(config), without: Arc::new(without) })
    }

    /// What a session is begun with, whether or not HTTP/2 is offered.
    pub(crate) fn config(&self, http2: bool) -> Arc<ClientConfig> {
        if http2 { self.with_http2.clone() } else { self.without.clone() }
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_not_trusted() {
        assert!(Trust::of_the_web().is_ok());
        assert!(matches!(Trust::in_pem(b"").unwrap_err(), TrustError::NoCertificate));
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(Trust::in_pem(broken).unwrap_err(), TrustError::Unusable(_)));
    }
}
