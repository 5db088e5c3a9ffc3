//! What a proxy is started with.

use core::net::{IpAddr, SocketAddr};

use crate::limits::ProxyLimits;
use crate::proxy::policy::{HostRule, Policy};
use crate::proxy::target::Target;

/// Looks a name up. It may wait. The addresses come in the order in which they should be tried; none: there is no such host.
pub type Find = fn(&str) -> Vec<IpAddr>;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where requests may go.
    pub policy: Policy,
    /// Hosts that are not looked up, and where they are instead: what the operator says is not judged by its address.
    pub hosts: Vec<(HostRule, Place)>,
    /// Looks the other names up; `None`: the system does, as for every program of this machine.
    pub find: Option<Find>,
    /// The bounds.
    pub limits: ProxyLimits,
}

/// Where a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its address.
    pub address: IpAddr,
    /// Its port; `None`: the one that is asked for.
    pub port: Option<u16>,
}

impl Place {
    /// Reads `address` or `address:port`, IPv6 with a port in brackets.
    #[must_use]
    pub fn parse(text: &str) -> Option<Place> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Place { address, port: None });
        }
        let place = text.parse::<SocketAddr>().ok().filter(|place| place.port() > 0)?;
        Some(Place { address: place.ip(), port: Some(place.port()) })
    }
}

impl Settings {
    /// Where the operator says that a target is.
    #[must_use]
    pub fn place_of(&self, target: &Target) -> Option<SocketAddr> {
        let (_, place) = self.hosts.iter().find(|(rule, _)| rule.is(target))?;
        Some(SocketAddr::new(place.address, place.port.unwrap_or(target.port)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_where_the_operator_says() {
        let hosts = vec![
            (HostRule::parse("a.com").unwrap(), Place::parse("10.0.0.1").unwrap()),
            (HostRule::parse("*.a.com").unwrap(), Place::parse("[::1]:8443").unwrap()),
        ];
        let settings = Settings { hosts, ..Settings::default() };
        let place =
            |url: &str| settings.place_of(&Target::of_absolute(url.as_bytes()).unwrap()).map(|at| at.to_string());
        assert_eq!(place("https://a.com").as_deref(), Some("10.0.0.1:443"));
        assert_eq!(place("https://b.a.com").as_deref(), Some("[::1]:8443"));
        assert_eq!(place("https://b.com"), None);
        assert!(["", "localhost", "1.2.3.4:0", "1.2.3.4:x", "::1:x"].iter().all(|bad| Place::parse(bad).is_none()));
    }
}
