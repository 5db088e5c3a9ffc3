//! Handlers written in Rust: the backend that needs no Node. It runs on the shard's own thread, without a hop.

use std::cell::Cell;
use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::link::backend::Backend;
use crate::link::batch::{AnswerBatch, CallBatch, CallKey, Outcome, flags};
use crate::link::port::{ShardPort, ToShard};
use crate::tunnel::table::{Kind, Registration};

/// One call, as a handler sees it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The body's JSON text, not unwrapped (`{"input":…}` or bare); `None` when the body was empty.
    pub body: Option<&'a str>,
    /// The effective request id.
    pub request_id: &'a str,
    /// The field lines as received.
    pub fields: &'a [u8],
}

/// What a handler says.
#[derive(Debug)]
pub enum Answer {
    /// The result as JSON text: 200.
    Json(String),
    /// 200 without a result.
    Done,
    /// 500 `Internal Error`.
    InternalError,
    /// Later, through the [`Ticket`]. Without one: 500.
    Later,
}

/// The right to answer one call later, from any thread. Dropped unused: the client gets a 500.
pub struct Ticket {
    port: Option<ShardPort>,
    key: CallKey,
}

impl Ticket {
    /// Answers with a result in JSON text.
    pub fn json(mut self, text: &str) {
        self.send(Outcome::Result, text);
    }

    /// Answers 200 without a result.
    pub fn done(mut self) {
        self.send(Outcome::Done, "");
    }

    fn send(&mut self, outcome: Outcome, text: &str) {
        if let Some(port) = self.port.take() {
            let mut answers = Box::<AnswerBatch>::default();
            answers.push(self.key, outcome, text.as_bytes());
            // A shard that has ended has no client left to answer.
            let _ = port.send(ToShard::Answers(answers));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.send(Outcome::InternalError, "");
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("key", &self.key).finish_non_exhaustive()
    }
}

type Handler = Box<dyn Fn(&Call<'_>, &dyn Fn() -> Ticket) -> Answer + Send + Sync>;

/// A set of Rust handlers. A handler must not block its shard; what takes time answers through a [`Ticket`].
#[derive(Default)]
pub struct Handlers {
    specs: Vec<Registration>,
    handlers: Vec<Handler>,
    ports: OnceLock<Vec<ShardPort>>,
}

impl Handlers {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a task. The second argument of `handler` makes a [`Ticket`] for [`Answer::Later`].
    #[must_use]
    pub fn task(
        self,
        id: &str,
        handler: impl Fn(&Call<'_>, &dyn Fn() -> Ticket) -> Answer + Send + Sync + 'static,
    ) -> Self {
        self.add(Kind::Task, id, Box::new(handler))
    }

    /// Adds an event.
    #[must_use]
    pub fn event(
        self,
        id: &str,
        handler: impl Fn(&Call<'_>, &dyn Fn() -> Ticket) -> Answer + Send + Sync + 'static,
    ) -> Self {
        self.add(Kind::Event, id, Box::new(handler))
    }

    fn add(mut self, kind: Kind, id: &str, handler: Handler) -> Self {
        self.specs.push(Registration { kind, id: id.to_owned(), index: self.handlers.len() as u32 });
        self.handlers.push(handler);
        self
    }

    /// What to build the route table from.
    #[must_use]
    pub fn specs(&self) -> &[Registration] {
        &self.specs
    }

    /// Ready to be given to [`crate::Engine::start`].
    #[must_use]
    pub fn into_backend(self) -> Arc<dyn Backend> {
        Arc::new(self)
    }
}

impl Backend for Handlers {
    fn attach(&self, ports: &[ShardPort]) {
        let _ = self.ports.set(ports.to_vec());
    }

    fn submit(&self, shard: usize, mut calls: Box<CallBatch>, answers: &mut AnswerBatch) -> Option<Box<CallBatch>> {
        let port = self.ports.get().and_then(|ports| ports.get(shard));
        for record in &calls.records {
            if record.flags & flags::ASK != 0 {
                // There is nobody here to vouch for a request.
                answers.push_advice(record.key, false, b"");
                continue;
            }
            let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
            let call = Call {
                body: (record.flags & flags::EMPTY == 0).then(|| text(record.body.of(&calls.json))),
                request_id: text(record.request_id.of(&calls.heads)),
                fields: record.fields.of(&calls.heads),
            };
            let ticketed = Cell::new(false);
            let ticket = || {
                ticketed.set(true);
                Ticket { port: port.cloned(), key: record.key }
            };
            // A handler's panic costs its own call, not the batch.
            let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                self.handlers.get(record.handler as usize).map(|handler| handler(&call, &ticket))
            }));
            match run {
                Ok(Some(Answer::Json(json))) => answers.push(record.key, Outcome::Result, json.as_bytes()),
                Ok(Some(Answer::Done)) => answers.push(record.key, Outcome::Done, b""),
                Ok(Some(Answer::Later)) if ticketed.get() => {}
                // Without a ticket nobody can answer later.
                Ok(Some(Answer::InternalError | Answer::Later) | None) | Err(_) => {
                    answers.push(record.key, Outcome::InternalError, b"")
                }
            }
        }
        calls.reset();
        Some(calls)
    }

    fn stopped(&self, _shard: usize) {}
}
