//! The numbers in which the bridge and an event loop that cannot read Rust's types talk: where things are in the call
//! table, and how kinds and outcomes are written. [`crate::facts`] hands them on.

use crate::limits;

stated! {
    /// Number of calls in the table that a drain fills.
    pub const CALLS: usize = 0;
    /// Number of tickets whose client has gone.
    pub const GONE: usize = 1;
    /// What is new of the shards: bits of [`news`].
    pub const SHARDS: usize = 2;
    /// Number of refusals to fetch with `notices`.
    pub const NOTICES: usize = 3;
    /// Number of frames to fetch with `frame`, one by one.
    pub const FRAMES: usize = 4;
    /// First call; the tickets that have gone follow the last.
    pub const HEADER: usize = 5;
    /// Numbers a call: ticket, handler, flags.
    pub const PER_CALL: usize = 3;
    /// Calls in one drain.
    pub const MAX_CALLS: usize = limits::DRAIN_CALLS;
    /// Gone tickets in one drain.
    pub const MAX_GONE: usize = limits::DRAIN_DEPARTED;
    /// What `frame` tells of the frame that it returns: ticket, kind, argument.
    pub const FRAME: usize = HEADER + MAX_CALLS * PER_CALL + MAX_GONE;
    /// Numbers in the table.
    pub const LENGTH: usize = FRAME + 3;
    /// Numbers an answer: ticket, outcome.
    pub const PER_ANSWER: usize = 2;
}

/// What a drain tells of the shards.
pub mod news {
    stated! {
        /// Every one has ended.
        pub const STOPPED: u32 = 1;
        /// One has failed, and was started anew.
        pub const RESTARTED: u32 = 2;
        /// One has failed, and is given up.
        pub const FAILED: u32 = 4;
    }
}

/// Outcomes as numbers; from 400 on a number is an HTTP status, and the text is the whole body.
pub mod outcome {
    stated! {
        /// 200 with the next text as the result.
        pub const RESULT: u32 = 0;
        /// 200 without a result.
        pub const DONE: u32 = 1;
        /// 500, no text, as for any number that is none of these.
        pub const INTERNAL_ERROR: u32 = 2;
        /// 400, no text: the serializer refused the body.
        pub const INVALID_JSON: u32 = 3;
    }
}

/// Kinds of frames as numbers. 0 is none: the call of the frame is over.
pub mod frame {
    stated! {
        /// Bytes of the body.
        pub const DATA: u32 = 1;
        /// The body is complete.
        pub const END: u32 = 2;
        /// The manifest of a multipart body.
        pub const MANIFEST: u32 = 3;
        /// A file begins; the bytes are JSON.
        pub const FILE: u32 = 4;
        /// The open file is complete.
        pub const FILE_END: u32 = 5;
        /// The body is refused; the argument says why.
        pub const REFUSED: u32 = 6;
        /// As many more bytes of the answer may be sent as the argument says.
        pub const CREDIT: u32 = 7;
    }
}
