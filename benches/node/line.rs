//! A shard's end of the link, in the hands of a bench: calls go out in batches, answers come home, memory travels both
//! ways as it does between a shard and the bridge.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fasttunnel_engine::limits::{ANSWERS_POOL, BATCH_POOL};
use fasttunnel_engine::link::backend::Backend;
use fasttunnel_engine::link::batch::{AnswerBatch, AnswerRecord, CallBatch, CallKey, CallRecord};
use fasttunnel_engine::link::host::Host;
use fasttunnel_engine::link::hosts::Hosts;
use fasttunnel_engine::link::port::{Inbox, ToShard, letter_box};
use rustix::event::{PollFd, PollFlags, Timespec};

/// What the smallest client sends before the body, 138 bytes, and the id that the shard gives to such a request.
const HEAD: &[u8] = b"POST /__runner/task/app.tasks.add HTTP/1.1\r\nHost: app.localhost:17070\r\n\
Content-Type: application/json\r\nContent-Length: 23\r\nAccept: */*\r\n\r\n";
const REQUEST_ID: &[u8] = b"0b9f7c1e-3f0a-4a55-9d39-51f0c1a2b3c4";

/// The line of the tunnel that was started last.
static LAST: Mutex<Option<Arc<Mutex<Line>>>> = Mutex::new(None);

/// One call that is under way, or a place for one.
#[derive(Clone, Copy, Default)]
pub struct Slot {
    /// Tells the calls of a slot apart.
    generation: u32,
    /// It has no answer yet.
    busy: bool,
    /// The digit in the call's body.
    pub digit: u8,
}

/// See the module.
pub struct Line {
    hosts: Arc<Hosts>,
    host: Arc<Host>,
    inbox: Inbox,
    slots: Vec<Slot>,
    free: Vec<u32>,
    // Boxes, because they are the very boxes that travel.
    #[allow(clippy::vec_box)]
    pool: Vec<Box<CallBatch>>,
    #[allow(clippy::vec_box)]
    answered: Vec<Box<AnswerBatch>>,
    /// A batch that the host had no room for.
    refused: Option<Box<CallBatch>>,
    unused: AnswerBatch,
    /// It sleeps between messages; otherwise it asks for them again and again, and nobody has to wake it.
    sleeps: bool,
    /// Answers that were for nobody.
    pub strays: u32,
}

/// Stands in for the engine's first shard. The hosts keep the first letter boxes that they are given: those of the engine,
/// which starts after this, get no messages from it. Its shards sleep until the tunnel is closed.
pub fn stand_in(hosts: &Arc<Hosts>, host: &Arc<Host>) {
    let Ok((port, inbox)) = letter_box() else { return };
    hosts.attach(&[port]);
    let line = Line {
        hosts: hosts.clone(),
        host: host.clone(),
        inbox,
        slots: Vec::new(),
        free: Vec::new(),
        pool: Vec::new(),
        answered: Vec::new(),
        refused: None,
        unused: AnswerBatch::default(),
        sleeps: false,
        strays: 0,
    };
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(Mutex::new(line)));
}

/// The line of the tunnel that was started last.
pub fn last_line() -> Option<Arc<Mutex<Line>>> {
    LAST.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

impl Line {
    /// Begins anew, with at most `window` calls under way.
    pub fn reset(&mut self, window: u32, sleeps: bool) {
        self.sleeps = sleeps;
        self.slots = vec![Slot::default(); window as usize];
        self.free = (0..window).rev().collect();
        self.strays = 0;
    }

    /// Calls that may yet be handed over.
    pub fn room(&self) -> usize {
        if self.refused.is_some() { 0 } else { self.free.len() }
    }

    /// Calls without an answer.
    pub fn under_way(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Hands over a batch of `calls` calls to `handler`: `{"input":{"a":1,"b":2}}` with other digits for `a`.
    pub fn send(&mut self, handler: u32, calls: usize) {
        let mut batch = self.pool.pop().unwrap_or_default();
        for _ in 0..calls {
            let Some(slot) = self.free.pop() else { break };
            let place = &mut self.slots[slot as usize];
            let digit = ((slot + place.generation) % 10) as u8;
            *place = Slot { generation: place.generation + 1, busy: true, digit };
            let start = batch.open_body();
            batch.json.extend_from_slice(br#"{"input":{"a":"#);
            batch.json.push(b'0' + digit);
            batch.json.extend_from_slice(br#","b":2}}"#);
            let body = batch.close_body(start);
            let (request_id, fields) = batch.push_call_head(REQUEST_ID, HEAD);
            let key = CallKey { slot, generation: place.generation };
            batch.records.push(CallRecord { key, handler, flags: 0, body, request_id, fields, peer: 0 });
        }
        batch.answers_home.append(&mut self.answered);
        self.submit(batch);
    }

    fn submit(&mut self, batch: Box<CallBatch>) {
        self.refused = self.hosts.submit(0, batch, &mut self.unused);
    }

    /// Rings although the host is awake, with nothing to say.
    pub fn force_ring(&mut self) {
        // Whoever parks a host that is not his own makes the next ring a real one.
        self.host.awake();
        let _ = self.host.try_park();
        if let Some(mut batch) = self.hosts.submit(0, self.pool.pop().unwrap_or_default(), &mut self.unused) {
            batch.reset();
            self.pool.push(batch);
        }
    }

    /// Looks at what has come home, without waiting. `check` is given each answer to a call that was under way.
    pub fn receive(&mut self, mut check: impl FnMut(&Slot, &AnswerRecord, &[u8])) -> bool {
        let mut any = false;
        if self.sleeps {
            self.inbox.bell.state.awake();
        }
        while let Ok(message) = self.inbox.messages.try_recv() {
            any = true;
            match message {
                ToShard::Answers(mut answers) => {
                    for record in &answers.records {
                        let CallKey { slot, generation } = record.key;
                        match self.slots.get_mut(slot as usize) {
                            Some(place) if place.busy && place.generation == generation => {
                                place.busy = false;
                                check(place, record, record.body.of(&answers.json));
                                self.free.push(slot);
                            }
                            _ => self.strays += 1,
                        }
                    }
                    if self.answered.len() < ANSWERS_POOL {
                        answers.reset();
                        self.answered.push(answers);
                    }
                }
                ToShard::CallsHome(mut batch) if self.pool.len() < BATCH_POOL => {
                    batch.reset();
                    self.pool.push(batch);
                }
                _ => {}
            }
        }
        if let Some(batch) = self.refused.take() {
            self.submit(batch);
        }
        any
    }

    /// Waits until something comes, at most `limit` if it sleeps: parks the bell as a shard does, then waits for its
    /// descriptor.
    pub fn wait(&self, limit: Duration) {
        if !self.sleeps {
            return std::hint::spin_loop();
        }
        if !self.inbox.bell.state.try_park() {
            return;
        }
        let limit = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) };
        let mut event = [PollFd::from_borrowed_fd(self.inbox.bell.event(), PollFlags::IN)];
        if rustix::event::poll(&mut event, Some(&limit)).is_ok_and(|ready| ready > 0) {
            let _ = rustix::io::read(self.inbox.bell.event(), &mut [0; 8]);
        }
    }
}
