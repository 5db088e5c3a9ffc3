//! What whoever watches the engine learns of its event loops and of the tasks that they run.

use super::beat::Beat;
use super::histogram::HistogramSnapshot;
use crate::stated::{Kind as Counts, Statistic};
use crate::tunnel::table::Kind;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// Calls that handlers work on.
    pub live: u64,
    /// Times that calls have entered an event loop.
    pub drains: u64,
    /// Those that are attached, and those that observe.
    pub loops: Vec<LoopFigures>,
    /// Each id that was called; without a kind: all that have no meter of their own.
    pub tasks: Vec<TaskFigures>,
}

/// One event loop.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoopFigures {
    /// It runs no calls.
    pub observes: bool,
    /// Calls that it was given.
    pub calls: u64,
    /// Those that it has not begun.
    pub waiting: u64,
    /// Those that it has begun and not answered.
    pub running: u64,
    /// What it has said last, and for how many nanoseconds it has said nothing.
    pub beat: Option<(Beat, u64)>,
}

/// One task or event.
#[derive(Clone, Debug, Default)]
pub struct TaskFigures {
    /// Task, event, or the rest.
    pub kind: Option<Kind>,
    /// Its id; empty for the rest.
    pub id: String,
    /// Calls that were answered with an error.
    pub failed: u64,
    /// See [`super::tasks::TaskMeter`].
    pub durations: HistogramSnapshot,
}

/// What users are told of a tunnel as a whole.
pub const OF_A_TUNNEL: [Statistic; 3] = [
    statistic("failed_shards", Counts::Gauge, "Shards that were given up."),
    statistic("live", Counts::Gauge, "Calls that handlers work on now."),
    statistic("drains", Counts::Counter, "Times that calls entered JavaScript."),
];

/// What they are told of a worker, in this order.
pub const OF_A_WORKER: [Statistic; 6] = [
    statistic("calls", Counts::Counter, "Calls that the worker was given since its thread started."),
    statistic("waiting", Counts::Gauge, "Calls that the worker has not begun."),
    statistic("running", Counts::Gauge, "Calls that the worker works on now."),
    statistic("restarts", Counts::Counter, "Times that the worker had ended and was started again."),
    statistic(
        "event_loop_delay_ms",
        Counts::Gauge,
        "Milliseconds that the event loop of the worker was late for a timer.",
    ),
    statistic("event_loop_delay_max_ms", Counts::Gauge, "The most that was since its thread started."),
];

/// What they are told of an access log, in this order.
pub const OF_A_LOG: [Statistic; 3] = [
    statistic("written", Counts::Counter, "Lines of the access log that were written, or given to the logger."),
    statistic("dropped", Counts::Counter, "Lines that were dropped because the file or the logger did not keep up."),
    statistic("failed", Counts::Counter, "Lines that could not be written."),
];

const fn statistic(name: &'static str, kind: Counts, says: &'static str) -> Statistic {
    Statistic { name, kind, says }
}
