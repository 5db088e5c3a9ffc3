//! What a shard counts and measures of itself.

pub mod counters;
pub mod timing;
