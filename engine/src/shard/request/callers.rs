//! Who has sent a request, where that decides about it: who may call at all, how often, and how much at a time.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::caller::proxies::Whereabouts;
use crate::caller::rules::Per;
use crate::link::callers::{Numbers, Said, Who};
use crate::link::clock::now_ns;
use crate::shard::Shard;
use crate::shard::connection::conn::Conn;
use crate::shard::exchange::handle::Exchange;
use crate::shard::exchange::sink::Sink;
use crate::tunnel::advice::Question;
use crate::tunnel::auth::AuthVerdict;
use crate::tunnel::decide::Decision;
use crate::tunnel::envelope::Refusal;
use crate::wire::decimal::put_decimal;
use crate::wire::fields::Fields;
use crate::wire::head::Method;

impl Shard {
    /// Where the one is that has sent a request with these fields, for the log; port 0 where a proxy does not say.
    pub(in crate::shard) fn remote_of(&self, conn: &Conn, fields: Fields<'_>) -> Option<SocketAddr> {
        let peer = conn.peer(&self.peers)?.peer().address;
        match self.callers.whereabouts(peer, fields) {
            Whereabouts::At(address, port) => Some(SocketAddr::new(address, port.unwrap_or_default())),
            Whereabouts::Local | Whereabouts::Unknown => None,
        }
    }

    /// By what gates know the caller, or why the request is refused, whatever was decided on it. What limits say goes into `lines`.
    /// `first`: it is decided on for the first time, and counts.
    #[cold]
    #[inline(never)]
    pub(super) fn judge_caller(
        &self,
        exchange: Exchange<'_, impl Sink>,
        (method, fields): (Method, Fields<'_>),
        decision: Decision<'_>,
        first: bool,
        lines: &mut Vec<u8>,
    ) -> Result<Numbers, Refusal<'static>> {
        // Those of this process are nobody's.
        let Some(peer) = exchange.sink.peer(&self.peers) else { return Ok(Numbers::default()) };
        let asks_address = self.callers.request_access().is_some() || self.caller_limits.asks_addresses();
        let at = match asks_address {
            true => self.callers.whereabouts(peer.peer().address, fields),
            false => Whereabouts::Local,
        };
        if self.callers.request_access().is_some_and(|access| !access.admits(at)) {
            self.counters.denied.add(1);
            return Err(Refusal::CallerDenied);
        }
        if self.caller_limits.is_empty() {
            return Ok(Numbers::default());
        }
        let exposure = self.exposure.borrow();
        let accepted = match decision {
            // A browser's question costs nothing, and a refusal of it says nothing to those who ask; nor where JavaScript is asked
            // about its origin first.
            Decision::Preflight => return Ok(Numbers::default()),
            Decision::Ask(_) if method == Method::Options => return Ok(Numbers::default()),
            // The refusals are those that are decided behind the token (CONTRACT 3).
            Decision::Call { .. }
            | Decision::Discovery
            | Decision::Ask(Question { auth: true, .. })
            | Decision::Refuse(
                Refusal::ExposureNotEnabled
                | Refusal::NotExposed(..)
                | Refusal::NotRegistered(..)
                | Refusal::UnsupportedCoding,
            ) => true,
            // What else was decided on it, nobody says before its origin is known.
            Decision::Ask(_) => exposure.auth.verdict(fields) == AuthVerdict::Pass,
            // Whoever guesses tokens has none.
            Decision::Outside | Decision::Refuse(_) => false,
        };
        let kinds: &[Per] = if accepted { &[Per::Address, Per::Token] } else { &[Per::Address] };
        let who = Who { token: fields.get(exposure.auth.header().as_bytes()).first(), address: address_of(at) };
        let mut wait_ns = 0;
        let passed = self.caller_limits.take(who, kinds, now_ns(), first, |said| {
            self.counters.callers_forgotten.add(u64::from(said.forgot));
            wait_ns = said.taken.wait_ns;
            put_limit(lines, said);
        });
        if !passed {
            self.counters.limited.add(1);
            put_number(lines, "Retry-After: ", seconds(wait_ns));
            lines.extend_from_slice(b"\r\n");
            return Err(Refusal::TooManyRequests);
        }
        match decision {
            Decision::Call { .. } => self.caller_limits.numbers(who).ok_or_else(|| {
                self.counters.limited.add(1);
                Refusal::TooManyCalls
            }),
            _ => Ok(Numbers::default()),
        }
    }
}

/// The address that counts. Those whose address nobody knows are one caller together: to contradict oneself is to be one of them.
/// They have an address that no client has; `::` would be in one network with `::1`.
fn address_of(at: Whereabouts) -> Option<IpAddr> {
    match at {
        Whereabouts::At(address, _) => Some(address),
        Whereabouts::Unknown => Some(Ipv4Addr::UNSPECIFIED.into()),
        Whereabouts::Local => None,
    }
}

/// Writes what a limit says (draft-ietf-httpapi-ratelimit-headers-10).
fn put_limit(lines: &mut Vec<u8>, Said { per, bucket, taken, .. }: Said) {
    let name = match per {
        Per::Token => "\"token\"",
        Per::Address => "\"address\"",
    };
    lines.extend_from_slice(b"RateLimit-Policy: ");
    lines.extend_from_slice(name.as_bytes());
    put_number(lines, ";q=", u64::from(bucket.burst));
    put_number(lines, ";w=", seconds(bucket.window_ns()));
    lines.extend_from_slice(b"\r\nRateLimit: ");
    lines.extend_from_slice(name.as_bytes());
    put_number(lines, ";r=", u64::from(taken.left));
    put_number(lines, ";t=", seconds(taken.wait_ns));
    lines.extend_from_slice(b"\r\n");
}

fn put_number(lines: &mut Vec<u8>, before: &str, number: u64) {
    lines.extend_from_slice(before.as_bytes());
    put_decimal(lines, number);
}

/// Whole seconds: never too few, so that nobody comes again too early.
fn seconds(ns: u64) -> u64 {
    ns.div_ceil(1_000_000_000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::bucket::{Bucket, Taken};

    #[test]
    fn a_limit_says_its_policy_and_what_is_left_as_structured_fields() {
        let mut lines = b"x: y\r\n".to_vec();
        let taken = Taken { passed: true, left: 3, wait_ns: 1_500_000_000 };
        put_limit(&mut lines, Said { per: Per::Token, bucket: Bucket::new(10.0, 25), taken, forgot: false });
        let expected = "x: y\r\nRateLimit-Policy: \"token\";q=25;w=3\r\nRateLimit: \"token\";r=3;t=2\r\n";
        assert_eq!(String::from_utf8_lossy(&lines), expected);
        assert_eq!([seconds(0), seconds(1), seconds(1_000_000_000), seconds(1_000_000_001)], [1, 1, 1, 2]);
    }
}
