//! How often each task was called, how long that took and how often it failed, as one event loop sees it. The number of ids
//! is bounded: what is beyond shares the first meter.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::counter::Counter;
use super::histogram::Histogram;
use super::latest::Latest;
use crate::limits::{MAX_METERED_ID_BYTES, MAX_METERED_IDS};
use crate::tunnel::table::Kind;

/// The meter of an id: its place among all of the engine.
pub type Label = u16;

/// The meter of all ids that have none of their own.
pub const REST: Label = 0;

/// What is measured of one task or event.
#[derive(Debug, Default)]
pub struct TaskMeter {
    /// Nanoseconds from the taking of a call until its answer, or the head of a streamed one.
    pub durations: Histogram,
    /// Calls that were answered with an error.
    pub failed: Counter,
}

/// The meters of one event loop, which alone writes them; any thread reads.
#[derive(Debug)]
pub struct TaskMeters {
    meters: Box<[OnceLock<Box<TaskMeter>>]>,
    numbers: Latest<Numbers>,
}

impl Default for TaskMeters {
    fn default() -> Self {
        TaskMeters {
            meters: (0..=MAX_METERED_IDS).map(|_| OnceLock::new()).collect(),
            numbers: Latest::new(Arc::default()),
        }
    }
}

impl TaskMeters {
    /// Calls of one id that were taken at `since_ns` are answered at `now_ns`; 0: their time does not count.
    #[inline]
    pub fn note(&self, label: Label, since_ns: u64, now_ns: u64, calls: u64) {
        if since_ns != 0
            && let Some(meter) = self.meters.get(usize::from(label))
        {
            meter.get_or_init(Box::default).durations.record(now_ns.saturating_sub(since_ns), calls);
        }
    }

    /// A call of this id was answered with an error.
    pub fn note_failure(&self, label: Label) {
        if let Some(meter) = self.meters.get(usize::from(label)) {
            meter.get_or_init(Box::default).failed.add(1);
        }
    }

    /// The meter of an id, if a call of it was answered.
    #[must_use]
    pub fn of(&self, label: Label) -> Option<&TaskMeter> {
        self.meters.get(usize::from(label))?.get().map(Box::as_ref)
    }

    /// By which numbers calls name the ids from now on.
    pub(super) fn set_numbers(&self, numbers: Numbers) {
        self.numbers.set(Arc::new(numbers));
    }
}

/// Which label a handler's number has.
#[derive(Debug, Default)]
pub struct Numbers(Vec<(u32, Label)>);

impl Numbers {
    pub(super) fn new(mut numbers: Vec<(u32, Label)>) -> Self {
        numbers.sort_unstable();
        Numbers(numbers)
    }

    fn of(&self, number: u32) -> Label {
        // Without handlers that came later, numbers are places.
        match self.0.get(number as usize) {
            Some((known, label)) if *known == number => *label,
            _ => self.0.binary_search_by_key(&number, |(known, _)| *known).map_or(REST, |at| self.0[at].1),
        }
    }
}

/// An event loop's copy of [`Numbers`].
#[derive(Debug, Default)]
pub struct NumbersHere {
    numbers: Arc<Numbers>,
    version: u64,
}

impl NumbersHere {
    /// Looks whether they have changed.
    #[inline]
    pub fn look(&mut self, meters: &TaskMeters) {
        if let Some((numbers, version)) = meters.numbers.newer_than(self.version) {
            (self.numbers, self.version) = (numbers, version);
        }
    }

    /// The label of a handler's number.
    #[inline]
    #[must_use]
    pub fn of(&self, number: u32) -> Label {
        self.numbers.of(number)
    }
}

/// The ids that have a meter of their own, of all event loops: those that came first.
#[derive(Debug, Default)]
pub(super) struct Labels {
    ids: Vec<(Kind, String)>,
    by_id: HashMap<(Kind, String), Label>,
}

impl Labels {
    /// The label of an id.
    pub fn of(&mut self, kind: Kind, id: &str) -> Label {
        if id.len() > MAX_METERED_ID_BYTES {
            return REST;
        }
        let key = (kind, id.to_owned());
        if let Some(label) = self.by_id.get(&key) {
            return *label;
        }
        if self.ids.len() >= MAX_METERED_IDS {
            return REST;
        }
        self.ids.push(key.clone());
        let label = self.ids.len() as Label;
        self.by_id.insert(key, label);
        label
    }

    /// All labels, with their ids; none for the rest.
    pub fn all(&self) -> impl Iterator<Item = (Label, Option<&(Kind, String)>)> {
        std::iter::once((REST, None)).chain((1..).zip(self.ids.iter().map(Some)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ids_beyond_the_bound_and_very_long_ones_share_a_meter() {
        let mut labels = Labels::default();
        assert_eq!(labels.of(Kind::Task, &"x".repeat(MAX_METERED_ID_BYTES + 1)), REST);
        for number in 0..MAX_METERED_IDS {
            assert_eq!(usize::from(labels.of(Kind::Task, &number.to_string())), number + 1);
        }
        assert_eq!((labels.of(Kind::Event, "0"), labels.of(Kind::Task, "0")), (REST, 1));
        assert_eq!(labels.all().count(), MAX_METERED_IDS + 1);
        let meters = TaskMeters::default();
        meters.note(MAX_METERED_IDS as Label, 5, 12, 3);
        meters.note(REST, 0, 12, 3);
        meters.note_failure(REST);
        meters.note(Label::MAX, 5, 12, 3);
        let seen = |label| meters.of(label).map(|meter| (meter.durations.snapshot().count, meter.failed.get()));
        assert_eq!((seen(MAX_METERED_IDS as Label), seen(REST), seen(1)), (Some((3, 0)), Some((0, 1)), None));
    }

    #[test]
    fn a_number_is_found_wherever_it_stands() {
        let meters = TaskMeters::default();
        let mut here = NumbersHere::default();
        meters.set_numbers(Numbers::new(vec![(7, 2), (0, 1), (1_000_000, 3)]));
        assert_eq!(here.of(0), REST);
        here.look(&meters);
        assert_eq!([0, 7, 1_000_000, 2, 8].map(|number| here.of(number)), [1, 2, 3, REST, REST]);
    }
}
