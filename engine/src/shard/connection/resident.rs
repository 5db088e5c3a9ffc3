//! A connection as a resident of its shard.

use h2::Reason;

use crate::shard::Shard;
use crate::shard::connection::conn::Conn;
use crate::shard::connection::streams::{Order, Streams};
use crate::shard::exchange::own_fields::OwnFields;
use crate::shard::exchange::phase::Phase;
use crate::shard::resident::standing::Standing;
use crate::shard::resident::{Resident, Verdict};
use crate::shard::service::Service;
use crate::shard::transport::socket::Socket;
use crate::tunnel::envelope::Refusal;
use crate::wire::answer::{Answer, Content, Given};
use crate::wire::field_lines::FieldLines;

impl Resident for Conn {
    fn service(&self) -> &'static Service {
        self.service()
    }

    fn socket(&self) -> &Socket {
        self.socket()
    }

    fn standing(&self) -> Standing {
        let streams = self.streams();
        let (phase, since_ms, bytes) = self.phase();
        Standing {
            phase,
            since_ms,
            bytes,
            progressed_ms: self.incoming().clock.progressed_ms(),
            writing_since_ms: self.writing_since_ms(),
            stalled_since_ms: streams.and_then(|streams| streams.stalled_since_ms()),
            pending: self.pending(),
            settled: self.settled(),
            asking: self.incoming().is_asking(),
            inflow: self.inflow().is_some(),
            partial: self.socket().has_partial_input(),
            unread: self.is_unread(),
            closing: self.closing(),
            dead: self.is_dead(),
        }
    }

    fn held_bytes(&self) -> usize {
        self.held_bytes()
    }

    fn judge_exchanges(&self, shard: &Shard, judge: &dyn Fn(&Standing) -> Verdict) {
        if let Some(streams) = self.streams() {
            judge_streams(self, streams, shard, judge);
        }
    }

    fn carry_out(&self, shard: &Shard, verdict: Verdict, now_ms: u64) {
        if let Some(streams) = self.streams() {
            return carry_out_on_streams(self, streams, shard, verdict, now_ms);
        }
        match verdict {
            Verdict::Wait => {}
            Verdict::Rest => {
                if self.rest() {
                    shard.spell.note();
                }
            }
            Verdict::HoldClock(for_ms) => self.incoming().clock.hold(for_ms, now_ms),
            Verdict::HalfClosed(since_ms) => self.enter(Phase::HalfClosed, since_ms),
            Verdict::LastAnswers => {
                self.take_leave(shard);
                self.begin_close();
            }
            Verdict::TimedOut if self.inflow().is_some() => {
                shard.break_body(shard.next_exchange(self), Refusal::RequestTimeout);
            }
            Verdict::TimedOut => {
                shard.counters.protocol_errors.add(1);
                // Behind the last answer none follows: where that ends with the connection, it would become a part of it.
                if !self.closing() {
                    shard.refuse(shard.next_exchange(self), Refusal::RequestTimeout, OwnFields::NONE, true);
                }
                self.end_soon(now_ms);
            }
            // Its call has not begun, so it may be sent again.
            Verdict::Evicted if self.inflow().is_some() => {
                shard.break_body(shard.next_exchange(self), Refusal::ServiceUnavailable);
                // What it holds is to come back soon.
                self.restart(Phase::Linger, now_ms);
            }
            Verdict::Evicted => {
                shard.refuse(shard.next_exchange(self), Refusal::ServiceUnavailable, OwnFields::NONE, true);
                self.end_soon(now_ms);
            }
            Verdict::Close => self.end_soon(now_ms),
            Verdict::Forsake => {
                self.incoming().set_inflow(None);
                shard.abandon(&self.waiting());
            }
            Verdict::Cut => shard.cut_off(self),
        }
    }
}

/// Each stream has times of its own: for its request, and for taking its answer.
fn judge_streams(conn: &Conn, streams: &Streams, shard: &Shard, judge: &dyn Fn(&Standing) -> Verdict) {
    let mut stalled = None;
    for stream in streams.all() {
        let (standing, clock) = (conn.standing(), &stream.incoming().clock);
        let waits = matches!(clock.phase(), Phase::Body | Phase::Stream);
        let taking = stream.stalled_since_ms();
        stalled = [stalled, taking, waits.then_some(clock.since_ms())].into_iter().flatten().min();
        let standing = Standing {
            phase: clock.phase(),
            since_ms: clock.since_ms(),
            bytes: clock.bytes(),
            progressed_ms: clock.progressed_ms(),
            writing_since_ms: taking,
            pending: 1,
            settled: false,
            inflow: stream.incoming().inflow().is_some(),
            ..standing
        };
        let exchange = shard.stream_exchange(conn, streams, &stream);
        match judge(&standing) {
            Verdict::TimedOut if standing.inflow => shard.break_body(exchange, Refusal::RequestTimeout),
            Verdict::TimedOut => {
                shard.counters.protocol_errors.add(1);
                shard.refuse(exchange, Refusal::RequestTimeout, OwnFields::NONE, false);
                stream.incoming().clock.enter(Phase::Idle, shard.now_ms());
            }
            Verdict::HoldClock(for_ms) => clock.hold(for_ms, shard.now_ms()),
            // Nobody wants the rest of its request, and it does not come.
            Verdict::Close if clock.phase() == Phase::Skip => {
                stream.reset(Reason::NO_ERROR);
                streams.touch(&stream);
                conn.wake();
            }
            Verdict::Cut => {
                stream.reset(Reason::CANCEL);
                streams.touch(&stream);
                conn.wake();
            }
            _ => {}
        }
    }
    streams.note_stalled(stalled);
}

fn carry_out_on_streams(conn: &Conn, streams: &Streams, shard: &Shard, verdict: Verdict, now_ms: u64) {
    let order = match verdict {
        Verdict::Wait | Verdict::HalfClosed(_) => return,
        Verdict::Rest => {
            if conn.rest() {
                shard.spell.note();
            }
            return;
        }
        Verdict::HoldClock(for_ms) => return conn.incoming().clock.hold(for_ms, now_ms),
        Verdict::LastAnswers => Order::Finish,
        Verdict::Close if !conn.closing() => Order::Finish,
        Verdict::TimedOut => {
            shard.counters.protocol_errors.add(1);
            Order::End(Reason::NO_ERROR)
        }
        Verdict::Evicted => Order::End(Reason::ENHANCE_YOUR_CALM),
        Verdict::Close | Verdict::Forsake | Verdict::Cut => return shard.cut_off(conn),
    };
    streams.order(order);
    conn.wake();
}

impl Conn {
    /// Tells a client that wants to know it that no request is read behind those that were: without a word it could not tell
    /// whether one that is on its way was begun. It stands behind all answers, which are not the last ones any more.
    fn take_leave(&self, shard: &Shard) {
        if !self.wants_notice() || self.closing() {
            return;
        }
        let (own, given, date) = (FieldLines::NONE, Given::Engine(FieldLines::NONE), &shard.clock.date());
        let notice = Answer { status: 408, own, given, security: false, date, content: Content::text(b"") };
        shard.next_exchange(self).sink.take_leave(&notice);
    }

    /// Ends when the last answer is out, or a little later.
    fn end_soon(&self, now_ms: u64) {
        self.begin_close();
        self.restart(Phase::Linger, now_ms);
    }
}
