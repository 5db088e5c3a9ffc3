//! HTTP/2 (RFC 9113): from frames to exchanges and back. `h2` reads and writes the frames, and never sees a socket: what was
//! read is given to it, and what it writes goes into the connection's queue, so that HTTP/1.1 and HTTP/2, TLS and none, io_uring
//! and epoll have the same reader, writer, deadlines and books beneath them.

mod begin;
mod content;
mod ending;
pub(in crate::shard) mod head_text;
mod pipe;
pub(in crate::shard) mod reader;
mod reading;
mod session;
pub(in crate::shard) mod setup;
