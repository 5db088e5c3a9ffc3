//! What a shard counts and measures of itself.

pub(in crate::shard) mod access_log;
pub(in crate::shard) mod clock;
pub mod counters;
pub mod refusals;
pub mod timing;
