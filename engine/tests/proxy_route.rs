//! The forward proxy for contexts with a route: hosts of the own machine become those of a workspace, under TLS, for requests, in
//! tunnels and over WebSocket.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::process::{Command, Stdio};
use std::sync::Arc;

use fasttunnel_engine::proxy::policy::HostRule;
use fasttunnel_engine::proxy::route::Route;
use fasttunnel_engine::proxy::settings::{Place, Settings};
use fasttunnel_engine::trust::Trust;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use support::origin::{Origin, Peer, Proxy};
use support::{DriverChoice, ms};

on_both_drivers!(
    a_request_for_the_own_machine_goes_to_its_workspace_under_tls,
    a_tunnel_to_the_own_machine_is_read_and_its_requests_go_to_the_workspace,
    another_protocol_inside_a_tunnel_is_the_workspaces,
    tls_inside_a_tunnel_goes_to_the_workspace_as_it_is,
    a_server_that_cannot_prove_who_it_is_gets_no_request,
    an_answer_until_the_end_does_not_look_whole_when_tls_is_cut_off,
    whoever_says_nothing_through_a_tunnel_is_not_waited_for,
    the_own_machine_itself_is_out_of_reach_with_a_route,
);

const NAME: &str = "cmux-abc-base-5173.cmux.test";

/// A certificate for `name`, its key behind it.
fn certificate(name: &str) -> Vec<u8> {
    let alternative = format!("subjectAltName=DNS:{name}");
    let arguments =
        ["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=x"];
    let made = Command::new("openssl")
        .args(arguments)
        .args(["-addext", &alternative, "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "-"])
        .stderr(Stdio::null())
        .output()
        .unwrap();
    made.stdout
}

fn config(pem: &[u8]) -> Arc<rustls::ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(
        builder.with_no_client_auth().with_single_cert(chain, PrivateKeyDer::from_pem_slice(pem).unwrap()).unwrap(),
    )
}

/// A workspace, and a proxy with a context that has a route to it.
fn workspace(driver: DriverChoice, serve: impl Fn(Peer, usize) + Send + Sync + 'static) -> (Proxy, Origin) {
    let pem = certificate(NAME);
    let origin = Origin::secure(config(&pem), serve);
    (proxy(driver, &origin, Trust::in_pem(&pem).unwrap()), origin)
}

fn proxy(driver: DriverChoice, origin: &Origin, trust: Trust) -> Proxy {
    let place = Place::parse(&origin.address.to_string()).unwrap();
    let mut settings =
        Settings { hosts: vec![(HostRule::parse("*.cmux.test").unwrap(), place)], ..Settings::default() };
    settings.policy.loopback = true;
    settings.limits.sniff_timeout_ms = 300;
    Proxy::trusting(driver, Some(Route::new("abc", "base", "cmux.test", None).unwrap()), settings, trust)
}

/// Answers with what it has got.
fn mirror(mut peer: Peer, number: usize) {
    while let Some((head, content)) = peer.request() {
        let content = format!("{number} {head}{}", String::from_utf8_lossy(&content));
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{content}", content.len()));
    }
}

fn a_request_for_the_own_machine_goes_to_its_workspace_under_tls(driver: DriverChoice) {
    let (proxy, origin) = workspace(driver, mirror);
    let mut client = proxy.client();
    for (line, expected) in [
        ("POST http://localhost:5173/x?y", "0 POST /x?y HTTP/1.1"),
        ("POST http://127.0.0.1:5173/z", "0 POST /z HTTP/1.1"),
        ("POST https://[::1]:5173/", "0 POST / HTTP/1.1"),
    ] {
        client.send(proxy.request(line, "Content-Length: 3\r\nX-Cmux-Host-Override: evil\r\n") + "abc");
        let reply = client.reply();
        let via = reply.field("via").unwrap_or_default();
        assert_eq!(reply.body, format!("{expected}\r\nHost: {NAME}\r\nContent-Length: 3\r\nVia: {via}\r\n\r\nabc"));
    }
    assert_eq!(origin.accepted(), 1);
    // Much content, both ways.
    let content = "0123456789abcdef".repeat(40_000);
    client.send(proxy.request("POST http://localhost:5173/", &format!("Content-Length: {}\r\n", content.len())));
    client.send(&content);
    assert!(client.reply().body.ends_with(&content));
}

fn a_tunnel_to_the_own_machine_is_read_and_its_requests_go_to_the_workspace(driver: DriverChoice) {
    let (proxy, _origin) = workspace(driver, mirror);
    let mut client = proxy.client();
    client.send(proxy.request("CONNECT localhost:5173", ""));
    assert_eq!(client.head().status, 200);
    for at in 0..3 {
        // Inside nobody has to prove again who asks.
        client.send(format!("GET /{at} HTTP/1.1\r\nHost: localhost:5173\r\n\r\n"));
        let reply = client.reply();
        assert!(reply.body.starts_with(&format!("0 GET /{at} HTTP/1.1\r\nHost: {NAME}\r\n")), "{reply:?}");
    }
    client.send("GET http://elsewhere/ HTTP/1.1\r\nHost: elsewhere\r\n\r\n");
    assert_eq!(client.reply().status, 400);
    // Its context ends, and what waits for the next request with it.
    proxy.server.engine().release_context(&proxy.names.id);
    assert!(client.until_end().0.is_empty());
}

fn another_protocol_inside_a_tunnel_is_the_workspaces(driver: DriverChoice) {
    let (proxy, _origin) = workspace(driver, |mut peer, _| {
        let head = peer.head().unwrap();
        assert!(head.contains(&format!("Host: {NAME}\r\n")) && head.contains("Sec-WebSocket-Key: abc\r\n"), "{head}");
        peer.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n");
        let came = peer.take(5);
        peer.send(came);
        peer.send(" and more");
    });
    let mut client = proxy.client();
    client.send(proxy.request("CONNECT localhost:5173", ""));
    assert_eq!(client.head().status, 200);
    client.send("GET /ws HTTP/1.1\r\nHost: localhost:5173\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: abc\r\n\r\nhello");
    let head = client.head();
    assert_eq!((head.status, head.field("sec-websocket-accept")), (101, Some("x")));
    assert_eq!(client.take(14), b"hello and more");
}

fn tls_inside_a_tunnel_goes_to_the_workspace_as_it_is(driver: DriverChoice) {
    let plain = Origin::start(|mut peer, _| {
        let came = peer.take(6);
        peer.send(came);
    });
    let proxy = proxy(driver, &plain, Trust::of_the_web().unwrap());
    let mut client = proxy.client();
    client.send(proxy.request("CONNECT 127.0.0.1:5173", ""));
    assert_eq!(client.head().status, 200);
    client.send(b"\x16hello");
    assert_eq!(client.take(6), b"\x16hello");
}

fn a_server_that_cannot_prove_who_it_is_gets_no_request(driver: DriverChoice) {
    let pem = certificate("other.cmux.test");
    let origin = Origin::secure(config(&pem), |mut peer, _| assert!(peer.head().is_none()));
    for trust in [Trust::in_pem(&pem).unwrap(), Trust::of_the_web().unwrap()] {
        let reply = proxy(driver, &origin, trust).get("http://localhost:5173/");
        assert_eq!((reply.status, reply.field("proxy-status")), (502, Some("fasttunnel; error=tls_certificate_error")));
    }
    // It speaks no TLS at all.
    let plain = Origin::start(|mut peer, _| {
        peer.fill();
        peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let reply = proxy(driver, &plain, Trust::of_the_web().unwrap()).get("http://localhost:5173/");
    assert_eq!((reply.status, reply.field("proxy-status")), (502, Some("fasttunnel; error=tls_protocol_error")));
}

fn an_answer_until_the_end_does_not_look_whole_when_tls_is_cut_off(driver: DriverChoice) {
    for says_so in [true, false] {
        let (proxy, _origin) = workspace(driver, move |mut peer, _| {
            peer.head();
            peer.send("HTTP/1.1 200 OK\r\n\r\nhello");
            if says_so {
                peer.finish();
            }
        });
        let mut client = proxy.client();
        client.send(proxy.request("GET http://localhost:5173/", ""));
        assert_eq!(client.head().status, 200);
        let rest = client.until_end().0;
        assert_eq!(rest.ends_with(b"0\r\n\r\n"), says_so, "{}", rest.escape_ascii());
    }
}

fn whoever_says_nothing_through_a_tunnel_is_not_waited_for(driver: DriverChoice) {
    let (proxy, origin) = workspace(driver, mirror);
    let mut client = proxy.client();
    client.send(proxy.request("CONNECT localhost:5173", ""));
    assert_eq!(client.head().status, 200);
    let start = std::time::Instant::now();
    assert!(client.until_end().0.is_empty());
    assert!((ms(300)..ms(1500)).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!(origin.accepted(), 0);
}

fn the_own_machine_itself_is_out_of_reach_with_a_route(driver: DriverChoice) {
    let (proxy, origin) = workspace(driver, mirror);
    let port = origin.address.port();
    let mut client = proxy.client();
    for line in [format!("GET http://[::ffff:0:127.0.0.1]:{port}/"), format!("CONNECT [64:ff9b::7f00:1]:{port}")] {
        client.send(proxy.request(&line, ""));
        assert_eq!(client.reply().field("proxy-status"), Some("fasttunnel; error=destination_ip_prohibited"), "{line}");
    }
    assert_eq!(origin.accepted(), 0);
}
