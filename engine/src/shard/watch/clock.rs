//! The shard's clock: one timer, which reads the time for everybody. Nobody reads it for one request.

use std::cell::{Cell, Ref, RefCell};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::limits::{TIMER_MS, TURN_COUNTS_MS};
use crate::shard::reactor::signal::set_timer;
use crate::wire::date::HttpDate;

/// See the module.
#[derive(Debug)]
pub(in crate::shard) struct Clock {
    timer: OwnedFd,
    armed: Cell<bool>,
    started: Instant,
    /// Milliseconds since then, when it was read last.
    read_ms: Cell<u64>,
    /// Of those, what counts.
    now_ms: Cell<u64>,
    date: RefCell<HttpDate>,
}

impl Clock {
    /// A clock that strikes by `timer`, which does not run yet.
    pub fn new(timer: OwnedFd) -> Self {
        let clock = Clock {
            timer,
            armed: Cell::new(false),
            started: Instant::now(),
            read_ms: Cell::new(0),
            now_ms: Cell::new(0),
            date: RefCell::new(HttpDate::from_unix(0)),
        };
        clock.read();
        clock
    }

    /// Milliseconds that the shard has run, as of the last reading.
    pub fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    /// Milliseconds that the shard has run, rounded up: for what must not end early by the age of the last reading. Costs a
    /// reading.
    pub fn exact_now_ms(&self) -> u64 {
        let read = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let passed = read.saturating_sub(self.read_ms.get()).saturating_add(1);
        self.now_ms.get().saturating_add(passed.min(TURN_COUNTS_MS))
    }

    /// The date for answers, as of the last turn of the timer.
    pub fn date(&self) -> Ref<'_, HttpDate> {
        self.date.borrow()
    }

    /// Reads the time. The monotonic one, and it stands still while the shard does: a client that was not heard because the
    /// process was stopped, or the shard busy, is not late.
    pub fn read(&self) {
        let read = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let passed = read.saturating_sub(self.read_ms.replace(read));
        self.now_ms.set(self.now_ms.get().saturating_add(passed.min(TURN_COUNTS_MS)));
    }

    /// Reads the time and the date.
    pub fn read_all(&self) {
        self.read();
        let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.date.replace(HttpDate::from_unix(unix_s));
    }

    /// Lets the timer strike every [`TIMER_MS`], if it does not yet.
    pub fn arm(&self) {
        if !self.armed.replace(true) {
            self.read_all();
            self.strike(Duration::from_millis(TIMER_MS));
        }
    }

    /// Lets the timer strike after `first`, and every [`TIMER_MS`] from then on.
    pub fn strike(&self, first: Duration) {
        let _ = set_timer(&self.timer, first, Duration::from_millis(TIMER_MS));
    }

    /// Lets the timer strike once more, at once.
    pub fn strike_last(&self) {
        let _ = set_timer(&self.timer, Duration::from_nanos(1), Duration::ZERO);
    }

    /// Lets the timer rest: an idle shard sleeps for good.
    pub fn rest(&self) {
        self.armed.set(false);
        let _ = set_timer(&self.timer, Duration::ZERO, Duration::ZERO);
    }
}
