//! Waiting for a kernel counter (eventfd, timerfd) on either driver.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use monoio::net::TcpStream;
use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec};

use crate::shard::reactor::driver::Driver;

/// A counter descriptor that a task can wait on.
///
/// On io_uring the read itself waits in the ring: one operation a wake. Under epoll monoio's files are not
/// readiness-based, so the descriptor is registered as if it were a stream, of which only `readable` is used.
pub(in crate::shard) enum Signal {
    Ring { file: monoio::fs::File, buffer: Option<Vec<u8>> },
    Epoll { readiness: TcpStream, counter: OwnedFd },
}

impl Signal {
    /// Registers `counter` with the driver of the current thread's runtime.
    pub fn new(driver: &Driver, counter: OwnedFd) -> io::Result<Self> {
        match driver {
            Driver::IoUring => {
                let file = monoio::fs::File::from_std(std::fs::File::from(counter))?;
                Ok(Signal::Ring { file, buffer: Some(Vec::with_capacity(8)) })
            }
            Driver::Epoll { .. } => {
                let registered = counter.try_clone()?;
                let readiness = TcpStream::from_std(std::net::TcpStream::from(registered))?;
                Ok(Signal::Epoll { readiness, counter })
            }
        }
    }

    /// Waits until the counter is not zero, and takes it back to zero.
    pub async fn wait(&mut self) -> io::Result<()> {
        loop {
            match self.wait_once().await {
                // A signal that the thread has handled: nothing has happened to the counter. Under epoll monoio asks poll(2)
                // whether it is readable, which a signal interrupts even if it is not to wait.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    async fn wait_once(&mut self) -> io::Result<()> {
        match self {
            Signal::Ring { file, buffer } => {
                let mut empty = buffer.take().unwrap_or_else(|| Vec::with_capacity(8));
                empty.clear();
                let (read, used) = file.read_at(empty, 0).await;
                *buffer = Some(used);
                read.map(|_| ())
            }
            Signal::Epoll { readiness, counter } => loop {
                readiness.readable(false).await?;
                match rustix::io::read(counter.as_fd(), &mut [0u8; 8]) {
                    Ok(_) => return Ok(()),
                    Err(rustix::io::Errno::AGAIN) => {}
                    Err(error) => return Err(error.into()),
                }
            },
        }
    }
}

/// Lets a timer strike after `first`, and every `period` from then on. Zero for `first` stops it, zero for `period` lets it strike
/// once.
pub(in crate::shard) fn set_timer(timer: &OwnedFd, first: Duration, period: Duration) -> rustix::io::Result<()> {
    let spec = |duration: Duration| Timespec {
        tv_sec: duration.as_secs() as i64,
        tv_nsec: i64::from(duration.subsec_nanos()),
    };
    let setting = Itimerspec { it_interval: spec(period), it_value: spec(first) };
    rustix::time::timerfd_settime(timer, TimerfdTimerFlags::empty(), &setting).map(|_| ())
}
