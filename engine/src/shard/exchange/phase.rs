//! What is waited for of the requests of one client, and since when. Each phase has its own deadline (`bounds::judge`).

use std::cell::Cell;

/// What the read side is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Phase {
    /// The end of the handshake of TLS.
    Handshake,
    /// The first byte after accepting.
    Fresh,
    /// The first byte of the next request.
    Idle,
    /// The rest of a head.
    Head,
    /// The rest of a body that a call waits for.
    Body,
    /// More of a body that a call reads as it comes.
    Stream,
    /// The call that reads the body, which is behind: the socket is not read.
    Held,
    /// The rest of a body that nobody wants; its request is answered already.
    Skip,
    /// FIN came while calls were under way.
    HalfClosed,
    /// No request is taken any more, and none was cut short; once everything is answered, the client should close. What
    /// it sends instead belongs to no request.
    Stray,
    /// As `Stray`, for a client that has been late: whatever it sends, the time is short.
    Linger,
}

/// The phase, since when, and what has come in it. In shard milliseconds.
#[derive(Debug)]
pub(in crate::shard) struct PhaseClock {
    phase: Cell<Phase>,
    since_ms: Cell<u64>,
    bytes: Cell<u64>,
    /// When the last bytes of the phase came, or it began.
    progress_ms: Cell<u64>,
}

impl PhaseClock {
    pub fn new(phase: Phase, now_ms: u64) -> Self {
        PhaseClock {
            phase: Cell::new(phase),
            since_ms: Cell::new(now_ms),
            bytes: Cell::new(0),
            progress_ms: Cell::new(now_ms),
        }
    }

    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub fn since_ms(&self) -> u64 {
        self.since_ms.get()
    }

    /// Bytes that have come since.
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Enters a phase; the clock starts only when it is a new one.
    pub fn enter(&self, phase: Phase, now_ms: u64) {
        if self.phase.get() != phase {
            self.restart(phase, now_ms);
        }
    }

    /// Enters a phase and starts its clock anew.
    pub fn restart(&self, phase: Phase, now_ms: u64) {
        self.phase.set(phase);
        self.since_ms.set(now_ms);
        self.bytes.set(0);
        self.progress_ms.set(now_ms);
    }

    /// Milliseconds from the beginning of the phase to its last bytes.
    pub fn progressed_ms(&self) -> u64 {
        self.progress_ms.get().saturating_sub(self.since_ms.get())
    }

    /// The clock has stood still for so long.
    pub fn hold(&self, for_ms: u64, now_ms: u64) {
        for clock in [&self.since_ms, &self.progress_ms] {
            clock.set(clock.get().saturating_add(for_ms).min(now_ms));
        }
    }

    /// So many bytes have come.
    pub fn count_bytes(&self, bytes: usize, now_ms: u64) {
        if bytes > 0 {
            self.bytes.set(self.bytes.get() + bytes as u64);
            self.progress_ms.set(now_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_starts_with_a_new_phase_or_when_it_is_told_to() {
        let clock = PhaseClock::new(Phase::Fresh, 5);
        clock.count_bytes(10, 7);
        clock.enter(Phase::Fresh, 8);
        assert_eq!((clock.phase(), clock.since_ms(), clock.bytes(), clock.progressed_ms()), (Phase::Fresh, 5, 10, 2));
        clock.enter(Phase::Head, 9);
        assert_eq!((clock.phase(), clock.since_ms(), clock.bytes(), clock.progressed_ms()), (Phase::Head, 9, 0, 0));
        clock.count_bytes(1, 12);
        clock.count_bytes(0, 20);
        assert_eq!((clock.bytes(), clock.progressed_ms()), (1, 3), "nothing is no progress");
        clock.restart(Phase::Head, 30);
        assert_eq!((clock.since_ms(), clock.bytes(), clock.progressed_ms()), (30, 0, 0));
    }

    #[test]
    fn a_clock_that_is_held_never_runs_ahead() {
        let clock = PhaseClock::new(Phase::Body, 100);
        clock.count_bytes(1, 140);
        clock.hold(30, 200);
        assert_eq!((clock.since_ms(), clock.progressed_ms()), (130, 40));
        clock.hold(1000, 200);
        assert_eq!((clock.since_ms(), clock.progressed_ms()), (200, 0));
    }
}
