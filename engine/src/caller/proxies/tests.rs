#![allow(clippy::unwrap_used)]
use super::*;
use crate::tunnel::request::sample::Sample;

fn peer(text: &str) -> Option<SocketAddr> {
    (text != "unix").then(|| SocketAddr::new(text.parse().unwrap(), 999))
}

/// `address|port|secure|host`.
fn told(proxies: &Proxies, peer_text: &str, lines: &[(&str, &str)]) -> String {
    let lines: Vec<_> = lines.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let sample = Sample::new("GET", "/", &lines);
    let Client { at, secure, host } = proxies.client(peer(peer_text), sample.fields());
    assert_eq!(proxies.whereabouts(peer(peer_text), sample.fields()), at, "what is asked for one by one is the same");
    let at = match at {
        Whereabouts::At(address, port) => format!("{address}|{}", port.map_or("-".into(), |port| port.to_string())),
        Whereabouts::Local => "local|-".into(),
        Whereabouts::Unknown => "unknown|-".into(),
    };
    let secure = secure.map_or("-".into(), |secure| secure.to_string());
    format!("{at}|{secure}|{}", host.map_or("-".into(), |host| String::from_utf8(host).unwrap()))
}

fn networks(list: &[&str]) -> Proxies {
    Proxies::Networks(Networks::parse(list.iter().copied()).unwrap())
}

const FOR: &str = "X-Forwarded-For";
const PROTO: &str = "X-Forwarded-Proto";
const HOST: &str = "X-Forwarded-Host";

#[test]
fn a_peer_that_is_not_trusted_is_the_client_whatever_it_says() {
    let all = [(FOR, "1.1.1.1"), ("Forwarded", "for=1.1.1.1;proto=https"), (PROTO, "https"), (HOST, "a")];
    for proxies in [networks(&["10.0.0.0/8"]), networks(&[]), Proxies::Hops(0)] {
        assert_eq!(told(&proxies, "192.0.2.7", &all), "192.0.2.7|999|-|-");
        assert_eq!(told(&proxies, "unix", &all), "local|-|-|-");
    }
}

#[test]
fn lists_are_read_from_the_right_as_far_as_their_writers_are_trusted() {
    let two = networks(&["10.0.0.0/8", "2001:db8::/32"]);
    for (list, expected) in [
        ("203.0.113.9", "203.0.113.9|-"),
        ("1.1.1.1, 203.0.113.9", "203.0.113.9|-"),
        ("1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9|-"),
        ("203.0.113.9:4711, 10.0.0.2", "203.0.113.9|4711"),
        ("203.0.113.9, [2001:db8::5]:80,10.0.0.2", "203.0.113.9|-"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3|-"),
        ("", "10.0.0.1|999"),
        ("garbage", "unknown|-"),
        ("203.0.113.9, garbage, 10.0.0.2", "unknown|-"),
        ("garbage, 203.0.113.9", "203.0.113.9|-"),
        ("unknown, 10.0.0.2", "unknown|-"),
    ] {
        assert_eq!(told(&two, "10.0.0.1", &[(FOR, list)]), format!("{expected}|-|-"), "{list}");
    }
    assert_eq!(told(&two, "10.0.0.1", &[(FOR, "1.1.1.1"), ("x-forwarded-for", "2.2.2.2, 10.0.0.9")]), "2.2.2.2|-|-|-");
    assert_eq!(told(&networks(&["unix"]), "unix", &[(FOR, "1.1.1.1, 2.2.2.2")]), "2.2.2.2|-|-|-");
    assert_eq!(told(&networks(&["::ffff:10.0.0.0/104"]), "::ffff:10.0.0.1", &[(FOR, "2.2.2.2")]), "2.2.2.2|-|-|-");
}

#[test]
fn a_number_trusts_so_many_in_a_row() {
    for (hops, expected) in [(1, "3.3.3.3"), (2, "2.2.2.2"), (3, "1.1.1.1"), (9, "1.1.1.1")] {
        let told = told(&Proxies::Hops(hops), "192.0.2.7", &[(FOR, "1.1.1.1, 2.2.2.2, 3.3.3.3")]);
        assert_eq!(told, format!("{expected}|-|-|-"), "{hops}");
    }
    assert_eq!(told(&Proxies::Hops(1), "unix", &[(FOR, "3.3.3.3")]), "3.3.3.3|-|-|-");
}

#[test]
fn scheme_and_host_come_from_the_proxy_that_the_client_has_asked() {
    let proxies = networks(&["10.0.0.0/8"]);
    for (lines, expected) in [
        (&[(FOR, "2.2.2.2"), (PROTO, "https"), (HOST, "a.example")][..], "2.2.2.2|-|true|a.example"),
        // What is to the left of that is the client's own.
        (&[(FOR, "2.2.2.2"), (PROTO, "https, http"), (HOST, "evil, a.example:8080")], "2.2.2.2|-|false|a.example:8080"),
        (&[(FOR, "2.2.2.2, 10.0.0.2"), (PROTO, "https, http")], "2.2.2.2|-|true|-"),
        // The last proxy has replaced it.
        (&[(FOR, "2.2.2.2, 10.0.0.2"), (PROTO, "https")], "2.2.2.2|-|true|-"),
        (&[(PROTO, "HTTPS")], "10.0.0.1|999|true|-"),
        (&[(PROTO, "ws")], "10.0.0.1|999|false|-"),
        (&[(PROTO, "gopher"), (HOST, "a b")], "10.0.0.1|999|-|-"),
        (&[("Forwarded", "for=2.2.2.2;proto=https;host=\"a.example:1\"")], "2.2.2.2|-|true|a.example:1"),
        (&[("Forwarded", "for=1.1.1.1;proto=https, for=2.2.2.2;proto=http")], "2.2.2.2|-|false|-"),
        (&[("Forwarded", "for=2.2.2.2;proto=https, for=10.0.0.2;proto=http")], "2.2.2.2|-|true|-"),
        (&[("Forwarded", "for=unknown;proto=https")], "unknown|-|true|-"),
        (&[("Forwarded", "proto=https")], "unknown|-|true|-"),
    ] {
        assert_eq!(told(&proxies, "10.0.0.1", lines), expected, "{lines:?}");
    }
}

/// A client sends the one field, its proxy writes the other.
#[test]
fn fields_that_contradict_each_other_tell_nothing() {
    let proxies = networks(&["10.0.0.0/8"]);
    for (list, field, expected) in [
        ("2.2.2.2", "for=1.1.1.1", "unknown|-|-|-"),
        ("1.1.1.1", "for=2.2.2.2;proto=https", "unknown|-|-|-"),
        ("2.2.2.2", "for=\"", "unknown|-|-|-"),
        ("2.2.2.2", "for=unknown", "unknown|-|-|-"),
        ("10.0.0.9", "for=2.2.2.2", "unknown|-|-|-"),
        // The client has named itself in the field that its proxy does not write.
        ("2.2.2.2", "for=\"2.2.2.2:80\";proto=https;host=evil", "2.2.2.2|80|-|-"),
        ("2.2.2.2", "for=\"2.2.2.2:80\";proto=HTTP", "2.2.2.2|80|false|-"),
        ("1.1.1.1, 2.2.2.2", "for=3.3.3.3, for=2.2.2.2", "2.2.2.2|-|-|-"),
    ] {
        assert_eq!(
            told(&proxies, "10.0.0.1", &[(FOR, list), ("Forwarded", field), (PROTO, "http")]),
            expected,
            "{list} {field}"
        );
    }
    assert_eq!(told(&proxies, "10.0.0.1", &[("Forwarded", "for=2.2.2.2;for=3.3.3.3")]), "unknown|-|-|-");
    let both = [(FOR, "2.2.2.2"), ("Forwarded", "for=2.2.2.2;proto=https;host=a.example")];
    let agrees = [&both[..], &[(PROTO, "https"), (HOST, "a.example")]].concat();
    assert_eq!(told(&proxies, "10.0.0.1", &both), "2.2.2.2|-|-|-");
    assert_eq!(told(&proxies, "10.0.0.1", &agrees), "2.2.2.2|-|true|a.example");
    // To be at the other end of a unix socket is not the same as not to be known.
    assert_eq!(told(&networks(&["unix"]), "unix", &[(FOR, "unix:"), ("Forwarded", ",")]), "unknown|-|-|-");
}
