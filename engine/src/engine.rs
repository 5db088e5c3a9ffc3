//! The engine as a whole: what it is asked and told, and its end.

mod start;

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rand_chacha::rand_core::{OsRng, TryRngCore};

use crate::caller::rules::Rules;
use crate::config::Listen;
use crate::error::{ConnectError, StartError};
use crate::link::access_log::AccessLog;
use crate::link::callers::CallerLimits;
use crate::link::latest::Latest;
use crate::link::log_file;
use crate::link::log_writer::LogWriter;
use crate::link::peers::{Peer, Peers};
use crate::link::port::{ShardPort, ToShard};
use crate::link::proxy::ProxyLink;
use crate::link::vitals::Vitals;
use crate::proxy::credentials::{Names, RANDOM_BYTES};
use crate::proxy::route::Route;
use crate::shard::counters::Snapshot;
use crate::shard::driver::Driver;
use crate::shard::report::figures::Figures;
use crate::shard::timing::ShardMeter;
use crate::shard::{GIVEN_UP, open_connections};
use crate::tls::Tls;
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

fn random_bytes(bytes: &mut [u8]) -> std::io::Result<()> {
    OsRng.try_fill_bytes(bytes).map_err(std::io::Error::other)
}

fn socket_pair() -> std::io::Result<(OwnedFd, OwnedFd)> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).map_err(Into::into)
}
