//! An engine with the handlers that the tests need. Dropping it checks that it ends within seconds, without a trace.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fasttunnel_engine::handlers::{Answer, Handlers, Ticket};
use fasttunnel_engine::link::backend::Backend;
use fasttunnel_engine::shard::counters::Snapshot;
use fasttunnel_engine::tunnel::auth::{AuthConfig, AuthOptions};
use fasttunnel_engine::tunnel::cors::{Cors, CorsOptions};
use fasttunnel_engine::tunnel::decide::Exposure;
use fasttunnel_engine::tunnel::route::BasePath;
use fasttunnel_engine::tunnel::table::{Allow, HandlerTable, Kind, Registration};
use fasttunnel_engine::{Config, Engine, Listen};

use super::client::Client;
use super::{DriverChoice, process, turner};

pub struct Server {
    pub engine: Option<Engine>,
    /// What turns its shard, where that has no thread.
    pub turner: Option<JoinHandle<()>>,
    /// A ticket and the body of each call of the task `later`, as they come.
    pub later: Receiver<(Ticket, String)>,
}

/// Any free port.
pub fn any_port() -> Listen {
    Listen::Tcp(([127, 0, 0, 1], 0).into())
}

/// Everything exposed, to everybody.
pub fn exposure(specs: &[Registration]) -> Exposure {
    Exposure {
        base_path: BasePath::default(),
        table: HandlerTable::new(specs, &Allow::AllRegistered).unwrap(),
        auth: AuthConfig::new(AuthOptions { allow_anonymous: true, ..AuthOptions::default() }).unwrap(),
        cors: Cors::new(&CorsOptions::default()).unwrap(),
        disable_discovery: false,
        server_options: true,
        any_coding: false,
    }
}

/// The registrations of tasks called `ids`, for a backend that is no set of Rust handlers.
pub fn tasks(ids: &[&str]) -> Vec<Registration> {
    (0..).zip(ids).map(|(index, id)| Registration { kind: Kind::Task, id: (*id).to_owned(), index }).collect()
}

/// One shard, on any free port.
pub fn config(driver: DriverChoice, specs: &[Registration]) -> Config {
    let mut config = Config::new(any_port(), Arc::new(exposure(specs)));
    config.driver = driver;
    config.shards = 1;
    config
}

/// Tasks: `echo` answers its body; `later` through a ticket that the test gets; `big` with a string of as many bytes
/// as its body says; `panics` panics; `fails` answers 500. Event: `notify`.
pub fn handlers() -> (Handlers, Receiver<(Ticket, String)>) {
    let (sender, later) = channel();
    let sender = Mutex::new(sender);
    let handlers = Handlers::new()
        .task("echo", |call, _| Answer::Json(call.body.unwrap_or("null").to_owned()))
        .task("later", move |call, ticket| {
            let _ = sender.lock().unwrap().send((ticket(), call.body.unwrap_or_default().to_owned()));
            Answer::Later
        })
        .task("big", |call, _| Answer::Json(format!("\"{}\"", "x".repeat(call.body.unwrap().parse().unwrap()))))
        .task("panics", |_, _| panic!("a panic that a test asked for"))
        .task("fails", |_, _| Answer::InternalError)
        .event("notify", |_, _| Answer::Done);
    (handlers, later)
}

/// On threads, or, where FASTTUNNEL_TEST_PLACEMENT=inline says so and there is one shard, turned by a loop of the tests' own.
#[track_caller]
fn start(config: Config, backend: Arc<dyn Backend>, later: Receiver<(Ticket, String)>) -> Server {
    let inline = std::env::var("FASTTUNNEL_TEST_PLACEMENT").is_ok_and(|placement| placement == "inline");
    if inline && config.shards == 1 {
        let (engine, turner) = turner::start(config, backend).unwrap();
        return Server { engine: Some(engine), turner: Some(turner), later };
    }
    Server { engine: Some(Engine::start(config, backend).unwrap()), turner: None, later }
}

impl Server {
    #[track_caller]
    pub fn start(driver: DriverChoice) -> Server {
        Server::with(driver, |_| {})
    }

    /// Starts with the handlers above and a changed configuration.
    #[track_caller]
    pub fn with(driver: DriverChoice, change: impl FnOnce(&mut Config)) -> Server {
        let (handlers, later) = handlers();
        let mut config = config(driver, handlers.specs());
        change(&mut config);
        start(config, handlers.into_backend(), later)
    }

    /// Starts with a backend of the test's own, which serves tasks called `ids`.
    #[track_caller]
    pub fn with_backend(
        driver: DriverChoice,
        ids: &[&str],
        backend: Arc<dyn Backend>,
        change: impl FnOnce(&mut Config),
    ) -> Server {
        let mut config = config(driver, &tasks(ids));
        change(&mut config);
        start(config, backend, channel().1)
    }

    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    pub fn address(&self) -> SocketAddr {
        self.engine().tcp_address().unwrap()
    }

    #[track_caller]
    pub fn client(&self) -> Client {
        Client::tcp(self.address())
    }

    /// The next call of the task `later`.
    #[track_caller]
    pub fn taken(&self) -> (Ticket, String) {
        self.later.recv_timeout(Duration::from_secs(5)).expect("a call of `later`")
    }

    /// Calls of the task `later` that nobody has taken.
    pub fn untaken(&self) -> usize {
        self.later.try_iter().count()
    }

    /// All shards' counters in one.
    pub fn sum(&self, pick: impl Fn(&Snapshot) -> u64) -> u64 {
        self.engine().stats().iter().map(pick).sum()
    }

    /// Waits for every shard's end; fails after five seconds.
    #[track_caller]
    pub fn join(&mut self) {
        join_within(self.engine.take().unwrap(), Duration::from_secs(5));
        self.join_turner();
    }

    fn join_turner(&mut self) {
        if let Some(turner) = self.turner.take() {
            turner.join().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let engine = self.engine.take();
        if std::thread::panicking() {
            // It may be the engine that hangs: the failure is to be seen.
            return std::mem::forget(engine);
        }
        if let Some(engine) = engine {
            assert_eq!(engine.failed_shards(), 0);
            assert_eq!(engine.stats().iter().map(|shard| shard.panics).sum::<u64>(), 0, "a connection panicked");
            engine.stop(Duration::ZERO);
            join_within(engine, Duration::from_secs(5));
            self.join_turner();
        }
        // Under nextest a test has the process to itself: nobody else's shards are counted.
        if std::env::var_os("NEXTEST").is_some() && process::counts_own_threads() {
            // A thread is joined a moment before the kernel takes it off the list.
            let start = Instant::now();
            while process::shard_threads() > 0 && start.elapsed() < Duration::from_secs(2) {
                std::thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(process::shard_threads(), 0, "a shard thread is left");
        }
    }
}

/// Joins on a thread of its own, so that a shard that hangs fails the test instead of hanging it.
#[track_caller]
pub fn join_within(engine: Engine, time: Duration) {
    let start = Instant::now();
    let (done, ended) = channel();
    std::thread::spawn(move || {
        engine.join();
        let _ = done.send(engine);
    });
    assert!(ended.recv_timeout(time).is_ok(), "a shard has not ended after {:?}", start.elapsed());
}
