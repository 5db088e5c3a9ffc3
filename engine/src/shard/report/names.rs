//! What the figures are called, and what they mean. The package tells the same, by `facts`.

use crate::stated::{Kind, Statistic};

/// A family of metrics that is no plain number of a shard, of the tunnel or of a worker: its name without the prefix, and
/// what it means.
pub type Family = (&'static str, &'static str);

/// How the tunnel runs.
pub const INFO: Family = ("info", "How the tunnel runs.");
/// Time by phase.
pub const PHASES: Family = ("phase_duration_seconds", "Time that calls spend in a phase: parse, queue, js, write.");
/// Sizes of batches.
pub const CALLS_PER_BATCH: Family = ("calls_per_batch", "Calls in a batch to JavaScript.");
/// The same of answers.
pub const ANSWERS_PER_BATCH: Family = ("answers_per_batch", "Answers in a batch from JavaScript.");
/// Refusals by status.
pub const REFUSALS: Family = ("refusals", "Errors that the engine itself has answered with, by status.");

/// Those that the package tells as well, by the names that they have there.
pub const STATED: [(&str, Family); 5] = [
    ("info", INFO),
    ("phases", PHASES),
    ("callsPerBatch", CALLS_PER_BATCH),
    ("answersPerBatch", ANSWERS_PER_BATCH),
    ("refusals", REFUSALS),
];

pub(super) const READY: Family = ("ready", "1 while calls are taken: what /readyz says.");
pub(super) const TASKS: Family =
    ("task_duration_seconds", "Time from the taking of a call until its answer, or the head of a streamed one, by id.");
pub(super) const TASK_FAILURES: Family = ("task_failures", "Calls that were answered with an error, by id.");
pub(super) const LOOP_DELAY: Family =
    ("event_loop_delay_seconds", "How late an event loop was for its last timer, or is.");
pub(super) const LOOP_DELAY_MAX: Family = ("event_loop_delay_max_seconds", "The most that was.");
pub(super) const LOOP_UTILIZATION: Family =
    ("event_loop_utilization_ratio", "Part of the time in which an event loop did not wait for events.");
pub(super) const LOOP_AGE: Family =
    ("event_loop_age_seconds", "Time since an event loop has last said how it is, which it does twice a second.");

/// What is told of the process, in the names that all Prometheus clients use.
pub(super) const PROCESS: [Statistic; 7] = [
    of_process("cpu_seconds", Kind::Counter, "Total user and system CPU time spent in seconds."),
    of_process("open_fds", Kind::Gauge, "Number of open file descriptors."),
    of_process("max_fds", Kind::Gauge, "Maximum number of open file descriptors."),
    of_process("virtual_memory_bytes", Kind::Gauge, "Virtual memory size in bytes."),
    of_process("resident_memory_bytes", Kind::Gauge, "Resident memory size in bytes."),
    of_process("threads", Kind::Gauge, "Number of OS threads in the process."),
    of_process("start_time_seconds", Kind::Gauge, "Start time of the process since unix epoch in seconds."),
];

const fn of_process(name: &'static str, kind: Kind, says: &'static str) -> Statistic {
    Statistic { name, kind, says }
}
