//! Where shards run and how many there are, by the cores that the process may use.

use crate::limits::MAX_SHARDS;

/// Where shards run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// On threads of their own.
    Threads,
    /// One, turned by the host's own loop.
    Inline,
}

impl Placement {
    /// As in options and statistics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Placement::Threads => "threads",
            Placement::Inline => "inline",
        }
    }
}

/// What the shards of a tunnel with defaults are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrangement {
    /// Where they run.
    pub placement: Placement,
    /// How many there are, `1..=MAX_SHARDS`.
    pub shards: usize,
}

/// With so many cores or fewer, the default is [`Placement::Inline`]. 0: it never is.
pub const INLINE_UP_TO_CORES: usize = 0;

/// More shards than that only help answers that need no JavaScript: one moves more requests than a JavaScript thread answers.
const MOST_BY_CORES: usize = 8;

/// What the process should do by default with so many cores, where a loop turns the shard if there are no more of them than
/// `inline_up_to`. On threads there is one shard fewer than there are cores, because the host's thread needs one.
#[must_use]
pub fn arrange(cores: usize, inline_up_to: usize) -> Arrangement {
    if cores.max(1) <= inline_up_to {
        return Arrangement { placement: Placement::Inline, shards: 1 };
    }
    let shards = cores.saturating_sub(1).clamp(1, MAX_SHARDS.min(MOST_BY_CORES));
    Arrangement { placement: Placement::Threads, shards }
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlacementChoice {
    /// By the number of cores.
    Auto,
    /// This one.
    Only(Placement),
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The shards.
    pub arrangement: Arrangement,
    /// Why they run there, where [`PlacementChoice::Auto`] left it open.
    pub reason: Option<String>,
    /// How many there shall be on threads; 0 for any number.
    asked: usize,
}

impl Decision {
    /// The same where no loop can turn a shard, for a reason.
    #[must_use]
    pub fn on_threads(self, reason: String, cores: usize) -> Decision {
        let arrangement = Arrangement { placement: Placement::Threads, shards: on_threads(self.asked, cores) };
        Decision { arrangement, reason: Some(reason), ..self }
    }
}

/// As many as were asked for.
fn on_threads(asked: usize, cores: usize) -> usize {
    if asked == 0 { arrange(cores, 0).shards } else { asked }
}

/// Where the shards of a tunnel run that asked for `choice` and for so many `shards`, 0 for any number. A loop turns one
/// shard; `workers` take their calls from threads.
#[must_use]
pub fn decide(choice: PlacementChoice, shards: usize, workers: bool, cores: usize, inline_up_to: usize) -> Decision {
    let (placement, reason) = match choice {
        PlacementChoice::Only(Placement::Inline) if workers => (Placement::Threads, None),
        PlacementChoice::Only(placement) => (placement, None),
        PlacementChoice::Auto if workers => (Placement::Threads, Some("workers take calls from threads".to_owned())),
        PlacementChoice::Auto if shards > 1 => (Placement::Threads, Some(format!("{shards} shards were asked for"))),
        PlacementChoice::Auto => {
            let plural = if cores == 1 { "" } else { "s" };
            (arrange(cores, inline_up_to).placement, Some(format!("the process may use {cores} core{plural}")))
        }
    };
    let arrangement = match placement {
        Placement::Inline => Arrangement { placement, shards: 1 },
        Placement::Threads => Arrangement { placement, shards: on_threads(shards, cores) },
    };
    Decision { arrangement, reason, asked: shards }
}

/// Cores that the process may use: those that its affinity names, and no more than the quotas of its control groups (`cpu.max`
/// of version 2, `cpu.cfs_quota_us` of version 1) pay for, rounded down; at least 1.
#[must_use]
pub fn available_cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn inline() -> Arrangement {
        Arrangement { placement: Placement::Inline, shards: 1 }
    }

    const fn threads(shards: usize) -> Arrangement {
        Arrangement { placement: Placement::Threads, shards }
    }

    #[test]
    fn the_default_by_cores() {
        for (cores, expected) in [
            (0, threads(1)),
            (1, threads(1)),
            (2, threads(1)),
            (3, threads(2)),
            (4, threads(3)),
            (8, threads(7)),
            (9, threads(8)),
            (256, threads(8)),
        ] {
            assert_eq!(arrange(cores, INLINE_UP_TO_CORES), expected, "{cores} cores");
        }
    }

    #[test]
    fn a_loop_turns_the_shard_up_to_the_bound() {
        for (cores, inline_up_to, expected) in [
            (1, 1, inline()),
            (2, 1, threads(1)),
            (1, 2, inline()),
            (2, 2, inline()),
            (3, 2, threads(2)),
            (4, 4, inline()),
        ] {
            assert_eq!(arrange(cores, inline_up_to), expected, "{cores} cores, inline up to {inline_up_to}");
        }
    }

    #[test]
    fn what_is_asked_for_goes_before_cores() {
        use Placement::{Inline, Threads};
        use PlacementChoice::{Auto, Only};
        for (choice, shards, workers, cores, expected, reason) in [
            (Auto, 0, false, 1, inline(), Some("the process may use 1 core")),
            (Auto, 1, false, 1, inline(), Some("the process may use 1 core")),
            (Auto, 0, false, 4, threads(3), Some("the process may use 4 cores")),
            (Auto, 2, false, 1, threads(2), Some("2 shards were asked for")),
            (Auto, 0, true, 1, threads(1), Some("workers take calls from threads")),
            (Only(Threads), 0, false, 1, threads(1), None),
            (Only(Threads), 5, false, 1, threads(5), None),
            (Only(Inline), 0, false, 64, inline(), None),
            (Only(Inline), 0, true, 4, threads(3), None),
        ] {
            let Decision { arrangement, reason: told, .. } = decide(choice, shards, workers, cores, 1);
            assert_eq!((arrangement, told.as_deref()), (expected, reason), "{choice:?}, {shards}, {workers}, {cores}");
        }
    }

    #[test]
    fn threads_stand_in_where_no_loop_turns_a_shard() {
        for (asked, cores, shards) in [(0, 1, 1), (0, 4, 3), (1, 4, 1)] {
            let decided = decide(PlacementChoice::Only(Placement::Inline), asked, false, cores, 0);
            assert_eq!(decided.arrangement, inline());
            let instead = decided.on_threads("no libuv".to_owned(), cores);
            assert_eq!((instead.arrangement, instead.reason.as_deref()), (threads(shards), Some("no libuv")));
        }
    }

    #[test]
    fn there_is_a_core() {
        assert!(available_cores() >= 1);
    }
}
