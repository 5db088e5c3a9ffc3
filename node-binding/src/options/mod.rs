//! Options as TypeScript hands them over (checked, defaults filled in) into the engine's configuration.

mod limits;
mod rules;

pub use limits::NativeLimits;
pub use rules::{NativeAllow, NativeCors, NativeHandler, Rules, offers};

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use fasttunnel_engine::access::line::Format;
use fasttunnel_engine::config::{AdminTls, Config, Listen, LogOptions};
use fasttunnel_engine::host::codes;
use fasttunnel_engine::placement::{self, Decision, INLINE_UP_TO_CORES, Placement, PlacementChoice, available_cores};
use fasttunnel_engine::shard::driver::DriverChoice;
use fasttunnel_engine::tunnel::table::{Allow, HandlerTable};
use napi_derive::napi;
use zeroize::Zeroize;

use crate::bounds;
use crate::callers::NativeCallers;
use crate::raw;
use crate::supervision::inherited;
use crate::tls::NativeTls;

/// An error with the code that JavaScript sees as `error.code`.
pub type CodedError = napi::Error<String>;

/// What TypeScript's `EngineOptions` becomes; numbers are in range, `0` asks for the default where it says so.
/// Dropped, with the tokens wiped, as soon as the tunnel runs.
#[napi(object, object_to_js = false)]
pub struct NativeOptions {
    /// IP address to listen on.
    pub host: String,
    /// TCP port; 0 for any.
    pub port: u32,
    /// Listen nowhere: `connect` alone makes connections.
    pub in_process: bool,
    /// Wake JavaScript through libuv, if it is there; otherwise by a threadsafe function.
    pub loop_ring: bool,
    /// `auto`, `threads` or `inline`: the event loop turns the one shard, if it can; otherwise shards have threads.
    pub placement: String,
    /// Unix socket instead of host and port.
    pub socket_path: Option<String>,
    /// Descriptor of a socket that is bound to that address already.
    pub fd: Option<i32>,
    /// What to encrypt with; without it nothing is.
    pub tls: Option<NativeTls>,
    /// What the admin listener is to encrypt with, if it has something of its own.
    pub admin_tls: Option<NativeTls>,
    /// The admin listener encrypts with what the tunnel does.
    pub admin_tls_shared: bool,
    /// Where to say how it is; without it nowhere.
    pub admin: Option<NativeAdmin>,
    /// What holds of callers.
    pub callers: Option<NativeCallers>,
    /// Connections the kernel queues.
    pub backlog: i32,
    /// Shard threads; 0 for the default by cores.
    pub shards: u32,
    /// `auto`, `io_uring` or `epoll`.
    pub driver: String,
    /// Path that all routes lie under.
    pub base_path: String,
    /// Header that carries the token.
    pub token_header: String,
    /// Accepted tokens; none at all is not the same as an empty list, which accepts nobody.
    pub tokens: Option<Vec<String>>,
    /// Ask JavaScript when no token matches.
    pub validators: bool,
    /// No token needed when there are none.
    pub allow_anonymous: bool,
    /// CORS, if configured.
    pub cors: Option<NativeCors>,
    /// Discovery answers 404.
    pub disable_discovery: bool,
    /// Marked bodies travel as text.
    pub exact_bodies: bool,
    /// Clients may speak HTTP/2.
    pub http2: bool,
    /// Do as the reference where the engine by itself does otherwise.
    pub reference: bool,
    /// Handlers are announced: event loops of other threads attach, this one runs no calls.
    pub workers: bool,
    /// Tell JavaScript of authentication failures.
    pub report_refusals: bool,
    /// Where requests are written down; without it nowhere.
    pub log: Option<NativeLog>,
    /// The bounds.
    pub limits: NativeLimits,
}

/// Where requests are written down.
#[napi(object)]
pub struct NativeLog {
    /// The file; without it JavaScript reads them.
    pub path: Option<String>,
    /// In the Combined Log Format, not as JSON.
    pub combined: bool,
    /// Of the answers that are no errors, the part that is written.
    pub sample: f64,
}

/// Where to say how it is.
#[napi(object)]
pub struct NativeAdmin {
    /// IP address.
    pub host: String,
    /// TCP port; 0 for any.
    pub port: u32,
    /// Unix socket instead of both.
    pub socket_path: Option<String>,
    /// Descriptor of a socket that is bound to that address already.
    pub fd: Option<i32>,
    /// Where to tell balancers, if anywhere.
    pub agent: Option<NativeAgent>,
    /// A page there shows what the tunnel does.
    pub dashboard: bool,
}

/// Where to tell balancers how busy it is.
#[napi(object)]
pub struct NativeAgent {
    /// IP address.
    pub host: String,
    /// TCP port; 0 for any.
    pub port: u32,
    /// Unix socket instead of both.
    pub socket_path: Option<String>,
    /// Descriptor of a socket that is bound to that address already.
    pub fd: Option<i32>,
}

impl Drop for NativeOptions {
    fn drop(&mut self) {
        self.tokens.zeroize();
    }
}

impl NativeOptions {
    /// The engine's configuration, with no handlers yet.
    pub fn config(&self, rules: &Rules) -> Result<Config, CodedError> {
        bounds::check(self)?;
        let none = HandlerTable::new(&[], &Allow::AllRegistered).map_err(bad_option)?;
        let mut config = Config::new(self.listen()?, Arc::new(rules.exposure(none)));
        config.admin = match &self.admin {
            Some(NativeAdmin { fd: Some(fd), .. }) => Some(Listen::Inherited(inherited("admin.fd", *fd)?)),
            Some(admin) => Some(listen("admin", &admin.host, admin.port, admin.socket_path.as_deref())?),
            None => None,
        };
        config.agent = match self.admin.as_ref().and_then(|admin| admin.agent.as_ref()) {
            Some(NativeAgent { fd: Some(fd), .. }) => Some(Listen::Inherited(inherited("admin.agent.fd", *fd)?)),
            Some(agent) => Some(listen("admin.agent", &agent.host, agent.port, agent.socket_path.as_deref())?),
            None => None,
        };
        config.dashboard = self.admin.as_ref().is_some_and(|admin| admin.dashboard);
        config.tls = self.tls.as_ref().map(NativeTls::read).transpose()?;
        config.admin_tls = match &self.admin_tls {
            Some(own) => AdminTls::Own(own.read()?),
            None if self.admin_tls_shared => AdminTls::AsTunnel,
            None => AdminTls::None,
        };
        if let Some(callers) = &self.callers {
            config.callers = Arc::new(callers.rules()?);
        }
        config.backlog = self.backlog;
        config.driver = driver_choice(&self.driver)?;
        config.limits = self.limits.bounds(self.http2);
        config.exact_bodies = self.exact_bodies;
        config.bare_inputs = true;
        config.reference = self.reference;
        config.report_refusals = self.report_refusals;
        config.log = self.log.as_ref().map(|log| LogOptions {
            path: log.path.as_ref().map(PathBuf::from),
            format: if log.combined { Format::Combined } else { Format::Json },
            sample: log.sample,
        });
        config.release_memory = raw::release_memory;
        Ok(config)
    }

    /// Where the shards should run, and how many there should be.
    pub fn decide(&self) -> Result<Decision, CodedError> {
        let choice = match self.placement.as_str() {
            "auto" => PlacementChoice::Auto,
            "threads" => PlacementChoice::Only(Placement::Threads),
            "inline" => PlacementChoice::Only(Placement::Inline),
            other => return Err(bad_option(format!("placement: {other:?} is no placement"))),
        };
        Ok(placement::decide(choice, self.shards as usize, self.workers, available_cores(), INLINE_UP_TO_CORES))
    }

    fn listen(&self) -> Result<Listen, CodedError> {
        if self.in_process {
            return Ok(Listen::InProcess);
        }
        if let Some(fd) = self.fd {
            return Ok(Listen::Inherited(inherited("fd", fd)?));
        }
        listen("listen", &self.host, self.port, self.socket_path.as_deref())
    }
}

/// The driver that is asked for.
pub fn driver_choice(name: &str) -> Result<DriverChoice, CodedError> {
    match name {
        "io_uring" => Ok(DriverChoice::IoUring),
        "epoll" => Ok(DriverChoice::Epoll),
        "auto" => Ok(DriverChoice::Auto),
        other => Err(bad_option(format!("driver: {other:?} is no driver"))),
    }
}

/// Where to listen; `option` is what messages call the address.
pub fn listen(option: &str, host: &str, port: u32, socket_path: Option<&str>) -> Result<Listen, CodedError> {
    if let Some(path) = socket_path {
        return Ok(Listen::Unix(PathBuf::from(path)));
    }
    let address: IpAddr = host.parse().map_err(|_| bad_option(format!("{option}: {host:?} is not an IP address")))?;
    let port = u16::try_from(port).map_err(|_| bad_option(format!("{option}: port {port} is out of range")))?;
    Ok(Listen::Tcp(SocketAddr::new(address, port)))
}

/// `reason` begins with the option's name and a colon.
pub fn bad_option(reason: impl ToString) -> CodedError {
    CodedError::new(codes::BAD_OPTION.to_owned(), reason.to_string())
}
