//! Whom the load is for: a tunnel on this machine, nobody else.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::error::Error;

/// A tunnel's base URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// A loopback address.
    pub address: SocketAddr,
    /// The value of `Host`.
    pub host: String,
    /// The path, without a slash at its end.
    pub base: String,
    /// It is called by https.
    pub tls: bool,
}

impl Target {
    /// Reads `http://host:port/base`. `localhost` is 127.0.0.1: names are not looked up, so that no name server can
    /// point the load elsewhere.
    pub fn parse(url: &str) -> Result<Target, Error> {
        let refuse = |why: &str| Err(Error::Usage(format!("URL `{url}`: {why}")));
        let (rest, tls) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (rest, false),
            (None, Some(rest)) => (rest, true),
            (None, None) => return refuse("it has to start with http:// or https://"),
        };
        let (host, base) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if !base.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?' && byte != b'#') {
            return refuse("the path may hold visible ASCII characters, no query and no fragment");
        }
        let numeric = host.replacen("localhost", "127.0.0.1", 1);
        let address = if let Ok(address) = numeric.parse::<SocketAddr>() {
            address
        } else if let Ok(ip) = numeric.trim_matches(['[', ']']).parse::<IpAddr>() {
            SocketAddr::new(ip, if tls { 443 } else { 80 })
        } else {
            return refuse("write the host as a loopback address, for example http://127.0.0.1:7070/__runner");
        };
        if !is_loopback(address.ip()) {
            return refuse("only loopback addresses are loaded: 127.0.0.1, [::1] or localhost");
        }
        Ok(Target { address, host: host.to_owned(), base: base.trim_end_matches('/').to_owned(), tls })
    }
}

fn is_loopback(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip: Ipv4Addr| ip.is_loopback()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (url, address, base) in [
            ("http://127.0.0.1:7070/__runner", "127.0.0.1:7070", "/__runner"),
            ("http://localhost:1/a/b/", "127.0.0.1:1", "/a/b"),
            ("http://[::1]:7070", "[::1]:7070", ""),
            ("http://127.1.2.3/", "127.1.2.3:80", ""),
            ("https://127.1.2.3/", "127.1.2.3:443", ""),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!((target.address, target.base.as_str()), (address.parse().unwrap(), base), "{url}");
            assert_eq!(target.tls, url.starts_with("https"), "{url}");
        }
    }

    #[test]
    fn nobody_else_is_loaded() {
        for url in [
            "http://10.0.0.1:7070/",
            "http://0.0.0.0:7070/",
            "http://[::]:7070/",
            "http://[::ffff:10.0.0.1]:7070/",
            "http://example.com/",
            "http://localhost.example.com/",
            "http://127.0.0.1.example.com/",
            "http://127.0.0.1@10.0.0.1/",
            "https://10.0.0.1/",
            "ftp://127.0.0.1/",
            "127.0.0.1:7070",
            "http://127.0.0.1:7070/a b",
            "http://127.0.0.1:7070/a?b",
            "http://127.0.0.1:99999/",
        ] {
            assert!(matches!(Target::parse(url), Err(Error::Usage(_))), "{url}");
        }
    }
}
