//! The access log: shards put records down, each in a drawer of its own, and one who writes them fetches what lies there. The
//! writer is a thread with a file ([`super::log_writer`]), or the host.
//!
//! A shard never waits for the writer: what finds its drawer full is dropped, and counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{SystemTime, UNIX_EPOCH};

use super::clock;
use super::doorbell::Doorbell;
use crate::access::line::{Format, put_json, put_line};
use crate::access::moment::Now;
use crate::access::record::Record;
use crate::limits::{LOG_DRAWER_BYTES, LOG_PORTION_BYTES};

/// See the module.
#[derive(Debug)]
pub struct AccessLog {
    format: Format,
    /// Of the answers that are no errors, this part is written.
    pub sample: f64,
    /// By shard, the records that wait.
    drawers: Vec<Mutex<Vec<u8>>>,
    bell: Doorbell,
    writer: OnceLock<Thread>,
    written: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    /// The first error of those that followed one another, until it is told.
    failure: Mutex<Option<String>>,
    /// What the host has fetched and not read.
    fetched: Mutex<(Vec<u8>, usize)>,
}

/// What became of the records of an access log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogTally {
    /// Lines that were written, or read by the host.
    pub written: u64,
    /// Records that were dropped because the writer did not keep up.
    pub dropped: u64,
    /// Lines that could not be written.
    pub failed: u64,
}

fn lock<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AccessLog {
    /// Of `shards` shards.
    #[must_use]
    pub fn new(shards: usize, format: Format, sample: f64) -> Self {
        AccessLog {
            format,
            sample,
            drawers: (0..shards).map(|_| Mutex::default()).collect(),
            bell: Doorbell::default(),
            writer: OnceLock::new(),
            written: AtomicU64::default(),
            dropped: AtomicU64::default(),
            failed: AtomicU64::default(),
            failure: Mutex::default(),
            fetched: Mutex::default(),
        }
    }

    /// Puts down what a shard has gathered; `bytes` is empty afterwards.
    pub fn put(&self, shard: usize, bytes: &mut Vec<u8>, records: u64) {
        let Some(drawer) = self.drawers.get(shard) else { return bytes.clear() };
        {
            let mut drawer = lock(drawer);
            if drawer.len() + bytes.len() > LOG_DRAWER_BYTES {
                self.dropped.fetch_add(records, Ordering::Relaxed);
                bytes.clear();
                return;
            }
            if drawer.is_empty() {
                std::mem::swap(&mut *drawer, bytes);
            } else {
                drawer.append(bytes);
            }
        }
        if let Some(writer) = self.writer.get()
            && self.bell.ring()
        {
            writer.unpark();
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn tally(&self) -> LogTally {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LogTally { written: count(&self.written), dropped: count(&self.dropped), failed: count(&self.failed) }
    }

    /// Why lines could not be written, once for each time that it began.
    #[must_use]
    pub fn take_failure(&self) -> Option<String> {
        lock(&self.failure).take()
    }

    /// The host fetches at most `most` records, as members of a JSON array without its brackets; how many there are.
    pub fn read(&self, out: &mut Vec<u8>, most: usize) -> usize {
        let mut fetched = lock(&self.fetched);
        let (bytes, at) = &mut *fetched;
        if *at >= bytes.len() {
            bytes.clear();
            *at = 0;
            for drawer in &self.drawers {
                bytes.append(&mut lock(drawer));
            }
        }
        let (now, mut record, mut count) = (now(), Record::default(), 0);
        while count < most {
            let Some(rest) = bytes.get(*at..).filter(|rest| !rest.is_empty()) else { break };
            let Some(behind) = record.take(rest) else {
                *at = bytes.len();
                break;
            };
            *at = bytes.len() - behind.len();
            if count > 0 {
                out.push(b',');
            }
            put_json(out, &record, now);
            count += 1;
        }
        self.written.fetch_add(count as u64, Ordering::Relaxed);
        count
    }

    /// This thread writes from now on.
    pub(super) fn set_writer(&self, thread: Thread) {
        let _ = self.writer.set(thread);
    }

    /// The writer is to look again, whether or not there is something in a drawer.
    pub(super) fn wake(&self) {
        if let Some(writer) = self.writer.get() {
            let _ = self.bell.ring();
            writer.unpark();
        }
    }

    /// The writer begins to look.
    pub(super) fn look(&self) {
        self.bell.awake();
    }

    /// The writer has looked: true when it may sleep.
    pub(super) fn may_sleep(&self) -> bool {
        self.bell.try_park()
    }

    /// Lines of all that lies in the drawers, in portions; false when there was nothing. `bytes` is memory.
    pub(super) fn fetch(&self, bytes: &mut Vec<u8>, lines: &mut Vec<u8>, mut write: impl FnMut(&mut Vec<u8>)) -> bool {
        let (mut any, mut record) = (false, Record::default());
        for drawer in &self.drawers {
            bytes.clear();
            std::mem::swap(&mut *lock(drawer), bytes);
            let (now, mut rest) = (now(), &bytes[..]);
            while !rest.is_empty() {
                let Some(behind) = record.take(rest) else { break };
                rest = behind;
                any = true;
                put_line(lines, self.format, &record, now);
                if lines.len() >= LOG_PORTION_BYTES {
                    write(lines);
                }
            }
        }
        if !lines.is_empty() {
            write(lines);
        }
        any
    }

    pub(super) fn note_written(&self, lines: u64) {
        self.written.fetch_add(lines, Ordering::Relaxed);
    }

    /// So many lines were not written. `first`: those before them were.
    pub(super) fn note_failed(&self, lines: u64, first: bool, error: &std::io::Error) {
        self.failed.fetch_add(lines, Ordering::Relaxed);
        if first {
            *lock(&self.failure) = Some(error.to_string());
        }
    }
}

fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { monotonic_ns: clock::now_ns(), unix_ns: u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        (0..count).for_each(|_| Record { status: 200, ..Record::default() }.put(&mut bytes));
        bytes
    }

    #[test]
    fn the_host_reads_so_many_at_a_time_and_none_twice() {
        let log = AccessLog::new(2, Format::Json, 1.0);
        log.put(0, &mut records(3), 3);
        log.put(1, &mut records(1), 1);
        log.put(0, &mut records(1), 1);
        let counts: Vec<_> = (0..4)
            .map(|_| {
                let mut out = Vec::new();
                let count = log.read(&mut out, 2);
                assert_eq!(out.windows(8).filter(|text| text == b"\"status\"").count(), count);
                count
            })
            .collect();
        assert_eq!((counts, log.tally().written), (vec![2, 2, 1, 0], 5));
    }

    #[test]
    fn what_finds_its_drawer_full_is_dropped_and_counted() {
        let log = AccessLog::new(1, Format::Json, 1.0);
        let one = records(1).len();
        let fits = LOG_DRAWER_BYTES / one;
        log.put(0, &mut records(fits), fits as u64);
        let mut more = records(2);
        log.put(0, &mut more, 2);
        assert!(more.is_empty());
        assert_eq!(log.tally(), LogTally { dropped: 2, ..LogTally::default() });
        let mut out = Vec::new();
        assert_eq!(log.read(&mut out, usize::MAX), fits);
        log.put(0, &mut records(1), 1);
        assert_eq!(log.read(&mut out, usize::MAX), 1, "there is room again");
    }
}
