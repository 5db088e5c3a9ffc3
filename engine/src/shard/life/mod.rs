//! How a shard starts, turns, fails and ends.

pub(in crate::shard) mod lifecycle;
pub(in crate::shard) mod pulse;
pub(crate) mod supervisor;
pub(in crate::shard) mod tick;
