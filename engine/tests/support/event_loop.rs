//! Event loops that a test turns by hand: hosts that come and go.

use std::convert::Infallible;
use std::sync::Arc;

use fasttunnel_engine::host::{Answer, Bridge, Rows};
use fasttunnel_engine::link::batch::{CallRecord, FrameKind};
use fasttunnel_engine::link::hosts::{Hosts, Offer};
use fasttunnel_engine::tunnel::table::Kind;
use fasttunnel_engine::{Config, Engine};

use super::server::exposure;
use super::{DriverChoice, Server, eventually};

/// A call that an event loop was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    pub ticket: u32,
    /// Which of the loop's tasks.
    pub task: String,
    pub text: String,
}

#[derive(Default)]
pub struct Told {
    pub calls: Vec<(u32, u32)>,
    departed: Vec<u32>,
}

impl Rows for Told {
    fn call(&mut self, _at: usize, ticket: u32, record: &CallRecord) {
        self.calls.push((ticket, record.handler));
    }

    fn departed(&mut self, _calls: usize, _at: usize, ticket: u32) {
        self.departed.push(ticket);
    }
}

/// See the module. Texts of calls are numbers.
pub struct EventLoop {
    pub bridge: Bridge,
    /// Its tasks, with the numbers that they were given.
    pub tasks: Vec<(String, u32)>,
    /// Tickets whose clients have left.
    pub departed: Vec<u32>,
    /// Pieces of bodies, by ticket.
    pub frames: Vec<(u32, FrameKind, Vec<u8>)>,
}

/// An engine without an event loop.
#[track_caller]
pub fn without_loop(driver: DriverChoice, change: impl FnOnce(&mut Config)) -> (Server, Arc<Hosts>) {
    let mut config = super::server::config(driver, &[]);
    change(&mut config);
    let hosts = Arc::new(Hosts::new(config.shards, config.limits.queue_timeout_ms));
    let server = Server::with_backend(driver, &[], hosts.clone(), |own| *own = config);
    (server, hosts)
}

impl EventLoop {
    /// Attaches a loop that has tasks called `ids`, and puts them in force.
    #[track_caller]
    pub fn attach(engine: &Engine, hosts: &Arc<Hosts>, ids: &[&str]) -> EventLoop {
        let bridge = Bridge::attach(hosts.clone(), || {}).unwrap();
        let offer = |id: &&str| Offer { kind: Kind::Task, id: (*id).to_owned(), number: None };
        let numbers = bridge.register(&ids.iter().map(offer).collect::<Vec<_>>()).unwrap();
        engine.set_exposure(&Arc::new(exposure(&hosts.registrations())));
        let tasks = ids.iter().map(|id| (*id).to_owned()).zip(numbers).collect();
        EventLoop { bridge, tasks, departed: Vec::new(), frames: Vec::new() }
    }

    /// Takes what has come.
    pub fn turn(&mut self) -> Vec<Given> {
        let mut told = Told::default();
        let drained = self.bridge.drain(&mut told, usize::MAX);
        for _ in 0..drained.frames {
            if let Some((ticket, kind, bytes)) = self.bridge.next_frame() {
                self.frames.push((ticket, kind, bytes.to_vec()));
            }
        }
        self.departed.append(&mut told.departed);
        let texts = String::from_utf8(self.bridge.text().to_vec()).unwrap();
        let texts = texts.trim_matches(['[', ']']).split(',').map(str::to_owned);
        let given = told.calls.into_iter().zip(texts).map(|((ticket, number), text)| {
            let task = self.tasks.iter().find(|(_, one)| *one == number).map(|(id, _)| id.clone());
            Given { ticket, task: task.expect("a call of somebody else's"), text }
        });
        given.collect()
    }

    /// Turns until so many calls have come.
    #[track_caller]
    pub fn calls(&mut self, count: usize) -> Vec<Given> {
        let mut given = Vec::new();
        eventually("the calls", || {
            given.extend(self.turn());
            given.len() >= count
        });
        assert_eq!(given.len(), count);
        given
    }

    /// Answers a call with this result.
    pub fn result(&mut self, ticket: u32, text: &str) {
        let write = |out: &mut Vec<u8>| {
            out.extend_from_slice(format!("[{text}]").as_bytes());
            Ok::<_, Infallible>(())
        };
        self.bridge.answer([(ticket, Answer::Result)].into_iter(), write).unwrap();
    }

    /// Answers the next call with this result.
    #[track_caller]
    pub fn serve(&mut self, text: &str) {
        let ticket = self.calls(1)[0].ticket;
        self.result(ticket, text);
    }
}
