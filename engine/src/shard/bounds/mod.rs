//! What ends a connection or a call before its time: deadlines, and the memory of all together.

pub(in crate::shard) mod deadlines;
mod judge;
pub(in crate::shard) mod memory;
