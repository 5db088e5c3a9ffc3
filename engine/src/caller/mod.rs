//! PURE: who calls. No socket, clock, thread or unsafe.
//!
//! A [`networks::Networks`] is a list of addresses. [`proxies::Proxies`] says which peers are trusted to tell of their clients, in
//! the fields that [`forwarded`] and [`forwarded_for`] read, and [`proxies::Proxies::client`] what they have told.
//! [`proxy_header`] reads the header of the PROXY protocol, [`access`] says who may call, a
//! [`bucket::Bucket`] how often.
#![forbid(unsafe_code)]

pub mod access;
pub mod bucket;
pub mod forwarded;
pub mod forwarded_for;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod networks;
pub mod node;
pub mod proxies;
pub mod proxy_header;
pub mod rules;
