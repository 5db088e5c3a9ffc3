//! Certificates and keys: which the engine takes, and what it says of the others.
#![allow(clippy::unwrap_used)]
use std::process::{Command, Stdio};

use fasttunnel_engine::tls::{Clients, Identity, MinVersion, Tls, TlsError, TlsParts, Wrong};

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

fn tls(identities: &[(&str, &str)], least: MinVersion, ca: Option<&str>) -> Result<Tls, TlsError> {
    let identity = |(chain, key): &(&'_ str, &'_ str)| (chain.as_bytes().to_vec(), key.as_bytes().to_vec());
    let owned: Vec<_> = identities.iter().map(identity).collect();
    let identities: Vec<_> = owned.iter().map(|(chain, key)| Identity { chain, key, names: &[] }).collect();
    let clients = ca.map(|ca| Clients { ca: ca.as_bytes(), required: true });
    Tls::new(TlsParts { identities: &identities, least, clients })
}

#[test]
fn a_certificate_and_its_key_are_taken_and_never_printed() {
    let (cert, key) = certificate("own");
    let chain = format!("{cert}{}", certificate("issuer").0);
    for least in [MinVersion::Tls12, MinVersion::Tls13] {
        let tls = tls(&[(&chain, &key)], least, None).unwrap();
        assert_eq!(format!("{tls:?}"), "Tls");
    }
}

#[test]
fn what_is_wrong_with_a_certificate_or_a_key_is_said() {
    let ((cert, key), (_, other)) = (certificate("mine"), certificate("other"));
    let error = |cert: &str, key: &str| tls(&[(cert, key)], MinVersion::Tls12, None).unwrap_err().wrong;
    assert!(matches!(error("", &key), Wrong::NoCertificate));
    assert!(matches!(error(&key, &key), Wrong::NoCertificate));
    assert!(matches!(error(&cert, ""), Wrong::NoKey));
    assert!(matches!(error(&cert, &cert), Wrong::NoKey));
    assert!(matches!(
        error("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", &key),
        Wrong::Certificate(_)
    ));
    assert!(matches!(error(&cert, &key.replace("-----END", "")), Wrong::Key(_)));
    assert!(matches!(error(&cert, &other), Wrong::Mismatch));
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(error(nonsense, &key), Wrong::Unusable(_)));
    // Which of several it is.
    let second = tls(&[(&cert, &key), (&cert, &other)], MinVersion::Tls12, None).unwrap_err();
    assert_eq!(second.to_string(), "tls.certificates[0].key: does not fit the certificate in tls.certificates[0].cert");
}

#[test]
fn what_is_wrong_with_those_who_vouch_for_clients_is_said() {
    let (cert, key) = certificate("server");
    let error = |ca: &str| tls(&[(&cert, &key)], MinVersion::Tls12, Some(ca)).unwrap_err().wrong;
    assert!(matches!(error(""), Wrong::Root(_)));
    assert!(matches!(error("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"), Wrong::Roots(_)));
    assert!(matches!(error("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), Wrong::Root(_)));
    tls(&[(&cert, &key)], MinVersion::Tls13, Some(&cert)).unwrap();
}
