//! PURE: bytes to messages and back. No socket, clock, thread or unsafe.

pub mod fields;
