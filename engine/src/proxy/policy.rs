//! Where requests may go: ports and hosts, before anything is looked up, and addresses, before anything is connected to.

use core::net::IpAddr;
use core::ops::RangeInclusive;

use crate::proxy::address::Class;
use crate::proxy::target::{Host, Target};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Ports that may be connected to; what else listens below 1024 speaks something else than HTTP.
    pub ports: Vec<RangeInclusive<u16>>,
    /// Hosts that may be asked for, none other; empty: all.
    pub allow: Vec<HostRule>,
    /// Hosts that may not, whatever `allow` says.
    pub deny: Vec<HostRule>,
    /// Addresses of this machine may be connected to, for a context without a route.
    pub loopback: bool,
    /// Those of networks around here may.
    pub private: bool,
    /// Those of the link may, where clouds keep the keys of a machine.
    pub link_local: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            ports: vec![80..=80, 443..=443, 1024..=u16::MAX],
            allow: Vec::new(),
            deny: Vec::new(),
            loopback: false,
            private: false,
            link_local: false,
        }
    }
}

/// A host, or all below a name, and perhaps one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRule {
    name: RuleName,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum RuleName {
    Any,
    Host(Host),
    /// Begins with a dot.
    Below(String),
}

impl HostRule {
    /// Reads `host`, `*.host` (all below it) or `*`, each with or without `:port`.
    #[must_use]
    pub fn parse(text: &str) -> Option<HostRule> {
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !text.ends_with(']') => {
                (name, Some(port.parse::<u16>().ok().filter(|port| *port > 0)?))
            }
            _ => (text, None),
        };
        let name = match name.strip_prefix('*') {
            Some("") => RuleName::Any,
            Some(below) => match Host::parse(below.strip_prefix('.')?.as_bytes())? {
                Host::Name(name) => RuleName::Below(format!(".{name}")),
                Host::Address(_) => return None,
            },
            None => RuleName::Host(Host::parse(name.as_bytes())?),
        };
        Some(HostRule { name, port })
    }

    /// True for what it names.
    #[must_use]
    pub fn is(&self, target: &Target) -> bool {
        let named = match (&self.name, &target.host) {
            (RuleName::Any, _) => true,
            (RuleName::Host(host), asked) => host == asked,
            (RuleName::Below(below), Host::Name(name)) => name.ends_with(below.as_str()),
            (RuleName::Below(_), Host::Address(_)) => false,
        };
        named && self.port.is_none_or(|port| port == target.port)
    }
}

impl Policy {
    /// True when a request may go there at all.
    #[must_use]
    pub fn allows(&self, target: &Target) -> bool {
        let listed = |rules: &[HostRule]| rules.iter().any(|rule| rule.is(target));
        self.ports.iter().any(|ports| ports.contains(&target.port))
            && (self.allow.is_empty() || listed(&self.allow))
            && !listed(&self.deny)
    }

    /// True when this address may be connected to, of a target that is allowed. `routed`: of a context with a route, for which
    /// this machine is another.
    #[must_use]
    pub fn allows_address(&self, address: IpAddr, routed: bool) -> bool {
        match Class::of(address) {
            Class::Public => true,
            Class::Loopback => self.loopback && !routed,
            Class::Private => self.private,
            Class::LinkLocal => self.link_local,
            Class::Special => false,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn target(url: &str) -> Target {
        Target::of_absolute(url.as_bytes()).unwrap()
    }

    #[test]
    fn ports_of_other_protocols_are_refused_and_rules_can_refuse_more() {
        let policy = Policy::default();
        for (url, expected) in [
            ("http://a.com", true),
            ("https://a.com", true),
            ("http://a.com:5173", true),
            ("http://a.com:25", false),
            ("http://a.com:22", false),
            ("http://a.com:1023", false),
            ("http://a.com:1024", true),
            ("http://a.com:65535", true),
        ] {
            assert_eq!(policy.allows(&target(url)), expected, "{url}");
        }
        let rules = |texts: &[&str]| texts.iter().map(|text| HostRule::parse(text).unwrap()).collect::<Vec<_>>();
        let policy =
            Policy { allow: rules(&["a.com", "*.b.com:443", "[::1]"]), deny: rules(&["secret.b.com"]), ..policy };
        for (url, expected) in [
            ("http://a.com", true),
            ("http://A.com:8080", true),
            ("http://x.a.com", false),
            ("https://x.b.com", true),
            ("http://x.b.com", false),
            ("https://b.com", false),
            ("https://xb.com", false),
            ("https://secret.b.com", false),
            ("http://[::1]:8080", true),
        ] {
            assert_eq!(policy.allows(&target(url)), expected, "{url}");
        }
        let policy = Policy { deny: rules(&["1.2.3.4", "[::ffff:5.6.7.8]"]), ..Policy::default() };
        for url in ["http://1.2.3.4", "http://[::ffff:1.2.3.4]", "http://[::ffff:102:304]", "http://5.6.7.8"] {
            assert!(!policy.allows(&target(url)), "{url}");
        }
        for bad in ["", "a b", "*x.com", "*.1.2.3.4", "a.com:0", "a.com:65536", "a.com:x", "a/b"] {
            assert_eq!(HostRule::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_the_internet_may_be_connected_to_unless_more_is_allowed() {
        let all = Policy { loopback: true, private: true, link_local: true, ..Policy::default() };
        for (address, by_default, with_all, routed) in [
            ("93.184.216.34", true, true, true),
            ("127.0.0.1", false, true, false),
            ("::ffff:127.0.0.1", false, true, false),
            ("0.0.0.0", false, true, false),
            ("192.168.0.1", false, true, true),
            ("169.254.169.254", false, true, true),
            ("224.0.0.1", false, false, false),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(Policy::default().allows_address(address, false), by_default, "{address}");
            assert_eq!(all.allows_address(address, false), with_all, "{address}");
            assert_eq!(all.allows_address(address, true), routed, "{address}");
        }
    }
}
