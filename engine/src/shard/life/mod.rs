//! How a shard starts, turns, fails and ends.

pub mod inline;
pub(in crate::shard) mod lifecycle;
pub(in crate::shard) mod living;
pub(in crate::shard) mod pulse;
mod supervision;
pub(crate) mod supervisor;
pub(in crate::shard) mod tick;
