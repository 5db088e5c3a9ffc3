//! PURE: bytes to messages and back. No socket, clock, thread or unsafe.
//!
//! A connection finds the end of a head with [`scanner::HeadScanner`], reads it with [`head::Head`], takes the content
//! with [`body::BodyReader`] and answers with an [`answer::Answer`], which [`reply`] puts into bytes. The other side of a
//! connection reads the answers with [`answer_reader::AnswerReader`] and the same readers of content. Everything here is
//! driven by byte slices alone and gives the same verdict however the bytes are cut into packets.
#![forbid(unsafe_code)]

pub mod answer;
pub mod answer_body;
pub mod answer_head;
pub mod answer_reader;
pub mod body;
mod body_step;
mod chunked;
mod connection_options;
pub mod date;
pub mod decimal;
pub mod field_lines;
mod field_reader;
mod field_start;
pub mod fields;
pub mod frame_watch;
pub mod framing;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
pub mod head;
pub mod head_error;
mod head_limits;
pub mod host;
pub mod method;
pub mod reply;
pub mod request_line;
pub mod scanner;
pub mod section_watch;
mod start_line;
pub mod status;
pub mod status_line;
pub mod target;
pub mod token;
