//! What the access log says of a request: records as shards hand them over, and lines as they are read. Knows no file, clock
//! or thread.
#![forbid(unsafe_code)]

pub mod line;
pub mod moment;
pub mod record;
