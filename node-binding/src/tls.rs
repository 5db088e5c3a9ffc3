//! TLS: certificates and keys on their way in, and what a handler hears of its client.

use fasttunnel_engine::link::peers::TlsPeer;
use fasttunnel_engine::tls::{Clients, Identity, MinVersion, Tls, TlsParts};
use napi::Env;
use napi::bindgen_prelude::BufferSlice;
use napi_derive::napi;
use zeroize::Zeroize;

use crate::options::{CodedError, bad_option};

/// A certificate and its key. Dropped, with the key wiped, as soon as the engine has read it.
#[napi(object, object_to_js = false)]
pub struct NativeIdentity {
    /// The certificate, and behind it those that certify it. PEM.
    pub cert: String,
    /// Its private key. PEM, not encrypted.
    pub key: String,
    /// Names by which clients ask for it, in lower case.
    pub names: Vec<String>,
}

impl Drop for NativeIdentity {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

/// What to encrypt with.
#[napi(object, object_to_js = false)]
pub struct NativeTls {
    /// The first is also for clients that ask for no name. At least one.
    pub identities: Vec<NativeIdentity>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub min_version: String,
    /// Those who certify clients. PEM. Without it clients are asked for no certificate.
    pub ca: Option<String>,
    /// A client without a certificate is refused.
    pub require_client_cert: bool,
}

impl NativeTls {
    /// As the engine has it.
    pub fn read(&self) -> Result<Tls, CodedError> {
        let least = match self.min_version.as_str() {
            "TLSv1.2" => MinVersion::Tls12,
            "TLSv1.3" => MinVersion::Tls13,
            other => return Err(bad_option(format!("tls.minVersion: {other:?} is no version"))),
        };
        let identities: Vec<Identity<'_>> = self
            .identities
            .iter()
            .map(|one| Identity { chain: one.cert.as_bytes(), key: one.key.as_bytes(), names: &one.names })
            .collect();
        let clients = self.ca.as_ref().map(|ca| Clients { ca: ca.as_bytes(), required: self.require_client_cert });
        Tls::new(TlsParts { identities: &identities, least, clients }).map_err(bad_option)
    }
}

/// What is known of a client under TLS.
#[napi(object, object_from_js = false)]
pub struct NativePeer<'env> {
    /// `TLSv1.2` or `TLSv1.3`.
    pub protocol: &'static str,
    /// The cipher suite, as IANA names it.
    pub cipher: &'static str,
    /// The name that it asked for.
    pub servername: Option<String>,
    /// What was agreed on by ALPN.
    pub alpn_protocol: Option<String>,
    /// Its certificate, which was verified. DER.
    pub certificate: Option<BufferSlice<'env>>,
}

impl<'env> NativePeer<'env> {
    /// In memory of JavaScript's own: a runtime may refuse any other.
    pub fn new(env: &'env Env, peer: &TlsPeer) -> napi::Result<Self> {
        let certificate = peer.certificate.as_ref().map(|der| BufferSlice::copy_from(env, der)).transpose()?;
        Ok(NativePeer {
            protocol: peer.version,
            cipher: peer.cipher,
            servername: peer.server_name.clone(),
            alpn_protocol: peer.alpn.as_deref().map(|name| String::from_utf8_lossy(name).into_owned()),
            certificate,
        })
    }
}
