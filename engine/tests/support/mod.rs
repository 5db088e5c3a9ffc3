//! What the socket tests share: an engine on either driver, and blocking clients that never wait for ever.
#![allow(dead_code, clippy::unwrap_used)] // each test file uses a part of it

pub mod client;
pub mod event_loop;
pub mod host;
pub mod origin;
pub mod process;
pub mod server;
pub mod turner;

#[allow(unused_imports)]
pub use client::{Client, Reply, call, event, octets, pattern, request};
pub use fasttunnel_engine::shard::driver::DriverChoice;
pub use server::Server;

use std::time::{Duration, Instant};

/// Makes each named function, which takes a driver, one test per driver.
#[macro_export]
macro_rules! on_both_drivers {
    ($($name:ident),* $(,)?) => {
        mod io_uring {
            $(#[test]
            fn $name() {
                if $crate::support::ring_works() {
                    super::$name($crate::support::DriverChoice::IoUring);
                }
            })*
        }
        mod epoll {
            $(#[test]
            fn $name() {
                super::$name($crate::support::DriverChoice::Epoll);
            })*
        }
    };
}

/// Whether this machine allows io_uring; says so when it does not.
pub fn ring_works() -> bool {
    match fasttunnel_engine::shard::driver::choose(DriverChoice::IoUring, 1) {
        Ok(_) => true,
        Err(refused) => {
            println!("skipped: {refused}");
            false
        }
    }
}

/// Waits until `condition` holds; fails after five seconds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(5), "never came true: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Short for milliseconds.
pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
