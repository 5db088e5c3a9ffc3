//! Calls on their way to the backend: slots, the open batch, and what is told beside them.

pub(in crate::shard) mod dispatch;
pub(in crate::shard) mod refusal_log;
pub(in crate::shard) mod slots;
