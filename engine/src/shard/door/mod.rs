//! Listeners, and who is let in.

pub(in crate::shard) mod accept;
pub(in crate::shard) mod admin;
pub mod listener;
