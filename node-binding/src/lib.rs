//! The Node-API addon: the only crate that knows Node.
//!
//! `tunnel` is the class that TypeScript sees: the bridge of `fasttunnel_engine::host` behind one JavaScript call per batch.
//! `rows` writes its calls as numbers and reads answers from numbers, as `fasttunnel_engine::host::layout` says.
//! `options` turns checked options into the engine's configuration, `bounds` refuses numbers that are out of range,
//! `start_error` puts failures into the system's words, `stats` puts counters and histograms into JSON, `ring` wakes
//! JavaScript, `inline` turns a shard that has no thread, `shared` is what several event loops have of one tunnel, `raw`,
//! `raw_ring` and `raw_turn` hold all the `unsafe`.
//!
//! `supervision` takes sockets over from a service manager, and tells it how the process is.
//!
//! `proxy` is the forward proxy, another engine without handlers.
//!
//! `native` is what `fasttunnel/native` does, `utilities` and `sessions` are how JavaScript sees it, `version` says what was
//! built.
#![deny(unsafe_code)]

mod bounds;
mod callers;
mod inline;
mod native;
mod options;
mod process;
mod proxy;
mod raw;
mod raw_ring;
mod raw_turn;
mod ring;
mod rows;
#[cfg(feature = "fault-injection")]
mod saboteur;
mod sessions;
mod shared;
mod start_error;
mod stats;
mod supervision;
mod tls;
mod tunnel;
mod utilities;
mod version;

// Benches, never in what ships: `benches/node` builds these sources a second time, with that cfg.
// `--all-targets` compiles the library for tests as well, where nothing registers exports.
#[cfg(fasttunnel_benches)]
#[cfg_attr(test, allow(dead_code))]
#[path = "../../benches/node/feeder.rs"]
mod feeder;
#[cfg(fasttunnel_benches)]
#[cfg_attr(test, allow(dead_code))]
#[path = "../../benches/node/line.rs"]
mod line;

/// An addon shares a process whose allocator is not ours; `local_dynamic_tls` (see Cargo.toml) lets it be loaded late.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
