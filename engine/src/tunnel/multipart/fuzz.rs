//! Invariants of the reader for arbitrary bytes. Called by fuzz targets and by property tests; panics on a violation.

use super::part_head::PartHead;
use super::{BodyRefusal, Event, MultipartReader, Reading, boundary, write_file_json};
use crate::limits::MultipartLimits;
use crate::wire::fuzz::cuts;

/// Delimits the parts of the fuzzed bodies.
pub const BOUNDARY: &[u8] = b"B-b";

/// Small bounds, so that short inputs reach them, and none at all.
const LIMITS: [MultipartLimits; 2] = [
    MultipartLimits { file_bytes: Some(8), files: Some(2), field_bytes: Some(16), fields: Some(3), parts: Some(4) },
    MultipartLimits { file_bytes: None, files: None, field_bytes: None, fields: None, parts: None },
];

const READINGS: [Reading; 2] = [Reading::Reference, Reading::Standard];

/// An event that is kept. Bytes of one file that come in pieces are put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// [`Event::Manifest`].
    Manifest(Vec<u8>),
    /// [`Event::File`].
    File(PartHead),
    /// [`Event::Data`].
    Data(Vec<u8>),
    /// [`Event::FileEnd`].
    FileEnd,
}

/// What a body tells and how it ends, read in these pieces.
pub fn read<'a>(
    boundary: &[u8],
    limits: &MultipartLimits,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Told>, Result<(), BodyRefusal>) {
    read_by(MultipartReader::new(boundary, limits), pieces)
}

/// What a reader of any kind tells of these pieces, and how it ends.
pub(super) fn read_by<'a>(
    mut reader: MultipartReader,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Told>, Result<(), BodyRefusal>) {
    let mut told: Vec<Told> = Vec::new();
    let mut sink = |event: Event<'_>| match (event, told.last_mut()) {
        (Event::Manifest(bytes), _) => told.push(Told::Manifest(bytes.to_vec())),
        (Event::File(head), _) => told.push(Told::File(head.clone())),
        (Event::Data(bytes), Some(Told::Data(before))) => before.extend_from_slice(bytes),
        (Event::Data(bytes), _) => told.push(Told::Data(bytes.to_vec())),
        (Event::FileEnd, _) => told.push(Told::FileEnd),
    };
    let mut verdict = Ok(());
    for piece in pieces {
        let step = reader.feed(piece, &mut sink);
        assert!(verdict.is_ok() || step.is_ok(), "refused twice");
        verdict = verdict.and(step);
    }
    let end = reader.finish(&mut sink);
    assert!(verdict.is_ok() || end.is_ok(), "refused twice");
    (told, verdict.and(end))
}

/// Any bytes as a body: whole, cut in two at any place and byte by byte they tell the same; what they tell is in order
/// and within the bounds.
pub fn fuzz_multipart(data: &[u8]) {
    for (limits, reading) in LIMITS.iter().flat_map(|limits| READINGS.map(|reading| (limits, reading))) {
        let reader = || MultipartReader::new(BOUNDARY, limits).reading(reading);
        let whole = read_by(reader(), [data]);
        for cut in cuts(data) {
            let (first, second) = data.split_at(cut);
            let again = read_by(reader(), [first, second]);
            assert_eq!(again, whole, "cut at {cut}: {}", data.escape_ascii());
        }
        assert_eq!(read_by(reader(), data.chunks(1)), whole, "byte by byte: {}", data.escape_ascii());
        check_order(&whole.0, whole.1, limits);
    }
}

fn check_order(told: &[Told], verdict: Result<(), BodyRefusal>, limits: &MultipartLimits) {
    let (mut files, mut manifests, mut open) = (0, 0, false);
    for (at, event) in told.iter().enumerate() {
        match event {
            Told::Manifest(bytes) => {
                assert!(!open && limits.field_bytes.is_none_or(|limit| (bytes.len() as u64) < 2 * limit));
                manifests += 1;
            }
            Told::File(head) => {
                assert!(!open && head.name.as_deref().is_some_and(|name| name.starts_with("file:")));
                check_head(head);
                (open, files) = (true, files + 1);
            }
            Told::Data(bytes) => {
                assert!(open && !bytes.is_empty());
                let len = bytes.len() as u64;
                let last = at + 1 == told.len() && verdict == Err(BodyRefusal::FileSize);
                assert!(limits.file_bytes.is_none_or(|limit| if last { len == limit } else { len < limit }));
            }
            Told::FileEnd => assert!(std::mem::replace(&mut open, false)),
        }
    }
    assert!(manifests <= 1 && limits.files.is_none_or(|limit| files <= limit));
    match verdict {
        Err(BodyRefusal::Truncated | BodyRefusal::FileSize) => assert!(open),
        Ok(()) | Err(_) => assert!(!open),
    }
}

/// Any bytes as the values of header fields: what comes of them is safe to pass on.
pub fn fuzz_part_head(disposition: &[u8], content_type: &[u8]) {
    for reading in READINGS {
        if let Some(head) = PartHead::new(Some(disposition), Some(content_type), reading) {
            check_head(&head);
        }
    }
    if let Some(boundary) = boundary(content_type) {
        assert!(!boundary.is_empty() && boundary.iter().all(|byte| byte.is_ascii() && !b"\r\n\0".contains(byte)));
    }
}

fn check_head(head: &PartHead) {
    if let Some(filename) = &head.filename {
        assert!(!filename.contains(['/', '\\']) && !matches!(filename.as_str(), "." | ".."));
    }
    assert!(head.media_type.contains('/') && head.media_type.bytes().all(|byte| byte.is_ascii_graphic()));
    let mut json = Vec::new();
    write_file_json(&mut json, head);
    assert!(std::str::from_utf8(&json).is_ok() && json.starts_with(b"{\"name\":") && json.ends_with(b"}"));
}
