//! THE ONLY code that crosses threads: bounded channels, doorbells, and the batches that travel.
//!
//! ```text
//!   shard thread                                   host thread (Node's JS thread, or a test)
//!   submit(CallBatch) ── calls channel ──────────► Host::next_calls()
//!                        host doorbell (if parked)
//!   inbox ◄───────────── inbox channel ─────────── ShardPort::send(AnswerBatch, …)
//!                        shard doorbell (if parked)
//! ```
//!
//! A batch crosses, never a single call. Memory goes home: an emptied batch returns to the thread that made it.

pub mod backend;
pub mod batch;
pub mod clock;
pub mod counter;
pub mod doorbell;
pub mod histogram;
pub mod host;
pub mod latest;
pub mod meter;
pub mod port;
mod sync;
pub mod vitals;
pub mod weight;
