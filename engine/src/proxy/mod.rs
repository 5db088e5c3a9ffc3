//! PURE: the rules of the forward proxy. No socket, clock, thread or unsafe.
//!
//! Where a request is meant to go is a [`target::Target`]. [`credentials`] says for whom it is, [`route`] where it goes instead,
//! [`policy`] whether it may. [`request::RequestPlan`] and [`answer`] are what is written of the message to the other side, and
//! [`fault`] is what a client hears when that does not work.
#![forbid(unsafe_code)]

pub mod address;
pub mod answer;
pub mod base64;
pub mod credentials;
pub mod fault;
pub mod fields;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod policy;
pub mod request;
pub mod route;
pub mod settings;
pub mod target;
pub mod trailers;
pub mod vouched;
pub mod websocket;
