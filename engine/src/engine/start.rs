//! From a configuration to a running engine: what is bound, what its shards share, and the threads.

use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Engine, random_bytes};
use crate::config::{AdminTls, Bell, Config, DriverChoice, Listen, LogOptions};
use crate::error::StartError;
use crate::limits::{MAX_ADMIN_CONNECTIONS, MAX_SHARDS};
use crate::link::access_log::AccessLog;
use crate::link::backend::Backend;
use crate::link::callers::CallerLimits;
use crate::link::contexts::Contexts;
use crate::link::http2_counts::Http2Counts;
use crate::link::latest::Latest;
use crate::link::log_file;
use crate::link::log_writer::LogWriter;
use crate::link::port::{Inbox, ShardPort, letter_box};
use crate::link::proxy::ProxyLink;
use crate::link::proxy_log::ProxyLog;
use crate::link::resolver::Resolver;
use crate::link::vitals::Vitals;
use crate::link::weight::Scales;
use crate::proxy::settings::Settings;
use crate::shard::Setup;
use crate::shard::driver::{self, Driver};
use crate::shard::inline::InlineShard;
use crate::shard::life::supervisor::supervise;
use crate::shard::listener::{Listener, Listeners};
use crate::shard::report::figures::Figures;
use crate::tls::{LocalCa, Tls};
use crate::trust::Trust;

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
        resolver: Resolver::new(settings.find),
        settings,
        trust,
        local_ca,
        contexts: Contexts::default(),
        log,
        http2: Http2Counts::default(),
        name: format!("fasttunnel-{:016x}", u64::from_ne_bytes(random)),
        address,
    }
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
