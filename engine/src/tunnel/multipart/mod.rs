//! Multipart forms (RFC 7578), as the contract reads them (CONTRACT 13): one field `__manifest`, files named `file:…`.
mod charset;
mod delimiter;
mod head_parser;
mod media_type;
mod parameters;
mod part_head;
mod parts;
mod reader;

pub use media_type::boundary;
pub use part_head::{PartHead, write_file_json};
pub use reader::MultipartReader;

/// What a body tells, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The `__manifest` field, whole.
    Manifest(&'a [u8]),
    /// A file begins whose name starts with `file:`.
    File(&'a PartHead),
    /// Bytes of that file; never none.
    Data(&'a [u8]),
    /// That file is complete.
    FileEnd,
}

/// Why a multipart body is refused (CONTRACT 6). The host answers: what the task makes of it is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BodyRefusal {
    /// 400 `INVALID_MULTIPART`, "Invalid multipart payload": it cannot be parsed, or ends before its manifest does.
    Malformed = 1,
    /// 400 `INVALID_MULTIPART`, "Invalid manifest": a second manifest.
    SecondManifest = 2,
    /// 413 "File size limit exceeded".
    FileSize = 3,
    /// 413 "Files limit exceeded".
    Files = 4,
    /// 413 "Field limit exceeded": the size of one.
    FieldSize = 5,
    /// 413 "Fields limit exceeded".
    Fields = 6,
    /// 413 "Parts limit exceeded".
    Parts = 7,
    /// 500 `STREAM_ERROR`: the body ends inside of a file.
    Truncated = 8,
}
