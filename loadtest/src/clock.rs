//! The ring that the generator runs on, and timers on it.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use monoio::{IoUringDriver, Runtime, RuntimeBuilder};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::error::Error;

/// Entries of the submission queue. Full: submitted early.
const RING_ENTRIES: u32 = 4096;

/// The generator's runtime. Without monoio's timers, which would read the clock on every turn.
pub fn runtime() -> Result<Runtime<IoUringDriver>, Error> {
    // As in the engine: completions wait for the next system call instead of interrupting.
    let mut ring = io_uring::IoUring::builder();
    ring.setup_coop_taskrun().setup_single_issuer().dontfork();
    RuntimeBuilder::<IoUringDriver>::new()
        .uring_builder(ring)
        .with_entries(RING_ENTRIES)
        .build()
        .map_err(Error::system("io_uring does not work here (Linux 6.0 is needed, and no sandbox that forbids it)"))
}

/// A timer of nanosecond resolution that a task can wait for (monoio's have a millisecond).
pub struct Timer {
    settings: OwnedFd,
    ring: monoio::fs::File,
    buffer: Vec<u8>,
}

/// Sets a [`Timer`], from any task.
pub struct TimerSettings(OwnedFd);

impl TimerSettings {
    /// Rings once, so much from now.
    pub fn once(&self, after: Duration) -> io::Result<()> {
        set(&self.0, after, Duration::ZERO)
    }
}

impl Timer {
    /// A timer that is not set. Inside the runtime only.
    pub fn new() -> Result<Timer, Error> {
        let failed = || Error::system("a timer");
        let settings =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC).map_err(|errno| failed()(errno.into()))?;
        let file = settings.try_clone().map_err(failed())?;
        let ring = monoio::fs::File::from_std(file.into()).map_err(failed())?;
        Ok(Timer { settings, ring, buffer: Vec::with_capacity(8) })
    }

    /// Rings again and again.
    pub fn every(&self, period: Duration) -> Result<(), Error> {
        set(&self.settings, period, period).map_err(Error::system("setting a timer"))
    }

    /// Rings once, so much from now.
    pub fn after(&self, time: Duration) -> Result<(), Error> {
        set(&self.settings, time, Duration::ZERO).map_err(Error::system("setting a timer"))
    }

    /// For other tasks to set it with.
    pub fn settings(&self) -> Result<TimerSettings, Error> {
        self.settings.try_clone().map(TimerSettings).map_err(Error::system("a timer"))
    }

    /// Waits until it rings.
    pub async fn wait(&mut self) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let (read, buffer) = self.ring.read_at(buffer, 0).await;
        self.buffer = buffer;
        read.map(|_| ())
    }
}

fn set(timer: &OwnedFd, first: Duration, period: Duration) -> io::Result<()> {
    let spec = |duration: Duration| Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    };
    // Zero would switch it off.
    let setting = Itimerspec { it_interval: spec(period), it_value: spec(first.max(Duration::from_nanos(1))) };
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &setting)?;
    Ok(())
}
