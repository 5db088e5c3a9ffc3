//! Multipart forms (RFC 7578) as the contract reads them (CONTRACT 13): one field `__manifest`, files named `file:…`.
//!
//! [`boundary`] reads the request's `Content-Type`. A [`MultipartReader`] then takes the body in any pieces and tells
//! what it holds as it comes, as [`Event`]s, or why it is refused, as a [`BodyRefusal`]. [`write_file_json`] writes what
//! the host is told of a file.
//!
//! ```
//! use fasttunnel_engine::limits::MultipartLimits;
//! use fasttunnel_engine::tunnel::multipart::{Event, MultipartReader, boundary};
//!
//! let boundary = boundary(b"multipart/form-data; boundary=b").expect("there is one");
//! let mut reader = MultipartReader::new(&boundary, &MultipartLimits::default());
//! let mut manifest = Vec::new();
//! let mut sink = |event: Event<'_>| {
//!     if let Event::Manifest(bytes) = event {
//!         manifest.extend_from_slice(bytes);
//!     }
//! };
//! let body = b"--b\r\nContent-Disposition: form-data; name=\"__manifest\"\r\n\r\n{}\r\n--b--";
//! for piece in body.chunks(7) {
//!     reader.feed(piece, &mut sink)?;
//! }
//! reader.finish(&mut sink)?;
//! assert_eq!(manifest, b"{}");
//! # Ok::<(), fasttunnel_engine::tunnel::multipart::BodyRefusal>(())
//! ```
//!
//! # How
//!
//! A body is a preamble, parts between delimiters, and an epilogue. `delimiter` finds the delimiters, `head_parser`
//! reads the header of a part, `part_head` says what it means, `parts` counts, bounds and tells. Data is handed on as it
//! lies in the piece. Held are: the header of one part, up to [`MAX_PART_HEAD_BYTES`](crate::limits::MAX_PART_HEAD_BYTES);
//! the manifest, up to its bound; and of a delimiter that may have begun, its length. Time is linear in the body's length,
//! however it is cut. Where the pieces end changes nothing but where the data is split.
//!
//! # The reference
//!
//! The reference reads forms with busboy 1.6.0, and so does this, in what counts as a file, in names, types and character
//! sets, in the bounds and the order in which they are reached; 180 000 generated bodies told both the same, apart from the
//! first and the third of these. It is different on purpose where
//!
//! * a field is refused at the byte that is too much, not at its end;
//! * nothing is read behind the last delimiter (busboy goes on if it came in the same piece);
//! * a delimiter inside of a part's header is malformed (busboy takes the header to go on behind it);
//! * a second manifest is refused even if it is empty;
//! * a boundary that is empty or not ASCII is none;
//! * a manifest in another character set than UTF-8 and Latin-1 is read as UTF-8.
//!
//! # Why not a crate
//!
//! multer 3.1, the usual one, keeps a preamble or header that has no end without a bound and searches all of it again for
//! each piece; refuses folded header lines, more than 32 of them and a delimiter with a suffix; takes the last of two
//! `Content-Disposition` lines, and a boundary in the middle of a line of the preamble for the first delimiter.

mod charset;
mod delimiter;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod head_parser;
mod media_type;
mod parameters;
mod part_head;
mod parts;
mod reader;

use charset::Charset;
pub use media_type::boundary;
pub use part_head::{PartHead, write_file_json};
pub use reader::MultipartReader;

use super::envelope::Refusal;

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

/// How a form is read where the reference has its own ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// As the reference: names are Latin-1, and a manifest that is a file is passed over.
    #[default]
    Reference,
    /// As browsers, curl and fetch mean it: names are UTF-8 (RFC 7578 5.1), Latin-1 only where they cannot be, and a
    /// manifest that is a file is refused.
    Standard,
}

impl Reading {
    fn names(self) -> Charset {
        match self {
            Reading::Reference => Charset::Latin1,
            Reading::Standard => Charset::Utf8OrLatin1,
        }
    }
}

/// Why a multipart body is refused (CONTRACT 6), by the number that frames carry. The host answers: what the task makes of
/// it is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BodyRefusal {
    /// It cannot be parsed, or ends before its manifest does.
    Malformed = 1,
    /// A second manifest.
    SecondManifest = 2,
    /// The size of a file.
    FileSize = 3,
    /// The number of files.
    Files = 4,
    /// The size of a field.
    FieldSize = 5,
    /// The number of fields.
    Fields = 6,
    /// The number of parts.
    Parts = 7,
    /// The body ends inside of a file. Where the reference is not followed, the host takes that for malformed.
    Truncated = 8,
    /// The part `__manifest` is a file. Of [`Reading::Standard`].
    ManifestIsFile = 9,
}

impl BodyRefusal {
    /// All of them, and how the host calls them.
    pub const ALL: [(&str, BodyRefusal); 9] = [
        ("malformed", BodyRefusal::Malformed),
        ("secondManifest", BodyRefusal::SecondManifest),
        ("fileSize", BodyRefusal::FileSize),
        ("files", BodyRefusal::Files),
        ("fieldSize", BodyRefusal::FieldSize),
        ("fields", BodyRefusal::Fields),
        ("parts", BodyRefusal::Parts),
        ("truncated", BodyRefusal::Truncated),
        ("manifestIsFile", BodyRefusal::ManifestIsFile),
    ];

    /// What the host answers, as the reference does where it has such a refusal.
    #[must_use]
    pub fn refusal(self) -> Refusal<'static> {
        match self {
            BodyRefusal::Malformed => Refusal::InvalidMultipart,
            BodyRefusal::SecondManifest => Refusal::InvalidManifest,
            BodyRefusal::FileSize => Refusal::FileSizeExceeded,
            BodyRefusal::Files => Refusal::FilesExceeded,
            BodyRefusal::FieldSize => Refusal::FieldExceeded,
            BodyRefusal::Fields => Refusal::FieldsExceeded,
            BodyRefusal::Parts => Refusal::PartsExceeded,
            BodyRefusal::Truncated => Refusal::StreamError,
            BodyRefusal::ManifestIsFile => Refusal::ManifestIsFile,
        }
    }
}
