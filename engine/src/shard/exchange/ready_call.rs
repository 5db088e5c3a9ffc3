//! A call that is ready to go.

use crate::link::callers::Numbers;
use crate::shard::exchange::own_fields::OwnFields;

/// In borrowed pieces.
pub(in crate::shard) struct ReadyCall<'a> {
    /// Index the handler was registered with.
    pub handler: u32,
    /// Event or task.
    pub event: bool,
    /// By what gates know its caller.
    pub caller: Numbers,
    /// The client speaks HTTP/1.0.
    pub old: bool,
    /// The fields of the answer that depend on the request.
    pub own: OwnFields<'a>,
    /// The head as received, with its empty line.
    pub head: &'a [u8],
    /// The body.
    pub body: &'a [u8],
}
