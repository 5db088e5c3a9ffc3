//! The records of the requests of one connection, from their heads to the ends of their answers.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

use crate::access::record::{Record, Text};
use crate::shard::watch::access_log::{ShardLog, set_fields};
use crate::tunnel::request_id::REQUEST_ID_HEADER;
use crate::wire::answer::{Answer, Content, has_content};
use crate::wire::head::Head;

/// The status in the log of a request whose client has left before there was an answer, as nginx has it.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// See the module.
pub(in crate::shard) struct ConnLog {
    shared: Rc<ShardLog>,
    /// Where the peer is; what is no request has come from there.
    remote: Cell<Option<SocketAddr>>,
    /// By the number of the exchange.
    #[allow(clippy::vec_box)]
    open: RefCell<Vec<(u64, Box<Record>)>>,
}

impl ConnLog {
    pub fn new(shared: Rc<ShardLog>, remote: Option<SocketAddr>) -> Self {
        ConnLog { shared, remote: Cell::new(remote), open: RefCell::default() }
    }

    /// A balancer has said where the client is.
    pub fn meet(&self, remote: Option<SocketAddr>) {
        self.remote.set(remote);
    }

    /// A request has come, from `remote`, as far as that is known: `bytes` are its head.
    pub fn begin(&self, exchange: u64, remote: Option<SocketAddr>, head: &Head, bytes: &[u8], is_http2: bool) {
        let mut record = self.shared.begin();
        record.remote = remote;
        record.version = if is_http2 { 20 } else { 10 + head.minor_version };
        record.set(Text::Method, bytes.get(..head.target.start.saturating_sub(1) as usize).unwrap_or_default());
        record.set(Text::Path, head.path.of(bytes));
        let fields = head.fields.of(bytes);
        set_fields(&mut record, |name| fields.get(name).first());
        self.open.borrow_mut().push((exchange, record));
    }

    /// It is answered.
    pub fn answer(&self, exchange: u64, answer: &Answer<'_>) {
        let mut record = self.take(exchange);
        note_head(&mut record, answer);
        if has_content(answer.status) && !matches!(answer.content, Content::Withheld(_)) {
            record.bytes = answer.content.length().unwrap_or_default();
        }
        self.shared.end(record);
    }

    /// Its answer begins.
    pub fn open(&self, exchange: u64, answer: &Answer<'_>) {
        self.with(exchange, |record| note_head(record, answer));
    }

    /// So many bytes more of it are given.
    pub fn add(&self, exchange: u64, bytes: usize) {
        self.with(exchange, |record| record.bytes += bytes as u64);
    }

    /// It is complete.
    pub fn end(&self, exchange: u64) {
        if let Some(record) = self.find(exchange) {
            self.shared.end(record);
        }
    }

    /// Nothing more comes of it.
    pub fn abort(&self, exchange: u64) {
        if let Some(record) = self.find(exchange) {
            self.end_early(record);
        }
    }

    /// Nor of any other.
    pub fn abort_all(&self) {
        for (_, record) in self.open.take() {
            self.end_early(record);
        }
    }

    fn end_early(&self, mut record: Box<Record>) {
        record.aborted = true;
        if record.status == 0 {
            record.status = CLIENT_CLOSED_REQUEST;
        }
        self.shared.end(record);
    }

    fn with(&self, exchange: u64, change: impl FnOnce(&mut Record)) {
        if let Some((_, record)) = self.open.borrow_mut().iter_mut().find(|(number, _)| *number == exchange) {
            change(record);
        }
    }

    fn find(&self, exchange: u64) -> Option<Box<Record>> {
        let mut open = self.open.borrow_mut();
        let at = open.iter().position(|(number, _)| *number == exchange)?;
        Some(open.remove(at).1)
    }

    /// The record of an exchange; one that says nothing where the head could not be read.
    fn take(&self, exchange: u64) -> Box<Record> {
        self.find(exchange).unwrap_or_else(|| {
            let mut record = self.shared.begin();
            record.remote = self.remote.get();
            record
        })
    }
}

impl Drop for ConnLog {
    fn drop(&mut self) {
        self.abort_all();
    }
}

fn note_head(record: &mut Record, answer: &Answer<'_>) {
    record.status = answer.status;
    let is_id = |name: &[u8]| name.eq_ignore_ascii_case(REQUEST_ID_HEADER.as_bytes());
    if let Some((_, id)) = answer.own.iter().find(|(name, _)| is_id(name)) {
        record.set(Text::RequestId, id);
    }
}
