//! What a listener needs to speak TLS: its certificate and its key, checked when they are given.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, ServerConfig, SupportedProtocolVersion};

/// What a client may choose by ALPN, the best first.
const PROTOCOLS: &[&[u8]] = &[b"http/1.1"];

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    /// RFC 5246.
    #[default]
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// See the module. Its clones share one set of keys for session tickets.
#[derive(Clone)]
pub struct Tls(Arc<ServerConfig>);

/// A certificate or a key is of no use. The caller's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The text holds no certificate.
    #[error("tls.cert: holds no certificate in PEM")]
    NoCertificate,
    /// The text of the certificates is no PEM.
    #[error("tls.cert: is no PEM: {0}")]
    Certificate(pem::Error),
    /// The text holds no private key that is not encrypted.
    #[error("tls.key: holds no private key in PEM, or an encrypted one")]
    NoKey,
    /// The text of the key is no PEM.
    #[error("tls.key: is no PEM: {0}")]
    Key(pem::Error),
    /// The key belongs to another certificate.
    #[error("tls.key: does not fit the certificate in tls.cert")]
    Mismatch,
    /// The certificate or the key is of a kind that is not known, or broken.
    #[error("tls.cert: cannot be used with tls.key: {0}")]
    Unusable(rustls::Error),
}

impl Tls {
    /// `chain`: the certificate, and those that certify it, in PEM; `key`: its private key in PEM.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn new(chain: &[u8], key: &[u8], least: MinVersion) -> Result<Tls, TlsError> {
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(TlsError::Certificate)?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound => TlsError::NoKey,
            error => TlsError::Key(error),
        })?;
        let versions: &[&SupportedProtocolVersion] = match least {
            MinVersion::Tls12 => &[&TLS13, &TLS12],
            MinVersion::Tls13 => &[&TLS13],
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::Mismatch,
                error => TlsError::Unusable(error),
            })?;
        config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
        // What a session needs to be taken up again is with the client, under keys that change: nothing grows here.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(TlsError::Unusable)?;
        Ok(Tls(Arc::new(config)))
    }

    /// What a session is begun with.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.0.clone()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing of the key is to be in a log.
        f.write_str("Tls")
    }
}
