#![allow(clippy::unwrap_used)]
use std::process::{Command, Stdio};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

use super::*;

fn ca(pem: &LocalCaPem) -> Arc<LocalCa> {
    Arc::new(LocalCa::read(pem.cert.as_bytes(), pem.key.as_bytes(), 8).unwrap())
}

fn host(text: &str) -> Host {
    Host::parse(text.as_bytes()).unwrap()
}

/// What a client that trusts `root` says of a server that it takes for `name`.
fn shake_hands(root: &str, server: Arc<ServerConfig>, name: &str) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut bytes.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut answer = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut answer).unwrap();
        }
        let mut rest = answer.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
    }
    Ok(())
}

#[test]
fn hosts_of_the_own_machine_are_vouched_for_by_name_or_by_the_tunnel() {
    let pem = LocalCa::create().unwrap();
    let ca = ca(&pem);
    for (asked, name) in [
        ("localhost", "localhost"),
        ("a.b.localhost", "a.b.localhost"),
        ("127.0.0.1", "app.localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.1.2.3", "127.1.2.3"),
        ("[::1]", "::1"),
    ] {
        let vouching = Vouching::new(&ca, &host(asked));
        assert_eq!(shake_hands(&pem.cert, vouching.config(), name), Ok(()), "{asked} {name}");
        assert!(!vouching.has_refused());
    }
    let vouching = Vouching::new(&ca, &host("localhost"));
    assert!(shake_hands(&pem.cert, vouching.config(), "example.com").is_err() && vouching.has_refused());
}

#[test]
fn what_the_ca_may_certify_ends_where_the_own_machine_does() {
    let pem = LocalCa::create().unwrap();
    let ca = ca(&pem);
    // Were it ever to sign for somebody else, nobody would believe it.
    for (signed, asked) in
        [("example.com", "example.com"), ("localhost.evil.com", "localhost.evil.com"), ("10.0.0.1", "10.0.0.1")]
    {
        let (certified, _) = ca.sign(&host(signed), now()).unwrap();
        let mut config = ca.config.clone();
        config.cert_resolver = Arc::new(Always(certified));
        let outcome = shake_hands(&pem.cert, Arc::new(config), asked).unwrap_err();
        assert!(format!("{outcome:?}").contains("NameConstraintViolation"), "{signed}: {outcome:?}");
    }
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// A certificate and its key, of openssl's.
fn openssl(subject: &str, key: &[&str], is_ca: bool) -> LocalCaPem {
    let constraints = format!("basicConstraints=critical,CA:{}", if is_ca { "TRUE" } else { "FALSE" });
    let usage = format!("keyUsage=critical,{}", if is_ca { "keyCertSign" } else { "digitalSignature" });
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-subj", subject, "-addext", &constraints, "-addext", &usage])
        .args(["-keyout", "-", "-newkey"])
        .args(key)
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(made.stdout).unwrap();
    let at = text.find("-----BEGIN CERTIFICATE").unwrap();
    LocalCaPem { cert: text[at..].to_owned(), key: text[..at].to_owned() }
}

const P256: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

#[test]
fn a_ca_that_others_have_made_serves_as_well() {
    let pem = openssl("/C=DE/O=Some Company/OU=Tests/CN=Ä CA of ours/emailAddress=a@b.test", P256, true);
    let vouching = Vouching::new(&ca(&pem), &host("localhost"));
    assert_eq!(shake_hands(&pem.cert, vouching.config(), "localhost"), Ok(()));
}

/// A CA that `root` has certified.
fn certified_by(root: &LocalCaPem) -> LocalCaPem {
    let parsed = |pem: &LocalCaPem| {
        let PrivateKeyDer::Pkcs8(key) = PrivateKeyDer::from_pem_slice(pem.key.as_bytes()).unwrap() else { panic!() };
        KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256).unwrap()
    };
    let middle = LocalCa::create().unwrap();
    let named_as = |name: &str| {
        let mut params = CertificateParams::default();
        (params.distinguished_name, params.is_ca) = (named(name), IsCa::Ca(BasicConstraints::Unconstrained));
        params
    };
    let certificate = named_as("middle").signed_by(&parsed(&middle), &Issuer::new(named_as("root"), parsed(root)));
    LocalCaPem { cert: super::pem("CERTIFICATE", certificate.unwrap().der()), key: middle.key }
}

#[test]
fn what_certifies_the_ca_is_shown_with_what_it_signs_up_to_what_clients_trust() {
    let root = openssl("/CN=root", P256, true);
    let middle = certified_by(&root);
    for above in ["", &root.cert] {
        let given = LocalCaPem { cert: format!("{}{above}", middle.cert), key: middle.key.clone() };
        let ca = ca(&given);
        let vouching = Vouching::new(&ca, &host("localhost"));
        assert_eq!(shake_hands(&root.cert, vouching.config(), "localhost"), Ok(()));
        assert_eq!(ca.sign(&host("localhost"), now()).unwrap().0.cert.len(), 2, "the root is with those that trust it");
    }
    assert_eq!(ca(&root).sign(&host("localhost"), now()).unwrap().0.cert.len(), 1);
}

#[test]
fn what_openssl_is_strict_about_is_as_it_wants_it() {
    for pem in [LocalCa::create().unwrap(), openssl("/CN=ours", P256, true)] {
        let folder = std::env::temp_dir().join(format!("fasttunnel-ca-{}-{}", std::process::id(), pem.cert.len()));
        std::fs::create_dir_all(&folder).unwrap();
        let (root, leaf) = (folder.join("root.pem"), folder.join("leaf.pem"));
        let (certified, _) = ca(&pem).sign(&host("127.0.0.1"), now()).unwrap();
        std::fs::write(&root, &pem.cert).unwrap();
        std::fs::write(&leaf, super::pem("CERTIFICATE", &certified.cert[0])).unwrap();
        let told = Command::new("openssl")
            .args(["verify", "-x509_strict", "-purpose", "sslserver", "-verify_ip", "127.0.0.1", "-CAfile"])
            .args([&root, &leaf])
            .output()
            .unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    }
}

#[test]
fn what_cannot_sign_is_told_with_what_is_wrong_in_it() {
    let good = LocalCa::create().unwrap();
    let told = |cert: &str, key: &str| LocalCa::read(cert.as_bytes(), key.as_bytes(), 8).unwrap_err().to_string();
    assert_eq!(told("", &good.key), "interceptTls.cert: holds no certificate in PEM");
    assert!(told(&good.cert, "").starts_with("interceptTls.key: holds no private key in PEM"));
    let other = LocalCa::create().unwrap();
    assert_eq!(told(&good.cert, &other.key), "interceptTls.key: does not fit the certificate in interceptTls.cert");
    let leaf = openssl("/CN=x", P256, false);
    assert!(told(&leaf.cert, &leaf.key).starts_with("interceptTls.cert: is not that of a CA"));
    let rsa = openssl("/CN=x", &["rsa:2048"], true);
    assert!(told(&rsa.cert, &rsa.key).starts_with("interceptTls.key: must be of ECDSA on P-256"));
    let twice = openssl("/OU=a/OU=b/CN=x", P256, true);
    assert!(
        told(&twice.cert, &twice.key).starts_with("interceptTls.cert: has a subject with a part that is there twice")
    );
    assert_eq!(format!("{:?}", ca(&good)), "LocalCa");
}
