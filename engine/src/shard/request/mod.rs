//! From bytes to calls: where a request ends, what is decided on it, and how its body is read.

pub(in crate::shard) mod body_frames;
pub(in crate::shard) mod body_stream;
pub(in crate::shard) mod body_whole;
mod callers;
pub(in crate::shard) mod decision;
pub(in crate::shard) mod early_answer;
pub(in crate::shard) mod intake;
pub(in crate::shard) mod plan;
pub(in crate::shard) mod questions;
pub(in crate::shard) mod reference;
