//! From a name to a connection: how long a proxy waits for addresses, to which of them it connects, and in which order.
#![allow(clippy::unwrap_used)]
#[macro_use]
mod support;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fasttunnel_engine::limits::{CONNECT_STAGGER_MS, LOOKUPS_OF_ONE};
use fasttunnel_engine::proxy::settings::Settings;

use support::origin::{Full, Origin, Proxy, credentials};
use support::{DriverChoice, eventually, ms};

on_both_drivers!(
    a_name_that_nobody_can_say_in_time_is_504_and_holds_up_nobody_else,
    of_a_names_addresses_those_that_are_allowed_are_connected_to,
    a_name_is_looked_up_once_and_what_was_found_is_what_is_connected_to,
    an_address_that_does_not_answer_has_the_next_beside_it_after_a_while,
    addresses_that_refuse_are_passed_at_once,
    all_addresses_of_a_name_together_have_one_time,
);

/// How often each name was looked up.
static LOOKUPS: Mutex<Option<HashMap<String, usize>>> = Mutex::new(None);

/// What `slow` names take: longer than anybody waits, and not so long that they outlive a test.
const SLOW: Duration = Duration::from_secs(3);

/// A name says what its addresses are: `1-2-3-4.5-6-7-8.test`, with `z` for `::1`, `m` for `::ffff:127.0.0.1`. Those of
/// `rebinds…` lead elsewhere from the second time on; those of `slow…` take long; those of `none…` have none.
fn find(host: &str) -> Vec<IpAddr> {
    let mut lookups = LOOKUPS.lock().unwrap_or_else(PoisonError::into_inner);
    let count = lookups.get_or_insert_default().entry(host.to_owned()).or_default();
    *count += 1;
    let again = *count > 1;
    drop(lookups);
    if host.starts_with("slow") {
        std::thread::sleep(SLOW);
    }
    if again && host.starts_with("rebinds") {
        return vec![IpAddr::from([169, 254, 169, 254])];
    }
    let labels = host.split('.').filter_map(|label| match label {
        "z" => Some("::1".parse().unwrap()),
        "m" => Some("::ffff:127.0.0.1".parse().unwrap()),
        label => label.replace('-', ".").parse().ok(),
    });
    labels.collect()
}

fn lookups_of(host: &str) -> usize {
    LOOKUPS.lock().unwrap().as_ref().and_then(|all| all.get(host).copied()).unwrap_or(0)
}

/// A proxy that asks [`find`]; this machine is allowed, as in all of these tests, unless `change` says otherwise.
#[track_caller]
fn proxy(driver: DriverChoice, change: impl FnOnce(&mut Settings)) -> Proxy {
    Proxy::with(driver, None, |settings| {
        settings.find = Some(find);
        change(settings);
    })
}

fn a_name_that_nobody_can_say_in_time_is_504_and_holds_up_nobody_else(driver: DriverChoice) {
    let proxy = proxy(driver, |settings| settings.limits.dns_timeout_ms = 400);
    let origin = Origin::telling("127.0.0.1:0");
    let port = origin.address.port();
    let start = Instant::now();
    // As many as one context may have under way.
    let mut slow: Vec<_> = (0..LOOKUPS_OF_ONE)
        .map(|number| {
            let mut client = proxy.client();
            let line = if number % 2 == 0 {
                format!("GET http://slow{number}.127-0-0-1.test:{port}/")
            } else {
                format!("CONNECT slow{number}.127-0-0-1.test:{port}")
            };
            client.send(proxy.request(&line, ""));
            client
        })
        .collect();
    for client in &mut slow {
        let reply = client.reply();
        assert_eq!((reply.status, reply.field("proxy-status")), (504, Some("fasttunnel; error=dns_timeout")));
    }
    assert!((ms(400)..ms(1600)).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!(origin.accepted(), 0);
    // The threads still wait. Another context has some of its own; this one has none, and is told so in its time.
    let names = proxy.server.engine().create_context(8, None).unwrap().unwrap();
    let quick = format!("GET http://quick.127-0-0-1.test:{port}/ HTTP/1.1\r\nHost: x\r\n");
    let mut other = proxy.client();
    other.send(format!("{quick}{}\r\n", credentials(&names)));
    assert_eq!(other.reply().body, "127.0.0.1");
    if start.elapsed() < SLOW - ms(1000) {
        slow[0].send(format!("{quick}{}\r\n", proxy.credentials()));
        assert_eq!(slow[0].reply().status, 504);
    }
    // Once they are free it goes on.
    std::thread::sleep(SLOW.saturating_sub(start.elapsed()));
    eventually("a name is looked up again", || {
        proxy.get(&format!("http://quick.127-0-0-1.test:{port}/")).status == 200
    });
}

fn of_a_names_addresses_those_that_are_allowed_are_connected_to(driver: DriverChoice) {
    // Both addresses lead to one listener, which tells them apart.
    let origin = Origin::telling("0.0.0.0:0");
    let port = origin.address.port();
    let around = proxy(driver, |_| {});
    for (name, found) in [
        ("169-254-169-254.127-0-0-2.test", "127.0.0.2"),
        ("10-0-0-1.169-254-169-254.192-168-0-1.127-0-0-3.test", "127.0.0.3"),
        ("127-0-0-2.10-0-0-1.test", "127.0.0.2"),
    ] {
        let reply = around.get(&format!("http://{name}:{port}/"));
        assert_eq!((reply.status, reply.body.as_str()), (200, found), "{name}");
    }
    drop(around);
    let accepted = origin.accepted();
    let strict = proxy(driver, |settings| {
        settings.policy.loopback = false;
        settings.policy.private = true;
        // Long enough for a second address to have its turn.
        settings.limits.connect_timeout_ms = CONNECT_STAGGER_MS * 3;
    });
    for name in ["127-0-0-1.test", "z.test", "m.test", "0-0-0-0.test", "m.z.127-0-0-1.169-254-1-1.test"] {
        for line in [format!("GET http://{name}:{port}/"), format!("CONNECT {name}:{port}")] {
            let mut client = strict.client();
            client.send(strict.request(&line, ""));
            let reply = client.reply();
            let error = reply.field("proxy-status");
            assert_eq!((reply.status, error), (403, Some("fasttunnel; error=destination_ip_prohibited")), "{line}");
        }
    }
    // One of them is allowed: whatever becomes of that, the others are not a way in.
    for name in ["10-255-255-1.127-0-0-1.test", "m.10-255-255-1.test", "127-0-0-2.z.10-255-255-1.test"] {
        assert_ne!(strict.get(&format!("http://{name}:{port}/")).status, 200, "{name}");
    }
    assert_eq!(strict.get("http://none.test/").field("proxy-status"), Some("fasttunnel; error=dns_error"));
    assert_eq!(origin.accepted(), accepted);
}

fn a_name_is_looked_up_once_and_what_was_found_is_what_is_connected_to(driver: DriverChoice) {
    let proxy = proxy(driver, |_| {});
    let origin = Origin::telling("127.0.0.1:0");
    let host = format!("rebinds-{driver:?}.127-0-0-1.test").to_ascii_lowercase();
    let url = format!("http://{host}:{}/", origin.address.port());
    let mut client = proxy.client();
    client.send(proxy.request(&format!("GET {url}"), ""));
    assert_eq!((client.reply().body.as_str(), lookups_of(&host)), ("127.0.0.1", 1));
    // A connection that is kept is the one that was checked.
    client.send(proxy.request(&format!("GET {url}"), ""));
    assert_eq!((client.reply().body.as_str(), lookups_of(&host)), ("127.0.0.1", 1));
    // A new one is looked up anew, and judged anew.
    client.send(proxy.request(&format!("CONNECT {host}:{}", origin.address.port()), ""));
    assert_eq!((client.reply().status, lookups_of(&host)), (403, 2));
    assert_eq!(origin.accepted(), 1);
}

fn an_address_that_does_not_answer_has_the_next_beside_it_after_a_while(driver: DriverChoice) {
    let proxy = proxy(driver, |_| {});
    let origin = Origin::telling("127.0.0.3:0");
    let port = origin.address.port();
    let full = Full::bind(&format!("127.0.0.2:{port}"));
    let own = connecting_to(full.address);
    let start = Instant::now();
    let reply = proxy.get(&format!("http://127-0-0-2.127-0-0-3.test:{port}/"));
    assert_eq!(reply.body, "127.0.0.3");
    let stagger = ms(CONNECT_STAGGER_MS);
    assert!((stagger..stagger + ms(1200)).contains(&start.elapsed()), "{:?}", start.elapsed());
    // The attempt that has lost is over.
    eventually("nobody else connects any more", || connecting_to(full.address) <= own);
}

/// Sockets of this machine that wait for an answer from there.
fn connecting_to(address: std::net::SocketAddr) -> usize {
    let std::net::SocketAddr::V4(address) = address else { unreachable!("IPv4") };
    let to = format!("{:08X}:{:04X} 02", u32::from_ne_bytes(address.ip().octets()), address.port());
    std::fs::read_to_string("/proc/net/tcp").unwrap().lines().filter(|line| line.contains(&to)).count()
}

fn addresses_that_refuse_are_passed_at_once(driver: DriverChoice) {
    let proxy = proxy(driver, |_| {});
    let origin = Origin::telling("127.0.0.9:0");
    let port = origin.address.port();
    let refuse: Vec<_> = (2..9).map(|last| format!("127-0-0-{last}")).collect();
    let start = Instant::now();
    let reply = proxy.get(&format!("http://{}.127-0-0-9.test:{port}/", refuse.join(".")));
    assert_eq!(reply.body, "127.0.0.9");
    // Each would have taken its time otherwise.
    assert!(start.elapsed() < ms(CONNECT_STAGGER_MS) * 6, "{:?}", start.elapsed());
    // Beside one that does not answer, too.
    let _full = Full::bind(&format!("127.0.0.10:{port}"));
    let start = Instant::now();
    let reply = proxy.get(&format!("http://127-0-0-10.{}.127-0-0-9.test:{port}/", refuse[..6].join(".")));
    assert_eq!(reply.body, "127.0.0.9");
    assert!(start.elapsed() < ms(CONNECT_STAGGER_MS) * 5, "{:?}", start.elapsed());
    let reply = proxy.get(&format!("http://{}.test:{port}/", refuse.join(".")));
    assert_eq!((reply.status, reply.field("proxy-status")), (502, Some("fasttunnel; error=connection_refused")));
}

fn all_addresses_of_a_name_together_have_one_time(driver: DriverChoice) {
    let proxy = proxy(driver, |settings| settings.limits.connect_timeout_ms = 600);
    let first = Full::bind("127.0.0.2:0");
    let port = first.address.port();
    let _others: Vec<_> = (3..6).map(|last| Full::bind(&format!("127.0.0.{last}:{port}"))).collect();
    let start = Instant::now();
    let reply = proxy.get(&format!("http://127-0-0-2.127-0-0-3.127-0-0-4.127-0-0-5.test:{port}/"));
    assert_eq!((reply.status, reply.field("proxy-status")), (504, Some("fasttunnel; error=connection_timeout")));
    assert!((ms(600)..ms(2000)).contains(&start.elapsed()), "{:?}", start.elapsed());
}
