//! The engine as a whole: binds, starts the shard threads, stops and joins them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::config::{Config, Listen};
use crate::error::StartError;
use crate::limits::MAX_SHARDS;
use crate::link::backend::Backend;
use crate::link::port::{Inbox, ShardPort, ToShard, letter_box};
use crate::shard::counters::{Counters, Snapshot};
use crate::shard::driver::{self, Driver};
use crate::shard::listener::Listener;
use crate::shard::{self, Setup};
use crate::tunnel::decide::Exposure;

/// A running engine. Dropping it stops it at once and joins its threads.
pub struct Engine {
    ports: Vec<ShardPort>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    counters: Vec<Arc<Counters>>,
    panicked: Vec<Arc<AtomicBool>>,
    address: Listen,
    driver: Driver,
}

impl Engine {
    /// Starts listening. When it returns, every shard runs; when it fails, nothing listens and no thread is left.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(config: Config, backend: Arc<dyn Backend>) -> Result<Engine, StartError> {
        if !(1..=MAX_SHARDS).contains(&config.shards) {
            return Err(StartError::Shards { got: config.shards, max: MAX_SHARDS });
        }
        let driver = driver::choose(config.driver)?;
        let listener = Listener::bind(&config.listen, config.backlog)
            .map_err(|source| StartError::Listen { listen: config.listen.clone(), source })?;
        let address = listener.address().clone();
        let mut boxes = Vec::with_capacity(config.shards);
        for shard in 0..config.shards {
            boxes.push(letter_box().map_err(|source| StartError::Shard { shard, source })?);
        }
        let (ports, inboxes): (Vec<ShardPort>, Vec<Inbox>) = boxes.into_iter().unzip();
        backend.attach(&ports);
        let mut engine = Engine {
            ports,
            threads: Mutex::default(),
            counters: (0..config.shards).map(|_| Arc::default()).collect(),
            panicked: (0..config.shards).map(|_| Arc::default()).collect(),
            address,
            driver,
        };
        engine.spawn(&config, &backend, inboxes, listener)?;
        Ok(engine)
    }

    fn spawn(
        &mut self,
        config: &Config,
        backend: &Arc<dyn Backend>,
        inboxes: Vec<Inbox>,
        listener: Listener,
    ) -> Result<(), StartError> {
        let loads: Arc<[AtomicUsize]> = (0..config.shards).map(|_| AtomicUsize::new(0)).collect();
        let mut listener = Some(listener);
        let (ready, outcomes) = mpsc::channel();
        for (index, inbox) in inboxes.into_iter().enumerate() {
            let failed = |source| StartError::Shard { shard: index, source };
            let timer = rustix::time::timerfd_create(
                rustix::time::TimerfdClockId::Monotonic,
                rustix::time::TimerfdFlags::CLOEXEC,
            )
            .map_err(|errno| failed(errno.into()))?;
            let setup = Setup {
                index,
                driver: self.driver.clone(),
                limits: config.effective_limits(),
                max_calls: config.limits.max_calls_in_flight.div_ceil(config.shards),
                exposure: config.exposure.clone(),
                exact_bodies: config.exact_bodies,
                reference: config.reference,
                report_refusals: config.report_refusals,
                backend: backend.clone(),
                inbox,
                ports: if index == 0 { self.ports.clone() } else { Vec::new() },
                loads: loads.clone(),
                counters: self.counters[index].clone(),
                listener: if index == 0 { listener.take() } else { None },
                timer,
            };
            let ready = ready.clone();
            let panicked = self.panicked[index].clone();
            let backend = backend.clone();
            let thread = std::thread::Builder::new()
                .name(format!("fasttunnel-{index}"))
                .spawn(move || run_shard(setup, &panicked, &*backend, ready))
                .map_err(failed)?;
            self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        drop(ready);
        for (shard, outcome) in outcomes {
            outcome.map_err(|source| StartError::Shard { shard, source })?;
        }
        Ok(())
    }

    /// Where it listens; with the real port where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> &Listen {
        &self.address
    }

    /// The TCP address it listens on; `None` on a unix socket.
    #[must_use]
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        match &self.address {
            Listen::Tcp(address) => Some(*address),
            Listen::Unix(_) => None,
        }
    }

    /// The driver that runs, and why.
    #[must_use]
    pub fn driver(&self) -> &Driver {
        &self.driver
    }

    /// Number of shards.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.ports.len()
    }

    /// Counters of every shard, a moment ago.
    #[must_use]
    pub fn stats(&self) -> Vec<Snapshot> {
        self.counters.iter().map(|counters| counters.snapshot()).collect()
    }

    /// Shards whose thread has ended by a panic. Their connections are gone; the others serve on.
    #[must_use]
    pub fn panicked_shards(&self) -> usize {
        self.panicked.iter().filter(|flag| flag.load(std::sync::atomic::Ordering::Relaxed)).count()
    }

    /// Replaces the route table; each shard uses it from its next request on.
    pub fn set_exposure(&self, exposure: &Arc<Exposure>) {
        for port in &self.ports {
            let _ = port.send(ToShard::Exposure(exposure.clone()));
        }
    }

    /// Stops accepting, lets calls under way finish within `drain`, then cuts off. Returns at once; may be repeated
    /// with a shorter time. The backend hears of each shard's end; [`Engine::join`] waits for it.
    pub fn stop(&self, drain: Duration) {
        let drain_ms = u64::try_from(drain.as_millis()).unwrap_or(u64::MAX);
        for port in &self.ports {
            let _ = port.send(ToShard::Stop { drain_ms });
        }
    }

    /// Waits until every shard thread has ended. Call [`Engine::stop`] before.
    pub fn join(&self) {
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A shard's panic was contained and counted in its own thread.
            let _ = thread.join();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
        self.join();
    }
}

/// The body of a shard's thread: contains a panic, so that it is reported instead of lost.
fn run_shard(
    setup: Setup,
    panicked: &AtomicBool,
    backend: &dyn Backend,
    ready: mpsc::Sender<(usize, std::io::Result<()>)>,
) {
    let index = setup.index;
    let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        shard::run(setup, move |outcome| {
            let _ = ready.send((index, outcome));
        });
    }));
    if run.is_err() {
        panicked.store(true, std::sync::atomic::Ordering::Relaxed);
        backend.stopped(index);
    }
}
