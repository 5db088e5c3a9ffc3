//! A request that has not been answered to the client yet.

use crate::link::batch::CallKey;
use crate::shard::connection::answer_stream::AnswerStream;

/// See the module.
#[derive(Debug)]
pub(in crate::shard) enum Pending {
    /// The backend works on it. What it was asked has so many bytes.
    Waiting { key: CallKey, bytes: u32 },
    /// Answered out of turn: the bytes wait for the answers before it.
    Ready(Vec<u8>),
    /// The backend has begun to answer it.
    Streaming(Box<AnswerStream>),
}

impl Pending {
    /// The call under way.
    pub fn key(&self) -> Option<CallKey> {
        match self {
            Pending::Waiting { key, .. } => Some(*key),
            Pending::Streaming(stream) => Some(stream.key),
            Pending::Ready(_) => None,
        }
    }
}
