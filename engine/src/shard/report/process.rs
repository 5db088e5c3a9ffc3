//! What the system says of the process: CPU, memory, descriptors, its start.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// For so long a count of descriptors holds where they have to be counted one by one, which takes long when there are many.
const COUNT_HOLDS: Duration = Duration::from_secs(10);

/// What is told, in the order of [`super::names::PROCESS`]. What the system does not say is not a number.
pub(super) type ProcessFigures = [f64; super::names::PROCESS.len()];

/// Reads it; remembers what is costly, or does not change.
#[derive(Debug, Default)]
pub(super) struct ProcessReader {
    start: OnceLock<f64>,
    counted: Mutex<Option<(Instant, f64)>>,
}

impl ProcessReader {
    pub fn read(&self) -> ProcessFigures {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kib = |name| field(&status, name).map_or(f64::NAN, |value| value * 1024.0);
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        [
            cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
            self.open_descriptors(),
            limit.map_or(f64::INFINITY, |limit| limit as f64),
            kib("VmSize:"),
            kib("VmRSS:"),
            field(&status, "Threads:").unwrap_or(f64::NAN),
            *self.start.get_or_init(|| start_time().unwrap_or(f64::NAN)),
        ]
    }

    /// Since Linux 6.2 the folder's size tells.
    fn open_descriptors(&self) -> f64 {
        const FOLDER: &str = "/proc/self/fd";
        if let Some(size) = std::fs::metadata(FOLDER).ok().map(|folder| folder.len()).filter(|size| *size > 0) {
            return size as f64;
        }
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, count)) = *counted
            && at.elapsed() < COUNT_HOLDS
        {
            return count;
        }
        // The folder itself is open while it is read.
        let count = std::fs::read_dir(FOLDER).map_or(f64::NAN, |entries| entries.count().saturating_sub(1) as f64);
        *counted = Some((Instant::now(), count));
        count
    }
}

/// The number behind a name in `/proc/self/status`.
fn field(status: &str, name: &str) -> Option<f64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// When the process has started, in seconds since 1970.
fn start_time() -> Option<f64> {
    /// What `/proc` counts in, whatever the kernel does (proc(5): USER_HZ).
    const TICKS_PER_S: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program may hold anything but ends with the last bracket; the start is field 22.
    let ticks: f64 = stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()?;
    let booted = clock_gettime(ClockId::Boottime);
    let up = booted.tv_sec as f64 + booted.tv_nsec as f64 / 1e9;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
    Some(now - up + ticks / TICKS_PER_S)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::shard::report::names::PROCESS;

    #[test]
    fn the_process_is_told_as_the_system_has_it() {
        let figures = ProcessReader::default().read();
        let of = |name| figures[PROCESS.iter().position(|row| row.name == name).unwrap()];
        assert!(of("cpu_seconds") > 0.0 && of("cpu_seconds") < 1e6);
        assert!(of("open_fds") >= 3.0 && of("open_fds") <= of("max_fds"));
        assert!(of("resident_memory_bytes") > 1e6 && of("resident_memory_bytes") < of("virtual_memory_bytes"));
        assert!(of("threads") >= 1.0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let age = now - of("start_time_seconds");
        assert!((-1.0..3600.0).contains(&age), "{age}");
    }
}
