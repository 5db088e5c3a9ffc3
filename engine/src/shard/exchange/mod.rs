//! One request and its answer, whatever carries them: the exchange, and ground types, which know no socket.

pub(in crate::shard) mod asking;
pub(in crate::shard) mod flow;
pub(in crate::shard) mod handle;
pub(in crate::shard) mod incoming;
pub(in crate::shard) mod inflow;
pub(in crate::shard) mod own_fields;
pub(in crate::shard) mod phase;
pub(in crate::shard) mod ready_call;
pub(in crate::shard) mod sink;
