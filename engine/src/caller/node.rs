//! How proxies name a client in the fields of a request: an address, perhaps with a port (RFC 7239 6).

use core::net::{IpAddr, Ipv6Addr};

/// Reads `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]`, `[2001:db8::1]:80` or `2001:db8::1`. `None` for what names no address:
/// `unknown`, a name of the proxy's own (RFC 7239 6.3), nonsense.
#[must_use]
pub fn parse(text: &[u8]) -> Option<(IpAddr, Option<u16>)> {
    let text = core::str::from_utf8(text).ok()?;
    if let Some(rest) = text.strip_prefix('[') {
        let (address, behind) = rest.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        let port = match behind.strip_prefix(':') {
            Some(digits) => port(digits),
            None if behind.is_empty() => None,
            None => return None,
        };
        return Some((IpAddr::from(address).to_canonical(), port));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some((address.to_canonical(), None));
    }
    let (address, digits) = text.split_once(':')?;
    Some((IpAddr::V4(address.parse().ok()?), port(digits)))
}

/// A port may be hidden, too (RFC 7239 6): then it is not known.
fn port(digits: &str) -> Option<u16> {
    digits.parse().ok().filter(|_| digits.bytes().all(|digit| digit.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_in_every_spelling_and_nothing_else() {
        for (text, expected) in [
            ("192.0.2.43", Some(("192.0.2.43", None))),
            ("192.0.2.43:47011", Some(("192.0.2.43", Some(47011)))),
            ("192.0.2.43:_gazonk", Some(("192.0.2.43", None))),
            ("192.0.2.43:99999", Some(("192.0.2.43", None))),
            ("192.0.2.43:+1", Some(("192.0.2.43", None))),
            ("2001:db8:cafe::17", Some(("2001:db8:cafe::17", None))),
            ("[2001:db8:cafe::17]", Some(("2001:db8:cafe::17", None))),
            ("[2001:db8:cafe::17]:4711", Some(("2001:db8:cafe::17", Some(4711)))),
            ("::ffff:192.0.2.1", Some(("192.0.2.1", None))),
            ("[::ffff:192.0.2.1]:5", Some(("192.0.2.1", Some(5)))),
            ("unknown", None),
            ("_hidden", None),
            ("", None),
            ("[192.0.2.1]", None),
            ("[::1", None),
            ("[::1]x", None),
            ("::1]", None),
            ("192.0.2", None),
            ("192.0.2.01", None),
            ("localhost", None),
            ("fe80::1%eth0", None),
        ] {
            let expected = expected.and_then(|(address, port)| Some((address.parse().ok()?, port)));
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(parse(b"\xff"), None);
    }
}
