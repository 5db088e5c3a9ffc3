//! From a request to a connection for it: one that there is, a stream of one, or a new one.

use crate::link::http2_counts::count;
use crate::proxy::fault::Fault;
use crate::proxy::target::Scheme;
use crate::shard::proxy::dial::dial;
use crate::shard::proxy::exchange::Exchange;
use crate::shard::proxy::hand::Hand;
use crate::shard::upstream::firsts::{Choice, Part};
use crate::shard::upstream::pool::{Key, Upstream};

impl Exchange<'_> {
    /// A connection that there is, or a stream of one.
    pub fn waiting(&self, hand: &Hand, key: &Key) -> Option<Upstream> {
        let asked = self.head.fields.of(self.bytes).get(b"upgrade").first();
        let websocket = asked.is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"));
        let shares = &self.upstreams.shares;
        let stream = match (websocket || !self.forward.upgrade) && self.may_take_http2(key) {
            false => None,
            true => shares.take(key, self.forward.upgrade, self.is_bare(), hand.shard.head_limits, hand.now_ms()),
        };
        stream.or_else(|| self.upstreams.pool.take(key))
    }

    /// A new connection, or a stream of one that another request has made meanwhile.
    ///
    /// # Errors
    /// What the client hears instead.
    pub async fn connect(&self, hand: &Hand, key: &Key) -> Result<Upstream, Fault> {
        let offered = self.offers_http2(hand, key);
        if !offered {
            return self.dial(hand, key, false).await;
        }
        let firsts = &self.upstreams.firsts;
        let until_ms = hand.now_ms() + self.upstreams.link.settings.limits.connect_timeout_ms;
        while !firsts.chose_http1(key) {
            match firsts.join(key) {
                Part::Lead(lead) => {
                    let dialled = self.dial(hand, key, true).await;
                    lead.tell(choice(&dialled, hand));
                    return dialled;
                }
                Part::Wait(turn) => {
                    hand.client.hold(turn.clone());
                    let choice = turn.wait(|| hand.now_ms(), until_ms).await;
                    hand.client.let_go();
                    if let Some(fault) = hand.client.late() {
                        return Err(fault);
                    }
                    if hand.client.is_dead() {
                        return Err(Fault::Terminated);
                    }
                    // Those that came later than the first have some of the time left.
                    let had_its_time = choice != Choice::Failed(Fault::ConnectLate) || hand.now_ms() >= until_ms;
                    if let (Choice::Failed(fault), true) = (choice, had_its_time) {
                        return Err(fault);
                    }
                    if let Some(upstream) = self.waiting(hand, key) {
                        return Ok(upstream);
                    }
                    if hand.now_ms() >= until_ms {
                        break;
                    }
                }
            }
        }
        self.dial(hand, key, true).await
    }

    async fn dial(&self, hand: &Hand, key: &Key, offered: bool) -> Result<Upstream, Fault> {
        let dialled = dial(&hand.shard, self.upstreams, &hand.client, self.context, &key.target, offered).await;
        if offered {
            let choice = choice(&dialled, hand);
            self.upstreams.firsts.note(key, choice);
            if choice == Choice::Http1 {
                count(&self.upstreams.link.http2.fallbacks);
            }
        }
        dialled
    }

    /// A server may choose HTTP/2, by ALPN: not for another protocol, which it would have to allow first (RFC 8441 3).
    fn offers_http2(&self, hand: &Hand, key: &Key) -> bool {
        let by_alpn = key.target.scheme == Scheme::Https;
        by_alpn && hand.shard.limits.http2.enabled && !self.forward.upgrade && self.may_take_http2(key)
    }

    /// The server has not asked for HTTP/1.1, and HTTP/2 can say it: HTTP/1.1 looks less closely at targets.
    fn may_take_http2(&self, key: &Key) -> bool {
        let target = self.bytes.get(self.head.path.start as usize..self.head.target.end as usize).unwrap_or_default();
        let fits = target.is_empty() || self.forward.asterisk || http::uri::PathAndQuery::try_from(target).is_ok();
        fits && !self.upstreams.shares.wants_http1(key)
    }
}

/// What has become of a connection on which HTTP/2 was offered.
fn choice(dialled: &Result<Upstream, Fault>, hand: &Hand) -> Choice {
    match dialled {
        Ok(upstream) if upstream.end.socket().is_none() => Choice::Http2,
        Ok(_) => Choice::Http1,
        // That is about the client.
        Err(_) if hand.client.is_dead() => Choice::Unknown,
        Err(Fault::ContentLate | Fault::HeadLate) => Choice::Unknown,
        Err(fault) => Choice::Failed(*fault),
    }
}
