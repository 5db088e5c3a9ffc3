//! Options as TypeScript hands them over (checked, defaults filled in) into the engine's configuration.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use fasttunnel_engine::access::line::Format;
use fasttunnel_engine::config::{AdminTls, Config, Listen, LogOptions, default_max_connections};
use fasttunnel_engine::host::codes;
use fasttunnel_engine::limits::{Http2Limits, Limits, MultipartLimits};
use fasttunnel_engine::link::hosts::Offer;
use fasttunnel_engine::placement::{self, Decision, INLINE_UP_TO_CORES, Placement, PlacementChoice, available_cores};
use fasttunnel_engine::shard::driver::DriverChoice;
use fasttunnel_engine::tunnel::auth::{AuthConfig, AuthOptions};
use fasttunnel_engine::tunnel::cors::{Cors, CorsOptions, Origin};
use fasttunnel_engine::tunnel::decide::Exposure;
use fasttunnel_engine::tunnel::route::BasePath;
use fasttunnel_engine::tunnel::table::{Allow, HandlerTable, Kind};
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

/// CORS options (CONTRACT 8).
#[napi(object)]
pub struct NativeCors {
    /// One origin, sent always.
    pub fixed_origin: Option<String>,
    /// Ask JavaScript.
    pub asked_origin: Option<bool>,
    /// Listed origins, compared exactly.
    pub listed_origins: Option<Vec<String>>,
    /// Allowed methods.
    pub methods: Vec<String>,
    /// Allowed request headers.
    pub allowed_headers: Vec<String>,
    /// Readable response headers.
    pub exposed_headers: Vec<String>,
    /// `Access-Control-Allow-Credentials`.
    pub credentials: bool,
    /// Seconds a preflight may be cached.
    pub max_age: Option<u32>,
    /// `Vary: Origin` where the answer depends on it.
    pub vary_origin: bool,
}

/// The bounds, in the units of their names.
#[napi(object)]
pub struct NativeLimits {
    /// Bytes of a head.
    pub max_head_bytes: u32,
    /// Bytes of a request target.
    pub max_target_bytes: u32,
    /// Field lines of a head, and of a trailer section.
    pub max_headers: u32,
    /// Bytes of the chunk extensions of a request.
    pub max_chunk_extension_bytes: u32,
    /// Bytes of a trailer section.
    pub max_trailer_bytes: u32,
    /// Bytes of a JSON body.
    pub max_body_bytes: f64,
    /// Arrays and objects around a value of a JSON body.
    pub max_json_depth: u32,
    /// Requests that a connection serves; 0 for no limit.
    pub max_requests_per_connection: u32,
    /// Requests of a connection without an answer.
    pub max_pipelined: u32,
    /// Bytes of answers that a connection has not taken, and of its calls.
    pub max_buffered_bytes: f64,
    /// Bytes held for all connections.
    pub max_total_buffered_bytes: f64,
    /// Calls under way.
    pub max_calls_in_flight: u32,
    /// Connections; 0 for the default by RLIMIT_NOFILE.
    pub max_connections: u32,
    /// Time for a handshake.
    pub handshake_timeout_ms: f64,
    /// Handshakes under way.
    pub max_handshakes: u32,
    /// Time for a head.
    pub head_timeout_ms: f64,
    /// Time for a body.
    pub body_timeout_ms: f64,
    /// Bytes a second of a body that takes longer.
    pub min_body_bytes_per_s: f64,
    /// Time for a body, however fast it is.
    pub max_body_time_ms: f64,
    /// Bytes of a body that nobody wants which are thrown away.
    pub max_discarded_bytes: f64,
    /// Time without a byte of it.
    pub discard_timeout_ms: f64,
    /// Time between requests.
    pub idle_timeout_ms: f64,
    /// Time without progress in sending.
    pub write_timeout_ms: f64,
    /// Time for a handler; 0 for no limit.
    pub handler_timeout_ms: f64,
    /// Time for which calls may wait for JavaScript; 0 for no limit.
    pub queue_timeout_ms: f64,
    /// Announced keep-alive time.
    pub keep_alive_hint_s: u32,
    /// Streams of an HTTP/2 connection.
    pub max_streams: u32,
    /// Bytes of the fields of a request, as HTTP/2 counts them.
    pub max_header_list_bytes: u32,
    /// Window of a stream.
    pub stream_window_bytes: u32,
    /// Window of all streams of a connection.
    pub connection_window_bytes: u32,
    /// Streams that a client resets, within the interval.
    pub max_stream_resets: u32,
    /// Frames that ask for nothing, within the interval.
    pub max_control_frames: u32,
    /// Bounds of multipart forms; without them the engine's defaults.
    pub multipart: Option<NativeMultipart>,
}

/// Bounds of one multipart form; a missing one is none.
#[napi(object)]
pub struct NativeMultipart {
    /// Bytes of a file.
    pub file_size: Option<f64>,
    /// Files.
    pub files: Option<f64>,
    /// Bytes of a field.
    pub field_size: Option<f64>,
    /// Fields.
    pub fields: Option<f64>,
    /// Files and fields together.
    pub parts: Option<f64>,
}

impl NativeMultipart {
    fn limits(&self) -> MultipartLimits {
        // `as` saturates: what a counter cannot reach is no bound.
        let count = |bound: Option<f64>| bound.map(|bound| bound as u32);
        let bytes = |bound: Option<f64>| bound.map(|bound| bound as u64);
        MultipartLimits {
            file_bytes: bytes(self.file_size),
            files: count(self.files),
            field_bytes: bytes(self.field_size),
            fields: count(self.fields),
            parts: count(self.parts),
        }
    }
}

/// One row of the handler table.
#[napi(object)]
pub struct NativeHandler {
    /// Task or event.
    pub event: bool,
    /// Its id.
    pub id: String,
    /// The number that calls carry, if it has one already and is the same handler as then.
    pub number: Option<u32>,
}

/// Which of the handlers may be called (CONTRACT 5).
#[napi(object)]
pub struct NativeAllow {
    /// `registered`, `none`, `open` or `list`.
    pub policy: String,
    /// Listed tasks.
    pub tasks: Vec<String>,
    /// Listed events.
    pub events: Vec<String>,
}

impl NativeAllow {
    /// As the engine has it.
    pub fn policy(self) -> Result<Allow, CodedError> {
        match self.policy.as_str() {
            "registered" => Ok(Allow::AllRegistered),
            "none" => Ok(Allow::NotEnabled),
            "open" => Ok(Allow::Open),
            "list" => Ok(Allow::List { tasks: self.tasks, events: self.events }),
            // Never open by mistake.
            other => Err(bad_option(format!("allow: {other:?} is no policy"))),
        }
    }
}

impl Drop for NativeOptions {
    fn drop(&mut self) {
        self.tokens.zeroize();
    }
}

/// What decides on requests besides the handlers, which may change: compiled once, so that no token has to be kept.
pub struct Rules {
    base_path: BasePath,
    auth: AuthConfig,
    cors: Cors,
    disable_discovery: bool,
    server_options: bool,
    any_coding: bool,
}

impl Rules {
    /// The path that all routes lie under.
    pub fn base_path(&self) -> &BasePath {
        &self.base_path
    }

    /// The rules with the handlers of the moment.
    pub fn exposure(&self, table: HandlerTable) -> Exposure {
        Exposure {
            base_path: self.base_path.clone(),
            table,
            auth: self.auth.clone(),
            cors: self.cors.clone(),
            disable_discovery: self.disable_discovery,
            server_options: self.server_options,
            any_coding: self.any_coding,
        }
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
        config.limits = self.limits();
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

    /// Compiles what decides on requests. Once: the tokens are taken, and wiped.
    pub fn rules(&mut self) -> Result<Rules, CodedError> {
        let auth = AuthOptions {
            header: Some(self.token_header.clone()),
            tokens: self.tokens.take(),
            allow_anonymous: self.allow_anonymous,
            validators: self.validators,
        };
        Ok(Rules {
            auth: AuthConfig::new(auth).map_err(bad_option)?,
            base_path: BasePath::new(&self.base_path).map_err(bad_option)?,
            cors: Cors::new(&self.cors.as_ref().map(NativeCors::options).unwrap_or_default()).map_err(bad_option)?,
            disable_discovery: self.disable_discovery,
            server_options: !self.reference,
            any_coding: self.reference,
        })
    }

    fn limits(&self) -> Limits {
        let given = &self.limits;
        Limits {
            max_head_bytes: given.max_head_bytes as usize,
            max_target_bytes: given.max_target_bytes as usize,
            max_headers: given.max_headers as usize,
            max_chunk_extension_bytes: given.max_chunk_extension_bytes as usize,
            max_trailer_bytes: given.max_trailer_bytes as usize,
            max_body_bytes: given.max_body_bytes as u64,
            max_json_depth: given.max_json_depth as usize,
            max_requests_per_connection: u64::from(given.max_requests_per_connection),
            max_pipelined: given.max_pipelined as usize,
            max_buffered_bytes: given.max_buffered_bytes as usize,
            max_total_buffered_bytes: given.max_total_buffered_bytes as usize,
            max_calls_in_flight: given.max_calls_in_flight as usize,
            max_connections: match given.max_connections {
                0 => default_max_connections(),
                connections => connections as usize,
            },
            handshake_timeout_ms: given.handshake_timeout_ms as u64,
            max_handshakes: given.max_handshakes as usize,
            head_timeout_ms: given.head_timeout_ms as u64,
            body_timeout_ms: given.body_timeout_ms as u64,
            min_body_bytes_per_s: given.min_body_bytes_per_s as u64,
            max_body_time_ms: given.max_body_time_ms as u64,
            max_discarded_bytes: given.max_discarded_bytes as u64,
            discard_timeout_ms: given.discard_timeout_ms as u64,
            idle_timeout_ms: given.idle_timeout_ms as u64,
            write_timeout_ms: given.write_timeout_ms as u64,
            handler_timeout_ms: given.handler_timeout_ms as u64,
            queue_timeout_ms: given.queue_timeout_ms as u64,
            keep_alive_hint_s: given.keep_alive_hint_s,
            http2: Http2Limits {
                enabled: self.http2,
                max_streams: given.max_streams,
                max_field_bytes: given.max_header_list_bytes,
                stream_window_bytes: given.stream_window_bytes,
                connection_window_bytes: given.connection_window_bytes,
                max_resets: given.max_stream_resets,
                max_control_frames: given.max_control_frames,
            },
            multipart: given.multipart.as_ref().map_or_else(MultipartLimits::default, NativeMultipart::limits),
        }
    }
}

impl NativeCors {
    fn options(&self) -> CorsOptions {
        CorsOptions {
            origin: match (&self.fixed_origin, &self.listed_origins) {
                _ if self.asked_origin == Some(true) => Origin::Asked,
                (Some(origin), _) => Origin::Fixed(origin.clone()),
                (None, Some(origins)) => Origin::List(origins.clone()),
                (None, None) => Origin::Unset,
            },
            methods: self.methods.clone(),
            allowed_headers: self.allowed_headers.clone(),
            exposed_headers: self.exposed_headers.clone(),
            credentials: self.credentials,
            max_age: self.max_age,
            vary_origin: self.vary_origin,
        }
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

/// What the event loop offers.
pub fn offers(handlers: Vec<NativeHandler>) -> Vec<Offer> {
    let offer = |NativeHandler { event, id, number }| {
        let kind = if event { Kind::Event } else { Kind::Task };
        Offer { kind, id, number }
    };
    handlers.into_iter().map(offer).collect()
}

/// `reason` begins with the option's name and a colon.
pub fn bad_option(reason: impl ToString) -> CodedError {
    CodedError::new(codes::BAD_OPTION.to_owned(), reason.to_string())
}
