//! `uri-host [ ":" port ]` of the Host field and of absolute targets (RFC 3986 3.2.2, RFC 9110 7.2).

// Parsing an address is pure: the `core` path says so, nothing here can open a socket.
use core::net::Ipv6Addr;

/// True for a host with an optional port. Stricter than the grammar where only attacks differ: the host is never
/// empty, holds no comma (a list of hosts), no user information, and a port fits 16 bits.
#[must_use]
pub fn is_host(authority: &[u8]) -> bool {
    let (host, rest) = match authority {
        [b'[', inner @ ..] => {
            let Some(close) = memchr::memchr(b']', inner) else { return false };
            if !is_ip_literal(&inner[..close]) {
                return false;
            }
            (&inner[..close], &inner[close + 1..])
        }
        _ => {
            let colon = memchr::memchr(b':', authority).unwrap_or(authority.len());
            if !is_reg_name(&authority[..colon]) {
                return false;
            }
            authority.split_at(colon)
        }
    };
    !host.is_empty() && is_port(rest)
}

/// The authority form of a target: a host and a port that can be connected to. A port that is absent, empty or 0 is
/// refused: CONNECT has no default (RFC 9110 9.3.6).
#[must_use]
pub fn is_host_and_port(authority: &[u8]) -> bool {
    let port = memchr::memrchr(b':', authority).map_or(&b""[..], |colon| &authority[colon + 1..]);
    // Behind the last colon of an IPv6 address stands its bracket.
    is_host(authority) && port.iter().all(u8::is_ascii_digit) && port.iter().any(|digit| *digit != b'0')
}

/// Empty, or ":" and up to 65535 in digits (none at all is allowed: RFC 3986 3.2.3).
fn is_port(rest: &[u8]) -> bool {
    let digits = match rest {
        [] => return true,
        [b':', digits @ ..] => digits,
        _ => return false,
    };
    let mut port = 0u32;
    for &byte in digits {
        if !byte.is_ascii_digit() {
            return false;
        }
        port = port * 10 + u32::from(byte - b'0');
        if port > u32::from(u16::MAX) {
            return false;
        }
    }
    true
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Sub-delims without the comma: several Host lines that somebody joined must not pass as one name.
fn is_sub_delim(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=')
}

fn is_reg_name(name: &[u8]) -> bool {
    let mut rest = name;
    while let [byte, tail @ ..] = rest {
        rest = match (byte, tail) {
            (b'%', [high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => tail,
            (&byte, tail) if is_unreserved(byte) || is_sub_delim(byte) => tail,
            _ => return false,
        };
    }
    true
}

/// What stands between the brackets: an IPv6 address, or the reserved future form `v1.x`.
fn is_ip_literal(inner: &[u8]) -> bool {
    if let [b'v' | b'V', future @ ..] = inner {
        let Some(dot) = memchr::memchr(b'.', future) else { return false };
        let (version, address) = (&future[..dot], &future[dot + 1..]);
        return !version.is_empty()
            && version.iter().all(u8::is_ascii_hexdigit)
            && !address.is_empty()
            && address.iter().all(|&b| is_unreserved(b) || is_sub_delim(b) || b == b':');
    }
    std::str::from_utf8(inner).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_names_addresses_and_ports() {
        for host in [
            "localhost",
            "localhost.",
            "LOCALHOST:8080",
            "127.0.0.1",
            "127.0.0.1:1",
            "a_b-c.example",
            "[::1]",
            "[::1]:8080",
            "[2001:db8::7]",
            "[::ffff:1.2.3.4]",
            "[v1.a:b]",
            "x:",
            "x:0",
            "x:65535",
            "x:00080",
            "a%41",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for host in [
            "",
            ":80",
            "a b",
            "a, b",
            "a,b",
            "a\tb",
            "user@localhost",
            "localhost#x",
            "localhost/x",
            "localhost?x",
            "localhost\\x",
            "\"localhost\"",
            "<localhost>",
            "a^b",
            "a|b",
            "a{b}",
            "localhost:-1",
            "localhost:+1",
            "localhost:abc",
            "localhost:80:80",
            "localhost:65536",
            "localhost:99999999999999999999",
            "[::1",
            "::1",
            "[]",
            "[::g]",
            "[::1]x",
            "[::1%25eth0]",
            "[127.0.0.1]",
            "[v.a]",
            "[v1.]",
            "[v1]",
            "]",
            "http://localhost",
            "a%zz",
            "a%4",
            "a%",
            "l\u{e9}calhost",
            "a\0b",
            "a\x7fb",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
