//! The engine's event loops: hosts that come and go while the shards run.
//!
//! A host is attached to every shard's lane, one after another, and is taken off them the same way; each lane has a lock,
//! which its shard holds while it hands a batch over. So a shard never hands anything to a host that has left its lane,
//! and what the host had not begun is given to the others before the shard goes on.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::backend::{Backend, Pressure};
use super::batch::{AnswerBatch, CallBatch};
use super::census::{Census, LoopFigures, TaskFigures};
use super::directory::Directory;
pub use super::directory::Offer;
use super::host::Host;
use super::lane::{End, Lane};
use super::port::ShardPort;
use super::sync::Mutex;
use super::tally::Tally;
use super::tasks::{Labels, Numbers};
use crate::limits::MAX_HOSTS;
use crate::tunnel::table::{Registration, TableError};

/// As many hosts are attached as may be. May be retried when one has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_HOSTS} event loops are attached, as many as may be")]
pub struct TooManyHosts;

/// What is the same for every shard. Locked before any lane.
#[derive(Default)]
struct Roster {
    ports: Vec<ShardPort>,
    hosts: Vec<Arc<Host>>,
    observers: Vec<Arc<Host>>,
    /// What those have measured that have left, by shard.
    left: Vec<Tally>,
    /// The same of tasks, by label.
    left_tasks: Vec<TaskFigures>,
    left_drains: u64,
    labels: Labels,
    /// Number of the next host.
    next: u32,
    directory: Directory,
}

/// A backend without an event loop of its own: calls go to the hosts that are attached, spread by how many calls each has.
/// While none is, calls wait within the bounds of the shard, and for the queue timeout; then they are answered 503.
pub struct Hosts {
    lanes: Vec<Mutex<Lane>>,
    roster: Mutex<Roster>,
    queue_timeout_ms: u64,
    /// Tasks are measured one by one.
    meters_tasks: bool,
}

macro_rules! lock {
    ($mutex:expr) => {
        $mutex.lock().unwrap_or_else(PoisonError::into_inner)
    };
}

impl Hosts {
    /// For an engine of `shards` shards. Calls wait for `queue_timeout_ms`, 0 for however long: for a host to come, and for
    /// one that has fallen behind.
    #[must_use]
    pub fn new(shards: usize, queue_timeout_ms: u64) -> Self {
        let timeout = Duration::from_millis(queue_timeout_ms);
        let lanes = (0..shards).map(|shard| Mutex::new(Lane::new(shard, timeout))).collect();
        Hosts { lanes, roster: Mutex::new(Roster::default()), queue_timeout_ms, meters_tasks: false }
    }

    /// The same, which measures tasks one by one: see [`Backend::census`].
    #[must_use]
    pub fn metering_tasks(self) -> Self {
        Hosts { meters_tasks: true, ..self }
    }

    /// Sets for how long a host may be busy until it comes after others that are free: [`HOST_BUSY`](crate::limits::HOST_BUSY)
    /// unless said otherwise.
    pub fn set_busy_after(&self, busy_after: Duration) {
        for lane in &self.lanes {
            lock!(lane).set_busy_after(busy_after);
        }
    }

    /// Shards that hand calls over.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.lanes.len()
    }

    /// As it was given.
    #[must_use]
    pub fn queue_timeout_ms(&self) -> u64 {
        self.queue_timeout_ms
    }

    /// Hosts that are attached.
    #[must_use]
    pub fn count(&self) -> usize {
        lock!(self.roster).hosts.len()
    }

    /// Attaches an event loop, before the engine starts or at any time after. `wake` is called, on a shard's thread, when it
    /// sleeps and there is work. It gets calls of handlers that it [registers](Self::register).
    ///
    /// # Errors
    /// See [`TooManyHosts`].
    pub fn add(&self, wake: impl Fn() + Send + Sync + 'static) -> Result<Arc<Host>, TooManyHosts> {
        let mut roster = lock!(self.roster);
        if roster.hosts.len() >= MAX_HOSTS {
            return Err(TooManyHosts);
        }
        let host = Host::numbered(roster.next, self.lanes.len(), wake);
        let host = Arc::new(if self.meters_tasks { host.with_tasks() } else { host });
        if !roster.ports.is_empty() {
            host.attach(&roster.ports);
        }
        let first = roster.next == 0;
        roster.next += 1;
        roster.hosts.push(host.clone());
        for lane in &self.lanes {
            lock!(lane).add(host.clone(), first);
        }
        self.publish(&roster);
        // What waits may be taken now.
        roster.ports.iter().for_each(ShardPort::nudge);
        Ok(host)
    }

    /// Attaches an event loop that runs no calls: it hears of shards that fail, are started anew and end, and of refusals,
    /// instead of the others. `wake` as in [`Self::add`].
    pub fn observe(&self, wake: impl Fn() + Send + Sync + 'static) -> Arc<Host> {
        let mut roster = lock!(self.roster);
        let host = Arc::new(Host::numbered(u32::MAX, self.lanes.len(), wake));
        if !roster.ports.is_empty() {
            host.attach(&roster.ports);
        }
        roster.observers.push(host.clone());
        for lane in &self.lanes {
            lock!(lane).add_observer(host.clone());
        }
        host
    }

    /// Says what will be offered by event loops that are still to come: calls for it wait for them.
    ///
    /// # Errors
    /// As for [`Self::register`].
    pub fn announce(&self, offers: &[Offer]) -> Result<(), TableError> {
        let mut roster = lock!(self.roster);
        let number = roster.next;
        roster.directory.register(number, offers, Instant::now())?;
        roster.directory.leave(number);
        roster.next += 1;
        self.publish(&roster);
        Ok(())
    }

    /// An event loop is about to leave: from here on it gets no more calls. It has to answer those that it has begun, and
    /// gets what follows them; what it has not begun goes as in [`Self::remove`], which has to come behind this.
    pub fn retire(&self, host: &Host, backlog: Vec<(u32, Box<CallBatch>)>) {
        host.leave();
        let mut roster = lock!(self.roster);
        roster.directory.dismiss(host.number(), Instant::now());
        self.publish(&roster);
        self.hand_on(host, backlog, Lane::retire);
    }

    /// Takes an event loop off. It has to answer the calls that it was given; what it has not begun, which is `backlog`
    /// (batches with their shards, in order) and all that lies in its queue, goes to the other hosts, or is answered 503.
    pub fn remove(&self, host: &Host, backlog: Vec<(u32, Box<CallBatch>)>) {
        let mut roster = lock!(self.roster);
        let is_it = |one: &Arc<Host>| std::ptr::eq(&**one, host);
        if roster.hosts.iter().any(is_it) {
            roster.directory.leave(host.number());
            let mut left = std::mem::take(&mut roster.left);
            left.resize_with(self.lanes.len(), Tally::default);
            left.iter_mut().enumerate().for_each(|(shard, tally)| host.add_to(tally, shard));
            roster.left = left;
            roster.left_drains += host.drains();
            roster.keep_tasks(host);
        }
        roster.hosts.retain(|one| !is_it(one));
        roster.observers.retain(|one| !is_it(one));
        self.publish(&roster);
        self.hand_on(host, backlog, Lane::remove);
    }

    /// Gives every lane its part of what a host leaves.
    fn hand_on(
        &self,
        host: &Host,
        backlog: Vec<(u32, Box<CallBatch>)>,
        leave: fn(&mut Lane, &Host, Vec<Box<CallBatch>>, &mut AnswerBatch),
    ) {
        let mut by_shard: Vec<Vec<Box<CallBatch>>> = self.lanes.iter().map(|_| Vec::new()).collect();
        for (shard, calls) in backlog {
            if let Some(of_shard) = by_shard.get_mut(shard as usize) {
                of_shard.push(calls);
            }
        }
        for (shard, (lane, backlog)) in self.lanes.iter().zip(by_shard).enumerate() {
            let mut answers = Box::<AnswerBatch>::default();
            leave(&mut lock!(lane), host, backlog, &mut answers);
            // Not before the lane is free: this waits where the letter box is full, and its shard may wait for the lane.
            if !answers.records.is_empty() {
                host.answer(shard, answers);
            }
        }
    }

    /// What all event loops have measured of the calls of a shard, those that have left among them.
    #[must_use]
    pub fn tally(&self, shard: usize) -> Tally {
        let roster = lock!(self.roster);
        let mut tally = roster.left.get(shard).cloned().unwrap_or_default();
        // What waits, waits for those that are here.
        tally.waiting = 0;
        roster.hosts.iter().for_each(|host| host.add_to(&mut tally, shard));
        tally
    }

    /// The event loops that are attached.
    #[must_use]
    pub fn members(&self) -> Vec<Arc<Host>> {
        lock!(self.roster).hosts.clone()
    }

    /// Replaces the handlers that a host offers. Returns the numbers by which its calls name them, in the order of `offers`:
    /// the old one where an offer is the same as before, otherwise one that was never given. They count when a table that
    /// was built of [`Self::registrations`] is in force.
    ///
    /// # Errors
    /// Two offers of the same kind and id, or an empty id. Nothing has changed then.
    pub fn register(&self, host: &Host, offers: &[Offer]) -> Result<Vec<u32>, TableError> {
        let mut roster = lock!(self.roster);
        let numbers = roster.directory.register(host.number(), offers, Instant::now())?;
        roster.label(host);
        self.publish(&roster);
        roster.ports.iter().for_each(ShardPort::nudge);
        Ok(numbers)
    }

    /// The handlers of all hosts, each id once: what to build the route table from.
    #[must_use]
    pub fn registrations(&self) -> Vec<Registration> {
        lock!(self.roster).directory.registrations()
    }

    /// Tells every lane where calls may go. With the first host alone, no lane has to ask.
    fn publish(&self, roster: &Roster) {
        if roster.next <= 1 && roster.hosts.len() == 1 {
            return;
        }
        let routes = Arc::new(roster.directory.routes());
        let spreads = !roster.directory.has_one_host();
        for lane in &self.lanes {
            lock!(lane).set_routes(routes.clone(), spreads);
        }
    }

    /// All that hear of shards.
    fn everybody(&self) -> Vec<Arc<Host>> {
        let roster = lock!(self.roster);
        roster.hosts.iter().chain(&roster.observers).cloned().collect()
    }

    /// A shard has ended. Its hosts are told without the lane: that may wait.
    fn end(&self, shard: usize, end: End) {
        let hosts = match self.lanes.get(shard) {
            Some(lane) => {
                let mut lane = lock!(lane);
                lane.end(end);
                [lane.hosts(), lane.observers()].concat()
            }
            // It hands no calls over, and nobody waits for its end.
            None if end == End::Stopped => return,
            None => self.everybody(),
        };
        for host in hosts {
            match end {
                End::Stopped => host.stopped(shard),
                End::Failed => host.failed(shard),
            }
        }
    }
}

impl Roster {
    /// Tells a host which meters its handlers have.
    fn label(&mut self, host: &Host) {
        let Some(tasks) = host.tasks() else { return };
        let labels = &mut self.labels;
        let handlers = self.directory.handlers_of(host.number());
        tasks.set_numbers(Numbers::new(handlers.map(|one| (one.index, labels.of(one.kind, &one.id))).collect()));
    }

    /// What a host has measured of tasks stays when it goes.
    fn keep_tasks(&mut self, host: &Host) {
        self.left_tasks = self.tasks_with(&[host]);
    }

    /// What was measured of tasks, by label: by those that have left, and by these.
    fn tasks_with(&self, hosts: &[&Host]) -> Vec<TaskFigures> {
        let figures = self.labels.all().map(|(label, id)| {
            let mut all = self.left_tasks.get(usize::from(label)).cloned().unwrap_or_default();
            if let Some((kind, id)) = id {
                (all.kind, all.id) = (Some(*kind), id.clone());
            }
            for meter in hosts.iter().filter_map(|host| host.tasks()?.of(label)) {
                all.failed += meter.failed.get();
                all.durations.add(&meter.durations.snapshot());
            }
            all
        });
        figures.collect()
    }
}

impl Backend for Hosts {
    fn attach(&self, ports: &[ShardPort]) {
        let mut roster = lock!(self.roster);
        if roster.ports.is_empty() {
            roster.ports = ports.to_vec();
        }
        roster.hosts.iter().chain(&roster.observers).for_each(|host| host.attach(ports));
    }

    #[inline]
    fn submit(&self, shard: usize, mut calls: Box<CallBatch>, answers: &mut AnswerBatch) -> Option<Box<CallBatch>> {
        if let Some(lane) = self.lanes.get(shard) {
            return lock!(lane).submit(calls, answers);
        }
        // It hands no calls over, and has nothing else to say.
        if calls.restarted {
            self.everybody().iter().for_each(|host| host.hear_restart());
        }
        calls.reset();
        Some(calls)
    }

    fn takes_frames(&self) -> bool {
        true
    }

    /// Of the host that looks most often: it gets the calls. Without one, all time.
    fn unseen_ns(&self, shard: usize) -> u64 {
        let Some(lane) = self.lanes.get(shard) else { return 0 };
        lock!(lane).hosts().iter().map(|host| host.unseen_ns(shard)).min().unwrap_or(u64::MAX)
    }

    /// The calls of all hosts. They wait as long as with the one where they wait least, which gets the next.
    fn pressure(&self) -> Pressure {
        let members = self.members();
        Pressure {
            calls: members.iter().map(|host| host.outstanding()).sum(),
            waited_ns: members.iter().map(|host| host.waited_ns()).min().unwrap_or(0),
        }
    }

    fn tally(&self, shard: usize) -> Tally {
        Hosts::tally(self, shard)
    }

    fn census(&self) -> Census {
        let roster = lock!(self.roster);
        let hosts: Vec<&Host> = roster.hosts.iter().map(|host| &**host).collect();
        let observers = roster.observers.iter().map(|host| LoopFigures { observes: true, ..host.figures() });
        Census {
            live: hosts.iter().map(|host| host.running()).sum(),
            drains: roster.left_drains + hosts.iter().map(|host| host.drains()).sum::<u64>(),
            loops: observers.chain(hosts.iter().map(|host| host.figures())).collect(),
            // Of each id that is known, those that were called.
            tasks: roster
                .tasks_with(&hosts)
                .into_iter()
                .filter(|task| task.durations.count + task.failed > 0)
                .collect(),
        }
    }

    fn stopped(&self, shard: usize) {
        self.end(shard, End::Stopped);
    }

    fn failed(&self, shard: usize) {
        self.end(shard, End::Failed);
    }
}
