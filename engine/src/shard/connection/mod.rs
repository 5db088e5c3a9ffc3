//! One connection: its queue of exchanges or its streams, its buffers, and what is thrown away of its input.

pub(in crate::shard) mod answer_queue;
pub(in crate::shard) mod answer_stream;
pub(in crate::shard) mod books;
pub(in crate::shard) mod buffers;
pub(in crate::shard) mod conn;
pub(in crate::shard) mod conn_log;
pub(in crate::shard) mod discard;
pub(in crate::shard) mod idle;
pub(in crate::shard) mod in_stream;
pub(in crate::shard) mod in_turn;
pub(in crate::shard) mod outgoing;
pub(in crate::shard) mod pending;
mod resident;
pub(in crate::shard) mod streams;
pub(in crate::shard) mod table;
pub(in crate::shard) mod unseen;
pub(in crate::shard) mod wakeup;
