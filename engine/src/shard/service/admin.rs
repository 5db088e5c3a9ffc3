//! The admin listener: how the engine is, and what it does. Its connections are ordinary ones of shard 0 in all but what
//! they are answered. They need neither the host nor a slot, count for no bound but their own, and stay until the engine
//! ends.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::limits::{HOST_BEHIND, LEAN_READ_BUFFER_BYTES};
use crate::shard::exchange::handle::Exchange;
use crate::shard::exchange::sink::Sink;
use crate::shard::report::pages;
use crate::shard::service::{AtStop, Reply, Service, Speaks};
use crate::shard::{GIVEN_UP, Shard};
use crate::tunnel::admin::{AdminAnswer, Health, Page};
use crate::tunnel::load::Load;
use crate::wire::answer::{Answer, Content, Given};
use crate::wire::field_lines::FieldLines;
use crate::wire::head::Head;

pub(in crate::shard) static ADMIN: Service = Service {
    is_load: false,
    takes_requests: true,
    hand_over: None,
    may_begin: |shard| !shard.life.is_admin_over() && !shard.life.is_winding_down(),
    lean_bytes: LEAN_READ_BUFFER_BYTES,
    tls: |shard| shard.admin_tls.as_deref(),
    half_closes: true,
    speaks_http2: false,
    has_callers: false,
    at_stop: AtStop::Stays,
    answer: Some(|shard, head, bytes| shard.reply_of_admin(head, bytes)),
    greets: None,
    speaks: Speaks::ToServer,
};

impl Shard {
    /// How the engine is.
    pub(in crate::shard) fn health(&self) -> Health {
        let pressure = self.backend.pressure();
        // Without a limit for how long calls may wait, what makes the host count as behind is one.
        let wait = match self.limits.queue_timeout_ms {
            0 => HOST_BEHIND,
            limit => Duration::from_millis(limit),
        };
        let wait_ns = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        let behind = u64::try_from(HOST_BEHIND.as_nanos()).unwrap_or(u64::MAX);
        Health {
            shard_failed: self.loads.iter().any(|load| load.load(Ordering::Relaxed) == GIVEN_UP),
            closing: self.vitals.is_closing(),
            starting: self.vitals.is_starting(),
            host_behind: self.vitals.unturned_ns() >= behind
                || (0..self.loads.len()).any(|shard| self.backend.unseen_ns(shard) >= behind),
            load: Load::of(&[(pressure.calls, self.limits.max_calls_in_flight as u64), (pressure.waited_ns, wait_ns)]),
        }
    }

    fn reply_of_admin(&self, head: &Head, bytes: &[u8]) -> Reply {
        let page = match Page::of(head.method, head.path.of(bytes), self.reports.dashboard) {
            Ok(page) => page,
            Err(refused) => return Reply::Whole(refused),
        };
        let health = self.health();
        Reply::Whole(match page {
            Page::Live => Health::answer(health.dead()),
            Page::Ready => Health::answer(health.unready()),
            Page::Load => AdminAnswer::plain(200, health.load().text()),
            Page::Metrics => {
                let accept = head.fields.of(bytes).get(b"accept").first().unwrap_or_default();
                self.reports.metrics(accept, health.unready())
            }
            Page::Stats => self.reports.stats(health.unready()),
            Page::Events => return Reply::Events,
            Page::Dashboard | Page::Script | Page::Style => match pages::file(page) {
                Some(file) => file,
                None => AdminAnswer::plain(404, "not found"),
            },
        })
    }

    /// Gives what the admin listener answers.
    pub(in crate::shard) fn answer_admin(
        &self,
        exchange: Exchange<'_, impl Sink>,
        answer: &AdminAnswer,
        head_only: bool,
        last: bool,
    ) {
        let AdminAnswer { status, fields, ref text } = *answer;
        let (given, content) = (Given::Engine(fields), Content::text(text).withheld_if(head_only));
        let answer = Answer { status, own: FieldLines::NONE, given, security: true, date: &self.clock.date(), content };
        exchange.sink.answer(&answer, last);
    }
}
