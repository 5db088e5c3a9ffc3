//! The task of a connection: a reader and a writer side by side, under TLS behind a handshake.

mod balancer;
pub(in crate::shard) mod enter;
mod greet;
pub(in crate::shard) mod handshakes;
pub(in crate::shard) mod reader;
pub(in crate::shard) mod task;
