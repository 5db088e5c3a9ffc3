//! What one shard knows of the hosts: which there are, and which of them has which call.
//!
//! While one host is alone, batches go to it as they are. Otherwise the calls of a batch are spread
//! ([`free_soonest`]), and what follows a call (frames, that its client has left) goes where the call is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backend::Backend;
use super::batch::{AnswerBatch, CallBatch, CallKey, CallRecord, Outcome, flags};
use super::clock;
use super::directory::Routes;
use super::host::Host;
use super::owners::Owners;
use super::parts;
use super::ways::{Part, Way, free_soonest};
use crate::limits::{HANDLERS_SETTLE, HOST_BUSY};

/// How a shard has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Stopped,
    Failed,
}

/// See the module.
#[derive(Default)]
#[repr(align(128))] // apart from the other shards' lanes
pub(super) struct Lane {
    pub(super) shard: usize,
    /// In the order in which they came.
    pub(super) hosts: Vec<Arc<Host>>,
    /// Event loops that run no calls: they hear of the shard.
    pub(super) observers: Vec<Arc<Host>>,
    routes: Arc<Routes>,
    /// Calls may name handlers that a host which is alone does not have.
    spreads: bool,
    /// Batches that were begun before this time may name handlers of a host that has left, or may have to wait for one of
    /// a host that has come.
    direct_from_ns: u64,
    owners: Owners,
    /// Refusals that nobody was there to hear of.
    pub(super) untold: Option<Box<CallBatch>>,
    /// Calls may wait for a host for so long; zero: for ever.
    queue_timeout: Duration,
    /// See [`HOST_BUSY`].
    busy_after: Duration,
    end: Option<End>,
}

impl Lane {
    pub fn new(shard: usize, queue_timeout: Duration) -> Self {
        Lane { shard, queue_timeout, busy_after: HOST_BUSY, ..Lane::default() }
    }

    /// The hosts that are attached.
    pub fn hosts(&self) -> &[Arc<Host>] {
        &self.hosts
    }

    /// Event loops that hear of the shard and run no calls.
    pub fn observers(&self) -> &[Arc<Host>] {
        &self.observers
    }

    /// Where calls may go from now on. `spreads`: also a host that is alone has to be asked which are its own.
    pub fn set_routes(&mut self, routes: Arc<Routes>, spreads: bool) {
        (self.routes, self.spreads) = (routes, spreads);
    }

    /// Sets for how long a host may be busy until it comes after others.
    pub fn set_busy_after(&mut self, busy_after: Duration) {
        self.busy_after = busy_after;
    }

    /// A host has come; it hears of the shard's end, if that was before. `first`: nobody was there before it.
    pub fn add(&mut self, host: Arc<Host>, first: bool) {
        if !first {
            self.change();
        }
        self.greet(&host);
        if self.observers.is_empty()
            && let Some(untold) = self.untold.take()
        {
            host.put(self.shard, untold);
        }
        self.hosts.push(host);
    }

    /// An event loop has come that runs no calls.
    pub fn add_observer(&mut self, host: Arc<Host>) {
        self.greet(&host);
        self.observers.push(host);
    }

    fn greet(&self, host: &Host) {
        match self.end {
            Some(End::Stopped) => host.stopped(self.shard),
            Some(End::Failed) => host.failed(self.shard),
            None => {}
        }
    }

    pub(super) fn change(&mut self) {
        let settle_ns = u64::try_from(HANDLERS_SETTLE.as_nanos()).unwrap_or(u64::MAX);
        self.direct_from_ns = clock::now_ns().saturating_add(settle_ns);
    }

    /// The shard has ended.
    pub fn end(&mut self, end: End) {
        self.end = Some(end);
    }

    /// Takes a batch, or as much of it as somebody can run; the rest comes back. Calls that have waited too long are
    /// answered.
    #[inline]
    pub fn submit(&mut self, mut calls: Box<CallBatch>, answers: &mut AnswerBatch) -> Option<Box<CallBatch>> {
        if !self.observers.is_empty() {
            self.tell_observers(&mut calls);
            if calls.is_empty() {
                calls.reset();
                return Some(calls);
            }
        }
        match &self.hosts[..] {
            [host] if !self.spreads && calls.handed_over_ns >= self.direct_from_ns => {
                self.owners.are_of(host.number());
                host.submit(self.shard, calls, answers)
            }
            [] => Some(self.wait(calls, answers)),
            _ => {
                let parts = self.parts(false);
                self.spread(calls, parts, answers)
            }
        }
    }

    /// Takes out of a batch what is told of the shard and of refusals: the observers hear of it, and nobody else.
    pub(super) fn tell_observers(&self, calls: &mut CallBatch) {
        let restarted = std::mem::take(&mut calls.restarted);
        for (place, observer) in self.observers.iter().enumerate() {
            let mut news = Box::<CallBatch>::default();
            news.restarted = restarted;
            if place == 0 && !calls.notices.is_empty() {
                parts::copy_notices(&mut news, calls);
                forget_notices(calls);
            }
            if !news.is_empty() {
                news.handed_over_ns = calls.handed_over_ns;
                observer.put(self.shard, news);
            }
        }
    }

    /// What each host is about to get, which is nothing yet. `always`: whether it has room or not.
    pub(super) fn parts(&self, always: bool) -> Vec<Part> {
        let now = clock::now_ns();
        let step_ns = u64::try_from(self.busy_after.as_nanos()).unwrap_or(u64::MAX);
        // Of the host where calls are the shortest: they are the same everywhere, but for a few long ones.
        let call_ns = self.hosts.iter().map(|host| host.call_ns()).min().unwrap_or(0);
        let part = |host: &Arc<Host>| Part {
            outstanding: host.outstanding(),
            wait_ns: host.wait_ns(now, call_ns),
            call_ns,
            step_ns,
            looked_ns: host.looked_ns(),
            has_room: !host.leaves() && (always || host.has_room(self.shard)),
            batch: None,
        };
        self.hosts.iter().map(part).collect()
    }

    /// What came before this has waited too long.
    fn late_before(&self) -> Option<Instant> {
        if self.queue_timeout.is_zero() { None } else { Instant::now().checked_sub(self.queue_timeout) }
    }

    /// There is nobody.
    fn wait(&self, mut calls: Box<CallBatch>, answers: &mut AnswerBatch) -> Box<CallBatch> {
        let before = self.late_before();
        let is_late = |at| before.is_some_and(|before| at < before);
        let late = calls.arrivals.iter().take_while(|arrival| is_late(arrival.at)).last().map_or(0, |last| last.calls);
        if late > 0 {
            answer_all(&calls.records[..late.min(calls.records.len())], answers);
            parts::drop_first(&mut calls, late);
        }
        if calls.records.is_empty() {
            // They follow calls that are over: those of hosts that have left, and these.
            (calls.gone, calls.frames) = Default::default();
            if calls.is_empty() {
                calls.reset();
            }
        }
        calls
    }

    /// Parts a batch among the hosts.
    pub(super) fn spread(
        &mut self,
        mut calls: Box<CallBatch>,
        mut parts: Vec<Part>,
        answers: &mut AnswerBatch,
    ) -> Option<Box<CallBatch>> {
        let ways = self.ways(&calls, &mut parts);
        // Before the calls: one of them may be in the slot of a call that is gone.
        let gone: Vec<(CallKey, Option<usize>)> = calls.gone.iter().map(|key| (*key, self.place_of(*key))).collect();
        self.note_owners(&calls, &ways);
        if let Some(host) = self.only_one(&calls, &ways, &gone) {
            for (record, way) in calls.records.iter_mut().zip(&ways) {
                if let Way::To(_, handler) = way {
                    record.handler = *handler;
                }
            }
            self.hosts[host].put(self.shard, calls);
            return None;
        }
        if !ways.is_empty() && ways.iter().all(|way| *way == Way::Waits) {
            self.follow(&mut calls, &gone, &mut parts);
            if calls.notices.is_empty() {
                forget_notices(&mut calls);
            }
            self.deliver(&calls, parts);
            return Some(calls);
        }
        let mut rest: Option<Box<CallBatch>> = None;
        for (index, (record, way)) in calls.records.iter().zip(&ways).enumerate() {
            let (to, handler) = match *way {
                Way::To(place, handler) => (parts[place].batch(), handler),
                Way::Waits => (&mut **rest.get_or_insert_default(), record.handler),
                Way::Late => {
                    answers.push(record.key, Outcome::Overloaded, b"");
                    continue;
                }
                Way::Gone => continue,
            };
            parts::copy_call(to, &calls, record, handler, calls.arrival_of(index));
        }
        self.follow(&mut calls, &gone, &mut parts);
        if !calls.notices.is_empty() {
            parts::copy_notices(rest.get_or_insert_default(), &calls);
        }
        if let Some(rest) = &mut rest {
            calls.frames.iter().for_each(|frame| parts::copy_frame(rest, frame, frame.data.of(&calls.data)));
            rest.handed_over_ns = calls.handed_over_ns;
            rest.weigh_as(&calls);
        }
        if let Some(batch) = parts.iter_mut().find_map(|part| part.batch.as_mut()) {
            batch.answers_home.append(&mut calls.answers_home);
        }
        self.deliver(&calls, parts);
        calls.reset();
        rest.or(Some(calls))
    }

    /// Takes out of a batch, for each host, what follows the calls that it has, and what is told to all; refusals are told to
    /// whoever has room. The frames that stay are those of calls that wait.
    fn follow(&self, calls: &mut CallBatch, gone: &[(CallKey, Option<usize>)], parts: &mut [Part]) {
        calls.gone.clear();
        for (key, place) in gone {
            if let Some(place) = place {
                parts[*place].batch().gone.push(*key);
            }
        }
        parts::retain_frames(calls, |frame, bytes| match self.place_of(frame.key) {
            Some(place) => {
                parts::copy_frame(parts[place].batch(), frame, bytes);
                false
            }
            None => self.owners.is_of_nobody(frame.key),
        });
        if std::mem::take(&mut calls.restarted) {
            parts.iter_mut().for_each(|part| part.batch().restarted = true);
        }
        // They follow no call: where there is no room for them they wait, within their bound.
        if !calls.notices.is_empty()
            && let Some(part) = parts.iter_mut().find(|part| part.has_room)
        {
            parts::copy_notices(part.batch(), calls);
            calls.notices.clear();
        }
    }

    /// Hands over the parts of a batch.
    fn deliver(&self, calls: &CallBatch, parts: Vec<Part>) {
        for (host, part) in self.hosts.iter().zip(parts) {
            if let Some(mut batch) = part.batch {
                batch.handed_over_ns = calls.handed_over_ns;
                batch.weigh_as(calls);
                host.put(self.shard, batch);
            }
        }
    }

    /// Where each call goes.
    fn ways(&self, calls: &CallBatch, parts: &mut [Part]) -> Vec<Way> {
        let mut gone: Vec<(u32, u32)> = calls.gone.iter().map(|key| (key.slot, key.generation)).collect();
        gone.sort_unstable();
        let before = self.late_before();
        let way = |(index, record): (usize, &CallRecord)| {
            if gone.binary_search(&(record.key.slot, record.key.generation)).is_ok() {
                return Way::Gone;
            }
            if let Some((place, handler)) = self.choose(record, parts) {
                parts[place].note_call();
                return Way::To(place, handler);
            }
            let late = calls.arrival_of(index).zip(before).is_some_and(|(at, before)| at < before);
            if late { Way::Late } else { Way::Waits }
        };
        calls.records.iter().enumerate().map(way).collect()
    }

    /// The place of the host for a call, and the number that the handler has there.
    fn choose(&self, record: &CallRecord, parts: &[Part]) -> Option<(usize, u32)> {
        let with_room = |place: usize| parts.get(place).filter(|part| part.has_room).map(Part::rank);
        if record.flags & flags::ASK != 0 {
            // Any of them may be asked.
            let all = (0..self.hosts.len()).filter_map(|place| Some((with_room(place)?, (place, record.handler))));
            return free_soonest(all);
        }
        let servers = self.routes.get(&record.handler).map(Vec::as_slice).unwrap_or_default();
        free_soonest(servers.iter().filter_map(|(host, handler)| {
            let place = self.place(*host)?;
            Some((with_room(place)?, (place, *handler)))
        }))
    }

    /// The host that gets all of a batch, if there is one.
    fn only_one(&self, calls: &CallBatch, ways: &[Way], gone: &[(CallKey, Option<usize>)]) -> Option<usize> {
        if calls.restarted || !calls.notices.is_empty() {
            return None;
        }
        let of_calls = ways.iter().map(|way| if let Way::To(place, _) = way { Some(*place) } else { None });
        let of_frames = calls.frames.iter().map(|frame| self.place_of(frame.key));
        let mut all = of_calls.chain(gone.iter().map(|(_, place)| *place)).chain(of_frames);
        let first = all.next().flatten()?;
        all.all(|place| place == Some(first)).then_some(first)
    }

    fn note_owners(&mut self, calls: &CallBatch, ways: &[Way]) {
        // What is gone may have left its slot to a call that is noted already.
        for (record, way) in calls.records.iter().zip(ways).filter(|(_, way)| **way != Way::Gone) {
            let host =
                if let Way::To(place, _) = way { self.hosts.get(*place).map(|host| host.number()) } else { None };
            self.owners.note(record.key, host);
        }
    }

    /// The place of the host that has a call; none where that has left, or where the call was never handed over.
    fn place_of(&self, key: CallKey) -> Option<usize> {
        self.place(self.owners.host_of(key)?)
    }

    fn place(&self, host: u32) -> Option<usize> {
        self.hosts.iter().position(|one| one.number() == host)
    }
}

/// What was told lay behind the heads of the calls, or between them.
fn forget_notices(calls: &mut CallBatch) {
    calls.notices.clear();
    calls.heads.truncate(calls.records.last().map_or(0, |last| last.fields.end as usize));
}

/// Says of calls that nobody has begun them, and that they may be tried again.
pub(super) fn answer_all(records: &[CallRecord], answers: &mut AnswerBatch) {
    for record in records {
        answers.push(record.key, Outcome::Overloaded, b"");
    }
}
