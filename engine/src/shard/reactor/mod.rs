//! What turns the shard: the driver, waiting for kernel counters, and turning it from a loop of somebody else's.

pub mod driver;
pub(in crate::shard) mod signal;
pub(in crate::shard) mod turn;
pub(in crate::shard) mod waiters;
