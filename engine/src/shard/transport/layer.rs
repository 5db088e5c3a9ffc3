//! TLS over what is no socket of its own: a tunnel that is read here. Whoever reads and writes there moves the bytes. Those that the
//! session itself has to say go with what is written next.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

use crate::limits::TLS_WRITE_BYTES;
use crate::shard::transport::rooms::Room;
use crate::shard::transport::session::Session;
use crate::shard::transport::socket::Beneath;

/// See the module. Both directions share it.
pub(in crate::shard) struct Layer {
    session: RefCell<Session>,
    beneath: Beneath,
}

impl Layer {
    /// One that a client is to shake hands with. What it holds counts in `held`.
    pub fn new(config: Arc<ServerConfig>, held: Rc<Cell<usize>>) -> io::Result<Rc<Layer>> {
        let tls = ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Rc::new(Layer { session: RefCell::new(Session::new(tls.into())), beneath: Beneath::new(held) }))
    }

    fn with_input<T>(&self, work: impl FnOnce(&mut Session) -> T) -> T {
        let mut session = self.session.borrow_mut();
        let outcome = work(&mut session);
        self.beneath.hold_input(session.held_bytes());
        outcome
    }

    /// These bytes have come, and all before them are taken.
    pub fn came(&self, bytes: &[u8]) -> io::Result<()> {
        self.with_input(|session| {
            let mut buffer = session.buffer(bytes.len());
            buffer.extend_from_slice(bytes);
            session.took(buffer)
        })
    }

    /// Nothing more comes.
    pub fn end_of_input(&self) -> io::Result<()> {
        self.session.borrow_mut().end_of_input()
    }

    /// Goes on with the handshake, as far as what has come goes; true when it is over.
    pub fn shake_hands(&self) -> io::Result<bool> {
        self.with_input(|session| session.shake_hands().map(|()| !session.is_handshaking()))
    }

    /// As of a session.
    pub fn take<B: Room>(&self, room: &mut B) -> io::Result<Option<usize>> {
        self.with_input(|session| session.take(room))
    }

    /// As of a session.
    pub fn rest(&self) {
        self.with_input(Session::rest);
    }

    /// What the session has to say.
    pub fn flush(&self) -> io::Result<Vec<u8>> {
        let mut sealed = Vec::new();
        self.session.borrow_mut().flush_into(&mut sealed)?;
        Ok(sealed)
    }

    /// Records of some of the content, and how much of it they hold.
    pub fn seal(&self, content: &[u8]) -> io::Result<(usize, Vec<u8>)> {
        let mut sealed = Vec::new();
        let some = content.get(..content.len().min(TLS_WRITE_BYTES)).unwrap_or_default();
        let taken = self.session.borrow_mut().seal(some, &mut sealed)?;
        if taken == 0 && !some.is_empty() { Err(io::ErrorKind::WriteZero.into()) } else { Ok((taken, sealed)) }
    }

    /// What says that nothing more will be sent.
    pub fn end_output(&self) -> io::Result<Vec<u8>> {
        let mut sealed = Vec::new();
        self.session.borrow_mut().end_output(&mut sealed)?;
        Ok(sealed)
    }

    /// Bytes that it holds of what has come.
    pub fn held_bytes(&self) -> usize {
        self.beneath.bytes()
    }
}
