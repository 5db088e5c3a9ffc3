//! What a shard puts down for the access log: records of requests, gathered in a tick.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::access::record::{Record, Text};
use crate::link::access_log::AccessLog;
use crate::link::clock;

/// See the module.
pub(in crate::shard) struct ShardLog {
    log: Arc<AccessLog>,
    shard: usize,
    gathered: RefCell<Vec<u8>>,
    records: Cell<u64>,
    /// What is due of the sample: from 1 on the next answer is written.
    due: Cell<f64>,
    /// Records whose memory is used again.
    #[allow(clippy::vec_box)]
    free: RefCell<Vec<Box<Record>>>,
}

/// Records that are kept for later.
const FREE_RECORDS: usize = 256;

impl ShardLog {
    pub fn new(log: Arc<AccessLog>, shard: usize) -> Self {
        ShardLog {
            log,
            shard,
            gathered: RefCell::default(),
            records: Cell::default(),
            due: Cell::default(),
            free: RefCell::default(),
        }
    }

    /// A record that says nothing but when it begins.
    pub fn begin(&self) -> Box<Record> {
        let mut record = self.free.borrow_mut().pop().unwrap_or_default();
        record.began_ns = clock::now_ns();
        record
    }

    /// The request has its answer, or will have none.
    pub fn end(&self, mut record: Box<Record>) {
        if record.status >= 400 || record.aborted || self.is_due() {
            record.ended_ns = clock::now_ns();
            record.put(&mut self.gathered.borrow_mut());
            self.records.set(self.records.get() + 1);
        }
        record.clear();
        let mut free = self.free.borrow_mut();
        if free.len() < FREE_RECORDS {
            free.push(record);
        }
    }

    /// Puts down what was gathered.
    pub fn hand_over(&self) {
        let mut gathered = self.gathered.borrow_mut();
        if !gathered.is_empty() {
            self.log.put(self.shard, &mut gathered, self.records.take());
        }
    }

    /// Evenly, so that a tenth is every tenth.
    fn is_due(&self) -> bool {
        let due = self.due.get() + self.log.sample;
        self.due.set(if due >= 1.0 { due - 1.0 } else { due });
        due >= 1.0
    }
}

impl Drop for ShardLog {
    fn drop(&mut self) {
        self.hand_over();
    }
}

/// The id in the field `traceparent` (W3C Trace Context), if that looks like one.
pub(in crate::shard) fn trace_id(traceparent: &[u8]) -> &[u8] {
    match traceparent.get(3..35) {
        Some(id) if traceparent.get(35) == Some(&b'-') && id.iter().all(u8::is_ascii_hexdigit) => id,
        _ => b"",
    }
}

/// What precedes the query and the fragment of a URL.
pub(in crate::shard) fn without_query(url: &[u8]) -> &[u8] {
    url.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default()
}

/// Sets what the texts of a request's fields say.
pub(in crate::shard) fn set_fields<'a>(record: &mut Record, get: impl Fn(&[u8]) -> Option<&'a [u8]>) {
    record.set(Text::Agent, get(b"user-agent").unwrap_or_default());
    record.set(Text::Referer, without_query(get(b"referer").unwrap_or_default()));
    record.set(Text::TraceId, trace_id(get(b"traceparent").unwrap_or_default()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::line::Format;

    #[test]
    fn a_sample_is_spread_evenly_and_holds_every_refusal() {
        let log = Arc::new(AccessLog::new(1, Format::Json, 0.25));
        let shard = ShardLog::new(log.clone(), 0);
        let answer = |status, count| {
            for _ in 0..count {
                let mut record = shard.begin();
                record.status = status;
                shard.end(record);
            }
            shard.hand_over();
            log.read(&mut Vec::new(), usize::MAX)
        };
        assert_eq!([answer(200, 4), answer(200, 40), answer(401, 5), answer(200, 3), answer(200, 1)], [1, 10, 5, 0, 1]);
    }

    #[test]
    fn ids_and_urls_are_taken_as_they_may_be_written() {
        let id = b"0af7651916cd43dd8448eb211c80319c";
        assert_eq!(trace_id(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), id);
        for bad in
            [&b""[..], b"00-0af7", b"00-0af7651916cd43dd8448eb211c80319c", b"00-0af7651916cd43dd8448eb211c8031\"c-b"]
        {
            assert_eq!(trace_id(bad), b"");
        }
        for (url, path) in [("http://h/a?token=b", "http://h/a"), ("/a#b?c", "/a"), ("", "")] {
            assert_eq!(without_query(url.as_bytes()), path.as_bytes());
        }
    }
}
