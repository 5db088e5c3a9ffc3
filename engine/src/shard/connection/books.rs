//! What the answers of one connection take, a part of what the shard's [`Buffers`] have on their books.

use std::rc::Rc;

use crate::shard::connection::buffers::Buffers;

/// See the module. What is left when it is dropped is let go.
#[derive(Debug, Default)]
pub(in crate::shard) struct Books {
    /// Bytes of answers, and of those on the way.
    held: usize,
    /// Bytes taken to be sent, and not given back.
    on_the_way: usize,
    /// Bytes that the calls which wait were asked with.
    asked: usize,
    buffers: Rc<Buffers>,
}

impl Books {
    pub fn new(buffers: Rc<Buffers>) -> Self {
        Books { buffers, ..Books::default() }
    }

    /// The buffers of the shard.
    #[inline]
    pub fn buffers(&self) -> &Buffers {
        &self.buffers
    }

    /// The same, for other books.
    pub fn shared_buffers(&self) -> Rc<Buffers> {
        self.buffers.clone()
    }

    /// Bytes of answers that are not sent yet.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Bytes of the requests that the backend works on.
    pub fn asked(&self) -> usize {
        self.asked
    }

    /// So many bytes more.
    #[inline]
    pub fn hold(&mut self, bytes: usize) {
        self.held += bytes;
        self.buffers.hold(bytes);
    }

    /// So many bytes are gone.
    #[inline]
    pub fn let_go(&mut self, bytes: usize) {
        self.held -= bytes;
        self.buffers.let_go(bytes);
    }

    /// The backend works on a request of so many bytes.
    pub fn ask(&mut self, bytes: u32) {
        self.asked += bytes as usize;
    }

    /// It does no longer.
    pub fn end_ask(&mut self, bytes: u32) {
        self.asked -= bytes as usize;
    }

    /// So many bytes are taken to be sent.
    pub fn send(&mut self, bytes: usize) {
        self.on_the_way += bytes;
    }

    /// They are sent.
    pub fn sent(&mut self, bytes: usize) {
        self.on_the_way -= bytes;
        self.let_go(bytes);
    }

    /// Everything is dropped but what is on the way.
    pub fn clear(&mut self) {
        self.asked = 0;
        self.let_go(self.held - self.on_the_way);
    }
}

impl Drop for Books {
    fn drop(&mut self) {
        self.buffers.let_go(self.held);
    }
}
