//! The forward proxy as JavaScript sees it: an engine without handlers, and its contexts.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fasttunnel_engine::config::{Bell, Config, default_max_connections, default_shards};
use fasttunnel_engine::handlers::Handlers;
use fasttunnel_engine::host::codes;
use fasttunnel_engine::link::contexts::Context;
use fasttunnel_engine::link::http2_counts::Http2Counts;
use fasttunnel_engine::link::proxy_log::{Entry, ProxyLog};
use fasttunnel_engine::proxy::policy::{HostRule, Policy};
use fasttunnel_engine::proxy::route::Route;
use fasttunnel_engine::proxy::settings::{Place, Settings};
use fasttunnel_engine::tls::{LocalCa, LocalCaPem};
use fasttunnel_engine::trust::Trust;
use fasttunnel_engine::tunnel::auth::{AuthConfig, AuthOptions};
use fasttunnel_engine::tunnel::cors::{Cors, CorsOptions};
use fasttunnel_engine::tunnel::decide::Exposure;
use fasttunnel_engine::tunnel::route::BasePath;
use fasttunnel_engine::tunnel::table::{Allow, HandlerTable};
use fasttunnel_engine::{Engine, Listen};
use napi::bindgen_prelude::{AsyncTask, Function};
use napi::{Env, Task};
use napi_derive::napi;

use crate::options::{CodedError, bad_option, driver_choice, listen};
use crate::raw::{self, CleanupHook};
use crate::raw_ring::stay_loaded;
use crate::ring::Ring;
use crate::start_error::{coded, start_error};
use crate::tls::{NativeIdentity, NativeTls};

/// What TypeScript's options of a proxy become; what is missing has the engine's default.
#[napi(object, object_to_js = false)]
pub struct NativeProxyOptions {
    /// IP address to listen on.
    pub host: String,
    /// TCP port; 0 for any.
    pub port: u32,
    /// Shard threads; 0 for the default by cores.
    pub shards: u32,
    /// `auto`, `io_uring` or `epoll`.
    pub driver: String,
    /// What clients are spoken to under TLS with; without it in the clear.
    pub tls: Option<NativeTls>,
    /// The CA by which TLS within tunnels to this machine is read; without it, it goes on as it is.
    pub intercept_tls: Option<NativeIdentity>,
    /// HTTP/2 is spoken, too.
    pub http2: bool,
    /// Ports that may be connected to: first and last in turn.
    pub ports: Option<Vec<u32>>,
    /// Hosts that may be asked for.
    pub allow: Vec<String>,
    /// Hosts that may not.
    pub deny: Vec<String>,
    /// Addresses of this machine may be connected to.
    pub loopback: bool,
    /// Those of networks around here may.
    pub private_networks: bool,
    /// Those of the link may.
    pub link_local: bool,
    /// Hosts and where they are, in turn.
    pub hosts: Vec<String>,
    /// By whom servers have to be certified; without it, by whom browsers trust.
    pub ca: Option<String>,
    /// The bounds.
    pub limits: NativeProxyLimits,
}

/// Bounds of a proxy, in the units of their names.
#[napi(object)]
pub struct NativeProxyLimits {
    /// Connections of clients.
    pub max_connections: Option<f64>,
    /// Connections to servers.
    pub max_upstreams: Option<f64>,
    /// Those that wait for the next request.
    pub max_idle_upstreams: Option<f64>,
    /// Those that one context has.
    pub max_upstreams_per_context: Option<f64>,
    /// Time for a head.
    pub head_timeout_ms: Option<f64>,
    /// Time without a byte of a request's content.
    pub body_timeout_ms: Option<f64>,
    /// Time between requests.
    pub idle_timeout_ms: Option<f64>,
    /// Time without progress in sending to a client.
    pub write_timeout_ms: Option<f64>,
    /// Time that a connection to a server waits for the next request.
    pub idle_upstream_timeout_ms: Option<f64>,
    /// Time for looking up a name.
    pub dns_timeout_ms: Option<f64>,
    /// Time for connecting.
    pub connect_timeout_ms: Option<f64>,
    /// Time for the handshake of TLS.
    pub tls_timeout_ms: Option<f64>,
    /// Time without progress in sending to a server.
    pub send_timeout_ms: Option<f64>,
    /// Time for the head of an answer.
    pub answer_timeout_ms: Option<f64>,
    /// Time without a byte of its content.
    pub content_timeout_ms: Option<f64>,
    /// Time without a byte through a tunnel.
    pub tunnel_timeout_ms: Option<f64>,
    /// The same, once one end has said that it sends nothing more.
    pub tunnel_half_timeout_ms: Option<f64>,
    /// Time for the first byte through a tunnel that is read.
    pub sniff_timeout_ms: Option<f64>,
    /// Certificates of the CA that are kept.
    pub max_certificates: Option<f64>,
}

/// Where hosts of the own machine lead.
#[napi(object)]
pub struct NativeRoute {
    /// The workspace.
    pub morph_id: String,
    /// Its part.
    pub scope: String,
    /// The domain below which workspaces are.
    pub domain_suffix: String,
    /// Another one, with names of another form.
    pub morph_domain_suffix: Option<String>,
}

/// What a context is called, and its credentials.
#[napi(object)]
pub struct NativeContext {
    /// Names it.
    pub id: String,
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
    /// What it was made for.
    pub web_contents_id: u32,
}

/// A CA, in PEM.
#[napi(object)]
#[cfg_attr(test, allow(dead_code))]
pub struct NativeLocalCa {
    /// Its certificate.
    pub cert: String,
    /// Its private key.
    pub key: String,
}

/// Makes a CA that may certify hosts of this machine, and no others.
#[napi(catch_unwind)]
#[cfg_attr(test, allow(dead_code))]
pub fn create_local_ca() -> Result<NativeLocalCa, CodedError> {
    let made = LocalCa::create().map_err(|error| CodedError::new(codes::INTERNAL.to_owned(), error.to_string()));
    made.map(|LocalCaPem { cert, key }| NativeLocalCa { cert, key })
}

/// A running proxy. All methods on the JavaScript thread that made it.
#[napi]
pub struct NativeProxy {
    life: Rc<RefCell<Option<Arc<Engine>>>>,
    hook: Rc<RefCell<Option<CleanupHook>>>,
    port: u32,
    driver: &'static str,
    log: Option<Arc<ProxyLog>>,
    /// What its bell rings.
    ring: RefCell<Option<Ring>>,
}

#[napi]
impl NativeProxy {
    /// Starts listening. `heard` is called when there are requests to hear of; without it nobody notes any.
    ///
    /// Throws with `code` set to the operating system's name (`EADDRINUSE`, …) or `FASTTUNNEL_BAD_OPTION`.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, options: NativeProxyOptions, heard: Option<Function<'_, (), ()>>) -> Result<Self, CodedError> {
        let mut config = options.config()?;
        // Not through libuv: its handle has to outlive whoever rings it, and a proxy ends on another thread.
        let (ring, wake) = heard.map(|heard| Ring::new(&env, &heard, false)).transpose().map_err(coded)?.unzip();
        config.proxy_bell = wake.map(|wake| Bell(Arc::from(wake)));
        // A thread that looks a name up may outlive the engine, and the environment.
        stay_loaded();
        let engine = Engine::start(config, Handlers::new().into_backend()).map_err(|error| start_error(&error))?;
        let port = match engine.address() {
            Listen::Tcp(address) => u32::from(address.port()),
            Listen::Unix(_) | Listen::Inherited(_) | Listen::InProcess => 0,
        };
        let driver = engine.driver().name();
        let log = engine.proxy().and_then(|proxy| proxy.log.clone());
        let life = Rc::new(RefCell::new(Some(Arc::new(engine))));
        let hook = Rc::new(RefCell::new(None));
        let (ending, place) = (life.clone(), hook.clone());
        let added = CleanupHook::add(&env, move || {
            // It runs now: nobody may remove it any more.
            let _: Option<CleanupHook> = place.borrow_mut().take();
            if let Some(engine) = ending.borrow_mut().take() {
                engine.stop(Duration::ZERO);
                engine.join();
            }
        })
        .map_err(coded)?;
        hook.replace(Some(added));
        Ok(NativeProxy { life, hook, port, driver, log, ring: RefCell::new(ring) })
    }

    /// TCP port.
    #[napi(getter)]
    pub fn port(&self) -> u32 {
        self.port
    }

    /// The driver that runs.
    #[napi(getter)]
    pub fn driver(&self) -> &'static str {
        self.driver
    }

    /// Makes a context.
    ///
    /// Throws with `code` `FASTTUNNEL_BAD_OPTION` for a route that is none, `FASTTUNNEL_CLOSED` when it has stopped.
    #[napi(catch_unwind)]
    pub fn create_context(
        &self,
        web_contents_id: u32,
        route: Option<NativeRoute>,
    ) -> Result<NativeContext, CodedError> {
        let route = route
            .map(|NativeRoute { morph_id, scope, domain_suffix, morph_domain_suffix }| {
                Route::new(&morph_id, &scope, &domain_suffix, morph_domain_suffix.as_deref())
            })
            .transpose()
            .map_err(bad_option)?;
        let life = self.life.borrow();
        let closed = || CodedError::new(codes::CLOSED.to_owned(), "the proxy has stopped");
        let internal = |error: std::io::Error| CodedError::new(codes::INTERNAL.to_owned(), error.to_string());
        let engine = life.as_ref().ok_or_else(closed)?;
        let names = engine.create_context(web_contents_id, route).map_err(internal)?.ok_or_else(closed)?;
        Ok(NativeContext { id: names.id, username: names.username, password: names.password, web_contents_id })
    }

    /// Ends a context, with all that is under way for it; one that is not known is none.
    #[napi(catch_unwind)]
    pub fn release_context(&self, id: String) {
        if let Some(engine) = &*self.life.borrow() {
            engine.release_context(&id);
        }
    }

    /// Replaces what clients are spoken to with; counts from the next connection on.
    #[napi(catch_unwind)]
    pub fn set_tls(&self, tls: NativeTls) -> Result<(), CodedError> {
        let tls = tls.read()?;
        match &*self.life.borrow() {
            Some(engine) if !engine.set_tls(tls) => Err(bad_option("tls: the proxy was started without")),
            _ => Ok(()),
        }
    }

    /// Stops: what is under way has `drain_ms` to end. Resolves when everything has.
    #[napi(catch_unwind)]
    pub fn stop(&self, drain_ms: f64) -> AsyncTask<Ending> {
        if let Some(hook) = self.hook.borrow_mut().take() {
            hook.remove();
        }
        AsyncTask::new(Ending { engine: self.life.borrow_mut().take(), drain: Duration::from_millis(drain_ms as u64) })
    }

    /// JSON: what became of requests since it was asked last; null when there were none.
    #[napi(catch_unwind)]
    pub fn take_log(&self) -> Option<String> {
        let entries = self.log.as_ref()?.take();
        let texts: Vec<_> = entries.iter().map(entry_json).collect();
        if texts.is_empty() { None } else { Some(format!("[{}]", texts.join(","))) }
    }

    /// Nobody is called any more when there are requests to hear of.
    #[napi(catch_unwind)]
    pub fn end_log(&self) {
        self.ring.take();
    }

    /// JSON: what it has done, and each context; null when it has stopped.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> Option<String> {
        let life = self.life.borrow();
        let engine = life.as_ref()?;
        let shards = engine.stats();
        let sum = |pick: fn(&fasttunnel_engine::shard::counters::Snapshot) -> u64| shards.iter().map(pick).sum::<u64>();
        let contexts: Vec<_> = engine
            .proxy()
            .map(|proxy| proxy.contexts.all().iter().map(|it| context_json(it)).collect())
            .unwrap_or_default();
        Some(format!(
            "{{\"connections\":{},\"accepted\":{},\"turnedAway\":{},\"requests\":{},\"refused\":{},\"protocolErrors\":{},\"heldBytes\":{},\"panics\":{},\"unheard\":{},\"http2\":{},\"contexts\":[{}]}}",
            sum(|it| it.connections),
            sum(|it| it.accepted),
            sum(|it| it.turned_away),
            sum(|it| it.requests),
            sum(|it| it.refused),
            sum(|it| it.protocol_errors),
            sum(|it| it.held_bytes),
            sum(|it| it.panics),
            self.log.as_ref().map_or(0, |log| log.dropped()),
            engine.proxy().map_or_else(|| "null".to_owned(), |proxy| http2_json(&proxy.http2)),
            contexts.join(",")
        ))
    }
}

/// Methods are tokens, and hosts names or addresses: no byte of them has to be escaped.
fn entry_json(entry: &Entry) -> String {
    let text = |text: Option<&str>| text.map_or("null".to_owned(), |text| format!("\"{text}\""));
    let (host, port) = match &entry.target {
        Some(target) => (Some(target.host.to_string()), target.port.to_string()),
        None => (None, "null".to_owned()),
    };
    format!(
        "{{\"contextId\":{},\"method\":{},\"host\":{},\"port\":{port},\"status\":{},\"error\":{},\"aborted\":{},\"durationMs\":{}}}",
        text(entry.context.as_deref()),
        text(Some(&entry.method).filter(|method| !method.is_empty()).map(String::as_str)),
        text(host.as_deref()),
        if entry.status == 0 { "null".to_owned() } else { entry.status.to_string() },
        text(entry.error),
        entry.aborted,
        entry.duration_ms
    )
}

fn http2_json(counts: &Http2Counts) -> String {
    let texts = |numbers: &[(&str, u64)]| {
        let texts: Vec<_> = numbers.iter().map(|(name, number)| format!("\"{name}\":{number}")).collect();
        texts.join(",")
    };
    let (clients, servers) = (counts.clients.read(), counts.servers.read());
    format!(
        "{{\"clients\":{{{}}},\"servers\":{{{},{}}}}}",
        texts(&clients),
        texts(&servers),
        texts(&counts.of_servers())
    )
}

/// Its names are letters, digits and dashes.
fn context_json(context: &Context) -> String {
    let traffic = &context.traffic;
    let of = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
    format!(
        "{{\"id\":\"{}\",\"username\":\"{}\",\"requests\":{},\"open\":{},\"sentBytes\":{},\"receivedBytes\":{},\"failed\":{}}}",
        context.id,
        context.username,
        of(&traffic.requests),
        of(&traffic.open),
        of(&traffic.sent),
        of(&traffic.received),
        of(&traffic.failed)
    )
}

impl Drop for NativeProxy {
    fn drop(&mut self) {
        if let Some(hook) = self.hook.borrow_mut().take() {
            hook.remove();
        }
        if let Some(engine) = self.life.borrow_mut().take() {
            engine.stop(Duration::ZERO);
            engine.join();
        }
    }
}

/// The end of a proxy, which is waited for on a thread of libuv's.
pub struct Ending {
    engine: Option<Arc<Engine>>,
    drain: Duration,
}

impl Task for Ending {
    type Output = ();
    type JsValue = ();

    fn compute(&mut self) -> napi::Result<()> {
        if let Some(engine) = self.engine.take() {
            engine.stop(self.drain);
            engine.join();
        }
        Ok(())
    }

    fn resolve(&mut self, _: Env, (): ()) -> napi::Result<()> {
        Ok(())
    }
}

/// How hosts are written, for messages.
const HOST_FORMS: &str = "write host, *.host, 192.0.2.1, [::1] or *, each with or without :port, and no scheme";

impl NativeProxyOptions {
    fn config(&self) -> Result<Config, CodedError> {
        let rules = |option: &str, texts: &[String]| {
            let rule = |text: &String| {
                HostRule::parse(text).ok_or_else(|| bad_option(format!("{option}: {text:?} is no host; {HOST_FORMS}")))
            };
            texts.iter().map(rule).collect::<Result<Vec<_>, _>>()
        };
        let mut policy = Policy {
            allow: rules("allow", &self.allow)?,
            deny: rules("deny", &self.deny)?,
            loopback: self.loopback,
            private: self.private_networks,
            link_local: self.link_local,
            ..Policy::default()
        };
        if let Some(ports) = &self.ports {
            let port = |port: u32| u16::try_from(port).map_err(|_| bad_option(format!("ports: {port} is none")));
            let ranges = ports.chunks_exact(2).map(|pair| Ok(port(pair[0])?..=port(pair[1])?));
            policy.ports = ranges.collect::<Result<_, CodedError>>()?;
        }
        let mut settings = Settings { policy, ..Settings::default() };
        for pair in self.hosts.chunks_exact(2) {
            let place = Place::parse(&pair[1]).ok_or_else(|| {
                bad_option(format!(
                    "hosts: {:?} is no IP address, such as 127.0.0.1, 127.0.0.1:8443 or [::1]:8443",
                    pair[1]
                ))
            })?;
            settings.hosts.push((
                HostRule::parse(&pair[0])
                    .ok_or_else(|| bad_option(format!("hosts: {:?} is no host; {HOST_FORMS}", pair[0])))?,
                place,
            ));
        }
        let trust = match &self.ca {
            Some(pem) => Trust::in_pem(pem.as_bytes()),
            None => Trust::of_the_web(),
        };
        let mut config = Config::new(listen("listen", &self.host, self.port, None)?, Arc::new(nothing()?));
        config.shards = if self.shards == 0 { default_shards() } else { self.shards as usize };
        config.driver = driver_choice(&self.driver)?;
        config.tls = self.tls.as_ref().map(NativeTls::read).transpose()?;
        config.release_memory = raw::release_memory;
        config.limits.max_connections = default_max_connections();
        config.limits.http2.enabled = self.http2;
        self.limits.apply(&mut config, &mut settings);
        if let Some(NativeIdentity { cert, key, .. }) = &self.intercept_tls {
            let ca = LocalCa::read(cert.as_bytes(), key.as_bytes(), settings.limits.max_certificates);
            config.local_ca = Some(Arc::new(ca.map_err(bad_option)?));
        }
        config.proxy = Some((settings, trust.map_err(bad_option)?));
        Ok(config)
    }
}

impl NativeProxyLimits {
    fn apply(&self, config: &mut Config, settings: &mut Settings) {
        let (client, proxy) = (&mut config.limits, &mut settings.limits);
        for (given, place) in [
            (self.max_connections, &mut client.max_connections),
            (self.max_upstreams, &mut proxy.max_upstreams),
            (self.max_idle_upstreams, &mut proxy.max_idle_upstreams),
            (self.max_upstreams_per_context, &mut proxy.max_upstreams_per_context),
            (self.max_certificates, &mut proxy.max_certificates),
        ] {
            if let Some(given) = given {
                *place = given as usize;
            }
        }
        // Each shard has its part.
        proxy.max_upstreams = proxy.max_upstreams.div_ceil(config.shards);
        proxy.max_idle_upstreams = proxy.max_idle_upstreams.div_ceil(config.shards);
        proxy.max_upstreams_per_context = proxy.max_upstreams_per_context.div_ceil(config.shards);
        for (given, place) in [
            (self.head_timeout_ms, &mut client.head_timeout_ms),
            (self.body_timeout_ms, &mut client.body_timeout_ms),
            (self.idle_timeout_ms, &mut client.idle_timeout_ms),
            (self.write_timeout_ms, &mut client.write_timeout_ms),
            (self.idle_upstream_timeout_ms, &mut proxy.idle_upstream_timeout_ms),
            (self.dns_timeout_ms, &mut proxy.dns_timeout_ms),
            (self.connect_timeout_ms, &mut proxy.connect_timeout_ms),
            (self.tls_timeout_ms, &mut proxy.tls_timeout_ms),
            (self.send_timeout_ms, &mut proxy.send_timeout_ms),
            (self.answer_timeout_ms, &mut proxy.answer_timeout_ms),
            (self.content_timeout_ms, &mut proxy.content_timeout_ms),
            (self.tunnel_timeout_ms, &mut proxy.tunnel_timeout_ms),
            (self.tunnel_half_timeout_ms, &mut proxy.tunnel_half_timeout_ms),
            (self.sniff_timeout_ms, &mut proxy.sniff_timeout_ms),
        ] {
            if let Some(given) = given {
                *place = given as u64;
            }
        }
    }
}

/// A proxy exposes nothing of its own.
fn nothing() -> Result<Exposure, CodedError> {
    Ok(Exposure {
        base_path: BasePath::default(),
        table: HandlerTable::new(&[], &Allow::NotEnabled).map_err(bad_option)?,
        auth: AuthConfig::new(AuthOptions::default()).map_err(bad_option)?,
        cors: Cors::new(&CorsOptions::default()).map_err(bad_option)?,
        disable_discovery: true,
        server_options: false,
        any_coding: false,
    })
}
