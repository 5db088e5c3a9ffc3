//! Who may call, by address.

use super::networks::Networks;
use super::proxies::Whereabouts;

/// Nobody in `deny` may, and where `allow` names anybody, nobody else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Those who may; `None`: all.
    pub allow: Option<Networks>,
    /// Those who may not, whatever `allow` says.
    pub deny: Networks,
}

impl Access {
    /// True for one who may call. The rules are for addresses: who comes by a unix socket has been let in by the rights of its
    /// file. One whose address nobody knows may be anybody, and so may not.
    #[must_use]
    pub fn admits(&self, at: Whereabouts) -> bool {
        match at {
            Whereabouts::Local => true,
            Whereabouts::Unknown => false,
            Whereabouts::At(address, _) => {
                !self.deny.has(address) && self.allow.as_ref().is_none_or(|allowed| allowed.has(address))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn deny_counts_before_allow_and_who_is_not_known_may_not() {
        let networks = |list: &[&'static str]| Networks::parse(list.iter().copied()).unwrap();
        let at = |text: &str| Whereabouts::At(text.parse().unwrap(), None);
        let allow = Access { allow: Some(networks(&["10.0.0.0/8"])), deny: networks(&["10.9.0.0/16"]) };
        let deny = Access { allow: None, deny: networks(&["10.9.0.0/16"]) };
        for (address, by_allow, by_deny) in
            [("10.0.0.1", true, true), ("10.9.0.1", false, false), ("11.0.0.1", false, true)]
        {
            assert_eq!((allow.admits(at(address)), deny.admits(at(address))), (by_allow, by_deny), "{address}");
        }
        for access in [&allow, &deny] {
            assert!(access.admits(Whereabouts::Local) && !access.admits(Whereabouts::Unknown));
        }
        let nobody = Access { allow: Some(Networks::default()), ..Access::default() };
        assert!(!nobody.admits(at("10.0.0.1")));
    }
}
