//! The host's end of the link: what a foreign thread (Node's JS thread) drains and answers through.

use std::sync::OnceLock;
use std::time::Duration;

use super::apart::{Apart, ApartNews};
use super::backend::{Backend, Pressure};
use super::batch::{AnswerBatch, CallBatch};
use super::beat::{Beat, Heart};
use super::census::LoopFigures;
use super::clock;
use super::counter::Counter;
use super::doorbell::Doorbell;
use super::host_queue::{Queue, ToHost};
use super::meter::{HandoverMeter, HostMeter};
use super::port::{ShardPort, ToShard};
use super::sync::{AtomicBool, Ordering};
use super::tally::Tally;
use super::tasks::TaskMeters;
use crate::limits::HOST_BEHIND;

/// How long a host may not look before what it has noted of waiting is no longer so.
const WAIT_COUNTS_NS: u64 = HOST_BEHIND.as_nanos() as u64;

/// What the host writes.
#[derive(Default)]
#[repr(align(128))] // apart from what the shards read
struct Own {
    /// When it last began to drain.
    looked_ns: Counter,
    /// Calls that it runs, a moment ago.
    running: Counter,
    /// Calls that it has taken and not begun, a moment ago.
    waiting: Counter,
    /// How long the first of those that waited had waited when it looked, of late.
    waited_ns: Counter,
    /// Times that it has taken calls.
    drains: Counter,
    /// Calls that it took when it last looked.
    taken: Counter,
    /// For how long a call keeps its thread, of late.
    call_ns: Counter,
}

/// A queue of call batches from every shard to one thread, and the bell that wakes it. One host alone is a backend;
/// hosts that come and go are members of [`super::hosts::Hosts`].
///
/// Shared by an `Arc`: the shards submit, one thread drains. The draining methods are safe from any thread, but
/// `awake`/`try_park` describe one sleeper.
pub struct Host {
    number: u32,
    queues: Vec<Queue>,
    ports: OnceLock<Vec<ShardPort>>,
    bell: Doorbell,
    /// When it was last woken. Written by whoever wakes it, which is one thread for each sleep.
    rung_ns: Counter,
    own: Own,
    heart: Heart,
    /// Where tasks are measured one by one.
    tasks: Option<TaskMeters>,
    apart: Apart,
    /// It is about to leave, and wants no more calls.
    leaves: AtomicBool,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Host {
    /// A link for `shards` shards. `wake` is called, on a shard's thread, when the host sleeps and there is work.
    pub fn new(shards: usize, wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self::numbered(0, shards, wake)
    }

    /// One of several.
    pub(super) fn numbered(number: u32, shards: usize, wake: impl Fn() + Send + Sync + 'static) -> Self {
        let own = Own::default();
        own.looked_ns.set(clock::now_ns());
        Host {
            number,
            queues: (0..shards).map(|_| Queue::new()).collect(),
            ports: OnceLock::new(),
            bell: Doorbell::default(),
            rung_ns: Counter::default(),
            own,
            heart: Heart::default(),
            tasks: None,
            apart: Apart::new(),
            leaves: AtomicBool::new(false),
            wake: Box::new(wake),
        }
    }

    /// The same, which measures tasks one by one.
    pub(super) fn with_tasks(self) -> Self {
        Host { tasks: Some(TaskMeters::default()), ..self }
    }

    /// Where tasks are measured one by one, if they are.
    #[inline]
    #[must_use]
    pub fn tasks(&self) -> Option<&TaskMeters> {
        self.tasks.as_ref()
    }

    /// The host says how its event loop is.
    pub fn beat(&self, beat: &Beat) {
        self.heart.beat(beat);
    }

    /// Adds what was measured of the calls of shard `shard`.
    pub(super) fn add_to(&self, tally: &mut Tally, shard: usize) {
        let (Some(handover), Some(meter)) = (self.handover_meter(shard), self.meter(shard)) else { return };
        tally.host_wakes += handover.host_wakes.get();
        tally.waiting += self.waiting(shard) as u64;
        tally.most_waiting = tally.most_waiting.max(handover.most_waiting.get());
        tally.queue_ns.add(&meter.queue_ns.snapshot());
        tally.host_ns.add(&meter.host_ns.snapshot());
    }

    /// What there is to tell of it.
    pub(super) fn figures(&self) -> LoopFigures {
        LoopFigures {
            observes: false,
            calls: self.calls(),
            waiting: self.unbegun(),
            running: self.running(),
            beat: self.heart.last(),
        }
    }

    /// It has taken so many calls.
    pub fn note_drain(&self, calls: usize) {
        self.own.drains.add(1);
        self.own.taken.set(calls as u64);
    }

    /// Times that it has taken calls.
    #[must_use]
    pub fn drains(&self) -> u64 {
        self.own.drains.get()
    }

    /// Which of the engine's hosts it is. A number is given once.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Calls that were handed over to it and are not over, a moment ago.
    #[must_use]
    pub fn outstanding(&self) -> u64 {
        self.running() + self.unbegun()
    }

    /// For how long it has been busy with what it has taken, without a look at what comes; zero while it sleeps, whatever
    /// its calls wait for.
    fn busy_ns(&self, now_ns: u64) -> u64 {
        if self.bell.is_parked() || self.outstanding() == 0 {
            return 0;
        }
        // One that was just woken has slept until then.
        now_ns.saturating_sub(self.own.looked_ns.get().max(self.rung_ns.get()))
    }

    /// Calls that have to wait until its thread is free, of those that it has; a moment ago.
    fn behind(&self) -> u64 {
        self.unbegun() + if self.bell.is_parked() { 0 } else { self.own.taken.get().saturating_sub(1) }
    }

    /// For how long one more call would wait until its thread is free, where each keeps it for `call_ns`.
    pub(super) fn wait_ns(&self, now_ns: u64, call_ns: u64) -> u64 {
        // What has taken long already takes as long again: most calls are short, and some are very long.
        self.busy_ns(now_ns).saturating_add(self.behind().saturating_mul(call_ns))
    }

    /// For how long a call keeps its thread, of late; zero before the first.
    pub(super) fn call_ns(&self) -> u64 {
        self.own.call_ns.get()
    }

    /// When it last began to drain.
    pub(super) fn looked_ns(&self) -> u64 {
        self.own.looked_ns.get()
    }

    /// Calls that it runs, a moment ago.
    #[must_use]
    pub fn running(&self) -> u64 {
        self.own.running.get()
    }

    /// Calls that were handed over to it and that it has not begun, a moment ago.
    #[must_use]
    pub fn unbegun(&self) -> u64 {
        let queued = |queue: &Queue| queue.handover.calls.get().saturating_sub(queue.meter.taken.get());
        self.own.waiting.get() + self.queues.iter().map(queued).sum::<u64>()
    }

    /// Calls that were handed over to it.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.queues.iter().map(|queue| queue.handover.calls.get()).sum()
    }

    /// The host says how many calls it runs, and how many it has taken and not begun.
    pub fn note_open(&self, running: usize, waiting: usize) {
        self.own.running.set(running as u64);
        self.own.waiting.set(waiting as u64);
    }

    /// The host looks at calls, of which the first has waited for so long. What is shorter than before counts less and less.
    pub fn note_wait(&self, waited: Duration) {
        let (now, before) = (u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX), self.own.waited_ns.get());
        self.own.waited_ns.set(now.max(before - before / 8));
    }

    /// How long calls wait, of late: what it has noted while it looks again and again, or for how long it has not looked.
    pub(super) fn waited_ns(&self) -> u64 {
        let unlooked = clock::now_ns().saturating_sub(self.own.looked_ns.get());
        let noted = if unlooked < WAIT_COUNTS_NS { self.own.waited_ns.get() } else { 0 };
        (0..self.queues.len()).map(|shard| self.unseen_ns(shard)).max().unwrap_or(0).max(noted)
    }

    /// It wants no more calls.
    pub(super) fn leave(&self) {
        self.leaves.store(true, Ordering::Relaxed);
    }

    /// True when it wants no more calls.
    pub(super) fn leaves(&self) -> bool {
        // Relaxed: whoever spreads has the lane, which was locked behind the store.
        self.leaves.load(Ordering::Relaxed)
    }

    /// The host begins to drain: rings are free until it parks.
    pub fn awake(&self) {
        let now = clock::now_ns();
        // Where it has taken some, it has not slept since.
        if let Some(of_each) = now.saturating_sub(self.own.looked_ns.get()).checked_div(self.own.taken.get()) {
            let before = self.own.call_ns.get();
            self.own.call_ns.set(if before == 0 { of_each } else { before - before / 8 + of_each / 8 });
            self.own.taken.set(0);
        }
        self.own.looked_ns.set(now);
        self.bell.awake();
    }

    /// The host has drained everything: true when it may sleep, false when there is more.
    #[must_use]
    pub fn try_park(&self) -> bool {
        self.bell.try_park()
    }

    /// The next batch of shard `shard`, if there is one.
    pub fn next(&self, shard: usize) -> Next {
        let Some(queue) = self.queues.get(shard) else { return Next::Nothing };
        let message = queue.receiver.try_recv().ok().or_else(|| queue.behind());
        let next = match message {
            Some(ToHost::Calls(calls)) => Next::Calls(calls),
            Some(ToHost::Stopped) => Next::Stopped,
            Some(ToHost::Failed) => Next::Failed,
            None => Next::Nothing,
        };
        if let Next::Calls(calls) = &next {
            queue.meter.taken.add(calls.records.len() as u64);
        }
        // There is room now. Relaxed: the refusal came before a ring, which the host's `awake` or `try_park` has read.
        if queue.refused.load(Ordering::Relaxed)
            && queue.refused.swap(false, Ordering::Relaxed)
            && let Some(port) = self.port(shard)
        {
            port.nudge();
        }
        next
    }

    /// What is new of the shard that hands no calls over.
    pub fn apart_news(&self) -> ApartNews {
        self.apart.take()
    }

    /// That shard was started anew.
    pub(super) fn hear_restart(&self) {
        self.apart.note_restart();
        self.ring(None);
    }

    /// Batches waiting, all shards together.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queues.iter().map(|queue| queue.receiver.len()).sum()
    }

    /// Batches of shard `shard` that wait.
    #[must_use]
    pub fn waiting(&self, shard: usize) -> usize {
        self.queues.get(shard).map_or(0, |queue| queue.receiver.len())
    }

    /// What the thread of shard `shard` has counted here; any thread may read it.
    #[must_use]
    pub fn handover_meter(&self, shard: usize) -> Option<&HandoverMeter> {
        self.queues.get(shard).map(|queue| &queue.handover)
    }

    /// What the thread that drains counts of the calls of shard `shard`; any thread may read it.
    #[must_use]
    pub fn meter(&self, shard: usize) -> Option<&HostMeter> {
        self.queues.get(shard).map(|queue| &queue.meter)
    }

    /// Sends answers home. A shard that has ended drops them: their clients are gone.
    pub fn answer(&self, shard: usize, answers: Box<AnswerBatch>) {
        if let Some(port) = self.port(shard) {
            let _ = port.send(ToShard::Answers(answers));
        }
    }

    /// Sends an emptied batch home, where its memory is used again.
    pub fn recycle(&self, shard: usize, mut calls: Box<CallBatch>) {
        calls.reset();
        if let Some(port) = self.port(shard) {
            port.send_idle(ToShard::CallsHome(calls));
        }
    }

    /// True when shard `shard` may hand calls over. Otherwise it hears of room.
    pub(super) fn has_room(&self, shard: usize) -> bool {
        let Some(queue) = self.queues.get(shard) else { return false };
        let room = !queue.sender.is_full() && !queue.surplus.is_there();
        if !room {
            queue.refused.store(true, Ordering::Relaxed);
            // The host may have emptied the queue meanwhile, and sleep: then it looks again, and finds what was refused.
            self.ring(Some(queue));
        }
        room
    }

    /// Takes a part of a batch whether there is room or not: it follows calls that are here.
    pub(super) fn put(&self, shard: usize, calls: Box<CallBatch>) {
        let Some(queue) = self.queues.get(shard) else { return };
        if let Some(calls) = self.submit(shard, calls, &mut AnswerBatch::default()) {
            queue.handover.calls.add(calls.records.len() as u64);
            queue.surplus.put(calls);
            self.ring(Some(queue));
        }
    }

    fn port(&self, shard: usize) -> Option<&ShardPort> {
        self.ports.get().and_then(|ports| ports.get(shard))
    }

    fn part(&self, shard: usize, last: ToHost) {
        match self.queues.get(shard) {
            Some(queue) => queue.part(last),
            None if matches!(last, ToHost::Failed) => self.apart.note_failure(),
            None => {}
        }
        self.ring(self.queues.get(shard));
    }

    fn ring(&self, queue: Option<&Queue>) {
        if self.bell.ring() {
            if let Some(queue) = queue {
                queue.handover.host_wakes.add(1);
            }
            self.rung_ns.set(queue.map_or_else(clock::now_ns, |queue| queue.begun_ns.get()));
            (self.wake)();
        }
    }
}

/// What [`Host::next`] found.
pub enum Next {
    /// A batch of calls.
    Calls(Box<CallBatch>),
    /// The shard's thread has said goodbye.
    Stopped,
    /// The shard's thread has said goodbye without being told to: see [`Backend::failed`].
    Failed,
    /// Nothing for now.
    Nothing,
}

impl Backend for Host {
    fn attach(&self, ports: &[ShardPort]) {
        let _ = self.ports.set(ports.to_vec());
    }

    fn submit(&self, shard: usize, calls: Box<CallBatch>, _answers: &mut AnswerBatch) -> Option<Box<CallBatch>> {
        let Some(queue) = self.queues.get(shard) else { return Some(calls) };
        if queue.surplus.is_there() {
            // It would come before what it follows.
            queue.refused.store(true, Ordering::Relaxed);
            self.ring(Some(queue));
            return Some(calls);
        }
        if queue.sender.is_empty() {
            queue.begun_ns.set(calls.handed_over_ns);
        }
        let records = calls.records.len() as u64;
        let refused = match queue.sender.try_send(ToHost::Calls(calls)) {
            Ok(()) => {
                queue.handover.calls.add(records);
                queue.handover.most_waiting.raise(queue.sender.len() as u64);
                None
            }
            Err(error) => match error.into_inner() {
                ToHost::Calls(calls) => Some(calls),
                ToHost::Stopped | ToHost::Failed => None,
            },
        };
        if refused.is_some() {
            queue.refused.store(true, Ordering::Relaxed);
        }
        self.ring(Some(queue));
        refused
    }

    fn takes_frames(&self) -> bool {
        true
    }

    fn unseen_ns(&self, shard: usize) -> u64 {
        let Some(queue) = self.queues.get(shard).filter(|queue| !queue.receiver.is_empty()) else { return 0 };
        clock::now_ns().saturating_sub(queue.begun_ns.get().max(self.own.looked_ns.get()))
    }

    fn pressure(&self) -> Pressure {
        Pressure { calls: self.outstanding(), waited_ns: self.waited_ns() }
    }

    fn stopped(&self, shard: usize) {
        self.part(shard, ToHost::Stopped);
    }

    fn failed(&self, shard: usize) {
        self.part(shard, ToHost::Failed);
    }
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::limits::HOST_QUEUE_BATCHES;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn host() -> (Arc<Host>, Arc<AtomicUsize>) {
        let wakes = Arc::new(AtomicUsize::new(0));
        let count = wakes.clone();
        let host = Host::new(1, move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        (Arc::new(host), wakes)
    }

    #[test]
    fn wakes_once_per_sleep() {
        let (host, wakes) = host();
        let mut none = AnswerBatch::default();
        assert!(host.try_park());
        for _ in 0..5 {
            assert!(host.submit(0, Box::default(), &mut none).is_none());
        }
        assert_eq!(wakes.load(Ordering::Relaxed), 1);
        let meter = host.handover_meter(0).unwrap();
        assert_eq!((meter.host_wakes.get(), meter.most_waiting.get(), host.waiting(0)), (1, 5, 5));
        host.awake();
        let mut got = 0;
        while let Next::Calls(_) = host.next(0) {
            got += 1;
        }
        assert_eq!((got, host.waiting(0)), (5, 0));
        assert!(host.try_park());
    }

    #[test]
    fn what_nobody_has_looked_at_is_told() {
        let (host, _) = host();
        let submit = || {
            let mut batch = Box::<CallBatch>::default();
            batch.handed_over_ns = clock::now_ns();
            assert!(host.submit(0, batch, &mut AnswerBatch::default()).is_none());
        };
        let pause = std::time::Duration::from_millis(20);
        let pause_ns = pause.as_nanos() as u64;
        host.awake();
        std::thread::sleep(pause);
        assert_eq!(host.unseen_ns(0), 0, "the host has nothing to look at");
        submit();
        assert!(host.unseen_ns(0) < pause_ns, "it counts from the first batch, not from the last look");
        std::thread::sleep(pause);
        submit();
        assert!(host.unseen_ns(0) >= pause_ns, "a second batch does not make the first one younger");
        host.awake();
        assert!(host.unseen_ns(0) < pause_ns, "it looks, though it takes nothing");
        while let Next::Calls(_) = host.next(0) {}
        assert_eq!((host.unseen_ns(0), host.unseen_ns(1)), (0, 0));
    }

    /// The one who would make room may be the one who says it.
    #[test]
    fn the_last_word_does_not_wait_for_room_and_comes_last() {
        for failed in [false, true] {
            let (host, _) = host();
            for _ in 0..HOST_QUEUE_BATCHES {
                assert!(host.submit(0, Box::default(), &mut AnswerBatch::default()).is_none());
            }
            if failed {
                host.failed(0)
            } else {
                host.stopped(0)
            }
            for _ in 0..HOST_QUEUE_BATCHES {
                assert!(matches!(host.next(0), Next::Calls(_)));
            }
            match host.next(0) {
                Next::Stopped => assert!(!failed),
                Next::Failed => assert!(failed),
                _ => panic!("the last word is lost"),
            }
            assert!(matches!(host.next(0), Next::Nothing));
        }
    }

    #[test]
    fn a_full_queue_gives_the_batch_back() {
        let (host, _) = host();
        let mut none = AnswerBatch::default();
        for _ in 0..HOST_QUEUE_BATCHES {
            assert!(host.submit(0, Box::default(), &mut none).is_none());
        }
        assert!(host.submit(0, Box::default(), &mut none).is_some());
        assert!(matches!(host.next(0), Next::Calls(_)));
        assert!(host.submit(0, Box::default(), &mut none).is_none());
    }
}
