//! What is wrong with certificates and keys.

use std::error::Error;
use std::fmt;

use rustls::pki_types::pem;

/// A certificate or a key is of no use. The caller's fault.
#[derive(Debug)]
pub struct TlsError {
    /// The group of options that it stands in: `tls`, or `tls.certificates[0]`.
    pub option: String,
    /// What is wrong in it.
    pub wrong: Wrong,
}

/// See [`TlsError`]. The text begins with the option in the group.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Wrong {
    /// The text holds no certificate.
    #[error("cert: holds no certificate in PEM")]
    NoCertificate,
    /// The text of the certificates is no PEM.
    #[error("cert: is no PEM: {0}")]
    Certificate(pem::Error),
    /// The text holds no private key that is not encrypted.
    #[error("key: holds no private key in PEM, or an encrypted one")]
    NoKey,
    /// The text of the key is no PEM.
    #[error("key: is no PEM: {0}")]
    Key(pem::Error),
    /// The key belongs to another certificate.
    #[error("key: does not fit the certificate")]
    Mismatch,
    /// The certificate or the key is of a kind that is not known, or broken.
    #[error("cert: cannot be used with the key: {0}")]
    Unusable(rustls::Error),
    /// The certificate may not certify others.
    #[error("cert: is not that of a CA (basicConstraints, CA:TRUE)")]
    NoCa,
    /// The name of the CA cannot be repeated in what it signs.
    #[error("cert: has a subject with a part that is there twice, or that is no text")]
    CaName,
    /// The key of the CA is of another kind.
    #[error("key: must be of ECDSA on P-256, in PKCS #8")]
    KeyKind,
    /// It could not sign.
    #[error("key: does not sign")]
    Unsignable,
    /// The text of the certificates for clients is no PEM.
    #[error("ca: is no PEM: {0}")]
    Roots(pem::Error),
    /// One of them is of no use, or there is none.
    #[error("ca: cannot be used: {0}")]
    Root(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let option = &self.option;
        match &self.wrong {
            Wrong::Mismatch => write!(f, "{option}.key: does not fit the certificate in {option}.cert"),
            Wrong::Unusable(error) => write!(f, "{option}.cert: cannot be used with {option}.key: {error}"),
            wrong => write!(f, "{option}.{wrong}"),
        }
    }
}

impl Error for TlsError {}

impl TlsError {
    /// Of the identity with this index; the first is that of `tls` itself.
    pub(super) fn of(index: usize, wrong: Wrong) -> Self {
        let option = match index {
            0 => "tls".to_owned(),
            index => format!("tls.certificates[{}]", index - 1),
        };
        TlsError { option, wrong }
    }
}
