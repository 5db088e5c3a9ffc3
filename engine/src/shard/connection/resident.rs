//! A connection of HTTP/1.1 as a resident of its shard.

use crate::shard::Shard;
use crate::shard::connection::conn::Conn;
use crate::shard::exchange::own_fields::OwnFields;
use crate::shard::exchange::phase::Phase;
use crate::shard::exchange::sink::Sink;
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
        let (phase, since_ms, bytes) = self.phase();
        Standing {
            phase,
            since_ms,
            bytes,
            progressed_ms: self.incoming().clock.progressed_ms(),
            writing_since_ms: self.writing_since_ms(),
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

    fn carry_out(&self, shard: &Shard, verdict: Verdict, now_ms: u64) {
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

impl Conn {
    /// Tells a client that wants to know it that no request is read behind those that were: without a word it could not tell
    /// whether one that is on its way was begun. It stands behind all answers, which are not the last ones any more.
    fn take_leave(&self, shard: &Shard) {
        if !self.wants_notice() || self.closing() {
            return;
        }
        let (own, given, date) = (FieldLines::NONE, Given::Engine(FieldLines::NONE), &shard.clock.date());
        let notice = Answer { status: 408, own, given, security: false, date, content: Content::text(b"") };
        shard.next_exchange(self).sink.answer(&notice, true);
    }

    /// Ends when the last answer is out, or a little later.
    fn end_soon(&self, now_ms: u64) {
        self.begin_close();
        self.restart(Phase::Linger, now_ms);
    }
}
