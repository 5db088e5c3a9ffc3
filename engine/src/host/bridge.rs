//! The bridge: drains call batches into rows and one JSON text, and sends answers home.
//!
//! Lives on the event loop's thread only. There is no bridge thread.

use std::sync::Arc;

use super::feed::{Drained, Feed, Rows};
use super::outbox::Outbox;
use super::raw_answer::{RawParts, latin1};
use super::texts::Texts;
use super::tickets::{Live, Tickets};
use crate::limits::{DRAIN_CALLS, DRAIN_DEPARTED};
use crate::link::batch::{AnswerRecord, Frame, FrameKind, Outcome, StreamHead};
use crate::link::clock;
use crate::link::host::Host;
use crate::link::hosts::{Hosts, Offer, TooManyHosts};
use crate::link::meter::Run;
use crate::link::tasks::Label;
use crate::tunnel::table::TableError;
use crate::wire::fields::Span;

/// What the event loop says of a call, but for its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200 with the next text as the result.
    Result,
    /// 200 without a result.
    Done,
    /// 400: the serializer refused the body.
    InvalidJson,
    /// This status, with the next text as the whole body.
    Failed(u16),
    /// Nothing that can be understood: 500.
    Nonsense,
}

impl Answer {
    fn wants_text(self) -> bool {
        matches!(self, Answer::Result | Answer::Failed(_))
    }

    fn is_failure(self) -> bool {
        matches!(self, Answer::InvalidJson | Answer::Failed(_) | Answer::Nonsense)
    }

    fn outcome(self, has_text: bool) -> Outcome {
        match self {
            Answer::Done => Outcome::Done,
            Answer::InvalidJson => Outcome::InvalidJson,
            Answer::Result if has_text => Outcome::Result,
            Answer::Failed(status @ 400..=599) if has_text => Outcome::Failed { status },
            Answer::Result | Answer::Failed(_) | Answer::Nonsense => Outcome::InternalError,
        }
    }
}

/// See the module.
pub struct Bridge {
    hosts: Arc<Hosts>,
    attached: bool,
    link: Arc<Host>,
    shards: usize,
    feed: Feed,
    tickets: Tickets,
    outbox: Outbox,
    text: Vec<u8>,
}

impl Bridge {
    /// Attaches an event loop: `wake` is called, on a shard's thread, when it sleeps and there is work.
    ///
    /// # Errors
    /// See [`TooManyHosts`].
    pub fn attach(hosts: Arc<Hosts>, wake: impl Fn() + Send + Sync + 'static) -> Result<Self, TooManyHosts> {
        let link = hosts.add(wake)?;
        Ok(Self::of(link, hosts))
    }

    /// Attaches an event loop that runs no calls: see [`Hosts::observe`].
    pub fn observe(hosts: Arc<Hosts>, wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self::of(hosts.observe(wake), hosts)
    }

    fn of(link: Arc<Host>, hosts: Arc<Hosts>) -> Self {
        let shards = hosts.shards();
        Bridge {
            link,
            attached: true,
            shards,
            feed: Feed::new(shards, hosts.queue_timeout_ms()),
            tickets: Tickets::new(shards),
            outbox: Outbox::new(shards),
            text: Vec::new(),
            hosts,
        }
    }

    /// Replaces the handlers that this event loop offers: see [`Hosts::register`].
    ///
    /// # Errors
    /// See [`Hosts::register`].
    pub fn register(&self, offers: &[Offer]) -> Result<Vec<u32>, TableError> {
        self.hosts.register(&self.link, offers)
    }

    /// The host's end of the link.
    #[must_use]
    pub fn link(&self) -> &Arc<Host> {
        &self.link
    }

    /// All event loops of the engine, this one among them.
    #[must_use]
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Calls given out and not answered.
    #[must_use]
    pub fn live(&self) -> usize {
        self.tickets.len()
    }

    /// Drains what the shards have sent into `rows`; when there are calls, [`Self::text`] is the JSON array of their bodies.
    /// At most `max_calls`, and one at least: the others wait. When there is nothing at all, not even a client that has
    /// gone, the host parks: the next batch rings.
    pub fn drain(&mut self, rows: &mut impl Rows, max_calls: usize) -> Drained {
        // While every handler waits there are no answers, with which batches go home otherwise; their bodies are read.
        self.give_back();
        let max_calls = max_calls.clamp(1, DRAIN_CALLS);
        let drained = loop {
            self.link.awake();
            let all = self.feed.fetch(&mut self.tickets, &mut self.outbox, &self.link);
            if self.feed.shed(&mut self.outbox, &self.link) {
                self.send(clock::now_ns());
            }
            self.text.clear();
            let calls = self.feed.fill(&mut self.tickets, &self.link, rows, &mut self.text, max_calls);
            let departed = self.tell_departed(rows, calls);
            let drained = Drained { calls, departed, ..self.feed.news() };
            if calls > 0 {
                self.text.push(b']');
                self.link.note_drain(calls);
                break drained;
            }
            // With something to take, to abort or to tell, the event loop polls again when it has; otherwise park, unless
            // more has come.
            if departed > 0 || drained.frames > 0 || drained.notices > 0 || (all && self.link.try_park()) {
                break drained;
            }
        };
        self.feed.forget_news();
        self.note_open();
        drained
    }

    /// The JSON array of the bodies of the last drain's calls.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    fn tell_departed(&mut self, rows: &mut impl Rows, calls: usize) -> usize {
        let mut told = 0;
        while told < DRAIN_DEPARTED
            && let Some(ticket) = self.tickets.next_departed()
        {
            rows.departed(calls, told, ticket);
            told += 1;
        }
        told
    }

    /// The event loop is about to leave: what it has not begun goes to other hosts, or is answered 503, and no more calls
    /// come. It has to answer those that it has begun; then, or when that takes too long, it detaches.
    pub fn retire(&mut self) {
        if self.attached {
            self.hosts.retire(&self.link, self.feed.leave());
            self.note_open();
        }
    }

    /// Takes the event loop off. What it has not begun goes to other hosts, or is answered 503; what it has begun and not
    /// answered is answered 503 that says so, and streams break off. No call, no answer and no news comes through here afterwards, and
    /// the engine's letter boxes, whose descriptors would stay open until somebody collects us, are let go.
    pub fn detach(&mut self) {
        if !std::mem::take(&mut self.attached) {
            return;
        }
        // Before anything else: from here on the shards hand nothing over.
        self.hosts.remove(&self.link, self.feed.leave());
        for live in self.tickets.leave().filter(|live| !live.gone) {
            let Some(batch) = self.outbox.of(live.shard) else { continue };
            // A request that was asked about may be tried again: nobody has begun it.
            let outcome = if live.ask { Outcome::Overloaded } else { Outcome::Lost };
            batch.push(live.key, outcome, b"");
        }
        self.send(clock::now_ns());
        self.shards = 0;
        self.feed = Feed::new(0, 0);
        self.outbox = Outbox::new(0);
        self.link = Arc::new(Host::new(0, || {}));
        self.hosts = Arc::new(Hosts::new(0, 0));
    }

    /// The next of the frames that the last drain has counted, with its ticket and its bytes. `None` in the first place:
    /// its call is over, there is nothing to do.
    pub fn next_frame(&mut self) -> Option<(u32, FrameKind, &[u8])> {
        let (shard, Frame { key, kind, .. }, bytes) = self.feed.frames.next()?;
        // Looked up only now: the ticket may name another call than it did at the drain.
        let ticket = self.tickets.find(shard, key)?;
        Some((ticket, kind, bytes))
    }

    /// The refusals that the last drains have brought, as the members of a JSON array.
    pub fn take_notices(&mut self) -> Vec<u8> {
        self.feed.notices.take()
    }

    /// Takes answers: tickets and what to say, and the texts that some of them need, in order: see `host::texts`.
    /// A ticket that is not out, and an answer whose text is missing, is left alone or answered with a 500: the event loop
    /// cannot harm another call.
    pub fn answer<E>(
        &mut self,
        answers: impl Iterator<Item = (u32, Answer)>,
        write_text: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        // With one shard, the text goes into the shard's batch as it is, and the answers point into it.
        let direct = self.shards == 1;
        let mut whole = std::mem::take(&mut self.text);
        if direct && let Some(batch) = self.outbox.of(0) {
            std::mem::swap(&mut whole, &mut batch.json);
        }
        // A batch that was not sent (all of its clients had gone) still holds the texts of before.
        whole.clear();
        let written = write_text(&mut whole);
        if written.is_err() {
            whole.clear();
        }
        let mut texts = Texts::new(&whole);
        let (now_ns, mut run, mut of_task) = (clock::now_ns(), Run::default(), Run::default());
        for (ticket, answer) in answers {
            let text = if answer.wants_text() { texts.next() } else { None };
            let Some(live) = self.tickets.remove(ticket) else { continue };
            let link = &*self.link;
            run.add(live.shard, live.taken_ns, |shard, since_ns, calls| note_run(link, shard, since_ns, now_ns, calls));
            if let Some(tasks) = link.tasks() {
                of_task.add(u32::from(live.label), live.taken_ns, |label, since_ns, calls| {
                    tasks.note(label as Label, since_ns, now_ns, calls);
                });
                if answer.is_failure() && !live.ask {
                    tasks.note_failure(live.label);
                }
            }
            let Some(batch) = self.outbox.of(live.shard).filter(|_| !live.gone) else { continue };
            if live.ask {
                // Only `advise` may speak for a client.
                batch.push_advice(live.key, false, b"");
                continue;
            }
            let outcome = answer.outcome(text.is_some());
            let text = text.unwrap_or(0..0);
            if direct {
                let body = Span { start: text.start as u32, end: text.end as u32 };
                batch.records.push(AnswerRecord { key: live.key, outcome, body });
            } else {
                batch.push(live.key, outcome, whole.get(text).unwrap_or_default());
            }
        }
        if direct && let Some(batch) = self.outbox.of(0) {
            std::mem::swap(&mut whole, &mut batch.json);
        }
        run.end(|shard, since_ns, calls| note_run(&self.link, shard, since_ns, now_ns, calls));
        if let Some(tasks) = self.link.tasks() {
            of_task.end(|label, since_ns, calls| tasks.note(label as Label, since_ns, now_ns, calls));
        }
        self.text = whole;
        // Whoever has an answer finds that its call is over.
        self.note_open();
        self.send(now_ns);
        written
    }

    /// Takes the word on a request that was asked about; it leaves with the next answers. An origin that no header can
    /// carry counts as none.
    pub fn advise(&mut self, ticket: u32, passed: bool, origin: Option<&str>) {
        let Some(live) = self.tickets.remove(ticket) else { return };
        let Some(batch) = self.outbox.of(live.shard).filter(|_| !live.gone) else { return };
        if live.ask {
            let origin = origin.and_then(latin1).unwrap_or_default();
            batch.push_advice(live.key, passed, &origin);
        } else {
            batch.push(live.key, Outcome::InternalError, b"");
        }
    }

    /// Takes a whole answer; it leaves with the next ones. False when any of it may not be written: the call is to be
    /// answered with something else.
    #[must_use]
    pub fn answer_raw(&mut self, ticket: u32, raw: &RawParts<'_>) -> bool {
        let Some((answer, head)) = raw.compile() else { return false };
        let Some(live) = self.tickets.remove(ticket) else { return true };
        note_one(&self.link, &live, live.taken_ns, raw.status >= 400.0);
        let Some(batch) = self.outbox.of(live.shard).filter(|_| !live.gone) else { return true };
        if live.ask {
            batch.push_advice(live.key, false, b"");
        } else {
            batch.push_raw(live.key, Outcome::Raw(answer), |bytes| {
                bytes.extend_from_slice(&head);
                bytes.extend_from_slice(raw.body);
            });
        }
        true
    }

    /// Takes the head of an answer whose body follows in pieces; like them it leaves with the next answers. False when
    /// any of it may not be written, or there is no such call (any more).
    pub fn open_stream(&mut self, ticket: u32, raw: &RawParts<'_>, length: Option<u64>) -> bool {
        let Some((head, bytes)) = raw.compile() else { return false };
        if let Some(live) = self.tickets.get_mut(ticket) {
            // What follows goes at the pace of its source and of the client.
            let taken_ns = std::mem::take(&mut live.taken_ns);
            note_one(&self.link, live, taken_ns, raw.status >= 400.0);
        }
        self.append(ticket, Outcome::Open(StreamHead { head, length }), &bytes)
    }

    /// Takes a piece of a body that was opened, or the word on the body of the request. False when there is no such
    /// call (any more).
    pub fn append(&mut self, ticket: u32, outcome: Outcome, bytes: &[u8]) -> bool {
        let Some(&Live { shard, key, gone, .. }) = self.tickets.get(ticket).filter(|live| !live.ask) else {
            return false;
        };
        if let Some(batch) = self.outbox.of(shard).filter(|_| !gone) {
            batch.push_raw(key, outcome, |raw| raw.extend_from_slice(bytes));
            self.outbox.send_if_full(shard, &self.link);
        }
        true
    }

    /// Takes the end of a body that was opened: the call is over.
    pub fn close_stream(&mut self, ticket: u32, outcome: Outcome) {
        if self.append(ticket, outcome, b"") {
            self.tickets.remove(ticket);
        }
    }

    /// The effective request id of a call, while it is not answered.
    #[must_use]
    pub fn request_id(&self, ticket: u32) -> Option<&[u8]> {
        self.feed.loans.request_id(self.tickets.get(ticket)?)
    }

    /// The head of a call as received, request line and field lines, while it is not answered.
    #[must_use]
    pub fn head(&self, ticket: u32) -> Option<&[u8]> {
        self.feed.loans.head(self.tickets.get(ticket)?)
    }

    /// The number of the peer that a call came from, in [`crate::link::peers::Peers`], while it is not answered.
    #[must_use]
    pub fn peer(&self, ticket: u32) -> Option<u64> {
        self.tickets.get(ticket).map(|live| live.peer)
    }

    /// Nanoseconds that a call has waited for the event loop, while it is not answered.
    #[must_use]
    pub fn queued_ns(&self, ticket: u32) -> Option<u64> {
        self.tickets.get(ticket).map(|live| live.queued_ns)
    }

    /// Sends answers, and the batches of calls that nobody needs any more.
    fn send(&mut self, now_ns: u64) {
        self.outbox.send(now_ns, &self.link);
        self.give_back();
    }

    /// Says how much there is to do here: whoever has least gets the next call.
    fn note_open(&self) {
        self.link.note_open(self.tickets.len(), self.feed.waiting());
    }

    fn give_back(&mut self) {
        self.feed.give_back(&mut self.tickets, &self.link);
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.detach();
    }
}

/// Records one call that was answered by itself, and its task.
fn note_one(link: &Host, live: &Live, taken_ns: u64, failed: bool) {
    let now_ns = clock::now_ns();
    note_run(link, live.shard, taken_ns, now_ns, 1);
    if let Some(tasks) = link.tasks().filter(|_| !live.ask) {
        tasks.note(live.label, taken_ns, now_ns, 1);
        if failed {
            tasks.note_failure(live.label);
        }
    }
}

/// Records how long calls of a shard were the event loop's, if that counts.
fn note_run(link: &Host, shard: u32, taken_ns: u64, now_ns: u64, calls: u64) {
    if taken_ns != 0
        && let Some(meter) = link.meter(shard as usize)
    {
        meter.host_ns.record(now_ns.saturating_sub(taken_ns), calls);
    }
}
