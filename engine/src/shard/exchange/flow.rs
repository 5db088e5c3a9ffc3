//! What becomes of input: how far it was taken, and what its reader should do next.

/// What the read loop should do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Flow {
    /// Read more.
    More,
    /// The connection has as many requests under way, or as much of a body, as it may: wait until there is room.
    Full,
    /// The next request waits for JavaScript's word; it is still at the front of the buffer.
    Ask,
    /// What follows is HTTP/2; its preface is at the front of the buffer.
    Http2,
    /// No further request on this connection.
    Close,
}

/// What one step of the parser did.
pub(in crate::shard) enum Took {
    /// So many bytes are done with; go on.
    Bytes(usize),
    /// Everything that has come is done with, and the message is not over.
    All,
    /// Stop here.
    Stop(Flow),
}
