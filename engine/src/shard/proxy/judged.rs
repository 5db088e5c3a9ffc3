//! A client as a resident of its shard: how it stands, and what becomes of it.

use std::cell::Cell;

use crate::limits::PROXY_HALF_CLOSE_MS;
use crate::proxy::fault::Fault;
use crate::shard::Shard;
use crate::shard::proxy::client::Client;
use crate::shard::resident::standing::Standing;
use crate::shard::resident::{Resident, Verdict};
use crate::shard::service::Service;
use crate::shard::transport::socket::{Shutdown, Socket};

impl Resident for Client {
    fn service(&self) -> &'static Service {
        self.service
    }

    fn socket(&self) -> &Socket {
        Client::socket(self)
    }

    fn standing(&self) -> Standing {
        let (busy, streams, shared) = (self.busy.get(), self.carried.len(), self.is_stream());
        Standing {
            phase: self.clock.phase(),
            since_ms: self.clock.since_ms(),
            bytes: self.clock.bytes(),
            progressed_ms: self.clock.progressed_ms(),
            writing_since_ms: self.writing_since_ms.get(),
            stalled_since_ms: None,
            pending: usize::from(busy) + streams,
            settled: !busy && streams == 0 && self.writing_since_ms.get().is_none(),
            asking: false,
            inflow: self.receives.get(),
            unread: !shared && self.socket().is_unread(),
            closing: self.closing.get(),
            dead: self.dead.get(),
            partial: (!shared && self.socket().has_partial_input()) || self.layer_bytes() > 0,
        }
    }

    fn judge_exchanges(&self, shard: &Shard, judge: &dyn Fn(&Standing) -> Verdict) {
        // One at a time is judged as the connection; several are, each by itself.
        self.carried.each(|stream| stream.carry_out(shard, judge(&stream.standing()), shard.now_ms()));
    }

    fn cut_released(&self, shard: &Shard, now_ms: u64) {
        self.carried.each(|stream| stream.cut_released(shard, now_ms));
        if self.is_released() {
            self.carry_out(shard, Verdict::Cut, now_ms);
        }
    }

    fn is_released(&self) -> bool {
        self.context.borrow().as_ref().is_some_and(|context| context.is_released())
    }

    fn held_bytes(&self) -> usize {
        let bytes = Cell::new(self.own_bytes());
        self.carried.each(|stream| bytes.set(bytes.get() + stream.own_bytes()));
        bytes.get()
    }

    fn carry_out(&self, shard: &Shard, verdict: Verdict, now_ms: u64) {
        if self.carried.has_begun() {
            return self.carry_out_on_streams(shard, verdict, now_ms);
        }
        match verdict {
            Verdict::Wait | Verdict::Rest => self.look(now_ms),
            Verdict::HoldClock(for_ms) => {
                self.clock.hold(for_ms, now_ms);
                self.look(now_ms);
            }
            // It may be waiting for its answer; one that has left can be told from that only by what is sent to it.
            Verdict::HalfClosed(_) => {
                if now_ms.saturating_sub(self.sent_ms.get()) >= PROXY_HALF_CLOSE_MS {
                    self.cut(false);
                }
            }
            Verdict::LastAnswers => {
                self.closing.set(true);
                if !self.busy.get() {
                    self.cut(false);
                }
            }
            Verdict::TimedOut if self.busy.get() => {
                self.miss(Fault::ContentLate);
                self.cancel_read();
            }
            Verdict::TimedOut if self.is_stream() => self.cut(true),
            Verdict::TimedOut => {
                self.miss(Fault::HeadLate);
                self.socket().shutdown(Shutdown::Read);
            }
            Verdict::Close | Verdict::Forsake | Verdict::Evicted | Verdict::Cut => {
                // What it was being sent is not to look whole.
                self.cut(self.busy.get());
            }
        }
    }
}

impl Client {
    /// The same for a connection that has streams: they have times of their own.
    fn carry_out_on_streams(&self, shard: &Shard, verdict: Verdict, now_ms: u64) {
        match verdict {
            Verdict::Wait | Verdict::Rest | Verdict::HalfClosed(_) => {}
            Verdict::HoldClock(for_ms) => self.clock.hold(for_ms, now_ms),
            // It takes no further stream, and ends when those that there are have (RFC 9113 6.8).
            Verdict::LastAnswers | Verdict::Close if !self.closing.get() => {
                self.closing.set(true);
                self.carried.each(|stream| stream.carry_out(shard, Verdict::LastAnswers, now_ms));
                self.carried.wake();
            }
            Verdict::LastAnswers => {}
            Verdict::TimedOut => {
                shard.counters.protocol_errors.add(1);
                self.cut(false);
            }
            Verdict::Close | Verdict::Forsake | Verdict::Evicted | Verdict::Cut => self.cut(false),
        }
    }
}
