//! Calls on their way into JavaScript, what is known of each, and the answers to them.

use fasttunnel_engine::host::{RawParts, layout};
use fasttunnel_engine::link::batch::Outcome;
use napi::bindgen_prelude::{BufferSlice, Uint8ArraySlice, Uint32Array};
use napi::{Env, JsString};
use napi_derive::napi;

use super::NativeTunnel;
use crate::callers::NativeCaller;
use crate::raw::{append_utf8, elements, keep_freed_memory};
use crate::rows::{Table, answers};
use crate::tls::NativePeer;

#[napi]
impl NativeTunnel {
    /// Drains waiting calls: fills the table, returns the JSON array of their bodies, or null when there are none.
    /// At most `max_calls`, but one at least. When there is nothing at all, the next call rings.
    #[napi(catch_unwind)]
    pub fn poll<'env>(&self, env: &'env Env, max_calls: u32) -> napi::Result<Option<JsString<'env>>> {
        if let Some(inline) = &*self.life.inline.borrow() {
            inline.looked();
        }
        let mut table = self.table.borrow_mut();
        let mut bridge = self.life.bridge.borrow_mut();
        let mut table = Table(elements(&mut table));
        let drained = bridge.drain(&mut table, max_calls as usize);
        table.write_header(&drained);
        match bridge.text() {
            _ if drained.calls == 0 => Ok(None),
            text if text.is_ascii() => env.create_string_latin1(text).map(Some),
            // The engine passes UTF-8 only; a copy with U+FFFD costs less than a crash if that were ever wrong.
            text => env.create_string(String::from_utf8_lossy(text)).map(Some),
        }
    }

    /// Answers calls: `rows` holds `count` pairs of ticket and outcome, `text` the texts that they need: a JSON array,
    /// then others behind a zero each. Then drains like `poll`, unless `max_calls` is 0: the caller has to poll later.
    #[napi(catch_unwind)]
    pub fn complete<'env>(
        &self,
        env: &'env Env,
        text: JsString<'_>,
        mut rows: Uint32Array,
        count: u32,
        max_calls: u32,
    ) -> napi::Result<Option<JsString<'env>>> {
        let rows = elements(&mut rows);
        let used = rows.get(..count as usize * layout::PER_ANSWER).unwrap_or_default();
        let answer = || self.life.bridge.borrow_mut().answer(answers(used), |out| append_utf8(env, text, out));
        match &*self.life.inline.borrow() {
            Some(inline) => inline.send(answer),
            None => answer(),
        }?;
        if max_calls > 0 { self.poll(env, max_calls) } else { Ok(None) }
    }

    /// The effective request id of a call that is not answered yet.
    #[napi(catch_unwind)]
    pub fn request_id<'env>(&self, env: &'env Env, ticket: u32) -> napi::Result<Option<JsString<'env>>> {
        self.life.bridge.borrow().request_id(ticket).map(|id| env.create_string_latin1(id)).transpose()
    }

    /// The head, as received (latin-1), of a call that is not answered yet.
    #[napi(catch_unwind)]
    pub fn head<'env>(&self, env: &'env Env, ticket: u32) -> napi::Result<Option<JsString<'env>>> {
        self.life.bridge.borrow().head(ticket).map(|head| env.create_string_latin1(head)).transpose()
    }

    /// Milliseconds that a call has waited for the event loop, while it is not answered.
    #[napi(catch_unwind)]
    pub fn queued_ms(&self, ticket: u32) -> f64 {
        self.life.bridge.borrow().queued_ns(ticket).unwrap_or(0) as f64 / 1e6
    }

    /// What is known of the client of a call that is not answered yet, where it came by TLS and is connected.
    #[napi(catch_unwind)]
    pub fn peer<'env>(&self, env: &'env Env, ticket: u32) -> napi::Result<Option<NativePeer<'env>>> {
        let Some(number) = self.life.bridge.borrow().peer(ticket) else { return Ok(None) };
        let shared = self.life.shared.borrow();
        let peer = shared.as_ref().and_then(|shared| shared.peers().get(number));
        peer.and_then(|peer| peer.tls.as_ref().map(|tls| NativePeer::new(env, tls))).transpose()
    }

    /// Who has made a call that is not answered yet, while the peer is connected; nothing of one of this process.
    #[napi(catch_unwind)]
    pub fn caller(&self, ticket: u32) -> Option<NativeCaller> {
        let bridge = self.life.bridge.borrow();
        let shared = self.life.shared.borrow();
        let shared = shared.as_ref()?;
        let peer = shared.peers().get(bridge.peer(ticket)?)?;
        Some(NativeCaller::new(&peer, shared.callers().client(peer.address, bridge.head(ticket)?)))
    }

    /// Says what a request that was asked about may do; it leaves with the next `complete`.
    #[napi(catch_unwind)]
    pub fn advise(&self, ticket: u32, passed: bool, origin: Option<String>) {
        self.life.bridge.borrow_mut().advise(ticket, passed, origin.as_deref());
    }

    /// Answers a call with a status, header lines (names and values in turn) and a body of its own; it leaves with the
    /// next `complete`. False when it may not be written: the call is to be answered with something else.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments)]
    pub fn raw(
        &self,
        ticket: u32,
        status: f64,
        reason: String,
        headers: Vec<String>,
        body: Uint8ArraySlice<'_>,
        cors: bool,
        security: bool,
    ) -> bool {
        let parts = RawParts { status, reason: &reason, headers: &headers, body: &body, cors, security };
        self.life.bridge.borrow_mut().answer_raw(ticket, &parts)
    }

    /// The next of the frames of which the table has told: what it is goes into the table, its bytes are copied.
    #[napi(catch_unwind)]
    pub fn frame<'env>(&self, env: &'env Env) -> napi::Result<Option<BufferSlice<'env>>> {
        if !self.streams.replace(true) {
            keep_freed_memory();
        }
        let mut table = self.table.borrow_mut();
        let mut bridge = self.life.bridge.borrow_mut();
        let frame = bridge.next_frame();
        Table(elements(&mut table)).write_frame(frame.map(|(ticket, kind, _)| (ticket, kind)));
        let bytes = frame.map(|(_, _, bytes)| bytes).filter(|bytes| !bytes.is_empty());
        bytes.map(|bytes| BufferSlice::copy_from(env, bytes)).transpose()
    }

    /// Begins an answer whose body follows in pieces: `length` bytes, or any number if it is negative. Leaves with the
    /// next `complete`, like all that follows. False when it may not be written, as of `raw`.
    #[napi(catch_unwind)]
    #[allow(clippy::too_many_arguments)]
    pub fn open_stream(
        &self,
        ticket: u32,
        status: f64,
        reason: String,
        headers: Vec<String>,
        length: f64,
        cors: bool,
        security: bool,
    ) -> bool {
        let parts = RawParts { status, reason: &reason, headers: &headers, body: b"", cors, security };
        let length = (length >= 0.0).then_some(length as u64);
        self.life.bridge.borrow_mut().open_stream(ticket, &parts, length)
    }

    /// The next piece of that body.
    #[napi(catch_unwind)]
    pub fn send_data(&self, ticket: u32, bytes: Uint8ArraySlice<'_>) {
        self.life.bridge.borrow_mut().append(ticket, Outcome::Data, &bytes);
    }

    /// That body is complete.
    #[napi(catch_unwind)]
    pub fn end_stream(&self, ticket: u32) {
        self.life.bridge.borrow_mut().close_stream(ticket, Outcome::End);
    }

    /// That body breaks off.
    #[napi(catch_unwind)]
    pub fn cut_stream(&self, ticket: u32) {
        self.life.bridge.borrow_mut().close_stream(ticket, Outcome::Cut);
    }

    /// So many bytes of the request's body are used up.
    #[napi(catch_unwind)]
    pub fn credit_body(&self, ticket: u32, bytes: u32) {
        self.life.bridge.borrow_mut().append(ticket, Outcome::Credit(bytes), b"");
    }

    /// Nobody wants the rest of the request's body.
    #[napi(catch_unwind)]
    pub fn discard_body(&self, ticket: u32) {
        self.life.bridge.borrow_mut().append(ticket, Outcome::Discard, b"");
    }

    /// The refusals of which the table has told: the members of a JSON array.
    #[napi(catch_unwind)]
    pub fn notices<'env>(&self, env: &'env Env) -> napi::Result<JsString<'env>> {
        env.create_string_latin1(self.life.bridge.borrow_mut().take_notices())
    }
}
