//! The engine as a whole: binds, starts the shards, stops them and joins their threads.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rand_chacha::rand_core::{OsRng, TryRngCore};

use crate::caller::rules::Rules;
use crate::config::{AdminTls, Bell, Config, DriverChoice, Listen, LogOptions};
use crate::error::{ConnectError, StartError};
use crate::limits::{MAX_ADMIN_CONNECTIONS, MAX_SHARDS};
use crate::link::access_log::AccessLog;
use crate::link::backend::Backend;
use crate::link::callers::CallerLimits;
use crate::link::contexts::Contexts;
use crate::link::http2_counts::Http2Counts;
use crate::link::latest::Latest;
use crate::link::log_file;
use crate::link::log_writer::LogWriter;
use crate::link::peers::{Peer, Peers};
use crate::link::port::{Inbox, ShardPort, ToShard, letter_box};
use crate::link::proxy::ProxyLink;
use crate::link::proxy_log::ProxyLog;
use crate::link::resolver::Resolver;
use crate::link::vitals::Vitals;
use crate::link::weight::Scales;
use crate::proxy::credentials::{Names, RANDOM_BYTES};
use crate::proxy::route::Route;
use crate::proxy::settings::Settings;
use crate::shard::counters::Snapshot;
use crate::shard::driver::{self, Driver};
use crate::shard::inline::InlineShard;
use crate::shard::life::supervisor::supervise;
use crate::shard::listener::{Listener, Listeners};
use crate::shard::report::figures::Figures;
use crate::shard::timing::ShardMeter;
use crate::shard::{GIVEN_UP, Setup, open_connections};
use crate::tls::{LocalCa, Tls};
use crate::trust::Trust;
use crate::tunnel::decide::Exposure;

/// A running engine. Dropping it stops it at once and joins its threads.
pub struct Engine {
    /// Of the shards that serve.
    ports: Vec<ShardPort>,
    /// Of the one that has the admin listener and nothing else, if there is one.
    apart: Vec<ShardPort>,
    /// Open connections, by shard.
    loads: Arc<[AtomicUsize]>,
    max_connections: usize,
    stopping: AtomicBool,
    exposures: Arc<Latest<Exposure>>,
    tls: Option<Arc<Latest<Tls>>>,
    admin_tls: Option<Arc<Latest<Tls>>>,
    peers: Arc<Peers>,
    callers: Arc<Rules>,
    caller_limits: Arc<CallerLimits>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    figures: Arc<Figures>,
    vitals: Arc<Vitals>,
    address: Listen,
    admin_address: Option<Listen>,
    agent_address: Option<Listen>,
    proxy: Option<Arc<ProxyLink>>,
    log: Option<Arc<AccessLog>>,
    /// Of a log that is written into a file.
    log_writer: Option<LogWriter>,
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
        let (choice, shards) = (config.driver, config.shards);
        let driver = apart(move || driver::choose(choice, shards))??;
        Self::start_on(&config, &backend, driver, Place::Threads).map(|(engine, _)| engine)
    }

    /// Starts listening, with the one shard that `config` asks for on the current thread, which has to turn it. The rest
    /// is as with [`Self::start`]. An admin listener gets a thread of its own.
    ///
    /// # Errors
    /// See [`StartError`]; [`StartError::Inline`] where [`Self::try_inline`] says so.
    pub fn start_inline(config: Config, backend: Arc<dyn Backend>) -> Result<(Engine, InlineShard), StartError> {
        if config.shards != 1 {
            return Err(StartError::Shards { got: config.shards, max: 1 });
        }
        let choice = config.driver;
        let driver = apart(move || driver::choose(choice, 1))??;
        match Self::start_on(&config, &backend, driver, Place::Here)? {
            (engine, Some(shard)) => Ok((engine, shard)),
            (_, None) => Err(StartError::Inline(std::io::Error::other("it was not started"))),
        }
    }

    /// Tries whether [`Self::start_inline`] is possible here.
    ///
    /// # Errors
    /// [`StartError::Inline`] where only threads are; and what the driver has to say.
    pub fn try_inline(choice: DriverChoice) -> Result<(), StartError> {
        apart(move || {
            let driver = driver::choose(choice, 1)?;
            InlineShard::probe(&driver).map_err(StartError::Inline)
        })?
    }

    fn start_on(
        config: &Config,
        backend: &Arc<dyn Backend>,
        driver: Driver,
        place: Place,
    ) -> Result<(Engine, Option<InlineShard>), StartError> {
        let main = bind(&config.listen, config.backlog)?;
        let aside = |listen: &Option<Listen>| match listen {
            Some(listen) => bind(listen, MAX_ADMIN_CONNECTIONS as i32),
            None => Ok(None),
        };
        let (admin, agent) = (aside(&config.admin)?, aside(&config.agent)?);
        let address = main.as_ref().map_or(Listen::InProcess, |listener| listener.address().clone());
        let [admin_address, agent_address] =
            [&admin, &agent].map(|listener| listener.as_ref().map(|listener| listener.address().clone()));
        let log = config.proxy_bell.clone().map(|Bell(ring)| Arc::new(ProxyLog::new(move || ring())));
        let ca = config.local_ca.clone();
        let proxy =
            config.proxy.clone().map(|(settings, trust)| Arc::new(proxy_link(settings, trust, ca, log, &address)));
        // Behind those that serve: one for these two alone, which have to answer while this thread does not.
        let is_asked = admin.is_some() || agent.is_some();
        let apart = usize::from(place == Place::Here && is_asked);
        let mut boxes = Vec::with_capacity(config.shards + apart);
        for shard in 0..config.shards + apart {
            boxes.push(letter_box().map_err(|source| StartError::Shard { shard, source })?);
        }
        let (mut ports, inboxes): (Vec<ShardPort>, Vec<Inbox>) = boxes.into_iter().unzip();
        let last = if apart > 0 { ports.last() } else { ports.first() }.filter(|_| is_asked).cloned();
        let vitals = Vitals::new(ports.len(), last, main.is_some());
        let vitals = match ports.first() {
            Some(port) if place == Place::Here => vitals.with_turned(port.clone()),
            _ => vitals,
        };
        let apart = ports.split_off(config.shards);
        backend.attach(&ports);
        let latest = |tls: &Tls| Arc::new(Latest::new(Arc::new(tls.clone())));
        let tls = config.tls.as_ref().map(latest);
        let (log, log_writer) = open_log(config.log.as_ref(), config.shards)?;
        let mut engine = Engine {
            apart,
            ports,
            loads: (0..config.shards).map(|_| AtomicUsize::new(0)).collect(),
            max_connections: config.limits.max_connections,
            stopping: AtomicBool::new(false),
            exposures: Arc::new(Latest::new(config.exposure.clone())),
            admin_tls: match &config.admin_tls {
                AdminTls::None => None,
                AdminTls::AsTunnel => tls.clone(),
                AdminTls::Own(tls) => Some(latest(tls)),
            },
            tls,
            peers: Arc::default(),
            caller_limits: Arc::new(CallerLimits::new(&config.callers.limits)),
            callers: config.callers.clone(),
            threads: Mutex::default(),
            figures: Arc::new(Figures::new(
                config.shards,
                driver.clone(),
                place == Place::Here,
                backend.clone(),
                log.clone(),
            )),
            vitals: Arc::new(vitals),
            address,
            admin_address,
            agent_address,
            proxy,
            log,
            log_writer,
            driver,
        };
        let listeners = match config.proxy {
            Some(_) => Listeners { main: None, proxy: main, admin, agent },
            None => Listeners { main, proxy: None, admin, agent },
        };
        let inline = engine.spawn(config, backend, inboxes, place, listeners)?;
        Ok((engine, inline))
    }

    fn spawn(
        &mut self,
        config: &Config,
        backend: &Arc<dyn Backend>,
        inboxes: Vec<Inbox>,
        place: Place,
        mut listeners: Listeners,
    ) -> Result<Option<InlineShard>, StartError> {
        let (ready, outcomes) = mpsc::channel();
        let (mut inline, mut threads) = (None, 0);
        for (index, inbox) in inboxes.into_iter().enumerate() {
            let failed = |source| StartError::Shard { shard: index, source };
            let setup = self.setup(config, backend, index, inbox);
            // The first accepts for all.
            let mut own = std::mem::take(&mut listeners);
            if index == 0 && place == Place::Here {
                if !self.apart.is_empty() {
                    (listeners.admin, listeners.agent) = (own.admin.take(), own.agent.take());
                }
                inline = Some(InlineShard::start(setup, own).map_err(failed)?);
                continue;
            }
            let ready = ready.clone();
            let thread = std::thread::Builder::new()
                .name(format!("fasttunnel-{index}"))
                .spawn(move || {
                    let reported = move |outcome| {
                        let _ = ready.send((index, outcome));
                    };
                    supervise(setup, own, reported);
                })
                .map_err(failed)?;
            threads += 1;
            self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        drop(ready);
        let mut running = 0;
        for (shard, outcome) in outcomes {
            outcome.map_err(|source| StartError::Shard { shard, source })?;
            running += 1;
        }
        if running < threads {
            // A thread that ends before it reports has panicked; the panic was printed by the hook.
            let source = std::io::Error::other("it panicked before it was ready");
            return Err(StartError::Shard { shard: running, source });
        }
        self.vitals.start();
        Ok(inline)
    }

    fn setup(&self, config: &Config, backend: &Arc<dyn Backend>, index: usize, inbox: Inbox) -> Setup {
        Setup {
            index,
            driver: self.driver.clone(),
            limits: config.limits.clone(),
            max_calls: config.limits.max_calls_in_flight.div_ceil(config.shards),
            tls: self.tls.clone(),
            admin_tls: self.admin_tls.clone(),
            peers: self.peers.clone(),
            callers: self.callers.clone(),
            caller_limits: self.caller_limits.clone(),
            max_handshakes: config.limits.max_handshakes.div_ceil(config.shards),
            max_held: config.limits.max_total_buffered_bytes.div_ceil(config.shards),
            with_host: Scales::default(),
            exposures: self.exposures.clone(),
            proxy: self.proxy.clone().and_then(|link| Some((link, self.ports.get(index)?.clone()))),
            exact_bodies: config.exact_bodies,
            bare_inputs: config.bare_inputs,
            reference: config.reference,
            report_refusals: config.report_refusals,
            log: self.log.clone(),
            release_memory: config.release_memory,
            backend: backend.clone(),
            inbox,
            ports: if index == 0 { self.ports.clone() } else { Vec::new() },
            loads: self.loads.clone(),
            counters: self.figures.counters.get(index).cloned().unwrap_or_default(),
            figures: self.figures.clone(),
            dashboard: config.dashboard,
            meter: self.figures.meters.get(index).cloned().unwrap_or_default(),
            given_up: self.figures.failed.get(index).cloned().unwrap_or_default(),
            vitals: self.vitals.clone(),
        }
    }

    /// Where it listens; with the real port where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> &Listen {
        &self.address
    }

    /// The TCP address it listens on, if it does.
    #[must_use]
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        match &self.address {
            Listen::Tcp(address) => Some(*address),
            Listen::Unix(_) | Listen::Inherited(_) | Listen::InProcess => None,
        }
    }

    /// Where `/livez` and `/readyz` are answered, if anywhere; with the real port where 0 was asked for.
    #[must_use]
    pub fn admin_address(&self) -> Option<&Listen> {
        self.admin_address.as_ref()
    }

    /// Where balancers are told how busy it is, if anywhere; with the real port where 0 was asked for.
    #[must_use]
    pub fn agent_address(&self) -> Option<&Listen> {
        self.agent_address.as_ref()
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
        self.figures.counters.iter().map(|counters| counters.snapshot()).collect()
    }

    /// What every shard measures; any thread may read it.
    #[must_use]
    pub fn meters(&self) -> &[Arc<ShardMeter>] {
        &self.figures.meters
    }

    /// Shards that have failed so often that they were given up. Their connections are gone; the others serve on. When
    /// the first is among them, which accepts, nobody listens any more.
    #[must_use]
    pub fn failed_shards(&self) -> usize {
        self.figures.failed_shards()
    }

    /// All that is counted and measured; any thread may read it.
    #[must_use]
    pub fn figures(&self) -> &Arc<Figures> {
        &self.figures
    }

    /// Makes a connection without a listener: the other end is served like any client, by the shard that has the fewest.
    /// Whoever holds this end speaks HTTP/1.1, closes when there is no more to ask, and never half-closes. When the
    /// engine stops, the connection stays until it is closed here, or until the drain time is over.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn connect(&self) -> Result<OwnedFd, ConnectError> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err(ConnectError::Ended);
        }
        let loads: Vec<usize> = self.loads.iter().map(|load| load.load(Ordering::Relaxed)).collect();
        // The accept loop counts at the same time: the bound may be passed by one.
        if open_connections(&loads) >= self.max_connections {
            return Err(ConnectError::Full { max: self.max_connections });
        }
        let mut shards: Vec<usize> = (0..loads.len()).collect();
        shards.sort_by_key(|shard| loads[*shard]);
        for shard in shards {
            if loads[shard] == GIVEN_UP {
                break;
            }
            let (ours, theirs) = socket_pair()?;
            self.loads[shard].fetch_add(1, Ordering::Relaxed);
            if self.ports[shard].send(ToShard::InProcess(ours)).is_ok() {
                return Ok(theirs);
            }
            // That shard was given up just now; the others serve on.
            self.loads[shard].fetch_sub(1, Ordering::Relaxed);
        }
        Err(ConnectError::Ended)
    }

    /// The contexts of the proxy, if it is one, and what it does.
    #[must_use]
    pub fn proxy(&self) -> Option<&ProxyLink> {
        self.proxy.as_deref()
    }

    /// Makes a context of the proxy; `None` where the engine is none.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn create_context(&self, web_contents_id: u32, route: Option<Route>) -> std::io::Result<Option<Names>> {
        let Some(proxy) = &self.proxy else { return Ok(None) };
        loop {
            let mut random = [0; RANDOM_BYTES];
            random_bytes(&mut random)?;
            let names = Names::new(web_contents_id, &random);
            if proxy.contexts.add(&names, route.clone()) {
                return Ok(Some(names));
            }
        }
    }

    /// Ends a context of the proxy, with all that is under way for it. An id that nobody has changes nothing.
    pub fn release_context(&self, id: &str) {
        if self.proxy.as_ref().is_some_and(|proxy| proxy.contexts.release(id)) {
            for port in &self.ports {
                let _ = port.send(ToShard::Released);
            }
        }
    }

    /// Replaces the route table. Every request that is sent after this call is decided by it.
    pub fn set_exposure(&self, exposure: &Arc<Exposure>) {
        self.exposures.set(exposure.clone());
    }

    /// Where [`Self::set_exposure`] puts the table, for threads that do not hold the engine.
    #[must_use]
    pub fn exposures(&self) -> &Arc<Latest<Exposure>> {
        &self.exposures
    }

    /// Replaces what clients are spoken to with: every connection that is accepted after this call begins with it, the others
    /// go on as they have begun. False, and nothing happens, where the engine was started without.
    pub fn set_tls(&self, tls: Tls) -> bool {
        self.tls.as_ref().map(|place| place.set(Arc::new(tls))).is_some()
    }

    /// As [`Engine::set_tls`], of the admin listener, where that has something of its own.
    pub fn set_admin_tls(&self, tls: Tls) -> bool {
        self.admin_tls.as_ref().map(|place| place.set(Arc::new(tls))).is_some()
    }

    /// The peers that have called, for threads that do not hold the engine.
    #[must_use]
    pub fn peers(&self) -> &Arc<Peers> {
        &self.peers
    }

    /// What holds of callers, for threads that do not hold the engine.
    #[must_use]
    pub fn callers(&self) -> &Arc<Rules> {
        &self.callers
    }

    /// The peer that calls name by this number, while it is connected.
    #[must_use]
    pub fn peer(&self, number: u64) -> Option<Arc<Peer>> {
        self.peers.get(number)
    }

    /// The access log, if there is one.
    #[must_use]
    pub fn log(&self) -> Option<&Arc<AccessLog>> {
        self.log.as_ref()
    }

    /// Writes the access log into the file of this path from now on; nothing happens where it is written into none.
    ///
    /// # Errors
    /// [`StartError::Log`]: the log goes on in the file that it has.
    pub fn reopen_log(&self, path: &Path) -> Result<(), StartError> {
        let Some(writer) = &self.log_writer else { return Ok(()) };
        let file = log_file::open(path).map_err(|source| StartError::Log { path: path.to_owned(), source })?;
        writer.reopen(file);
        Ok(())
    }

    /// Lets `/readyz` say that no calls are wanted any more, long before [`Engine::stop`] perhaps: whoever balances the
    /// load takes a while to notice. Calls are taken as before.
    pub fn retire(&self) {
        self.vitals.close();
    }

    /// Stops accepting, lets calls under way finish within `drain`, then cuts off. Returns at once; may be repeated
    /// with a shorter time. The backend hears of each shard's end; [`Engine::join`] waits for it.
    pub fn stop(&self, drain: Duration) {
        self.stopping.store(true, Ordering::Relaxed);
        self.vitals.close();
        let drain_ms = u64::try_from(drain.as_millis()).unwrap_or(u64::MAX);
        for port in self.ports.iter().chain(&self.apart) {
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
        if let Some(proxy) = &self.proxy {
            proxy.resolver.end();
        }
        if let Some(writer) = &self.log_writer {
            writer.end();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
        self.join();
    }
}

/// The access log, and what writes it into a file.
fn open_log(
    options: Option<&LogOptions>,
    shards: usize,
) -> Result<(Option<Arc<AccessLog>>, Option<LogWriter>), StartError> {
    let Some(LogOptions { path, format, sample }) = options else { return Ok((None, None)) };
    let log = Arc::new(AccessLog::new(shards, *format, *sample));
    let Some(path) = path else { return Ok((Some(log), None)) };
    let failed = |source| StartError::Log { path: path.clone(), source };
    let file = log_file::open(path).map_err(failed)?;
    let writer = LogWriter::start(log.clone(), file).map_err(failed)?;
    Ok((Some(log), Some(writer)))
}

/// What the shards of a proxy share.
fn proxy_link(
    settings: Settings,
    trust: Trust,
    local_ca: Option<Arc<LocalCa>>,
    log: Option<Arc<ProxyLog>>,
    address: &Listen,
) -> ProxyLink {
    let mut random = [0; 8];
    // Not a secret: it only has to be unlike that of another proxy on the way.
    let _ = random_bytes(&mut random);
    let address = if let Listen::Tcp(address) = address { Some(*address) } else { None };
    ProxyLink {
        settings,
        trust,
        local_ca,
        contexts: Contexts::default(),
        log,
        http2: Http2Counts::default(),
        resolver: Resolver::default(),
        name: format!("fasttunnel-{:016x}", u64::from_ne_bytes(random)),
        address,
    }
}

fn random_bytes(bytes: &mut [u8]) -> std::io::Result<()> {
    OsRng.try_fill_bytes(bytes).map_err(std::io::Error::other)
}

/// Where the shards run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Threads,
    Here,
}

/// Runs `work` on a thread of its own: after a ring was closed, the thread that made it may get one EINTR.
fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StartError> {
    let failed = |source| StartError::Shard { shard: 0, source };
    let probe = std::thread::Builder::new().name("fasttunnel-probe".to_owned()).spawn(work).map_err(failed)?;
    probe.join().map_err(|_| failed(std::io::Error::other("the probe of the driver panicked")))
}

fn bind(listen: &Listen, backlog: i32) -> Result<Option<Listener>, StartError> {
    match listen {
        Listen::InProcess => Ok(None),
        listen => Listener::bind(listen, backlog)
            .map(Some)
            .map_err(|source| StartError::Listen { listen: listen.clone(), source }),
    }
}

fn socket_pair() -> std::io::Result<(OwnedFd, OwnedFd)> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).map_err(Into::into)
}
