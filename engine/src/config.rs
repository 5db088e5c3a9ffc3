//! Every option of the engine; valid by type once built.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::access::line::Format;
use crate::caller::rules::Rules;
use crate::inherited::Inherited;
use crate::limits::{DEFAULT_BACKLOG, Limits, RESERVED_DESCRIPTORS};
use crate::placement::{arrange, available_cores};
use crate::proxy::settings::Settings;
use crate::tls::{LocalCa, Tls};
use crate::trust::Trust;
use crate::tunnel::decide::Exposure;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A TCP address; port 0 takes any free port.
    Tcp(SocketAddr),
    /// A unix socket at this path. A stale socket file (nobody listens) is replaced; it is removed at the end.
    Unix(PathBuf),
    /// A socket that another process has bound. It listens on after the engine's end: for whoever else has it.
    Inherited(Inherited),
    /// Nowhere: only [`Engine::connect`](crate::Engine::connect) makes connections.
    InProcess,
}

/// The driver that the user asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverChoice {
    /// io_uring if it works here, else epoll.
    #[default]
    Auto,
    /// io_uring; starting fails where it does not work.
    IoUring,
    /// epoll.
    Epoll,
}

/// What the admin listener encrypts with.
#[derive(Clone, Debug, Default)]
pub enum AdminTls {
    /// Nothing is encrypted.
    #[default]
    None,
    /// With what [`Config::tls`] says, also when that is replaced.
    AsTunnel,
    /// Something of its own.
    Own(Tls),
}

/// Called by threads of the engine. It must not block.
#[derive(Clone)]
pub struct Bell(pub Arc<dyn Fn() + Send + Sync>);

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bell")
    }
}

/// How requests are written down.
#[derive(Clone, Debug, PartialEq)]
pub struct LogOptions {
    /// The file; none: the host fetches what there is.
    pub path: Option<PathBuf>,
    /// Of the lines in the file.
    pub format: Format,
    /// Of the answers that are no errors, the part that is written: 0 to 1.
    pub sample: f64,
}

/// What an engine is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: Listen,
    /// Where `/livez` and `/readyz` are answered; `None` (the default), like [`Listen::InProcess`]: nowhere.
    pub admin: Option<Listen>,
    /// Where balancers are told how busy it is, one line a connection; `None` (the default): nowhere.
    pub agent: Option<Listen>,
    /// There, a page shows what the engine does.
    pub dashboard: bool,
    /// Instead of calls, clients of a proxy are served.
    pub proxy: Option<(Settings, Trust)>,
    /// By what the proxy reads TLS within tunnels to this machine; `None` (the default): it goes on as it is.
    pub local_ca: Option<Arc<LocalCa>>,
    /// Called when there is something to hear of their requests; `None` (the default): nobody notes what became of them.
    pub proxy_bell: Option<Bell>,
    /// What clients are spoken to with; `None` (the default): nothing is encrypted. Connections of this process never are.
    pub tls: Option<Tls>,
    /// What the admin listener is spoken to with.
    pub admin_tls: AdminTls,
    /// What holds of callers.
    pub callers: Arc<Rules>,
    /// Connections that the kernel queues before they are accepted; the kernel caps it at `somaxconn`.
    pub backlog: i32,
    /// Shard threads, `1..=MAX_SHARDS`; see [`default_shards`].
    pub shards: usize,
    /// Which driver.
    pub driver: DriverChoice,
    /// The bounds.
    pub limits: Limits,
    /// What is exposed, to whom.
    pub exposure: Arc<Exposure>,
    /// Bodies that may hold typed records travel as text, for a serializer to parse, instead of as parsed JSON.
    pub exact_bodies: bool,
    /// A task's body that is `{"input":X}` and nothing else travels as X: half of the work of parsing a small one is the
    /// object around it. [`crate::link::batch::flags::INPUT`] tells.
    pub bare_inputs: bool,
    /// Do as the reference (node:http) does where the engine by itself is stricter or earlier: unknown methods,
    /// expectations and versions, `CONNECT`, bodies over the limit (CONTRACT 10, 22).
    pub reference: bool,
    /// Tell the backend of requests that were refused for want of authentication.
    pub report_refusals: bool,
    /// Where requests are written down; `None` (the default): nowhere.
    pub log: Option<LogOptions>,
    /// Called on a shard's thread when it has let go of much memory and is at rest: the allocator, which the engine does not
    /// know, may give it back to the system.
    pub release_memory: fn(),
}

impl Config {
    /// A configuration with every default, listening on `listen`.
    #[must_use]
    pub fn new(listen: Listen, exposure: Arc<Exposure>) -> Self {
        Config {
            listen,
            admin: None,
            agent: None,
            dashboard: false,
            proxy: None,
            local_ca: None,
            proxy_bell: None,
            tls: None,
            admin_tls: AdminTls::None,
            callers: Arc::default(),
            backlog: DEFAULT_BACKLOG,
            shards: default_shards(),
            driver: DriverChoice::Auto,
            limits: Limits { max_connections: default_max_connections(), ..Limits::default() },
            exposure,
            exact_bodies: false,
            bare_inputs: false,
            reference: false,
            report_refusals: false,
            log: None,
            release_memory: || {},
        }
    }
}

/// How many shards on threads there are by default: see [`arrange`].
#[must_use]
pub fn default_shards() -> usize {
    arrange(available_cores(), 0).shards
}

/// Nine tenths of RLIMIT_NOFILE, after [`RESERVED_DESCRIPTORS`] for the application.
#[must_use]
pub fn default_max_connections() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(1 << 20);
    let usable = limit.min(1 << 20).saturating_sub(RESERVED_DESCRIPTORS) / 10 * 9;
    usize::try_from(usable).unwrap_or(usize::MAX).max(16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_SHARDS;

    #[test]
    fn defaults_are_in_range() {
        assert!((1..=MAX_SHARDS).contains(&default_shards()));
        assert!(default_max_connections() >= 16);
    }
}
