//! Deadlines of the forward proxy, each at its bound: of clients that do not go on, and of servers in every phase.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use fasttunnel_engine::Config;
use fasttunnel_engine::limits::Limits;
use fasttunnel_engine::proxy::policy::HostRule;
use fasttunnel_engine::proxy::route::Route;
use fasttunnel_engine::proxy::settings::{Place, Settings};
use fasttunnel_engine::tls::{Identity, MinVersion, Tls, TlsParts};
use fasttunnel_engine::trust::Trust;

use support::origin::{Full, Origin, Proxy};
use support::{DriverChoice, eventually, ms};

on_both_drivers!(
    a_head_that_does_not_come_is_408,
    content_that_does_not_come_is_408_and_ends_the_request_at_the_server,
    a_client_that_asks_nothing_more_is_left,
    a_client_that_does_not_take_its_answer_is_cut,
    a_server_that_does_not_accept_is_given_up,
    a_server_that_does_not_shake_hands_is_given_up,
    a_connection_to_a_server_is_kept_for_its_time,
    the_oldest_connection_that_waits_ends_when_there_are_too_many,
    a_client_that_does_not_shake_hands_is_cut,
    a_slow_client_and_a_slow_server_that_go_on_are_waited_for,
    a_client_that_takes_an_early_answer_slowly_is_waited_for,
);

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// All times are short.
fn hasty(driver: DriverChoice, change: impl FnOnce(&mut Settings)) -> Proxy {
    let mut settings = Settings::default();
    settings.policy.loopback = true;
    for limit in [
        &mut settings.limits.connect_timeout_ms,
        &mut settings.limits.tls_timeout_ms,
        &mut settings.limits.answer_timeout_ms,
        &mut settings.limits.content_timeout_ms,
        &mut settings.limits.idle_upstream_timeout_ms,
    ] {
        *limit = 400;
    }
    change(&mut settings);
    let limits = |config: &mut Config| {
        let Limits { head_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms, .. } = &mut config.limits;
        [head_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms]
            .into_iter()
            .for_each(|limit| *limit = 400);
    };
    let route = Route::new("abc", "base", "cmux.test", None).unwrap();
    let routed = !settings.hosts.is_empty();
    Proxy::configured(driver, routed.then_some(route), settings, Trust::of_the_web().unwrap(), limits)
}

/// Never early, and up to two turns of the timer late; other work on the machine may take as long again.
#[track_caller]
fn is_due(start: Instant) {
    assert!((ms(400)..ms(1600)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

fn a_head_that_does_not_come_is_408(driver: DriverChoice) {
    let proxy = hasty(driver, |_| {});
    let mut client = proxy.client();
    let start = Instant::now();
    client.send("GET http://a/ HTTP/1.1\r\nHo");
    let reply = client.reply();
    is_due(start);
    assert_eq!((reply.status, reply.closes()), (408, true));
    client.expect_end();
    // Nothing at all: closed without a word.
    let mut client = proxy.client();
    let start = Instant::now();
    assert!(client.until_end().0.is_empty());
    is_due(start);
}

fn content_that_does_not_come_is_408_and_ends_the_request_at_the_server(driver: DriverChoice) {
    let proxy = hasty(driver, |settings| settings.limits.answer_timeout_ms = 60_000);
    let (sender, seen) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let origin = Origin::start(move |mut peer, _| {
        peer.head();
        let _ = sender.lock().unwrap().send(peer.rest());
    });
    for (lines, content) in [("Content-Length: 10\r\n", "hello"), ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n")]
    {
        let mut client = proxy.client();
        let start = Instant::now();
        client.send(proxy.request(&format!("POST {}", origin.url("/")), lines) + content);
        let reply = client.reply();
        is_due(start);
        assert_eq!((reply.status, reply.closes()), (408, true));
        let rest = seen.recv_timeout(Duration::from_secs(5)).unwrap();
        assert!(!rest.ends_with(b"0\r\n\r\n"), "{}", rest.escape_ascii());
    }
}

fn a_client_that_asks_nothing_more_is_left(driver: DriverChoice) {
    let proxy = hasty(driver, |_| {});
    let origin = Origin::answering(OK);
    let mut client = proxy.client();
    client.send(proxy.request(&format!("GET {}", origin.url("/")), ""));
    assert_eq!(client.reply().body, "ok");
    let start = Instant::now();
    client.expect_end();
    assert!((ms(300)..ms(1600)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

fn a_client_that_does_not_take_its_answer_is_cut(driver: DriverChoice) {
    let proxy = hasty(driver, |_| {});
    let origin = Origin::start(|mut peer, _| {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\n\r\n");
        peer.send(vec![b'x'; 64 << 20]);
    });
    let mut client = proxy.client();
    client.send(proxy.request(&format!("GET {}", origin.url("/")), ""));
    assert_eq!(client.head().status, 200);
    eventually("it is cut", || proxy.server.sum(|shard| shard.connections) == 0);
    // What it had not taken is lost, and does not look whole.
    assert!(!client.until_end().0.ends_with(b"0\r\n\r\n"));
}

fn a_server_that_does_not_accept_is_given_up(driver: DriverChoice) {
    let proxy = hasty(driver, |_| {});
    let full = Full::bind("127.0.0.1:0");
    let address = full.address;
    let mut client = proxy.client();
    for line in [format!("GET http://{address}/"), format!("CONNECT {address}")] {
        let start = Instant::now();
        client.send(proxy.request(&line, ""));
        let reply = client.reply();
        is_due(start);
        assert_eq!(
            (reply.status, reply.field("proxy-status")),
            (504, Some("fasttunnel; error=connection_timeout")),
            "{line}"
        );
    }
    // A client that leaves meanwhile ends the attempt.
    client.send(proxy.request(&format!("CONNECT {address}"), ""));
    client.reset();
    eventually("nothing is open", || proxy.server.sum(|shard| shard.connections) == 0);
}

fn a_server_that_does_not_shake_hands_is_given_up(driver: DriverChoice) {
    let silent = Origin::start(|mut peer, _| drop(peer.rest()));
    let place = Place::parse(&silent.address.to_string()).unwrap();
    let proxy = hasty(driver, |settings| settings.hosts = vec![(HostRule::parse("*.cmux.test").unwrap(), place)]);
    let start = Instant::now();
    let reply = proxy.get("http://localhost:5173/");
    is_due(start);
    assert_eq!((reply.status, reply.field("proxy-status")), (504, Some("fasttunnel; error=connection_timeout")));
}

fn a_connection_to_a_server_is_kept_for_its_time(driver: DriverChoice) {
    let proxy = hasty(driver, |_| {});
    let (sender, left) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let origin = Origin::start(move |mut peer, _| {
        while peer.request().is_some() {
            peer.send(OK);
        }
        let _ = sender.lock().unwrap().send(());
    });
    let start = Instant::now();
    assert_eq!(proxy.get(&origin.url("/")).body, "ok");
    assert_eq!(proxy.get(&origin.url("/")).body, "ok");
    assert_eq!(origin.accepted(), 1);
    left.recv_timeout(Duration::from_secs(5)).unwrap();
    is_due(start);
}

fn the_oldest_connection_that_waits_ends_when_there_are_too_many(driver: DriverChoice) {
    let proxy = hasty(driver, |settings| {
        settings.limits.max_idle_upstreams = 1;
        settings.limits.idle_upstream_timeout_ms = 60_000;
    });
    let (sender, left) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let first = Origin::start(move |mut peer, _| {
        while peer.request().is_some() {
            peer.send(OK);
        }
        let _ = sender.lock().unwrap().send(());
    });
    let second = Origin::answering(OK);
    assert_eq!(proxy.get(&first.url("/")).body, "ok");
    assert_eq!(proxy.get(&second.url("/")).body, "ok");
    left.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(proxy.get(&second.url("/")).body, "ok");
    assert_eq!((first.accepted(), second.accepted()), (1, 1));
    assert_eq!(proxy.get(&first.url("/")).body, "ok");
    assert_eq!(first.accepted(), 2);
}

/// A certificate for the proxy itself.
fn tls() -> Tls {
    let key = std::env::temp_dir().join(format!("fasttunnel-{}-proxy.key", std::process::id()));
    let arguments =
        ["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=localhost"];
    let made = Command::new("openssl").args(arguments).args(["-keyout", key.to_str().unwrap()]).output().unwrap();
    let pem = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let identities = [Identity { chain: &made.stdout, key: &pem, names: &[] }];
    Tls::new(TlsParts { identities: &identities, least: MinVersion::Tls12, clients: None }).unwrap()
}

fn a_client_that_does_not_shake_hands_is_cut(driver: DriverChoice) {
    let limits = |config: &mut Config| {
        config.tls = Some(tls());
        config.limits.handshake_timeout_ms = 400;
    };
    let proxy = Proxy::configured(driver, None, Settings::default(), Trust::of_the_web().unwrap(), limits);
    // Nothing, and the beginning of a `ClientHello`.
    for said in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut client = proxy.client();
        let start = Instant::now();
        client.send(said);
        client.until_end();
        is_due(start);
    }
}

fn a_slow_client_and_a_slow_server_that_go_on_are_waited_for(driver: DriverChoice) {
    let proxy = hasty(driver, |_| {});
    let origin = Origin::start(|mut peer, _| {
        let (_, content) = peer.request().unwrap();
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", content.len()));
        for byte in content.chunks(1) {
            std::thread::sleep(ms(150));
            peer.send(byte);
        }
    });
    let mut client = proxy.client();
    client.send(proxy.request(&format!("POST {}", origin.url("/")), "Content-Length: 8\r\n"));
    for byte in b"slowpoke".chunks(1) {
        std::thread::sleep(ms(150));
        client.send(byte);
    }
    assert_eq!(client.reply().body, "slowpoke");
}

fn a_client_that_takes_an_early_answer_slowly_is_waited_for(driver: DriverChoice) {
    let proxy = Proxy::with(driver, None, |settings| settings.limits.answer_timeout_ms = 400);
    let origin = Origin::start(|mut peer, _| {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 32000000\r\n\r\n");
        peer.send(vec![b'x'; 32_000_000]);
        peer.rest();
    });
    let mut client = proxy.client();
    client.send(proxy.request(&format!("POST {}", origin.url("/")), "Content-Length: 4\r\n"));
    assert_eq!(client.head().status, 200);
    // As much of the answer lies everywhere as can when the last of the request goes.
    std::thread::sleep(ms(300));
    client.send("last");
    std::thread::sleep(ms(1200));
    assert_eq!(client.take(32_000_000).len(), 32_000_000);
}
