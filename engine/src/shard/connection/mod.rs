//! One connection: its queue of answers, its buffers, and what is thrown away of its input.

pub(in crate::shard) mod answer_queue;
pub(in crate::shard) mod buffers;
pub(in crate::shard) mod conn;
pub(in crate::shard) mod discard;
pub(in crate::shard) mod idle;
mod resident;
pub(in crate::shard) mod table;
pub(in crate::shard) mod unseen;
