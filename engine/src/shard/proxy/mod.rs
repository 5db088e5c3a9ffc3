//! The forward proxy: a connection of a client, what is asked over it, and what is passed on of that.

pub(in crate::shard) mod begin;
mod carried;
mod client;
mod dial;
mod exchange;
mod greet;
mod hand;
mod judged;
mod multiplexed;
mod obtain;
mod own;
mod session;
mod strand;
mod tunnel;
