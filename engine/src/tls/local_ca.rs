//! The CA of the proxy: certificates for hosts of the own machine, by which TLS within a tunnel can be read there.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256,
    SanType, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::version::{TLS12, TLS13};
use time::OffsetDateTime;

use super::ca_certificate::CaCertificate;
use super::error::{TlsError, Wrong};
use super::leaves::{Leaves, Span};
use super::protocol::Protocol;
use super::{Identity, certified, prepare};
use crate::proxy::base64;
use crate::proxy::target::Host;
use crate::proxy::vouched::{VOUCHED_NAME, VOUCHED_NETWORKS, shown};

/// How long a CA holds that was made here: 10 years.
const CA_SECONDS: u64 = 3_652 * 24 * 60 * 60;
/// How long what it signs holds.
const LEAF_SECONDS: u64 = 24 * 60 * 60;
/// How long before now both begin to: clocks of containers differ.
const EARLY_SECONDS: u64 = 60 * 60;
/// How long before its end a certificate is replaced.
const SPARE_SECONDS: u64 = LEAF_SECONDS / 2;

const SERIAL_BYTES: usize = 16;
const PEM_COLUMNS: usize = 64;

/// A CA, in PEM.
pub struct LocalCaPem {
    /// Its certificate, which clients have to trust.
    pub cert: String,
    /// Its private key, PKCS #8, not encrypted.
    pub key: String,
}

/// See the module. Its keys are in it: it has no debug output of them.
pub struct LocalCa {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate and those that certify it, but for one that nobody has certified: who trusts that, has it.
    chain: Vec<CertificateDer<'static>>,
    /// Others name its key by a number.
    has_key_id: bool,
    /// One for all that it signs: they end with this process.
    key: KeyPair,
    signing: Arc<dyn SigningKey>,
    leaves: Leaves<CertifiedKey>,
    config: ServerConfig,
}

/// Which certificate one client is shown, through one tunnel.
pub(crate) struct Vouching {
    ca: Arc<LocalCa>,
    asked: Host,
    /// It has asked for a host that is none of this machine.
    refused: AtomicBool,
}

impl LocalCa {
    /// Makes one. It is allowed to certify hosts of the own machine, and nobody else's (RFC 5280 4.2.1.10).
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn create() -> io::Result<LocalCaPem> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(io::Error::other)?;
        let (mut params, now) = (CertificateParams::default(), now());
        let id = params.key_identifier(&key);
        // Two of them on one machine are told apart by their names.
        let number = id.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte));
        params.distinguished_name = named(&format!("fasttunnel local CA {number:08x}"));
        params.not_before = date(now.saturating_sub(EARLY_SECONDS));
        params.not_after = date(now + CA_SECONDS);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let networks = VOUCHED_NETWORKS
            .map(|(address, prefix)| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, prefix)));
        let mut permitted_subtrees = vec![GeneralSubtree::DnsName(VOUCHED_NAME.to_owned())];
        permitted_subtrees.extend(networks);
        params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
        let certificate = params.self_signed(&key).map_err(io::Error::other)?;
        Ok(LocalCaPem { cert: pem("CERTIFICATE", certificate.der()), key: pem("PRIVATE KEY", key.serialized_der()) })
    }

    /// Reads and checks a certificate and its key, in PEM. `max_certificates`: see [`crate::limits::ProxyLimits`].
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn read(cert: &[u8], key: &[u8], max_certificates: usize) -> Result<LocalCa, TlsError> {
        let ca = LocalCa::build(cert, key, max_certificates);
        ca.map_err(|wrong| TlsError { option: "interceptTls".to_owned(), wrong })
    }

    fn build(cert: &[u8], key: &[u8], max_certificates: usize) -> Result<LocalCa, Wrong> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let own = certified(&Identity { chain: cert, key, names: &[] }, &provider)?;
        let der = own.cert.first().ok_or(Wrong::NoCertificate)?;
        let of_ca = CaCertificate::read(der).filter(|it| it.is_ca).ok_or(Wrong::NoCa)?;
        let PrivateKeyDer::Pkcs8(key) = PrivateKeyDer::from_pem_slice(key).map_err(Wrong::Key)? else {
            return Err(Wrong::KeyKind);
        };
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256).map_err(|_| Wrong::KeyKind)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = of_ca.name().ok_or(Wrong::CaName)?;
        params.key_identifier_method = KeyIdMethod::PreSpecified(of_ca.key_id.unwrap_or_default().to_vec());
        let is_certified = |der: &&CertificateDer<'_>| {
            let subject = CaCertificate::read(der).map(|it| it.subject);
            subject.is_none_or(|subject| CaCertificate::issuer(der) != Some(subject))
        };
        let chain = own.cert.iter().filter(is_certified).cloned().collect();
        let ca = LocalCa::with(Issuer::new(params, key), chain, of_ca.key_id.is_some(), provider, max_certificates)?;
        // What is signed names its issuer: anything else than the very same name, and nobody would find it.
        let leaf = ca.sign(&Host::Name(VOUCHED_NAME.to_owned()), now()).map_err(|()| Wrong::Unsignable)?.0;
        let names_it = |leaf: &[u8]| CaCertificate::issuer(leaf) == Some(of_ca.subject);
        if leaf.cert.first().is_some_and(|leaf| names_it(leaf)) { Ok(ca) } else { Err(Wrong::CaName) }
    }

    fn with(
        issuer: Issuer<'static, KeyPair>,
        chain: Vec<CertificateDer<'static>>,
        has_key_id: bool,
        provider: Arc<CryptoProvider>,
        max_certificates: usize,
    ) -> Result<LocalCa, Wrong> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| Wrong::Unsignable)?;
        let der = PrivatePkcs8KeyDer::from(key.serialized_der().to_vec());
        let signing = provider.key_provider.load_private_key(der.into()).map_err(Wrong::Unusable)?;
        let nobody = Arc::new(Nobody);
        let mut config = prepare(provider, &[&TLS13, &TLS12], WebPkiClientVerifier::no_client_auth(), nobody)
            .map_err(Wrong::Unusable)?;
        config.alpn_protocols = vec![Protocol::Http1.name().to_vec()];
        Ok(LocalCa { issuer, chain, has_key_id, key, signing, leaves: Leaves::new(max_certificates), config })
    }

    /// The certificate of a host, as of now.
    fn leaf(&self, host: &Host) -> Result<Arc<CertifiedKey>, ()> {
        let now = now();
        self.leaves.get(host, now, || self.sign(host, now))
    }

    /// Signs one. It takes as long as a signature of TLS does.
    fn sign(&self, host: &Host, now: u64) -> Result<(Arc<CertifiedKey>, Span), ()> {
        let mut serial = [0; SERIAL_BYTES];
        SystemRandom::new().fill(&mut serial).map_err(drop)?;
        // Of full length, and positive.
        serial[0] = serial[0] & 0x7f | 0x40;
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.distinguished_name = named("fasttunnel preview");
        params.subject_alt_names = vec![match host {
            Host::Name(name) => SanType::DnsName(name.as_str().try_into().map_err(drop)?),
            Host::Address(address) => SanType::IpAddress(*address),
        }];
        let span = Span { from: now.saturating_sub(EARLY_SECONDS), until: now + LEAF_SECONDS };
        (params.not_before, params.not_after) = (date(span.from), date(span.until));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = self.has_key_id;
        let certificate = params.signed_by(&self.key, &self.issuer).map_err(drop)?;
        let chain = [certificate.der()].into_iter().chain(&self.chain).cloned().collect();
        let certified = CertifiedKey::new(chain, self.signing.clone());
        Ok((Arc::new(certified), Span { until: span.until - SPARE_SECONDS, ..span }))
    }
}

impl Vouching {
    /// For a client that comes through a tunnel to `asked`.
    pub(crate) fn new(ca: &Arc<LocalCa>, asked: &Host) -> Arc<Self> {
        Arc::new(Vouching { ca: ca.clone(), asked: asked.clone(), refused: AtomicBool::new(false) })
    }

    /// What its session is begun with.
    pub(crate) fn config(self: &Arc<Self>) -> Arc<ServerConfig> {
        let mut config = self.ca.config.clone();
        config.cert_resolver = self.clone();
        Arc::new(config)
    }

    /// It has asked for a host that is none of this machine: nobody signs for that.
    pub(crate) fn has_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }
}

impl ResolvesServerCert for Vouching {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = shown(hello.server_name(), &self.asked);
        self.refused.store(host.is_none(), Ordering::Relaxed);
        self.ca.leaf(&host?).ok()
    }
}

/// Stands where a certificate is chosen before it is known whose.
#[derive(Debug)]
struct Nobody;

impl ResolvesServerCert for Nobody {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

impl fmt::Debug for LocalCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalCa")
    }
}

impl fmt::Debug for Vouching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vouching for {}", self.asked)
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn date(seconds: u64) -> OffsetDateTime {
    let seconds = i64::try_from(seconds).unwrap_or_default();
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// RFC 7468.
fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64::encode(der).as_bytes().chunks(PEM_COLUMNS) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

#[cfg(test)]
mod tests;
