//! The engine with a Rust handler and no JavaScript: the ceiling that the Node bridge is measured against.
//!
//! `cargo run --release -p fasttunnel-engine --example ceiling -- [port] [shards] [auto|io_uring|epoll]`
#![allow(clippy::unwrap_used)] // a demonstration: an error may end it

use std::sync::Arc;

use fasttunnel_engine::handlers::{Answer, Handlers};
use fasttunnel_engine::shard::driver::DriverChoice;
use fasttunnel_engine::tunnel::auth::{AuthConfig, AuthOptions};
use fasttunnel_engine::tunnel::cors::{Cors, CorsOptions};
use fasttunnel_engine::tunnel::decide::Exposure;
use fasttunnel_engine::tunnel::route::BasePath;
use fasttunnel_engine::tunnel::table::{Allow, HandlerTable};
use fasttunnel_engine::{Config, Engine, Listen};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let port: u16 = args.get(1).map_or(7070, |text| text.parse().unwrap());
    let handlers = Handlers::new().task("app.tasks.add", |call, _| {
        let number = |key: &str| -> Option<i64> {
            let text = call.body?;
            let digits = text.get(text.find(key)? + key.len()..)?;
            digits.get(..digits.find([',', '}'])?)?.parse().ok()
        };
        match (number("\"a\":"), number("\"b\":")) {
            (Some(a), Some(b)) => Answer::Json((a + b).to_string()),
            _ => Answer::InternalError,
        }
    });
    let exposure = Exposure {
        base_path: BasePath::default(),
        table: HandlerTable::new(handlers.specs(), &Allow::AllRegistered).unwrap(),
        auth: AuthConfig::new(AuthOptions { allow_anonymous: true, ..AuthOptions::default() }).unwrap(),
        cors: Cors::new(&CorsOptions::default()).unwrap(),
        disable_discovery: false,
        server_options: true,
        any_coding: false,
    };
    let mut config = Config::new(Listen::Tcp(([127, 0, 0, 1], port).into()), Arc::new(exposure));
    if let Some(shards) = args.get(2) {
        config.shards = shards.parse().unwrap();
    }
    config.driver = match args.get(3).map(String::as_str) {
        Some("io_uring") => DriverChoice::IoUring,
        Some("epoll") => DriverChoice::Epoll,
        _ => DriverChoice::Auto,
    };
    let engine = Engine::start(config, handlers.into_backend()).unwrap();
    println!("{} shards, {:?}, {:?}", engine.shards(), engine.driver(), engine.address());
    std::thread::park();
}
