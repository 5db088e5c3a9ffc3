//! What turns the shard: the driver, and waiting for kernel counters.

pub mod driver;
pub(in crate::shard) mod signal;
pub(in crate::shard) mod waiters;
