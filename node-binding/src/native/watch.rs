//! One thread that waits for all that others keep waiting: commands, FIFOs, terminals.

use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use super::cancel::Cancel;
use super::failure::Failure;
use super::outcome::Outcome;

/// Something that waits. Its descriptors do not block. Dropping it lets go of everything, the processes it has started included.
pub trait Watched: Send {
    /// Adds the descriptors that it waits for now.
    fn polls<'a>(&'a self, fds: &mut Vec<PollFd<'a>>);
    /// When it wants to go on even if no descriptor is ready.
    fn deadline(&self) -> Option<Instant>;
    /// Goes on as far as it can without waiting.
    fn advance(&mut self, now: Instant, cancelled: bool) -> Option<Outcome>;
}

struct Entry {
    id: u32,
    cancel: Arc<Cancel>,
    watched: Box<dyn Watched>,
    /// It has not begun.
    fresh: bool,
}

#[derive(Default)]
struct Inbox {
    coming: Vec<Entry>,
    stopping: bool,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    inbox: Mutex<Inbox>,
    /// Rung when the inbox has changed, or something was cancelled. It hangs when there is a thread to hear it.
    bell: OnceLock<OwnedFd>,
    deliver: Box<dyn Fn(u32, Outcome) + Send + Sync>,
}

/// The thread, once there is something to wait for.
pub struct Watch {
    shared: Arc<Shared>,
}

impl Watch {
    /// Without a thread.
    pub fn new(deliver: Box<dyn Fn(u32, Outcome) + Send + Sync>) -> Self {
        Watch { shared: Arc::new(Shared { inbox: Mutex::default(), bell: OnceLock::new(), deliver }) }
    }

    /// Waits for it from now on. Drops it where it stops already.
    ///
    /// # Errors
    /// That no thread could be started, or there is no descriptor left.
    pub fn insert(&self, id: u32, cancel: Arc<Cancel>, watched: Box<dyn Watched>) -> Result<(), Failure> {
        let mut inbox = self.shared.lock();
        if inbox.stopping {
            return Ok(());
        }
        if inbox.thread.is_none() {
            self.shared.hang_bell().map_err(Failure::of("eventfd", "".as_ref()))?;
            let shared = self.shared.clone();
            let thread = thread::Builder::new().name("fasttunnel-wait".to_owned()).spawn(move || shared.run());
            inbox.thread = Some(thread.map_err(Failure::of("pthread_create", "".as_ref()))?);
        }
        inbox.coming.push(Entry { id, cancel, watched, fresh: true });
        drop(inbox);
        self.ring();
        Ok(())
    }

    /// Looks at everything soon.
    pub fn ring(&self) {
        self.shared.ring();
    }

    /// Lets go of everything and ends the thread.
    pub fn stop(&self) {
        let mut inbox = self.shared.lock();
        inbox.stopping = true;
        let (coming, thread) = (std::mem::take(&mut inbox.coming), inbox.thread.take());
        drop(inbox);
        drop(coming);
        self.ring();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The inbox is locked meanwhile, so that there is one.
    fn hang_bell(&self) -> Result<(), Errno> {
        if self.bell.get().is_none() {
            let _ = self.bell.set(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        }
        Ok(())
    }

    fn ring(&self) {
        let Some(bell) = self.bell.get() else { return };
        // It is full only when it has rung more often than anybody can count.
        let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
    }

    fn run(&self) {
        let Some(bell) = self.bell.get() else { return };
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let mut inbox = self.lock();
            entries.append(&mut inbox.coming);
            if inbox.stopping {
                return;
            }
            drop(inbox);
            self.advance(&mut entries, |entry| std::mem::take(&mut entry.fresh));
            let ready = wait(bell, &entries);
            let mut ready = ready.into_iter();
            self.advance(&mut entries, |_| ready.next().unwrap_or(true));
        }
    }

    /// Lets those that `may` go on, and takes away what has ended.
    fn advance(&self, entries: &mut Vec<Entry>, mut may: impl FnMut(&mut Entry) -> bool) {
        let now = Instant::now();
        let mut ended = Vec::new();
        entries.retain_mut(|entry| {
            let due = entry.watched.deadline().is_some_and(|deadline| deadline <= now);
            let cancelled = entry.cancel.is_set();
            if !(may(entry) || due || cancelled) {
                return true;
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| entry.watched.advance(now, cancelled)))
                .unwrap_or_else(|_| Some(Outcome::Failed(Failure::internal())));
            let runs_on = outcome.is_none();
            ended.extend(outcome.map(|outcome| (entry.id, outcome)));
            runs_on
        });
        // Now that their descriptors are closed.
        for (id, outcome) in ended {
            (self.deliver)(id, outcome);
        }
    }
}

/// Waits until something is ready, and says of each whether it is.
fn wait(bell: &OwnedFd, entries: &[Entry]) -> Vec<bool> {
    let mut fds = vec![PollFd::new(bell, PollFlags::IN)];
    let mut ends = Vec::with_capacity(entries.len());
    for entry in entries {
        entry.watched.polls(&mut fds);
        ends.push(fds.len());
    }
    let deadline = entries.iter().filter_map(|entry| entry.watched.deadline()).min();
    let timeout = deadline.map(|deadline| {
        let left = deadline.saturating_duration_since(Instant::now());
        Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() }
    });
    // When it is interrupted, nothing is ready.
    let polled = poll(&mut fds, timeout.as_ref());
    let ready = |range: std::ops::Range<usize>| {
        polled.is_ok() && fds.get(range).is_some_and(|fds| fds.iter().any(|fd| !fd.revents().is_empty()))
    };
    if ready(0..1) {
        let _ = rustix::io::read(bell, &mut [0_u8; 8]);
    }
    let starts = std::iter::once(1).chain(ends.iter().copied());
    starts.zip(&ends).map(|(start, end)| ready(start..*end)).collect()
}
