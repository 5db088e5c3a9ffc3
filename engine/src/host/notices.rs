//! Refusals that the shards have reported, as JSON for the application's log.

use crate::link::batch::CallBatch;
use crate::tunnel::json_string::write_json_string;
use crate::wire::fields::Span;

/// Those that were not fetched yet.
#[derive(Default)]
pub(super) struct Notices {
    count: usize,
    /// The members of a JSON array.
    json: Vec<u8>,
}

impl Notices {
    pub fn count(&self) -> usize {
        self.count
    }

    pub fn note(&mut self, batch: &CallBatch) {
        for notice in &batch.notices {
            // The engine lets only ASCII into ids, methods and targets.
            let text = |span: Span| std::str::from_utf8(span.of(&batch.heads)).unwrap_or_default();
            let json = &mut self.json;
            json.extend_from_slice(if self.count == 0 { b"" } else { b"," });
            json.extend_from_slice(format!("{{\"status\":{},\"code\":\"{}\"", notice.status, notice.code).as_bytes());
            for (name, span) in [("requestId", notice.request_id), ("method", notice.method), ("path", notice.path)] {
                json.extend_from_slice(format!(",\"{name}\":").as_bytes());
                write_json_string(json, text(span));
            }
            json.push(b'}');
            self.count += 1;
        }
    }

    /// The members of the array.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(self).json
    }
}
