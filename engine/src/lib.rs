//! The fasttunnel engine: HTTP/1.1, JSON checks and the Runner tunnel contract, on io_uring, one reactor per shard.
//!
//! Knows nothing of Node. [`wire`], [`caller`] and [`tunnel`] are pure: a byte slice drives them. [`shard`] turns bytes into calls
//! on its own thread, [`link`] carries batches between threads, [`Engine`] starts and stops the whole.
//! A [`link::backend::Backend`] runs the calls: [`link::hosts::Hosts`], to which event loops attach, each behind a bridge of
//! [`host`], and which they leave again while the engine runs; or [`handlers::Handlers`] in Rust.
//! What that loop's language has to know of numbers and names, [`facts`] hands on.
#![deny(unsafe_code)]

#[macro_use]
pub mod stated;

pub mod access;
pub mod bounds;
pub mod caller;
pub mod config;
mod engine;
pub mod error;
pub mod facts;
pub mod handlers;
pub mod host;
pub mod inherited;
pub mod limits;
pub mod link;
pub mod placement;
pub mod proxy;
pub mod shard;
pub mod tls;
pub mod trust;
pub mod tunnel;
pub mod wire;

pub use config::{Config, Listen};
pub use engine::Engine;
pub use error::{ConnectError, StartError};
