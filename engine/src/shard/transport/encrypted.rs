//! The two halves of a connection under TLS. They share its session: what comes may have to be answered, by an alert say.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use monoio::BufResult;
use monoio::io::{AsyncReadRent, AsyncWriteRent, CancelableAsyncReadRent, OwnedReadHalf, OwnedWriteHalf};
use monoio::net::TcpStream;
use rustls::Connection;

use crate::limits::{HANDSHAKE_BYTES, TLS_HELLO_BYTES, TLS_READ_BYTES, TLS_RECORD_OVERHEAD_BYTES, TLS_WRITE_BYTES};
use crate::link::peers::TlsPeer;
use crate::shard::transport::rooms::{Content, Room};
use crate::shard::transport::session::Session;
use crate::shard::transport::socket::{Beneath, Lent, Socket};
use crate::tls::Protocol;

pub(in crate::shard) struct EncryptedRead {
    half: OwnedReadHalf<TcpStream>,
    session: Rc<RefCell<Session>>,
    beneath: Rc<Beneath>,
    /// To send what cannot wait for the other half.
    socket: Lent,
}

pub(in crate::shard) struct EncryptedWrite {
    half: OwnedWriteHalf<TcpStream>,
    session: Rc<RefCell<Session>>,
    beneath: Rc<Beneath>,
    /// Records that are not sent yet.
    sealed: Vec<u8>,
    /// Bytes of content in them that nobody was told of.
    owed: usize,
}

/// Puts a session over two halves.
pub(super) fn encrypt(
    read: OwnedReadHalf<TcpStream>,
    write: OwnedWriteHalf<TcpStream>,
    socket: Lent,
    beneath: &Rc<Beneath>,
    connection: Connection,
) -> (EncryptedRead, EncryptedWrite) {
    let session = Rc::new(RefCell::new(Session::new(connection)));
    let reader = EncryptedRead { half: read, session: session.clone(), beneath: beneath.clone(), socket };
    let writer = EncryptedWrite { half: write, session, beneath: beneath.clone(), sealed: Vec::new(), owed: 0 };
    (reader, writer)
}

impl EncryptedRead {
    /// As of the half of a plain connection. A client that goes without a word of it is an error, not the end.
    pub async fn read<B: Room>(&mut self, mut room: B, until_cancelled: Option<&Socket>) -> BufResult<usize, B> {
        // No more than what fits the room, as long as that is lean; once a record has begun, as much as it may have.
        let mut bytes = (room.free() + TLS_RECORD_OVERHEAD_BYTES).min(TLS_READ_BYTES);
        loop {
            let taken = self.session.borrow_mut().take(&mut room);
            self.answer();
            self.weigh();
            match taken {
                Ok(Some(taken)) => return (Ok(taken), room),
                Ok(None) => {}
                Err(error) => {
                    // The connection is cut then, and with it what the writer still has to send.
                    std::future::poll_fn(|cx| self.session.borrow_mut().poll_last_words(cx)).await;
                    return (Err(error), room);
                }
            }
            if self.session.borrow().held_bytes() > 0 {
                bytes = TLS_READ_BYTES;
            }
            if let Err(error) = self.receive(bytes, until_cancelled).await {
                return (Err(error), room);
            }
        }
    }

    /// Waits for more to come, and says how much did; 0: the end.
    async fn receive(&mut self, bytes: usize, until_cancelled: Option<&Socket>) -> io::Result<usize> {
        let buffer = self.session.borrow_mut().buffer(bytes);
        let (read, buffer) = match until_cancelled {
            Some(socket) => self.half.cancelable_read(buffer, socket.cancel_handle()).await,
            None => self.half.read(buffer).await,
        };
        let mut session = self.session.borrow_mut();
        let bytes = read?;
        match bytes {
            0 => session.end_of_input()?,
            _ => session.took(buffer)?,
        }
        Ok(bytes)
    }

    /// Waits for more of the client's messages, which the session gets; says with which byte that begins.
    pub(super) async fn hear(&mut self) -> io::Result<Option<u8>> {
        if self.receive(TLS_HELLO_BYTES, None).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.session.borrow().first_byte())
    }

    /// Reads on, whatever comes, until the end or until so many bytes have come.
    pub(super) async fn pass_over(&mut self, most: usize) {
        let (mut buffer, mut passed) = (Vec::with_capacity(HANDSHAKE_BYTES), 0);
        while passed < most {
            buffer.clear();
            match self.half.read(buffer).await {
                (Ok(bytes), used) if bytes > 0 => (passed, buffer) = (passed + bytes, used),
                _ => return,
            }
        }
    }

    /// Goes on with the handshake.
    pub(super) fn shake_hands(&mut self) -> io::Result<()> {
        let outcome = self.session.borrow_mut().shake_hands();
        if outcome.is_err() {
            self.answer();
        }
        outcome
    }

    /// Sends what the session has to say, as far as that goes without waiting.
    fn answer(&self) {
        self.session.borrow_mut().say(|bytes| {
            let flags = rustix::net::SendFlags::DONTWAIT | rustix::net::SendFlags::NOSIGNAL;
            rustix::net::send(&self.socket, bytes, flags).unwrap_or(0)
        });
    }

    fn weigh(&self) {
        self.beneath.hold_input(self.session.borrow().held_bytes());
    }

    /// The client has shaken hands: what that has brought about.
    pub(super) fn meet(&self) -> TlsPeer {
        self.session.borrow().peer()
    }

    /// What was agreed on by ALPN.
    pub(super) fn protocol(&self) -> Protocol {
        Protocol::of(self.session.borrow().peer().alpn.as_deref())
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.session.borrow().is_handshaking()
    }
}

impl EncryptedWrite {
    /// As of the half of a plain connection: sends some of the bytes, and says how many, so that a slow client is seen to
    /// make progress. What was made into records and is not told of has to be given again.
    pub async fn write<B: Content>(&mut self, content: B) -> BufResult<usize, B> {
        loop {
            if self.sealed.is_empty() {
                let bytes = content.bytes();
                let some = bytes.get(..bytes.len().min(TLS_WRITE_BYTES)).unwrap_or_default();
                match self.session.borrow_mut().seal(some, &mut self.sealed) {
                    Ok(taken) => self.owed = taken,
                    Err(error) => return (Err(error), content),
                }
            }
            match self.send().await {
                Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), content),
                Err(error) => return (Err(error), content),
                Ok(_) if self.sealed.is_empty() => {
                    let told = std::mem::take(&mut self.owed);
                    return (Ok(told), content);
                }
                Ok(sent) => {
                    let told = sent.min(self.owed.saturating_sub(1));
                    self.owed -= told;
                    if told > 0 {
                        return (Ok(told), content);
                    }
                }
            }
        }
    }

    /// Sends some of the records.
    async fn send(&mut self) -> io::Result<usize> {
        self.session.borrow_mut().begin_writing();
        self.beneath.hold_output(self.sealed.capacity());
        let sealed = std::mem::take(&mut self.sealed);
        let (sent, sealed) = self.half.write(sealed).await;
        self.sealed = sealed;
        match sent {
            Ok(bytes @ 1..) => drop(self.sealed.drain(..bytes.min(self.sealed.len()))),
            _ => self.session.borrow_mut().stop_writing(),
        }
        if self.sealed.is_empty() {
            self.sealed = Vec::new();
            self.session.borrow_mut().end_writing(&mut self.sealed);
        }
        self.beneath.hold_output(self.sealed.capacity());
        sent
    }

    /// Sends what the session has to say.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        self.session.borrow_mut().flush_into(&mut self.sealed)?;
        self.send_all().await
    }

    /// Says that nothing more will be sent, once all that is in records is.
    pub async fn end(&mut self) {
        if self.send_all().await.is_ok() && self.session.borrow_mut().end_output(&mut self.sealed).is_ok() {
            let _ = self.send_all().await;
        }
    }

    async fn send_all(&mut self) -> io::Result<()> {
        while !self.sealed.is_empty() {
            if self.send().await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// Sends bytes as they are.
    pub(super) async fn send_plain(&mut self, bytes: &'static [u8]) {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            match self.half.write(rest).await {
                (Ok(sent), _) if sent > 0 => at += sent,
                _ => return,
            }
        }
    }
}
