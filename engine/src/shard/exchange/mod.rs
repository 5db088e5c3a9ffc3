//! One request and its answer, as far as more than one room has to know: ground types, which know no socket.

pub(in crate::shard) mod asking;
pub(in crate::shard) mod flow;
pub(in crate::shard) mod inflow;
pub(in crate::shard) mod own_fields;
pub(in crate::shard) mod ready_call;
