//! Connections of HTTP/2 that a proxy has (RFC 9113), with clients and with servers. `h2` reads and writes the frames, over memory;
//! a task of the connection moves that to and from the socket. Each stream is to whoever uses it what a connection of HTTP/1.1 is:
//! a head as text, and content behind it. So there is one piece of code that passes requests on, and one that reads what came.

mod asking;
pub(in crate::shard) mod drive;
pub(in crate::shard) mod head_watch;
pub(in crate::shard) mod heads;
pub(in crate::shard) mod memory;
pub(in crate::shard) mod stream;
mod trailers;
