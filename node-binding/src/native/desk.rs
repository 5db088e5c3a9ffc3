//! The operations of one environment.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::cancel::Cancel;
use super::failure::Failure;
use super::outcome::{Outcome, Step};
use super::pool::{Pool, Work};
use super::watch::Watch;

/// How long threads are waited for that the system does not let go: on a network's file system, say.
const PATIENCE: Duration = Duration::from_secs(2);

/// What has ended, until JavaScript fetches it.
struct Outbox {
    ended: Mutex<Vec<(u32, Outcome)>>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Outbox {
    fn push(&self, id: u32, outcome: Outcome) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.push((id, outcome));
        let first = ended.len() == 1;
        drop(ended);
        if first {
            (self.wake)();
        }
    }

    fn take(&self) -> Vec<(u32, Outcome)> {
        mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Takes operations and has them done. Each has a number, which the caller chooses.
pub struct Desk {
    outbox: Arc<Outbox>,
    pool: Pool,
    watch: Arc<Watch>,
    open: HashMap<u32, Arc<Cancel>>,
}

impl Desk {
    /// A desk that calls `wake`, from any thread, when there is something to fetch and was nothing before.
    pub fn new(wake: Box<dyn Fn() + Send + Sync>) -> Self {
        let outbox = Arc::new(Outbox { ended: Mutex::default(), wake });
        let box_of_watch = outbox.clone();
        let watch = Arc::new(Watch::new(Box::new(move |id, outcome| box_of_watch.push(id, outcome))));
        let (box_of_pool, next) = (outbox.clone(), watch.clone());
        let pool = Pool::new(Box::new(move |id, cancel, step| match step {
            Step::Done(outcome) => box_of_pool.push(id, outcome),
            Step::Watch(watched) => {
                if let Err(failure) = next.insert(id, cancel.clone(), watched) {
                    box_of_pool.push(id, Outcome::Failed(failure));
                }
            }
        }));
        Desk { outbox, pool, watch, open: HashMap::new() }
    }

    /// Has `work` done. Whatever becomes of it is to be fetched.
    pub fn submit(&mut self, id: u32, work: Work) {
        self.take(id, false, work);
    }

    /// As [`Desk::submit`], for work that has memory of JavaScript's.
    pub fn submit_borrowing(&mut self, id: u32, work: Work) {
        self.take(id, true, work);
    }

    fn take(&mut self, id: u32, borrows: bool, work: Work) {
        let cancel = Arc::new(Cancel::default());
        self.open.insert(id, cancel.clone());
        if let Err(failure) = self.pool.submit(id, cancel, borrows, work) {
            self.outbox.push(id, Outcome::Failed(failure));
        }
    }

    /// Nobody wants it any more. It still has an outcome, which may be that it was done before.
    pub fn abort(&self, id: u32) {
        let Some(cancel) = self.open.get(&id) else { return };
        cancel.set();
        if self.pool.take_back(id) {
            self.outbox.push(id, Outcome::Failed(Failure::aborted()));
        } else {
            self.watch.ring();
        }
    }

    /// What has ended since the last time.
    pub fn fetch(&mut self) -> Vec<(u32, Outcome)> {
        let ended = self.outbox.take();
        for (id, _) in &ended {
            self.open.remove(id);
        }
        ended
    }

    /// Threads of the pool.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Lets go of everything: kills the commands, takes back what was not written to its end, joins the threads.
    pub fn stop(&self) {
        for cancel in self.open.values() {
            cancel.set();
        }
        self.pool.stop(PATIENCE);
        self.watch.stop();
        // Here, because the memory in it belongs to this thread.
        drop(self.outbox.take());
    }
}
