//! Certificates and keys: which the engine takes, and what it says of the others.
#![allow(clippy::unwrap_used)]
use std::process::{Command, Stdio};

use fasttunnel_engine::tls::{MinVersion, Tls, TlsError};

/// A certificate for localhost and its key, in one PEM each.
fn certificate(name: &str) -> (String, String) {
    let key = std::env::temp_dir().join(format!("fasttunnel-{}-{name}.key", std::process::id()));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-nodes",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-subj",
            "/CN=localhost",
        ])
        .args(["-keyout", key.to_str().unwrap()])
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let text = std::fs::read_to_string(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    (String::from_utf8(made.stdout).unwrap(), text)
}

#[test]
fn a_certificate_and_its_key_are_taken_and_never_printed() {
    let (cert, key) = certificate("own");
    let chain = format!("{cert}{}", certificate("issuer").0);
    for least in [MinVersion::Tls12, MinVersion::Tls13] {
        let tls = Tls::new(chain.as_bytes(), key.as_bytes(), least).unwrap();
        assert_eq!(format!("{tls:?}"), "Tls");
    }
}

#[test]
fn what_is_wrong_with_a_certificate_or_a_key_is_said() {
    let ((cert, key), (_, other)) = (certificate("mine"), certificate("other"));
    let error = |cert: &str, key: &str| Tls::new(cert.as_bytes(), key.as_bytes(), MinVersion::Tls12).unwrap_err();
    assert!(matches!(error("", &key), TlsError::NoCertificate));
    assert!(matches!(error(&key, &key), TlsError::NoCertificate));
    assert!(matches!(error(&cert, ""), TlsError::NoKey));
    assert!(matches!(error(&cert, &cert), TlsError::NoKey));
    assert!(matches!(
        error("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", &key),
        TlsError::Certificate(_)
    ));
    assert!(matches!(error(&cert, &key.replace("-----END", "")), TlsError::Key(_)));
    assert!(matches!(error(&cert, &other), TlsError::Mismatch));
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(error(nonsense, &key), TlsError::Unusable(_)));
}
