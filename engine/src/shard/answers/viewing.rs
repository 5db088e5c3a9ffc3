//! Answers to viewers of the dashboard: streams of events without an end, and without a call behind them.

use crate::limits::MAX_VIEWER_BYTES;
use crate::link::batch::CallKey;
use crate::shard::Shard;
use crate::shard::connection::conn::Conn;
use crate::shard::exchange::sink::{Opening, Place, Sink};
use crate::shard::report::pages;
use crate::tunnel::admin::AdminAnswer;
use crate::wire::answer::{Answer, Content, Given};
use crate::wire::field_lines::FieldLines;

/// Stands where the key of a call would. No slot has it.
const VIEWER: CallKey = CallKey { slot: u32::MAX, generation: 0 };

impl Shard {
    /// Begins to tell a viewer, unless there are as many as may be. `old`: of HTTP/1.0.
    pub(in crate::shard) fn begin_viewing(&self, conn: &Conn, head_only: bool, old: bool, last: bool) {
        let exchange = self.next_exchange(conn);
        if head_only {
            let empty = AdminAnswer { status: 200, fields: pages::EVENTS, text: (&[]).into() };
            return self.answer_admin(exchange, &empty, true, last);
        }
        self.keep_viewers();
        // What stands behind other answers would be one more that waits.
        if !self.reports.has_room() || conn.pending() > 0 {
            let full = AdminAnswer::plain(503, "as many viewers as may be are here");
            return self.answer_admin(exchange, &full, false, last);
        }
        let place = exchange.sink.place();
        exchange.sink.expect(VIEWER, 0);
        let given = Given::Engine(pages::EVENTS);
        let content = Content::Streamed(None);
        let date = self.clock.date();
        let answer = Answer { status: 200, own: FieldLines::NONE, given, security: true, date: &date, content };
        let sink = exchange.at(place).sink;
        sink.open(&answer, Opening { key: VIEWER, old, last }, &mut Vec::new());
        // A viewer whom we leave comes back soon.
        sink.put(b"retry: 1000\n\n");
        sink.put(&self.reports.event(self.health().unready()));
        self.reports.add_viewer(place);
    }

    /// Tells the viewers, once a second.
    pub(in crate::shard) fn tell_viewers(&self) {
        let due = self.reports.due(self.now_ms());
        if due.is_empty() {
            return;
        }
        self.keep_viewers();
        let event = self.reports.event(self.health().unready());
        let conns = self.conns.borrow();
        for place in due {
            let Some(conn) = conns.get(place.conn as usize).filter(|conn| is_viewer(conn)) else { continue };
            if conn.held_bytes() + event.len() <= MAX_VIEWER_BYTES {
                self.exchange_of(conn, place.sequence).sink.put(&event);
            }
        }
    }

    /// Those who have left are no viewers any more.
    fn keep_viewers(&self) {
        let conns = self.conns.borrow();
        let is_there = |place: &Place| {
            let conn = conns.get(place.conn as usize);
            conn.is_some_and(|conn| is_viewer(conn) && conn.answers().is_first(place.sequence))
        };
        self.reports.keep_viewers(is_there);
    }
}

fn is_viewer(conn: &Conn) -> bool {
    !conn.is_dead() && conn.answers().waiting().any(|key| key == VIEWER)
}
