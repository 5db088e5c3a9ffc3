//! What a listener needs to speak TLS: its certificates and their keys, and who may vouch for clients. Checked when given.

mod ca_certificate;
mod choice;
mod error;
mod leaves;
mod local_ca;
mod protocol;

use std::fmt;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, RootCertStore, ServerConfig, SupportedProtocolVersion};

use choice::Choice;
pub use error::{TlsError, Wrong};
pub(crate) use local_ca::Vouching;
pub use local_ca::{LocalCa, LocalCaPem};
pub use protocol::Protocol;

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    /// RFC 5246.
    #[default]
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// A certificate, and the key that it was made for. Its debug output would hold the key: there is none.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// The certificate, and behind it those that certify it. PEM.
    pub chain: &'a [u8],
    /// Its private key. PEM, not encrypted.
    pub key: &'a [u8],
    /// Names by which clients ask for it, in lower case; `*.` stands for one label.
    pub names: &'a [String],
}

/// Whose certificates clients may show.
#[derive(Clone, Copy, Debug)]
pub struct Clients<'a> {
    /// The certificates of those who certify clients. PEM.
    pub ca: &'a [u8],
    /// A client without a certificate is refused.
    pub required: bool,
}

/// What TLS is to be spoken with.
#[derive(Clone, Copy)]
pub struct TlsParts<'a> {
    /// The first is also for clients that ask for none of the names. At least one.
    pub identities: &'a [Identity<'a>],
    /// The oldest version.
    pub least: MinVersion,
    /// `None`: clients are asked for no certificate.
    pub clients: Option<Clients<'a>>,
}

/// See the module. Its clones share one set of keys for session tickets.
#[derive(Clone)]
pub struct Tls {
    /// What is offered with HTTP/2, and without.
    with_http2: Arc<ServerConfig>,
    without: Arc<ServerConfig>,
}

impl Tls {
    /// Reads and checks the parts.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn new(parts: TlsParts<'_>) -> Result<Tls, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut choice = Choice::default();
        for (index, identity) in parts.identities.iter().enumerate() {
            let certified = certified(identity, &provider).map_err(|wrong| TlsError::of(index, wrong))?;
            choice.add(Arc::new(certified), identity.names);
        }
        let versions: &[&'static SupportedProtocolVersion] = match parts.least {
            MinVersion::Tls12 => &[&TLS13, &TLS12],
            MinVersion::Tls13 => &[&TLS13],
        };
        let verifier = match parts.clients {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(clients) => verifier(clients, &provider).map_err(|wrong| TlsError::of(0, wrong))?,
        };
        let unusable = |error| TlsError::of(0, Wrong::Unusable(error));
        let config = prepare(provider, versions, verifier, Arc::new(choice)).map_err(unusable)?;
        let offering = |config: &ServerConfig, http2: bool| {
            let offered = Protocol::OFFERED.iter().filter(|protocol| http2 || **protocol != Protocol::Http2);
            let mut config = config.clone();
            config.alpn_protocols = offered.map(|protocol| protocol.name().to_vec()).collect();
            Arc::new(config)
        };
        Ok(Tls { with_http2: offering(&config, true), without: offering(&config, false) })
    }

    /// What a session is begun with, whether or not HTTP/2 is offered.
    pub(crate) fn config(&self, http2: bool) -> Arc<ServerConfig> {
        if http2 { self.with_http2.clone() } else { self.without.clone() }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing of the key is to be in a log.
        f.write_str("Tls")
    }
}

fn prepare(
    provider: Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
    verifier: Arc<dyn ClientCertVerifier>,
    resolver: Arc<dyn ResolvesServerCert>,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions)?;
    let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(resolver);
    // What a session needs to be taken up again is with the client, under keys that change: nothing grows here.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    Ok(config)
}

fn certified(identity: &Identity<'_>, provider: &CryptoProvider) -> Result<CertifiedKey, Wrong> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(identity.chain).collect::<Result<_, _>>().map_err(Wrong::Certificate)?;
    if chain.is_empty() {
        return Err(Wrong::NoCertificate);
    }
    let key = PrivateKeyDer::from_pem_slice(identity.key).map_err(|error| match error {
        pem::Error::NoItemsFound => Wrong::NoKey,
        error => Wrong::Key(error),
    })?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Wrong::Mismatch,
        error => Wrong::Unusable(error),
    })
}

fn verifier(clients: Clients<'_>, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, Wrong> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(clients.ca) {
        roots.add(root.map_err(Wrong::Roots)?).map_err(|error| Wrong::Root(error.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let builder = if clients.required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| Wrong::Root(error.to_string()))
}
