//! PURE: bytes to messages and back. No socket, clock, thread or unsafe.
//!
//! A connection finds the end of a head with [`scanner::HeadScanner`], reads it with [`head::Head`], takes the content
//! with [`body::BodyReader`] and answers with an [`answer::Answer`], which [`reply`] puts into bytes. Everything here is
//! driven by byte slices alone and gives the same verdict however the bytes are cut into packets.
#![forbid(unsafe_code)]

pub mod answer;
pub mod answer_body;
pub mod body;
mod body_step;
mod chunked;
pub mod date;
pub mod decimal;
pub mod field_lines;
pub mod fields;
pub mod framing;
#[doc(hidden)]
pub mod fuzz;
pub mod head;
pub mod head_error;
mod head_limits;
pub mod host;
pub mod method;
pub mod reply;
pub mod request_line;
pub mod scanner;
pub mod status;
pub mod token;
