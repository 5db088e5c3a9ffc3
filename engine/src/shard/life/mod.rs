//! How a shard starts, turns, fails and ends.

pub(crate) mod supervisor;
pub(in crate::shard) mod tick;
