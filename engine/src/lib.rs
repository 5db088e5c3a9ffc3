//! The fasttunnel engine: HTTP/1.1, JSON checks and the Runner tunnel contract, on io_uring.
//!
//! Knows nothing of Node. `wire` and `tunnel` are pure: a byte slice drives them.

pub mod limits;
pub mod tunnel;
pub mod wire;
