//! Where the answer to a request goes, and how its client is told. A version of HTTP implements it: HTTP/1.1 by a place in
//! the queue of a connection, HTTP/2 by a stream.

use std::sync::Arc;

use crate::link::batch::CallKey;
use crate::link::peers::{Entered, Peers};
use crate::wire::answer::Answer;

/// Names an exchange in the shard, so that its call finds it again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::shard) struct Place {
    /// Index of the connection in the shard's table.
    pub conn: u32,
    /// Number of the request on that connection.
    pub sequence: u64,
}

/// What became of a piece, or of the end, of a streamed answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Progress {
    /// It goes on, or is complete.
    Fine,
    /// The answer is not what its length has promised: what was sent of it is all that can be sent.
    Broken,
}

/// How the head of a streamed answer is to be sent.
#[derive(Clone, Copy, Debug)]
pub(in crate::shard) struct Opening {
    /// The call that answers.
    pub key: CallKey,
    /// The client speaks HTTP/1.0.
    pub old: bool,
    /// As of [`Sink::answer`].
    pub last: bool,
}

/// See the module. A handle: it is copied, and knows its exchange.
pub(in crate::shard) trait Sink: Copy {
    fn place(&self) -> Place;

    /// The peer, as it is in `peers`; `None`: nothing is said of those who call here.
    fn peer(&self, peers: &Arc<Peers>) -> Option<&Entered>;

    /// The handle of the exchange at `place`, which is on the same connection.
    fn at(&self, place: Place) -> Self;

    /// The backend works on the request, which takes so many `bytes`: its answer comes later, to another handle.
    fn expect(&self, key: CallKey, bytes: usize);

    /// The client may send the content that it holds back (RFC 9110 15.2.1).
    fn proceed(&self);

    /// True when no other request is answered after this one, as far as the connection is concerned.
    fn is_last(&self) -> bool;

    /// Takes the whole answer; true when it can be sent now. `last`: no other request of the connection is answered.
    fn answer(&self, answer: &Answer<'_>, last: bool) -> bool;

    /// Takes the head of an answer whose content follows. Calls that can be answered no more are handed to `abandoned`.
    fn open(&self, answer: &Answer<'_>, opening: Opening, abandoned: &mut Vec<CallKey>);

    /// Takes a piece of that content; also says what credit the backend has for pieces that were thrown away.
    fn put(&self, piece: &[u8]) -> (Progress, Option<u32>);

    /// That content is complete.
    fn end(&self) -> Progress;

    /// The answer breaks off, and the client has to see it. Calls that can be answered no more are handed to `abandoned`.
    fn cut(&self, abandoned: &mut Vec<CallKey>);

    /// Nothing more is received or sent. Calls that can be answered no more are handed to `abandoned`.
    fn abort(&self, abandoned: &mut Vec<CallKey>);

    /// The connection takes no further request; it ends when the last answer is out.
    fn begin_close(&self);

    /// What reads the request, and writes answers, has something to do.
    fn wake(&self);
}
