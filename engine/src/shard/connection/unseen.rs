//! Input that is dropped before anybody has seen it.

use std::cell::RefCell;

use crate::limits::UNSEEN_BYTES;
use crate::shard::transport::socket::Socket;

/// Where the bytes go that a socket cannot drop in place: one room for all connections of a shard, made when it is needed.
/// Over TCP nobody writes to it, so that it takes no memory.
#[derive(Debug, Default)]
pub(in crate::shard) struct Unseen(RefCell<Vec<u8>>);

impl Unseen {
    /// Drops up to `most` bytes that lie in the receive buffer, and says how many: see [`Socket::drop_input`].
    pub fn drop_input(&self, socket: &Socket, most: usize) -> usize {
        let mut room = self.0.borrow_mut();
        if room.is_empty() {
            *room = vec![0; UNSEEN_BYTES];
        }
        let most = most.min(room.len());
        socket.drop_input(&mut room[..most])
    }
}
