//! What lies between the link and an event loop that runs handlers: calls that wait for it, calls that it has been given,
//! and its answers on their way home. All on that loop's one thread, and without a word of what kind of loop it is.
//!
//! ```text
//!   link ──► feed (backlog, shedder, frames, notices) ──► tickets ──► the event loop
//!    ▲                                                                    │
//!    └────── outbox ◄──────────────── bridge ◄── texts, raw_answer ◄──────┘
//! ```

mod backlog;
mod bridge;
pub mod codes;
mod feed;
mod frames;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod layout;
mod loans;
mod notices;
mod outbox;
mod raw_answer;
mod shedder;
mod texts;
mod tickets;

pub use bridge::{Answer, Bridge};
pub use feed::{Drained, Rows};
pub use raw_answer::RawParts;
