//! What became of the requests of a proxy, for the application to hear of: noted by shards, taken by its event loop.
//!
//! A shard never waits for who hears of it: there is room for so many, and those beyond are counted.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::limits::MAX_PROXY_LOG;
use crate::proxy::target::Target;

/// One request. Nothing of its path, query, fields and content: there are secrets in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The context that it was for; `None` for who could not prove to have one.
    pub context: Option<String>,
    /// Its method; empty for what is no request.
    pub method: String,
    /// Where it was meant to go, before any route.
    pub target: Option<Target>,
    /// The status that its client was told; 0 where it was told none.
    pub status: u16,
    /// What went wrong, as `Proxy-Status` has it.
    pub error: Option<&'static str>,
    /// It broke off.
    pub aborted: bool,
    /// From its head to its end; of a tunnel, that is the tunnel's.
    pub duration_ms: u64,
}

/// See the module.
pub struct ProxyLog {
    entries: Mutex<Vec<Entry>>,
    dropped: AtomicU64,
    bell: Box<dyn Fn() + Send + Sync>,
}

impl ProxyLog {
    /// A log; `bell` is called when there is something to take where there was nothing. It must not block.
    pub fn new(bell: impl Fn() + Send + Sync + 'static) -> ProxyLog {
        ProxyLog { entries: Mutex::default(), dropped: AtomicU64::new(0), bell: Box::new(bell) }
    }

    /// Notes a request.
    pub fn note(&self, entry: Entry) {
        let is_first = {
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            if entries.len() >= MAX_PROXY_LOG {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                return;
            }
            entries.push(entry);
            entries.len() == 1
        };
        if is_first {
            (self.bell)();
        }
    }

    /// What was noted since it was asked last, oldest first.
    pub fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut *self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Requests for which there was no room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for ProxyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyLog").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn the_bell_rings_once_until_entries_are_taken_and_what_has_no_room_is_counted() {
        let rung = Arc::new(AtomicUsize::new(0));
        let bell = rung.clone();
        let log = ProxyLog::new(move || {
            bell.fetch_add(1, Ordering::SeqCst);
        });
        let entry = |number: u64| Entry {
            context: None,
            method: "GET".to_owned(),
            target: None,
            status: 200,
            error: None,
            aborted: false,
            duration_ms: number,
        };
        for number in 0..MAX_PROXY_LOG as u64 + 3 {
            log.note(entry(number));
        }
        let taken = log.take();
        assert_eq!((taken.len(), log.dropped(), rung.load(Ordering::SeqCst)), (MAX_PROXY_LOG, 3, 1));
        assert_eq!((taken.first(), log.take().len()), (Some(&entry(0)), 0));
        log.note(entry(9));
        assert_eq!((log.take(), rung.load(Ordering::SeqCst)), (vec![entry(9)], 2));
    }
}
