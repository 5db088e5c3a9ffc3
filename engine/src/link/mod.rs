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
//! `submit` is that of [`hosts::Hosts`], which gives the calls to the hosts that are attached.
//!
//! A batch crosses, never a single call. Memory goes home: an emptied batch returns to the thread that made it.

pub mod access_log;
pub mod allowances;
mod apart;
pub mod backend;
pub mod batch;
pub mod beat;
pub mod callers;
pub mod census;
pub mod clock;
pub mod contexts;
pub mod counter;
mod departure;
mod directory;
pub mod doorbell;
pub mod gate;
pub mod histogram;
pub mod host;
mod host_queue;
pub mod hosts;
pub mod http2_counts;
mod lane;
pub mod latest;
pub mod log_file;
pub mod log_writer;
pub mod meter;
mod owners;
pub mod parts;
pub mod peers;
pub mod port;
pub mod proxy;
pub mod proxy_log;
pub mod resolved;
pub mod resolver;
mod surplus;
mod sync;
pub mod tally;
pub mod tasks;
pub mod vitals;
mod ways;
pub mod weight;
