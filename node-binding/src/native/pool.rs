//! A few threads for what blocks: system calls on files, and the start of programs.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::cancel::Cancel;
use super::failure::Failure;
use super::outcome::{Outcome, Step};

/// Threads of one environment. More of them do not read faster from memory, and wait for disks as well as any number.
pub const THREADS: usize = 4;

/// How often a thread is looked at that is waited for without end.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// One operation, as far as a thread takes it.
pub type Work = Box<dyn FnOnce(&Arc<Cancel>) -> Step + Send>;

/// An operation that waits for a thread.
struct Task {
    id: u32,
    cancel: Arc<Cancel>,
    work: Work,
    borrows: bool,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Task>,
    threads: Vec<JoinHandle<()>>,
    idle: usize,
    alive: usize,
    /// Operations under way that have memory of JavaScript's.
    borrowing: usize,
    stopping: bool,
}

/// Takes what a thread has made of an operation.
type Deliver = Box<dyn Fn(u32, &Arc<Cancel>, Step) + Send + Sync>;

struct Shared {
    state: Mutex<State>,
    /// There is something to do, or it stops.
    work: Condvar,
    /// A thread has left.
    left: Condvar,
    deliver: Deliver,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut state = self.lock();
        loop {
            if let Some(Task { id, cancel, work, borrows }) = state.waiting.pop_front() {
                state.borrowing += usize::from(borrows);
                drop(state);
                let step = catch_unwind(AssertUnwindSafe(|| work(&cancel)))
                    .unwrap_or_else(|_| Step::Done(Outcome::Failed(Failure::internal())));
                (self.deliver)(id, &cancel, step);
                state = self.lock();
                state.borrowing -= usize::from(borrows);
            } else if state.stopping {
                break;
            } else {
                state.idle += 1;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
        state.alive -= 1;
        self.left.notify_all();
    }
}

/// Threads that are started when there is something to do, [`THREADS`] at most.
pub struct Pool {
    shared: Arc<Shared>,
}

impl Pool {
    /// A pool without threads.
    pub fn new(deliver: Deliver) -> Self {
        let state = Mutex::default();
        Pool { shared: Arc::new(Shared { state, work: Condvar::new(), left: Condvar::new(), deliver }) }
    }

    /// Does `work` soon. If it `borrows` memory of JavaScript's, nobody stops without waiting for it.
    ///
    /// # Errors
    /// That no thread could be started.
    pub fn submit(&self, id: u32, cancel: Arc<Cancel>, borrows: bool, work: Work) -> Result<(), Failure> {
        let mut state = self.shared.lock();
        if state.stopping {
            return Err(Failure::aborted());
        }
        state.waiting.push_back(Task { id, cancel, work, borrows });
        if state.idle >= state.waiting.len() || state.alive >= THREADS {
            drop(state);
            self.shared.work.notify_one();
            return Ok(());
        }
        let shared = self.shared.clone();
        match thread::Builder::new().name("fasttunnel-util".to_owned()).spawn(move || shared.run()) {
            Ok(thread) => {
                state.threads.push(thread);
                state.alive += 1;
            }
            // The others will come to it.
            Err(_) if state.alive > 0 => {}
            Err(error) => {
                state.waiting.pop_back();
                return Err(Failure::of("pthread_create", "".as_ref())(error));
            }
        }
        Ok(())
    }

    /// Takes an operation back that no thread has begun.
    pub fn take_back(&self, id: u32) -> bool {
        let mut state = self.shared.lock();
        let place = state.waiting.iter().position(|task| task.id == id);
        place.and_then(|place| state.waiting.remove(place)).is_some()
    }

    /// Threads that live.
    pub fn threads(&self) -> usize {
        self.shared.lock().alive
    }

    /// Ends the threads; what waits is dropped. A thread that the system does not let go within `patience` is left behind,
    /// unless it borrows: nobody takes any more what it delivers.
    pub fn stop(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut state = self.shared.lock();
        state.stopping = true;
        state.waiting.clear();
        self.shared.work.notify_all();
        while state.alive > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() && state.borrowing == 0 {
                return;
            }
            let left = left.max(LOOK_EVERY);
            state = self.shared.left.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let threads = std::mem::take(&mut state.threads);
        drop(state);
        for thread in threads {
            let _ = thread.join();
        }
    }
}
