//! The admin listener: how the engine is. Its connections are ordinary ones of shard 0 in all but what they are answered.
//! They need neither the host nor a slot, count for no bound but their own, and stay until the engine ends.

use std::sync::atomic::Ordering;

use crate::limits::{HOST_BEHIND, LEAN_READ_BUFFER_BYTES};
use crate::shard::exchange::handle::Exchange;
use crate::shard::exchange::sink::Sink;
use crate::shard::service::{AtStop, Service, Speaks};
use crate::shard::{GIVEN_UP, Shard};
use crate::tunnel::admin::{AdminAnswer, Health};
use crate::wire::answer::{Answer, Content, Given};
use crate::wire::field_lines::FieldLines;

pub(in crate::shard) static ADMIN: Service = Service {
    is_load: false,
    takes_requests: true,
    hand_over: None,
    may_begin: |shard| !shard.life.is_admin_over() && !shard.life.is_winding_down(),
    lean_bytes: LEAN_READ_BUFFER_BYTES,
    tls: |shard| shard.admin_tls.as_deref(),
    half_closes: true,
    speaks_http2: false,
    at_stop: AtStop::Stays,
    answer: Some(|shard, head, bytes| shard.health().answer(head.method, head.path.of(bytes))),
    speaks: Speaks::ToServer,
};

impl Shard {
    /// How the engine is.
    fn health(&self) -> Health {
        let behind = u64::try_from(HOST_BEHIND.as_nanos()).unwrap_or(u64::MAX);
        Health {
            shard_failed: self.loads.iter().any(|load| load.load(Ordering::Relaxed) == GIVEN_UP),
            closing: self.vitals.is_closing(),
            starting: self.vitals.is_starting(),
            host_behind: self.vitals.unturned_ns() >= behind
                || (0..self.loads.len()).any(|shard| self.backend.unseen_ns(shard) >= behind),
        }
    }

    /// Gives what the admin listener answers.
    pub(in crate::shard) fn answer_admin(
        &self,
        exchange: Exchange<'_, impl Sink>,
        answer: AdminAnswer,
        head_only: bool,
        last: bool,
    ) {
        let AdminAnswer { status, fields, text } = answer;
        let (given, content) = (Given::Engine(fields), Content::text(text.as_bytes()).withheld_if(head_only));
        let answer = Answer { status, own: FieldLines::NONE, given, security: true, date: &self.clock.date(), content };
        exchange.sink.answer(&answer, last);
    }
}
