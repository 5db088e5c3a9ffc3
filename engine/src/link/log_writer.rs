//! The thread that writes the access log into its file.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use super::access_log::AccessLog;
use super::log_file::LogFile;
use crate::limits::{LOG_END, LOG_PAUSE, LOG_PORTION_BYTES};

/// See the module. It ends with [`LogWriter::end`].
#[derive(Debug)]
pub struct LogWriter {
    log: Arc<AccessLog>,
    orders: Arc<Orders>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread is told.
#[derive(Debug, Default)]
struct Orders {
    /// From now on this is the file.
    next: Mutex<Option<File>>,
    ended: AtomicBool,
}

impl LogWriter {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has none left.
    pub fn start(log: Arc<AccessLog>, file: File) -> io::Result<Self> {
        let orders = Arc::new(Orders::default());
        let (own_log, own_orders) = (log.clone(), orders.clone());
        let thread = std::thread::Builder::new()
            .name("fasttunnel-log".to_owned())
            .spawn(move || write(&own_log, &own_orders, file))?;
        log.set_writer(thread.thread().clone());
        Ok(LogWriter { log, orders, thread: Mutex::new(Some(thread)) })
    }

    /// Lines go into this file from now on; those that are on their way may still go into the one before.
    pub fn reopen(&self, file: File) {
        let before = self.orders.next.lock().unwrap_or_else(PoisonError::into_inner).replace(file);
        drop(before);
        self.log.wake();
    }

    /// Writes what has come, and ends. A disk that hangs is not waited for.
    pub fn end(&self) {
        let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        self.orders.ended.store(true, Ordering::Release);
        let until = Instant::now() + LOG_END;
        while !thread.is_finished() && Instant::now() < until {
            self.log.wake();
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        if thread.is_finished() {
            // It has nothing to panic about.
            let _ = thread.join();
        }
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.end();
    }
}

fn write(log: &AccessLog, orders: &Orders, file: File) {
    let (mut file, mut fails) = (LogFile::new(file), false);
    let (mut bytes, mut lines) = (Vec::new(), Vec::with_capacity(LOG_PORTION_BYTES));
    loop {
        log.look();
        // Before it fetches: what was put down before the end was told is written.
        let ended = orders.ended.load(Ordering::Acquire);
        if let Some(next) = orders.next.lock().unwrap_or_else(PoisonError::into_inner).take() {
            file = LogFile::new(next);
        }
        let any = log.fetch(&mut bytes, &mut lines, |lines| {
            let (written, failed) = file.write(lines);
            lines.clear();
            log.note_written(written);
            if let Some((count, error)) = &failed {
                log.note_failed(*count, !fails, error);
            }
            fails = failed.is_some();
        });
        if ended {
            return;
        }
        if any || !log.may_sleep() {
            // Shards ring no bell meanwhile.
            std::thread::park_timeout(LOG_PAUSE);
        } else {
            std::thread::park();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::log_file::open;
    use super::*;
    use crate::access::line::Format;
    use crate::access::record::Record;
    use crate::link::access_log::LogTally;

    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("fasttunnel-log-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Folder(path)
        }

        fn lines(&self, name: &str) -> usize {
            std::fs::read_to_string(self.0.join(name)).unwrap_or_default().lines().count()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn put(log: &AccessLog, shard: usize) {
        let mut bytes = Vec::new();
        Record { status: 200, ..Record::default() }.put(&mut bytes);
        log.put(shard, &mut bytes, 1);
    }

    #[test]
    fn no_line_is_lost_while_files_are_exchanged_and_shards_write() {
        let folder = Folder::new("exchange");
        let log = Arc::new(AccessLog::new(2, Format::Json, 1.0));
        let writer = LogWriter::start(log.clone(), open(&folder.0.join("log")).unwrap()).unwrap();
        let shards: Vec<_> = (0..2)
            .map(|shard| {
                let log = log.clone();
                std::thread::spawn(move || (0..5000).for_each(|_| put(&log, shard)))
            })
            .collect();
        for number in 0..5 {
            std::fs::rename(folder.0.join("log"), folder.0.join(format!("log.{number}"))).unwrap();
            writer.reopen(open(&folder.0.join("log")).unwrap());
            std::thread::sleep(LOG_PAUSE);
        }
        shards.into_iter().for_each(|shard| shard.join().unwrap());
        writer.end();
        let lines: usize = (0..5).map(|number| folder.lines(&format!("log.{number}"))).sum();
        assert_eq!(lines + folder.lines("log"), 10_000);
        assert_eq!(log.tally(), LogTally { written: 10_000, ..LogTally::default() });
    }

    #[test]
    fn a_disk_that_is_full_is_told_once_and_what_it_costs_is_counted() {
        let folder = Folder::new("full");
        let log = Arc::new(AccessLog::new(1, Format::Json, 1.0));
        let writer = LogWriter::start(log.clone(), open("/dev/full".as_ref()).unwrap()).unwrap();
        let fail = |count: u64| {
            put(&log, 0);
            while log.tally().failed < count {
                std::thread::yield_now();
            }
        };
        fail(1);
        assert!(log.take_failure().unwrap().contains("No space left"));
        fail(2);
        assert_eq!(log.take_failure(), None);
        writer.reopen(open(&folder.0.join("log")).unwrap());
        put(&log, 0);
        writer.end();
        assert_eq!((folder.lines("log"), log.tally()), (1, LogTally { written: 1, failed: 2, dropped: 0 }));
    }

    #[test]
    fn a_path_that_cannot_be_opened_says_why_and_a_fifo_without_a_reader_does_not_wait() {
        let folder = Folder::new("path");
        assert_eq!(open(&folder.0.join("no/log")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(open(&folder.0).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        let fifo = folder.0.join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert_eq!(open(&fifo).unwrap_err().raw_os_error(), Some(rustix::io::Errno::NXIO.raw_os_error()));
    }
}
