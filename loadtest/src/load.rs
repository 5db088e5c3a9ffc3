//! The load: what the connections share, and the run from its first second to its last.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::clock::{self, Timer, TimerSettings};
use crate::connection::{self, cut};
use crate::encrypted;
use crate::error::Error;
use crate::options::Options;
use crate::other::{OtherRequest, Sent};
use crate::process::{Server, Usage};
use crate::record::Record;
use crate::report;
use crate::scenario::Exchange;
use crate::schedule::Schedule;
use crate::tally::{Failure, Tally};

/// The open loop looks at its timetable no more often than this, so that a high rate is sent in small groups.
const PACE: Duration = Duration::from_micros(50);

/// After the last second, the requests under way have this long, in tenths of a second.
const GRACE_TENTHS: u32 = 10;

/// What the connections share. Single-threaded.
pub struct Load {
    /// Where they connect to.
    pub address: SocketAddr,
    /// What TLS is begun with; without it nothing is encrypted.
    pub tls: Option<Arc<ClientConfig>>,
    /// Each request has a connection of its own.
    pub fresh: bool,
    /// Requests under way on each.
    pub pipeline: usize,
    /// The request, `pipeline` times.
    pub requests: Rc<Vec<u8>>,
    /// Bytes of one.
    pub request_bytes: usize,
    /// What each Nth request is instead.
    other: Option<OtherRequest>,
    /// The body of a good answer.
    pub expected: Vec<u8>,
    /// What has been counted.
    pub tally: RefCell<Tally>,
    /// Requests of the open loop that found no free connection when they were due.
    pub queued: Cell<u64>,
    schedule: Option<RefCell<Schedule>>,
    idle: RefCell<VecDeque<Waker>>,
    pacer: TimerSettings,
    armed_ns: Cell<u64>,
    stopping: Cell<bool>,
    cut: Cell<bool>,
    open: Cell<usize>,
    sockets: RefCell<Vec<Option<TcpStream>>>,
    start: Instant,
}

impl Load {
    fn new(options: &Options, pacer: TimerSettings) -> Result<Load, Error> {
        let exchange = Exchange::new(options);
        Ok(Load {
            address: options.address(),
            tls: options.target.tls.then(encrypted::config).transpose().map_err(Error::system("TLS"))?,
            fresh: options.fresh,
            pipeline: options.pipeline,
            request_bytes: exchange.request.len(),
            requests: Rc::new(exchange.request.repeat(options.pipeline)),
            other: OtherRequest::new(options),
            expected: exchange.expected,
            tally: RefCell::new(Tally::new(options)?),
            queued: Cell::new(0),
            schedule: options.rate.map(|rate| RefCell::new(Schedule::new(rate, 0))),
            idle: RefCell::default(),
            pacer,
            armed_ns: Cell::new(u64::MAX),
            stopping: Cell::new(false),
            cut: Cell::new(false),
            open: Cell::new(0),
            sockets: RefCell::new((0..options.connections).map(|_| None).collect()),
            start: Instant::now(),
        })
    }

    /// Nanoseconds since the run began.
    pub fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// No new requests.
    pub fn stopping(&self) -> bool {
        self.stopping.get()
    }

    /// What was still under way has been cut off.
    pub fn cut(&self) -> bool {
        self.cut.get()
    }

    /// Keeps a second handle of a connection, to end it with; ends the one before it.
    pub fn keep(&self, slot: usize, socket: TcpStream) {
        if let Some(place) = self.sockets.borrow_mut().get_mut(slot)
            && let Some(old) = place.replace(socket)
        {
            cut(&old);
        }
    }

    /// A connection's task has ended.
    pub fn ended(&self) {
        self.open.set(self.open.get() - 1);
    }

    /// Requests that were sent and will not be answered count with the time that has passed, so that a server that
    /// stalls does not look fast.
    pub fn lost(&self, started: &VecDeque<Sent>) {
        let now = self.now_ns();
        for sent in started {
            self.tally.borrow_mut().miss(now.saturating_sub(sent.at_ns), 1);
        }
    }

    /// A request that begins now, or was due then.
    fn sent(&self, at_ns: u64) -> Sent {
        let other = self.other.as_ref().is_some_and(OtherRequest::is_next);
        Sent { at_ns, other }
    }

    /// The bytes of the last `count` of the requests under way, and how many.
    pub fn bytes(&self, started: &VecDeque<Sent>, count: usize) -> (Rc<Vec<u8>>, usize) {
        match &self.other {
            // Without a pipeline there is one.
            Some(OtherRequest { request, .. }) if count > 0 && started.back().is_some_and(|sent| sent.other) => {
                (request.clone(), request.len())
            }
            _ => (self.requests.clone(), count * self.request_bytes),
        }
    }

    /// Puts the starts of the requests to send now into `started`; how many. Waits while none is due; 0 at the end,
    /// and when there is nothing to add.
    pub async fn begin(&self, started: &mut VecDeque<Sent>) -> usize {
        if self.schedule.is_some() && started.is_empty() {
            return self.begin_due(started).await;
        }
        if self.stopping() || self.schedule.is_some() {
            return 0;
        }
        let count = self.pipeline - started.len();
        let now = self.now_ns();
        started.extend((0..count).map(|_| self.sent(now)));
        count
    }

    async fn begin_due(&self, started: &mut VecDeque<Sent>) -> usize {
        let mut waited = false;
        std::future::poll_fn(|context| {
            let Some(schedule) = self.schedule.as_ref().filter(|_| !self.stopping()) else { return Poll::Ready(0) };
            let now = self.now_ns();
            let mut schedule = schedule.borrow_mut();
            if let Some(due) = schedule.take(now) {
                started.push_back(self.sent(due));
                if waited || !self.idle.borrow().is_empty() {
                    // A free connection was there: whatever is late now is the generator's fault.
                    self.tally.borrow_mut().lag.saturating_record(now - due);
                } else {
                    self.queued.set(self.queued.get() + 1);
                }
                return Poll::Ready(1);
            }
            waited = true;
            self.idle.borrow_mut().push_back(context.waker().clone());
            self.arm(schedule.next_time(), now);
            Poll::Pending
        })
        .await
    }

    /// Sets the pacer's timer, unless it rings earlier anyway.
    fn arm(&self, due_ns: u64, now_ns: u64) {
        let at = due_ns.max(now_ns + PACE.as_nanos() as u64);
        if at < self.armed_ns.get() {
            self.armed_ns.set(at);
            // The descriptor is ours and open: this cannot fail.
            let _ = self.pacer.once(Duration::from_nanos(at - now_ns));
        }
    }

    /// Wakes as many free connections as requests are due.
    fn pace(&self) {
        let Some(schedule) = &self.schedule else { return };
        let now = self.now_ns();
        self.armed_ns.set(u64::MAX);
        let due = schedule.borrow().waiting(now);
        for _ in 0..due {
            let Some(waker) = self.idle.borrow_mut().pop_front() else { return };
            waker.wake();
        }
        if !self.idle.borrow().is_empty() {
            self.arm(schedule.borrow().time_behind(due), now);
        }
    }

    /// No more requests: free connections end, the others after their last answer. How many requests were due and
    /// not sent; they count with their age.
    fn stop(&self) -> u64 {
        self.stopping.set(true);
        let _ = self.pacer.once(Duration::ZERO);
        for waker in self.idle.borrow_mut().drain(..) {
            waker.wake();
        }
        let Some(schedule) = &self.schedule else { return 0 };
        let mut unsent = 0;
        for (age, count) in schedule.borrow().ages(self.now_ns()) {
            self.tally.borrow_mut().miss(age, count);
            unsent += count;
        }
        unsent
    }
}

/// Runs the load that `options` ask for; `tell` hears each second how it goes.
pub fn run(options: &Options, tell: &dyn Fn(&str)) -> Result<Record, Error> {
    let server = match options.server_pid {
        Some(pid) => Server::of(pid)?,
        None => Server::listening_on(options.address())?,
    };
    clock::runtime()?.block_on(async {
        let mut pacer = Timer::new()?;
        let load = Rc::new(Load::new(options, pacer.settings()?)?);
        for slot in 0..options.connections {
            let socket = connection::connect(&load, slot).map_err(Error::system(format!(
                "connection {} of {} to {} (does the server listen? `ulimit -n` has to be above twice --connections)",
                slot + 1,
                options.connections,
                load.address
            )))?;
            load.open.set(load.open.get() + 1);
            monoio::spawn(connection::serve(load.clone(), slot, socket));
        }
        let paced = load.clone();
        let pacing = monoio::spawn(async move {
            while !paced.stopping() && pacer.wait().await.is_ok() {
                paced.pace();
            }
        });
        let record = drive(&load, options, &server, tell).await;
        if !load.stopping() {
            load.stop();
        }
        for socket in load.sockets.borrow().iter().flatten() {
            cut(socket);
        }
        pacing.await;
        record
    })
}

/// The seconds of a run.
async fn drive(load: &Load, options: &Options, server: &Server, tell: &dyn Fn(&str)) -> Result<Record, Error> {
    let mut timer = Timer::new()?;
    let mut per_second = Vec::new();
    let mut before = Usage::now(server, 0);
    let warmup = steps(options.warmup).len();
    for (second, step) in steps(options.warmup).into_iter().chain(steps(options.duration)).enumerate() {
        if second == warmup {
            load.tally.borrow_mut().reset();
            load.queued.set(0);
            before = Usage::now(server, 0);
        }
        let (good, last) = (load.tally.borrow().good, Usage::now(server, 0));
        timer.after(step)?;
        timer.wait().await.map_err(Error::system("waiting for the next second"))?;
        let mut tally = load.tally.borrow_mut();
        let answers = tally.good - good;
        let used = Usage::now(server, answers).since(&last);
        let phase = if second < warmup { "warm-up" } else { "" };
        tell(&report::progress(second + 1, phase, &tally, &used));
        if second >= warmup {
            per_second.push((answers as f64 / used.wall_s) as u64);
        }
        tally.end_second();
        if load.open.get() == 0 {
            break;
        }
    }
    let used = Usage::now(server, load.tally.borrow().good).since(&before);
    load.tally.borrow_mut().end_goodput();
    let unsent = load.stop();
    finish(load, &mut timer).await?;
    let mut tally = load.tally.borrow_mut();
    tally.end_second();
    Ok(Record::new(options, server, &tally, used, per_second, load.queued.get(), unsent))
}

/// Whole seconds, and what is left of the last one.
fn steps(time: Duration) -> Vec<Duration> {
    let mut steps = vec![Duration::from_secs(1); usize::try_from(time.as_secs()).unwrap_or(usize::MAX)];
    if time.subsec_nanos() > 0 {
        steps.push(Duration::from_nanos(u64::from(time.subsec_nanos())));
    }
    steps
}

/// Lets the requests under way end, then cuts off, so that no operation is in flight when the ring goes.
async fn finish(load: &Load, timer: &mut Timer) -> Result<(), Error> {
    timer.every(Duration::from_millis(100))?;
    for tenth in 0..2 * GRACE_TENTHS {
        if load.open.get() == 0 {
            return Ok(());
        }
        if tenth == GRACE_TENTHS {
            load.cut.set(true);
            for socket in load.sockets.borrow().iter().flatten() {
                cut(socket);
            }
        }
        timer.wait().await.map_err(Error::system("waiting for the last answers"))?;
    }
    load.tally.borrow_mut().fail(Failure::Unanswered, 1, || "a connection did not end when it was cut".to_owned());
    Ok(())
}
