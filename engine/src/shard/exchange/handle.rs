//! One request and its answer, whatever carries them: what comes in, and where the answer goes.

use crate::link::batch::CallKey;
use crate::shard::exchange::asking::Advised;
use crate::shard::exchange::incoming::Incoming;
use crate::shard::exchange::inflow::Inflow;
use crate::shard::exchange::phase::Phase;
use crate::shard::exchange::sink::{Place, Sink};

/// See the module. What decides on requests, reads their bodies and answers them knows of its client no more than this.
#[derive(Clone, Copy)]
pub(in crate::shard) struct Exchange<'a, S> {
    pub incoming: &'a Incoming,
    pub sink: S,
}

impl<S: Sink> Exchange<'_, S> {
    /// The exchange at `place` of which this is the request half.
    pub fn at(self, place: Place) -> Self {
        Exchange { sink: self.sink.at(place), ..self }
    }

    /// Enters a phase; its clock starts only when it is a new one.
    pub fn enter(&self, phase: Phase, now_ms: u64) {
        self.incoming.clock.enter(phase, now_ms);
    }

    /// Enters a phase and starts its clock anew.
    pub fn restart(&self, phase: Phase, now_ms: u64) {
        self.incoming.clock.restart(phase, now_ms);
    }

    /// The body that a call reads as it comes.
    pub fn inflow(&self) -> Option<Inflow> {
        self.incoming.inflow()
    }

    pub fn set_inflow(&self, inflow: Option<Inflow>) {
        self.incoming.set_inflow(inflow);
    }

    /// The host has used up so many bytes of the body of this call: perhaps it is read on.
    pub fn credit(&self, key: CallKey, bytes: u32) {
        if self.incoming.credit(key, bytes) {
            self.sink.wake();
        }
    }

    /// The open batch has room again, for which the body had to wait.
    pub fn batch_has_room(&self) {
        if let Some(inflow) = self.incoming.inflow() {
            self.incoming.set_inflow(Some(inflow.with_batch_full(false)));
            self.sink.wake();
        }
    }

    /// The word on the request has come: it is decided again.
    pub fn advise(&self, advised: Box<Advised>) {
        self.incoming.advise(advised);
        self.sink.wake();
    }
}
