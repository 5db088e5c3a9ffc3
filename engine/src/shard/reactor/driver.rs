//! Which driver a shard runs on: io_uring when the real ring works, epoll otherwise, and why.

use std::fmt;

use monoio::{IoUringDriver, LegacyDriver, Runtime, RuntimeBuilder};

pub use crate::config::DriverChoice;

use crate::limits::RING_ENTRIES;

/// The driver that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Driver {
    /// io_uring.
    IoUring,
    /// epoll, because of `reason`.
    Epoll {
        /// Why not io_uring.
        reason: String,
    },
}

impl Driver {
    /// `io_uring` or `epoll`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Driver::IoUring => "io_uring",
            Driver::Epoll { .. } => "epoll",
        }
    }

    /// Why it is epoll.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Driver::IoUring => None,
            Driver::Epoll { reason } => Some(reason),
        }
    }
}

/// io_uring was asked for and does not work here.
#[derive(Debug)]
pub struct RingRefused(pub String);

impl fmt::Display for RingRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "io_uring does not work here: {}. Ask for the driver auto or epoll, or allow its three system calls.",
            self.0
        )
    }
}

impl std::error::Error for RingRefused {}

/// Settles the driver before any shard starts, by trying the rings that the shards will use: all of them at a time.
///
/// # Errors
/// When io_uring was demanded and is refused.
pub fn choose(choice: DriverChoice, shards: usize) -> Result<Driver, RingRefused> {
    if choice == DriverChoice::Epoll {
        return Ok(Driver::Epoll { reason: "asked for by the `driver` option".to_owned() });
    }
    // What works for the first may be too much for all: memory, descriptors.
    let rings: Result<Vec<_>, _> = (1..=shards)
        .map(|ring| {
            probe().map_err(|reason| if ring == 1 { reason } else { format!("{reason} (ring {ring} of {shards})") })
        })
        .collect();
    match (choice, rings.map(drop)) {
        (_, Ok(())) => Ok(Driver::IoUring),
        (DriverChoice::IoUring, Err(reason)) => Err(RingRefused(reason)),
        (_, Err(reason)) => Ok(Driver::Epoll { reason }),
    }
}

/// The flags that measured best: COOP_TASKRUN lets completions wait for the shard's next system call instead of
/// interrupting it (107k to 147k requests/s on a bare monoio server); SINGLE_ISSUER skips locking; `dontfork` keeps
/// the ring out of children. Not DEFER_TASKRUN: monoio 0.2.4 parks without asking for events when it was woken.
fn ring() -> io_uring::Builder {
    let mut builder = io_uring::IoUring::builder();
    builder.setup_coop_taskrun().setup_single_issuer().dontfork();
    builder
}

/// Tries the real ring: same flags, same entries, `io_uring_enter` included, and the operations that we use.
///
/// A sandbox may refuse any of the three system calls (Docker's default profile: EPERM for `io_uring_setup`).
fn probe() -> Result<io_uring::IoUring, String> {
    use io_uring::opcode;
    let ring = ring().build(RING_ENTRIES).map_err(|error| explain("io_uring_setup", &error))?;
    ring.submitter().submit().map_err(|error| explain("io_uring_enter", &error))?;
    let mut supported = io_uring::Probe::new();
    ring.submitter().register_probe(&mut supported).map_err(|error| explain("io_uring_register", &error))?;
    let wanted = [
        (opcode::Recv::CODE, "RECV"),
        (opcode::Send::CODE, "SEND"),
        (opcode::PollAdd::CODE, "POLL_ADD"),
        (opcode::Read::CODE, "READ"),
        (opcode::Close::CODE, "CLOSE"),
    ];
    match wanted.iter().find(|(code, _)| !supported.is_supported(*code)) {
        Some((_, name)) => Err(format!("this kernel's io_uring lacks {name}")),
        None => Ok(ring),
    }
}

fn explain(call: &str, error: &std::io::Error) -> String {
    let likely = match error.raw_os_error() {
        Some(libc::EPERM) => ": forbidden, by seccomp (Docker's default profile) or by kernel.io_uring_disabled",
        Some(libc::ENOSYS) => ": not in this kernel, or hidden by a sandbox",
        Some(libc::EINVAL) => ": this kernel is too old for the flags we need (COOP_TASKRUN and SINGLE_ISSUER: 6.0)",
        Some(libc::ENOMEM) => ": RLIMIT_MEMLOCK is too low for the ring",
        _ => "",
    };
    format!("{call}: {error}{likely}")
}

/// A shard's runtime. Built on the shard's own thread, as SINGLE_ISSUER asks.
pub(in crate::shard) enum ShardRuntime {
    Ring(Runtime<IoUringDriver>),
    Epoll(Runtime<LegacyDriver>),
}

impl ShardRuntime {
    /// Builds the runtime for `driver`.
    pub fn build(driver: &Driver) -> std::io::Result<Self> {
        match driver {
            Driver::IoUring => RuntimeBuilder::<IoUringDriver>::new()
                .uring_builder(ring())
                .with_entries(RING_ENTRIES)
                .build()
                .map(ShardRuntime::Ring),
            Driver::Epoll { .. } => RuntimeBuilder::<LegacyDriver>::new().build().map(ShardRuntime::Epoll),
        }
    }

    /// Runs `main` and everything it spawns until `main` is done.
    pub fn block_on<F: Future>(&mut self, main: F) -> F::Output {
        match self {
            ShardRuntime::Ring(runtime) => runtime.block_on(main),
            ShardRuntime::Epoll(runtime) => runtime.block_on(main),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn epoll_is_always_there_and_says_why() {
        let driver = choose(DriverChoice::Epoll, 1).unwrap();
        assert_eq!(driver.name(), "epoll");
        assert!(driver.reason().unwrap().contains("driver"));
    }

    #[test]
    fn a_refusal_names_the_likely_cause() {
        let text = explain("io_uring_setup", &std::io::Error::from_raw_os_error(libc::EPERM));
        assert!(text.contains("seccomp") && text.contains("io_uring_setup"), "{text}");
    }
}
