//! Where a shard stands between its start and its end.

use std::cell::Cell;

/// See the module.
#[derive(Debug, Default)]
pub(in crate::shard) struct Lifecycle {
    /// Tasks that have not ended.
    tasks: Cell<usize>,
    stopping: Cell<bool>,
    /// When that began.
    stopped_ms: Cell<u64>,
    /// When what is left is cut off.
    drain_deadline_ms: Cell<Option<u64>>,
    /// The admin connections are being closed: nothing else is left.
    admin_over: Cell<bool>,
    finished: Cell<bool>,
    broken: Cell<bool>,
    winding_down: Cell<bool>,
}

impl Lifecycle {
    pub fn begin_task(&self) {
        self.tasks.set(self.tasks.get() + 1);
    }

    pub fn end_task(&self) {
        self.tasks.set(self.tasks.get() - 1);
    }

    /// True when no task is left.
    pub fn is_empty(&self) -> bool {
        self.tasks.get() == 0
    }

    /// The shard is to stop, and what is left is cut off at `deadline_ms`; an earlier deadline stays.
    pub fn stop(&self, now_ms: u64, deadline_ms: u64) {
        let earlier = self.drain_deadline_ms.get().unwrap_or(u64::MAX);
        self.drain_deadline_ms.set(Some(earlier.min(deadline_ms)));
        if !self.stopping.replace(true) {
            self.stopped_ms.set(now_ms);
        }
    }

    /// The shard is to stop: everything is cut off already.
    pub fn stop_at_once(&self) {
        self.stopping.set(true);
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// True when it was told to stop: it does not do so because it has failed.
    pub fn was_told_to_stop(&self) -> bool {
        self.drain_deadline_ms.get().is_some()
    }

    /// Milliseconds since it was told to stop.
    pub fn stopping_for_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.stopped_ms.get())
    }

    /// True when what is left is to be cut off.
    pub fn is_drain_over(&self, now_ms: u64) -> bool {
        self.drain_deadline_ms.get().is_some_and(|deadline| now_ms >= deadline)
    }

    /// The admin connections are to be closed; false when they are already.
    pub fn end_admin(&self) -> bool {
        !self.admin_over.replace(true)
    }

    pub fn is_admin_over(&self) -> bool {
        self.admin_over.get()
    }

    /// Nothing is left but the housekeeping; false when that is known.
    pub fn finish(&self) -> bool {
        !self.finished.replace(true)
    }

    pub fn is_finished(&self) -> bool {
        self.finished.get()
    }

    /// The shard has to be started anew.
    pub fn break_down(&self) {
        self.broken.set(true);
    }

    pub fn is_broken(&self) -> bool {
        self.broken.get()
    }

    /// It ends for that: the accept loop gives the listening socket back.
    pub fn wind_down(&self) {
        self.winding_down.set(true);
    }

    pub fn is_winding_down(&self) -> bool {
        self.winding_down.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_deadline_of_a_stop_holds_and_its_beginning_stays() {
        let life = Lifecycle::default();
        assert!(!life.is_stopping() && !life.was_told_to_stop() && !life.is_drain_over(u64::MAX));
        life.stop(100, 5000);
        life.stop(200, 9000);
        assert_eq!((life.stopping_for_ms(350), life.is_drain_over(4999), life.is_drain_over(5000)), (250, false, true));
        life.stop(300, 400);
        assert!(life.is_drain_over(400) && life.is_stopping());
    }

    #[test]
    fn what_happens_once_is_told_once() {
        let life = Lifecycle::default();
        assert_eq!([life.end_admin(), life.end_admin(), life.finish(), life.finish()], [true, false, true, false]);
        assert!(life.is_admin_over() && life.is_finished() && life.is_empty());
        life.begin_task();
        assert!(!life.is_empty());
        life.end_task();
        assert!(life.is_empty());
    }
}
