//! The task of a connection: a reader and a writer side by side.

pub(in crate::shard) mod enter;
pub(in crate::shard) mod reader;
pub(in crate::shard) mod task;
