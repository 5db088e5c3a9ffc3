//! The descriptor by which a runtime tells a loop of somebody else's that something has completed: its ring, or its epoll
//! set. monoio hides it, so it is found among the process's, and proven before it is trusted: other threads open rings too.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd};

use crate::shard::reactor::driver::{Driver, ShardRuntime};
use crate::shard::reactor::signal::Signal;
use crate::shard::reactor::turn::{Echo, rounds};

/// Times that a descriptor has to tell of a completion, and of none, to be the one.
const TRIALS: usize = 3;
/// Rounds in which what was asked of the driver is with the kernel, and what has completed is taken.
const ROUNDS: usize = 3;
/// Wait for the kernel to tell of a completion.
const TELLS_WITHIN: Duration = Duration::from_secs(1);

/// The descriptors of a driver's kind that the process has open.
pub(in crate::shard) struct Known(BTreeSet<RawFd>);

impl Known {
    /// Those of now.
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub fn now(driver: &Driver) -> io::Result<Self> {
        let kind = match driver {
            Driver::IoUring => "anon_inode:[io_uring]",
            Driver::Epoll { .. } => "anon_inode:[eventpoll]",
        };
        let mut known = BTreeSet::new();
        for entry in std::fs::read_dir("/proc/self/fd")? {
            let entry = entry?;
            // Whatever is closed meanwhile is none of ours.
            if std::fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == kind)
                && let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok())
            {
                known.insert(number);
            }
        }
        Ok(Known(known))
    }

    /// A descriptor of its own for the one that `runtime` has, which was built since.
    ///
    /// # Errors
    /// When there is none, or more than one that behaves like it.
    pub fn outlet(&self, driver: &Driver, runtime: &mut ShardRuntime, echo: &Echo) -> io::Result<OwnedFd> {
        let mut candidates: Vec<OwnedFd> =
            Known::now(driver)?.0.difference(&self.0).filter_map(|number| duplicate(*number)).collect();
        let event = eventfd(0, EventfdFlags::CLOEXEC)?;
        let (over, heard) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
        let mut signal = runtime.block_on(async { Signal::new(driver, event.try_clone()?) })?;
        runtime.block_on({
            let (over, heard) = (over.clone(), heard.clone());
            async move {
                monoio::spawn(async move {
                    while !over.get() && signal.wait().await.is_ok() {
                        heard.set(heard.get() + 1);
                    }
                });
            }
        });
        for trial in 0..TRIALS {
            if candidates.is_empty() {
                break;
            }
            rounds(runtime, echo, ROUNDS);
            retain(&mut candidates, false, Duration::ZERO);
            over.set(trial + 1 == TRIALS);
            rustix::io::write(&event, &1u64.to_ne_bytes())?;
            retain(&mut candidates, true, TELLS_WITHIN);
        }
        rounds(runtime, echo, ROUNDS);
        match (candidates.pop(), candidates.is_empty(), heard.get() == TRIALS) {
            (Some(outlet), true, true) => Ok(outlet),
            _ => Err(io::Error::new(io::ErrorKind::NotFound, "its descriptor was not found in /proc/self/fd")),
        }
    }
}

/// A second descriptor for the same, if it is still open.
fn duplicate(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: `borrow_raw` asks for a descriptor that is open while it is borrowed, so that nobody takes another for it.
    // Here the number was open a moment ago. Should it name another by now, or none, duplicating it does no harm to that
    // one: it is asked for its readiness and closed again, unless it proves to be the runtime's own.
    unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned().ok()
}

/// Keeps those that tell of something, or those that do not, as soon as one of them tells, or after `time`.
fn retain(candidates: &mut Vec<OwnedFd>, telling: bool, time: Duration) {
    let until = Instant::now() + time;
    let told: Vec<bool> = loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        let mut polled: Vec<_> = candidates.iter().map(|one| PollFd::new(one, PollFlags::IN)).collect();
        match rustix::event::poll(&mut polled, Some(&left)) {
            // A completion is due: it is there when the kernel is asked again.
            Err(rustix::io::Errno::INTR) => {}
            outcome => break polled.iter().map(|one| outcome.is_ok() && !one.revents().is_empty()).collect(),
        }
    };
    let mut told = told.into_iter();
    candidates.retain(|_| told.next() == Some(telling));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::shard::reactor::driver::{DriverChoice, choose};

    #[test]
    fn the_descriptor_of_a_runtime_is_told_from_those_of_others() {
        for choice in [DriverChoice::Auto, DriverChoice::Epoll] {
            let driver = choose(choice, 1).unwrap();
            let known = Known::now(&driver).unwrap();
            let mut others: Vec<_> = (0..3).map(|_| ShardRuntime::build(&driver).unwrap()).collect();
            let mut runtime = others.remove(1);
            let echo = Echo::new(&mut runtime);
            let outlet = known.outlet(&driver, &mut runtime, &echo).unwrap();
            let mut quiet = vec![outlet];
            retain(&mut quiet, false, Duration::ZERO);
            assert_eq!(quiet.len(), 1, "{driver:?}: nothing has completed");
            let late = Known::now(&driver).unwrap();
            assert!(late.outlet(&driver, &mut runtime, &echo).is_err(), "{driver:?}: it was there before");
        }
    }
}
