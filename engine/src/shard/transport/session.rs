//! The session of a connection under TLS: bytes of one side in, bytes of the other out. Knows no socket.

use std::io::{self, BufRead, ErrorKind, Write};
use std::task::{Context, Poll, Waker};

use rustls::{CipherSuite, Connection, ProtocolVersion};

use crate::limits::TLS_BARREN_READS;
use crate::link::peers::TlsPeer;
use crate::shard::transport::records::Records;
use crate::shard::transport::rooms::Room;

/// See the module.
pub(super) struct Session {
    tls: Connection,
    /// What has come; up to `at` the session has it.
    came: Vec<u8>,
    at: usize,
    records: Records,
    /// Reads in a row that have brought records and no content.
    barren: u32,
    /// What is to be sent before anything else.
    unsent: Vec<u8>,
    /// Content that lay behind what was taken last.
    left: usize,
    /// The writer is in the middle of records: nothing may come in between.
    writing: bool,
    last_words: LastWords,
}

/// What the session has to say at its end, an alert, when that became due in the middle of the writer's records.
#[derive(Debug, Default)]
enum LastWords {
    #[default]
    None,
    /// They go behind those records. Whoever waits for it is woken.
    Due(Waker),
    /// The writer sends them.
    Leaving(Waker),
}

impl Session {
    pub fn new(tls: Connection) -> Self {
        Session {
            tls,
            came: Vec::new(),
            at: 0,
            records: Records::default(),
            barren: 0,
            unsent: Vec::new(),
            left: 0,
            writing: false,
            last_words: LastWords::None,
        }
    }

    pub fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// What the handshake has brought about.
    pub fn peer(&self) -> TlsPeer {
        let suite = self.tls.negotiated_cipher_suite().map(|suite| suite.suite());
        let certificate = self.tls.peer_certificates().and_then(<[_]>::first);
        TlsPeer {
            version: if self.tls.protocol_version() == Some(ProtocolVersion::TLSv1_2) { "TLSv1.2" } else { "TLSv1.3" },
            cipher: suite.map_or("", cipher_name),
            server_name: self.server_name().map(str::to_owned),
            alpn: self.tls.alpn_protocol().map(<[u8]>::to_vec),
            certificate: certificate.map(|certificate| certificate.to_vec()),
        }
    }

    /// The name that a client has asked for.
    fn server_name(&self) -> Option<&str> {
        match &self.tls {
            Connection::Server(tls) => tls.server_name(),
            Connection::Client(_) => None,
        }
    }

    /// Bytes that it holds of what has come.
    pub fn held_bytes(&self) -> usize {
        self.records.partial() + (self.came.len() - self.at) + self.left
    }

    /// Nothing may come for long: memory in which all is taken is given back.
    pub fn rest(&mut self) {
        if self.at >= self.came.len() {
            (self.came, self.at) = (Vec::new(), 0);
        }
    }

    /// An empty buffer for about so many bytes. [`Self::took`] brings it back.
    pub fn buffer(&mut self, bytes: usize) -> Vec<u8> {
        let mut buffer = std::mem::take(&mut self.came);
        self.at = 0;
        buffer.clear();
        if buffer.capacity() < bytes || buffer.capacity() / 2 > bytes {
            buffer = Vec::with_capacity(bytes);
        }
        buffer
    }

    /// A read has ended.
    pub fn took(&mut self, buffer: Vec<u8>) -> io::Result<()> {
        self.barren += u32::from(self.records.pass(&buffer));
        (self.came, self.at) = (buffer, 0);
        if self.barren > TLS_BARREN_READS {
            return Err(io::Error::new(ErrorKind::InvalidData, "records without content"));
        }
        Ok(())
    }

    /// The first of the bytes that have come and were not looked at.
    pub fn first_byte(&self) -> Option<u8> {
        self.came.get(self.at).copied()
    }

    /// Nothing more comes. Unless the client has said so (RFC 8446 6.1), what has come is cut short.
    pub fn end_of_input(&mut self) -> io::Result<()> {
        self.tls.read_tls(&mut io::empty()).map(drop)
    }

    /// Goes on with the handshake, as far as what has come goes.
    pub fn shake_hands(&mut self) -> io::Result<()> {
        while self.is_handshaking() && self.advance()? {}
        // What comes behind it counts anew.
        if !self.is_handshaking() {
            self.barren = 0;
        }
        Ok(())
    }

    /// Looks at more of what has come; false when there is none.
    fn advance(&mut self) -> io::Result<bool> {
        let mut rest = self.came.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(false);
        }
        let taken = self.tls.read_tls(&mut rest)?;
        self.at += taken;
        self.tls.process_new_packets().map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        // Behind the client's last word it takes nothing.
        Ok(taken > 0)
    }

    /// Moves content into `room`, and says how much: 0 at the end, `None` when more has to come first.
    pub fn take<B: Room>(&mut self, room: &mut B) -> io::Result<Option<usize>> {
        loop {
            let mut reader = self.tls.reader();
            match reader.fill_buf() {
                Ok(content) => {
                    let bytes = content.len().min(room.free());
                    room.put(content.get(..bytes).unwrap_or_default());
                    self.left = content.len() - bytes;
                    reader.consume(bytes);
                    self.barren = 0;
                    return Ok(Some(bytes));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.left = 0,
                Err(error) => return Err(error),
            }
            if !self.advance()? {
                return Ok(None);
            }
        }
    }

    /// Makes records of some of the content, behind what else is to be sent; says of how much.
    pub fn seal(&mut self, content: &[u8], sealed: &mut Vec<u8>) -> io::Result<usize> {
        let taken = self.tls.writer().write(content)?;
        self.flush_into(sealed)?;
        Ok(taken)
    }

    /// What the session itself has to say.
    pub fn flush_into(&mut self, sealed: &mut Vec<u8>) -> io::Result<()> {
        sealed.append(&mut self.unsent);
        while self.tls.wants_write() {
            self.tls.write_tls(sealed)?;
        }
        Ok(())
    }

    /// Hands what the session itself has to say to `send`, which tells how much of it has left. The rest goes later.
    pub fn say(&mut self, send: impl FnOnce(&[u8]) -> usize) {
        if self.writing || !self.has_to_say() {
            return;
        }
        let mut bytes = Vec::new();
        if self.flush_into(&mut bytes).is_ok() {
            let sent = send(&bytes).min(bytes.len());
            bytes.drain(..sent);
            self.unsent = bytes;
        }
    }

    fn has_to_say(&self) -> bool {
        self.tls.wants_write() || !self.unsent.is_empty()
    }

    /// Ready when the last words have left, which go behind the records that are being sent.
    pub fn poll_last_words(&mut self, cx: &Context<'_>) -> Poll<()> {
        let waits = self.writing && self.has_to_say();
        match &mut self.last_words {
            LastWords::None if !waits => return Poll::Ready(()),
            LastWords::Due(waker) | LastWords::Leaving(waker) => waker.clone_from(cx.waker()),
            none => *none = LastWords::Due(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// The writer begins to send records.
    pub fn begin_writing(&mut self) {
        self.writing = true;
    }

    /// All records are sent, unless there are last words: these are in `sealed` then.
    pub fn end_writing(&mut self, sealed: &mut Vec<u8>) {
        if let LastWords::Due(waker) = std::mem::take(&mut self.last_words) {
            self.last_words = LastWords::Leaving(waker);
            if self.flush_into(sealed).is_ok() && !sealed.is_empty() {
                return;
            }
        }
        self.stop_writing();
    }

    /// No more of the records will be sent.
    pub fn stop_writing(&mut self) {
        self.writing = false;
        if let LastWords::Due(waker) | LastWords::Leaving(waker) = std::mem::take(&mut self.last_words) {
            waker.wake();
        }
    }

    /// Nothing more will be sent.
    pub fn end_output(&mut self, sealed: &mut Vec<u8>) -> io::Result<()> {
        self.tls.send_close_notify();
        self.flush_into(sealed)
    }
}

/// As IANA names it.
fn cipher_name(suite: CipherSuite) -> &'static str {
    match suite {
        // rustls writes those of 1.3 with the version.
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or(""),
    }
}

#[cfg(test)]
mod tests;
