//! Input that is dropped before anybody has seen it.

use std::cell::RefCell;
use std::os::fd::RawFd;

use crate::limits::UNSEEN_BYTES;
use crate::sys;

/// Where the bytes go that a socket cannot drop in place: one room for all connections of a shard, made when it is needed.
/// Over TCP nobody writes to it, so that it takes no memory.
#[derive(Debug, Default)]
pub(in crate::shard) struct Unseen(RefCell<Vec<u8>>);

impl Unseen {
    /// Drops up to `most` bytes that lie in the receive buffer, and says how many. `socket` as for [`sys::shutdown`].
    pub fn drop_input(&self, socket: RawFd, most: usize) -> usize {
        let mut room = self.0.borrow_mut();
        if room.is_empty() {
            *room = vec![0; UNSEEN_BYTES];
        }
        let most = most.min(room.len());
        sys::drop_input(socket, &mut room[..most])
    }
}
