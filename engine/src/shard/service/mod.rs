//! What a door offers: the questions that the rest of the shard has about a kind of connections, each answered in one place
//! for each kind. A further kind is a file of its own here.

pub(in crate::shard) mod admin;
pub(in crate::shard) mod agent;
pub(in crate::shard) mod in_process;
pub(in crate::shard) mod proxy;
pub(in crate::shard) mod tunnel;
pub(in crate::shard) mod turned_away;

use std::os::fd::OwnedFd;

use crate::link::latest::Latest;
use crate::link::port::ToShard;
use crate::shard::Shard;
use crate::tls::Tls;
use crate::tunnel::admin::AdminAnswer;
use crate::wire::head::Head;

/// See the module. A table of constants, not a trait: connections are asked for each request.
pub(in crate::shard) struct Service {
    /// Its connections count: for `max_connections`, for the choice of a shard, in statistics, with their requests. The engine
    /// ends when they have; what does not count stays until then.
    pub is_load: bool,
    /// Its connections may ask for something. Of others, what comes is thrown away: they have their answer.
    pub takes_requests: bool,
    /// How a connection is handed to another shard; `None` where it stays with the one that has accepted it.
    pub hand_over: Option<fn(OwnedFd) -> ToShard>,
    /// True while a connection may still begin.
    pub may_begin: fn(&Shard) -> bool,
    /// Bytes of the buffer in which a connection waits for something to read.
    pub lean_bytes: usize,
    /// What its connections are encrypted with, if they are.
    pub tls: fn(&Shard) -> Option<&Latest<Tls>>,
    /// The end of a client's input is not its leaving yet: it may wait for answers.
    pub half_closes: bool,
    /// A client may speak HTTP/2, too.
    pub speaks_http2: bool,
    /// What is said of callers holds for its connections.
    pub has_callers: bool,
    pub at_stop: AtStop,
    /// What answers each request; `None` where the tunnel decides.
    pub answer: Option<Answerer>,
    /// All that happens on a connection, where nothing is read from it: it is told something, and is over.
    pub greets: Option<fn(&Shard, &OwnedFd)>,
    pub speaks: Speaks,
}

/// What requests of a connection are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Speaks {
    /// This server.
    ToServer,
    /// Others, which it passes them on to.
    ToProxy,
}

/// Answers the request that has this head, given the bytes of that, too.
type Answerer = fn(&Shard, &Head, &[u8]) -> Reply;

/// What such a request gets.
pub(in crate::shard) enum Reply {
    /// This.
    Whole(AdminAnswer),
    /// Events, as long as the client stays.
    Events,
}

/// What becomes of a connection when the engine stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum AtStop {
    /// It is closed when it asks nothing, and cut off when the drain is over.
    Closes,
    /// Its client closes it when it has no more to ask: what was sent already is not to be lost. Cut off as the others.
    IsLeft,
    /// It stays until the engine ends.
    Stays,
}
