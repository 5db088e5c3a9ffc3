//! Limits of callers, as all shards share them: what each may ask in a time, and how many of its calls may be under way.
//!
//! A caller is known by a number: a hash, with a key of this process, of its token or of its address (of IPv6: its network of 64
//! bits). Nobody can choose who shares a number with whom, and two that do by chance, one pair in 2^64, share what they may.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;

use super::allowances::Allowances;
use super::gate::{Gate, Permit};
use crate::caller::bucket::{Bucket, Taken};
use crate::caller::networks::of_caller;
use crate::caller::rules::{LimitRule, Per};

/// See the module.
#[derive(Default)]
pub struct CallerLimits {
    limits: Vec<Limit>,
    hasher: RandomState,
}

struct Limit {
    per: Per,
    allowances: Option<Allowances>,
    gate: Option<Arc<Gate>>,
}

/// Who has sent a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Who<'a> {
    /// The token that it has sent.
    pub token: Option<&'a [u8]>,
    /// Its address; `None`: it is not known, or has none.
    pub address: Option<IpAddr>,
}

/// By what numbers gates know the caller of a request. 0: no gate asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers([u64; 2]);

/// What a limit says of a request.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// Of whom.
    pub per: Per,
    /// The bucket.
    pub bucket: Bucket,
    /// What was taken.
    pub taken: Taken,
    /// Another's bucket has gone for it.
    pub forgot: bool,
}

impl CallerLimits {
    /// Limits as these rules say; at most one for each kind of callers.
    #[must_use]
    pub fn new(rules: &[LimitRule]) -> Self {
        let limit = |rule: &LimitRule| Limit {
            per: rule.per,
            allowances: rule.bucket.map(|bucket| Allowances::new(bucket, rule.max_callers)),
            gate: rule.most_at_once.map(|most| Arc::new(Gate::new(most))),
        };
        CallerLimits { limits: rules.iter().map(limit).collect(), hasher: RandomState::new() }
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }

    /// True when one of them asks for addresses.
    #[must_use]
    pub fn asks_addresses(&self) -> bool {
        self.limits.iter().any(|limit| limit.per == Per::Address)
    }

    /// Takes one of each bucket of this caller, until one is empty; without `charge` it only looks.
    pub fn take(&self, who: Who<'_>, kinds: &[Per], now_ns: u64, charge: bool, mut say: impl FnMut(Said)) -> bool {
        for limit in self.limits.iter().filter(|limit| kinds.contains(&limit.per)) {
            let (Some(allowances), Some(caller)) = (&limit.allowances, self.number(limit.per, who)) else { continue };
            let (taken, forgot) =
                if charge { allowances.take(caller, now_ns) } else { (allowances.look(caller, now_ns), false) };
            say(Said { per: limit.per, bucket: allowances.bucket(), taken, forgot });
            if charge && !taken.passed {
                return false;
            }
        }
        true
    }

    /// By what the gates know this caller; `None` where one of them is full.
    pub fn numbers(&self, who: Who<'_>) -> Option<Numbers> {
        let mut numbers = Numbers::default();
        for (limit, number) in self.limits.iter().zip(&mut numbers.0) {
            let (Some(gate), Some(caller)) = (&limit.gate, self.number(limit.per, who)) else { continue };
            if gate.is_full(caller) {
                return None;
            }
            *number = caller;
        }
        Some(numbers)
    }

    /// Lets a call begin; `None` where a gate is full. The permits are held until the call is over.
    pub fn enter(&self, numbers: Numbers) -> Option<Vec<Permit>> {
        let mut permits = Vec::new();
        for (limit, caller) in self.limits.iter().zip(numbers.0).filter(|(_, caller)| *caller != 0) {
            permits.push(limit.gate.as_ref()?.enter(caller)?);
        }
        Some(permits)
    }

    /// The number of a caller, where it is one.
    fn number(&self, per: Per, who: Who<'_>) -> Option<u64> {
        let hash = match per {
            Per::Token => self.of_token(who.token?),
            Per::Address => self.hasher.hash_one(of_caller(who.address?)),
        };
        Some(hash.max(1))
    }

    /// Blanks and the case of a scheme (RFC 9110 11.1) make no other caller: validators may take all of them.
    fn of_token(&self, token: &[u8]) -> u64 {
        let scheme = token.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or_default();
        let (scheme, rest) = token.split_at(scheme);
        let mut hasher = self.hasher.build_hasher();
        scheme.iter().for_each(|byte| hasher.write_u8(byte.to_ascii_lowercase()));
        hasher.write_u8(b' ');
        hasher.write(rest.trim_ascii());
        hasher.finish()
    }
}

impl Numbers {
    /// True when no gate asks.
    #[inline]
    #[must_use]
    pub fn are_none(self) -> bool {
        self.0 == [0; 2]
    }
}

impl std::fmt::Debug for CallerLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallerLimits").field("limits", &self.limits.len()).finish()
    }
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn another_spelling_of_a_token_is_no_other_caller() {
        let limits = CallerLimits::default();
        let of = |token: &str| limits.of_token(token.as_bytes());
        assert_eq!(of("Bearer a"), of("bEARER \t a "));
        assert_eq!(of("a"), of(" a"));
        for other in ["Bearer A", "Bearer", "a", "Bearera", "Basic a"] {
            assert_ne!(of("Bearer a"), of(other), "{other}");
        }
    }

    fn rule(per: Per, burst: Option<u32>, most_at_once: Option<u32>) -> LimitRule {
        LimitRule { per, bucket: burst.map(|burst| Bucket::new(1.0, burst)), most_at_once, max_callers: 100 }
    }

    fn who<'a>(token: &'a str, address: &str) -> Who<'a> {
        Who { token: Some(token.as_bytes()), address: address.parse().ok() }
    }

    #[test]
    fn each_kind_of_callers_has_its_own_buckets() {
        let limits = CallerLimits::new(&[rule(Per::Address, Some(3), None), rule(Per::Token, Some(2), None)]);
        let both = [Per::Address, Per::Token];
        let take = |who, kinds: &[Per]| limits.take(who, kinds, 1, true, |_| {});
        assert_eq!([(); 3].map(|()| take(who("a", "192.0.2.1"), &both)), [true, true, false]);
        assert!(!take(who("b", "192.0.2.1"), &both), "its address has none left");
        assert!(take(who("b", "192.0.2.2"), &both) && !take(who("a", "192.0.2.2"), &both));
        assert!(take(who("a", "192.0.2.3"), &[Per::Address]));
        // A site of IPv6 is one caller; one that nobody knows is none.
        for host in ["2001:db8::1", "2001:db8::2", "2001:db8::3"] {
            assert!(take(who("", host), &[Per::Address]));
        }
        assert!(!take(who("", "2001:db8::4"), &[Per::Address]) && take(who("", "2001:db8:0:1::"), &[Per::Address]));
        assert!([(); 9].iter().all(|()| take(Who::default(), &both)));
    }

    #[test]
    fn a_gate_that_is_full_keeps_the_others_as_they_were() {
        let limits = CallerLimits::new(&[rule(Per::Address, None, Some(3)), rule(Per::Token, None, Some(1))]);
        let a = limits.numbers(who("a", "192.0.2.1")).unwrap();
        let held = limits.enter(a).unwrap();
        assert_eq!(held.len(), 2);
        assert!(limits.enter(a).is_none() && limits.numbers(who("a", "192.0.2.9")).is_none());
        // What the first gate gave before the second was full is given back.
        let others: Vec<_> =
            ["b", "c"].map(|token| limits.enter(limits.numbers(who(token, "192.0.2.1")).unwrap()).unwrap()).into();
        assert!(limits.numbers(who("d", "192.0.2.1")).is_none());
        drop((held, others));
        assert!(limits.enter(a).is_some());
        assert!(
            limits.numbers(Who::default()).unwrap().are_none() && limits.enter(Numbers::default()).unwrap().is_empty()
        );
    }
}
