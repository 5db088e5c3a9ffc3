//! Where a request goes: scheme, host and port, of an absolute target or of an authority.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};

use crate::limits::{MAX_HOST_BYTES, MAX_LABEL_BYTES};

/// How the upstream is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain.
    Http,
    /// Under TLS.
    Https,
}

impl Scheme {
    /// The port that nobody names.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// A host, read once: what is checked is what is connected to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name in lower case, without a final dot.
    Name(String),
    /// An address.
    Address(IpAddr),
}

impl Host {
    /// Reads a host, an IPv6 address in brackets. IPv4 only as four decimal numbers: other spellings (`0x7f.1`,
    /// `2130706433`) are an address to some and a name to others. Names are of letters, digits, `-` and `_`.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Host> {
        if let [b'[', address @ .., b']'] = text {
            let address: Ipv6Addr = core::str::from_utf8(address).ok()?.parse().ok()?;
            // One that carries an IPv4 address is that: rules name it in one way, and there is one way to connect to it.
            return Some(Host::Address(IpAddr::from(address).to_canonical()));
        }
        let name = core::str::from_utf8(text.strip_suffix(b".").unwrap_or(text)).ok()?;
        if let Ok(address) = name.parse::<core::net::Ipv4Addr>() {
            return Some(Host::Address(address.into()));
        }
        let last = name.rsplit('.').next().unwrap_or_default();
        let numeric = last.bytes().all(|byte| byte.is_ascii_digit())
            || last
                .strip_prefix("0x")
                .or(last.strip_prefix("0X"))
                .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
        (is_name(name) && !numeric).then(|| Host::Name(name.to_ascii_lowercase()))
    }

    /// A host that means the machine of whoever asks: `localhost`, a name below that, or an address of this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Address(address) => address.is_loopback() || address.is_unspecified(),
        }
    }
}

/// As in an authority.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// A name that DNS can have: labels of at most 63 bytes, 253 in all.
#[must_use]
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_HOST_BYTES && name.split('.').all(is_label)
}

/// One label of a name.
#[must_use]
pub fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_LABEL_BYTES).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// Its host.
    pub host: Host,
    /// Its port, never 0.
    pub port: u16,
}

impl Target {
    /// Of a target in absolute form, as far as its path, which the reader of heads has found.
    #[must_use]
    pub fn of_absolute(origin: &[u8]) -> Option<Target> {
        let colon = memchr::memchr(b':', origin)?;
        let scheme = match &origin[..colon] {
            scheme if scheme.eq_ignore_ascii_case(b"http") => Scheme::Http,
            scheme if scheme.eq_ignore_ascii_case(b"https") => Scheme::Https,
            _ => return None,
        };
        Target::of_authority(scheme, origin[colon..].strip_prefix(b"://")?)
    }

    /// Of an authority; without a port that of the scheme.
    #[must_use]
    pub fn of_authority(scheme: Scheme, authority: &[u8]) -> Option<Target> {
        let (host, port) = match memchr::memrchr(b':', authority) {
            // Not the colon of an IPv6 address.
            Some(colon) if !authority.ends_with(b"]") => (&authority[..colon], &authority[colon + 1..]),
            _ => (authority, &b""[..]),
        };
        let port = match port {
            b"" => scheme.default_port(),
            digits if digits.iter().all(u8::is_ascii_digit) => core::str::from_utf8(digits).ok()?.parse().ok()?,
            _ => return None,
        };
        Some(Target { scheme, host: Host::parse(host)?, port }).filter(|_| port != 0)
    }

    /// The same place, spoken to by somebody else.
    #[must_use]
    pub fn over_tcp(&self) -> Target {
        Target { scheme: Scheme::Http, ..self.clone() }
    }

    /// The authority: the port only where the scheme does not say it.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() { self.host.to_string() } else { self.host_and_port() }
    }

    /// Host and port.
    #[must_use]
    pub fn host_and_port(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn authority(text: &str) -> Option<String> {
        Target::of_absolute(text.as_bytes()).map(|target| target.authority())
    }

    #[test]
    fn targets_are_read_to_scheme_host_and_port() {
        for (text, expected) in [
            ("http://example.com", Some("example.com")),
            ("HTTP://EXAMPLE.com.:80", Some("example.com")),
            ("https://example.com:443", Some("example.com")),
            ("https://example.com:80", Some("example.com:80")),
            ("http://a_b-c.d:65535", Some("a_b-c.d:65535")),
            ("http://[::1]:5173", Some("[::1]:5173")),
            ("http://[::1]", Some("[::1]")),
            ("http://[0:0:0:0:0:0:0:1]:80", Some("[::1]")),
            ("http://127.0.0.1:", Some("127.0.0.1")),
            ("http://[::ffff:1.2.3.4]:80", Some("1.2.3.4")),
            ("http://127.evil.com", Some("127.evil.com")),
            ("http://example.com:0", None),
            ("http://example.com:65536", None),
            ("http://example.com:+80", None),
            ("http://example.com:8x", None),
            ("http://user@example.com", None),
            ("http://exa%6dple.com", None),
            ("http://exam ple.com", None),
            ("http://a..b", None),
            ("http://-a.b", None),
            ("http://.", None),
            ("http://", None),
            ("http://[::1", None),
            ("http://[v1.x]", None),
            ("http://[fe80::1%25eth0]", None),
            ("ftp://example.com", None),
            ("example.com:80", None),
            // An address to some resolvers.
            ("http://2130706433", None),
            ("http://0x7f000001", None),
            ("http://0X7f.1", None),
            ("http://127.1", None),
            ("http://0177.0.0.1", None),
            ("http://127.0.0.1.5", None),
            ("http://256.0.0.1", None),
        ] {
            assert_eq!(authority(text).as_deref(), expected, "{text}");
        }
        let long = |label: usize| format!("http://{}.com", "a".repeat(label));
        assert!(authority(&long(63)).is_some() && authority(&long(64)).is_none());
        assert!(authority(&format!("http://{}", "abc.".repeat(64))).is_none(), "255 bytes");
    }

    #[test]
    fn hosts_of_the_own_machine_are_told_by_what_they_are_not_by_how_they_begin() {
        for host in [
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "127.0.0.1",
            "127.1.2.3",
            "0.0.0.0",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::]",
        ] {
            assert!(Host::parse(host.as_bytes()).unwrap().is_loopback(), "{host}");
        }
        for host in
            ["127.evil.com", "localhost.evil.com", "notlocalhost", "128.0.0.1", "[::2]", "[::ffff:128.0.0.1]", "local"]
        {
            assert!(!Host::parse(host.as_bytes()).unwrap().is_loopback(), "{host}");
        }
    }
}
