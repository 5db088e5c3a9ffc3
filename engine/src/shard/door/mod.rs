//! Listeners, and who is let in.

pub(in crate::shard) mod accept;
pub(in crate::shard) mod admit;
pub(in crate::shard) mod doors;
pub mod listener;
mod watch;
