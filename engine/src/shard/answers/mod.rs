//! Answers that have come back: into the connections' queues, whole or as streams.

pub(in crate::shard) mod answer_stream;
pub(in crate::shard) mod replies;
pub(in crate::shard) mod viewing;
pub(in crate::shard) mod wording;
