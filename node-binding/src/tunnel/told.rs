//! What a tunnel tells of itself.

use fasttunnel_engine::Listen;
use fasttunnel_engine::link::host::Host;
use fasttunnel_engine::placement::Placement;
use fasttunnel_engine::shard::report::json;
use napi_derive::napi;

use super::NativeTunnel;
use crate::stats::{log_json, members_json};

#[napi]
impl NativeTunnel {
    /// By which a thread of this process attaches to it.
    #[napi(getter)]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The engine's number of this event loop.
    #[napi(getter)]
    pub fn member(&self) -> u32 {
        self.life.bridge.borrow().link().number()
    }

    /// The numbers by which calls name the handlers that it was made with, in their order.
    #[napi(getter)]
    pub fn handler_numbers(&self) -> Vec<u32> {
        self.numbers.clone()
    }

    /// Calls that it has begun and not answered.
    #[napi(getter)]
    pub fn live(&self) -> u32 {
        self.life.bridge.borrow().live() as u32
    }

    /// TCP port, 0 where it does not listen on one.
    #[napi(getter)]
    pub fn port(&self) -> u32 {
        self.engine_facts.as_ref().map_or(0, |facts| port_of(&facts.address))
    }

    /// TCP port of the admin listener, 0 where there is none.
    #[napi(getter)]
    pub fn admin_port(&self) -> u32 {
        self.engine_facts.as_ref().and_then(|facts| facts.admin.as_ref()).map_or(0, port_of)
    }

    /// TCP port where balancers are told, 0 where there is none.
    #[napi(getter)]
    pub fn agent_port(&self) -> u32 {
        self.engine_facts.as_ref().and_then(|facts| facts.agent.as_ref()).map_or(0, port_of)
    }

    /// The driver that runs.
    #[napi(getter)]
    pub fn driver(&self) -> &'static str {
        self.engine_facts.as_ref().map_or("", |facts| facts.driver)
    }

    /// Why it is epoll.
    #[napi(getter)]
    pub fn driver_reason(&self) -> Option<String> {
        self.engine_facts.as_ref().and_then(|facts| facts.driver_reason.clone())
    }

    /// How JavaScript is woken: `loop` or `threadsafe`.
    #[napi(getter)]
    pub fn ring(&self) -> &'static str {
        self.engine_facts.as_ref().map_or("", |facts| facts.ring)
    }

    /// Where the shards run: `threads` or `inline`.
    #[napi(getter)]
    pub fn placement(&self) -> &'static str {
        self.engine_facts.as_ref().map_or(Placement::Threads.name(), |facts| facts.placement)
    }

    /// Why it is `threads`, where `inline` was asked for; what decided, where that was left open.
    #[napi(getter)]
    pub fn placement_reason(&self) -> Option<String> {
        self.engine_facts.as_ref().and_then(|facts| facts.placement_reason.clone())
    }

    /// Number of shards.
    #[napi(getter)]
    pub fn shards(&self) -> u32 {
        self.engine_facts.as_ref().map_or(0, |facts| facts.shards)
    }

    /// JSON: `{"shards":[…],"failedShards":n,"live":n,"members":[…]}`, see [`json::shards`] and [`members_json`]; without
    /// shards and members after `finish`.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> String {
        let bridge = self.life.bridge.borrow();
        let mut shards = String::new();
        self.with_engine(|engine| {
            self.life.failed_shards.set(engine.failed_shards());
            shards = json::shards(engine.figures());
        });
        let members = bridge.hosts().members();
        let is_own = |host: &Host| std::ptr::eq(host, &**bridge.link());
        let log = self.life.log.as_ref().map(|log| log_json(log.tally())).unwrap_or_default();
        format!(
            "{{{log}\"shards\":[{shards}],\"failedShards\":{},\"live\":{},\"members\":[{}]}}",
            self.life.failed_shards.get(),
            bridge.live() as u64 + members.iter().filter(|host| !is_own(host)).map(|host| host.running()).sum::<u64>(),
            members_json(&members)
        )
    }

    /// The next lines of the access log as a JSON array, at most so many; nothing where there are none. Also after `finish`.
    #[napi(catch_unwind)]
    pub fn read_log(&self, most: u32) -> Option<String> {
        let mut text = vec![b'['];
        if self.life.log.as_ref()?.read(&mut text, most as usize) == 0 {
            return None;
        }
        text.push(b']');
        // What the engine writes is UTF-8.
        String::from_utf8(text).ok()
    }

    /// Why the access log could not be written, once for each time that it began.
    #[napi(catch_unwind)]
    pub fn log_failure(&self) -> Option<String> {
        self.life.log.as_ref()?.take_failure()
    }
}

fn port_of(address: &Listen) -> u32 {
    match address {
        Listen::Tcp(address) => u32::from(address.port()),
        Listen::Unix(_) | Listen::Inherited(_) | Listen::InProcess => 0,
    }
}
