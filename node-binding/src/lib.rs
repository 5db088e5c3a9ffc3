//! The Node-API addon: the only crate that knows Node.
//!
//! `tunnel` is the class that TypeScript sees, `bridge` moves batches between the engine's link and one JavaScript
//! call per batch (the texts of answers are read by `texts`), `frames` keeps pieces of bodies until JavaScript fetches
//! them, `layout` has the numbers that both languages agree on, `options` turns checked options into the engine's
//! configuration, `bounds` has their ranges and defaults for TypeScript to compare, `start_error` puts failures into the
//! system's words, `stats` puts counters and histograms into JSON, `raw_answer` checks answers that JavaScript makes as a
//! whole, `ring` wakes JavaScript, `raw` and `raw_ring` hold all the `unsafe`.
#![deny(unsafe_code)]

mod bounds;
mod bridge;
mod frames;
mod layout;
mod options;
mod raw;
mod raw_answer;
mod raw_ring;
mod ring;
#[cfg(feature = "fault-injection")]
mod saboteur;
mod start_error;
mod stats;
mod texts;
mod tunnel;

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
