//! The parts of a form, between their delimiters.

use super::charset::Charset;
use super::head_parser::{HeadParser, Progress};
use super::part_head::PartHead;
use super::{BodyRefusal, Event, Reading};
use crate::limits::{MAX_MANIFEST_BYTES, MultipartLimits};

/// The name of the field that says what the files are.
const MANIFEST: &str = "__manifest";

/// What the next bytes are.
#[derive(Debug)]
enum State {
    /// Content.
    Content(Part),
    /// What follows a delimiter: CRLF, or the two dashes that make it the last. Anything else: it delimits no part,
    /// and what is behind it belongs to none.
    Delimiter,
    /// The second dash.
    Dash,
    /// The LF of the CRLF.
    Lf,
    /// The header of a part.
    Head(HeadParser),
    /// Nothing: the last delimiter is behind us.
    Complete,
}

/// Whose content it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Nobody's: the preamble's, a part's that is none of the form, a file's that is not for the task.
    Ignored,
    File,
    Manifest(Charset),
    SecondManifest,
    /// Another field's.
    Field,
}

/// Reads what is between the delimiters.
#[derive(Debug)]
pub(super) struct Parts {
    limits: MultipartLimits,
    pub(super) reading: Reading,
    state: State,
    /// Bytes of the open part.
    size: u64,
    manifest: Vec<u8>,
    manifest_seen: bool,
    /// One more than there are complete parts.
    delimiters: u64,
    files: u32,
    fields: u32,
}

impl Parts {
    /// Bytes of a manifest that has not come whole.
    pub(super) fn held_bytes(&self) -> usize {
        self.manifest.capacity()
    }

    pub(super) fn new(limits: &MultipartLimits) -> Self {
        Parts {
            limits: *limits,
            reading: Reading::default(),
            state: State::Content(Part::Ignored),
            size: 0,
            manifest: Vec::new(),
            manifest_seen: false,
            delimiters: 0,
            files: 0,
            fields: 0,
        }
    }

    /// The last delimiter was there.
    pub(super) fn complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    /// Bytes that are no delimiter.
    pub(super) fn bytes(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(Event<'_>)) -> Result<(), BodyRefusal> {
        while let Some((first, rest)) = bytes.split_first() {
            (self.state, bytes) = match (&mut self.state, first) {
                (State::Complete, _) => return Ok(()),
                (State::Content(part), _) => {
                    let part = *part;
                    return self.content(part, bytes, sink);
                }
                (State::Head(parser), _) => match parser.push(bytes).map_err(|_| BodyRefusal::Malformed)? {
                    Progress::More => return Ok(()),
                    Progress::Complete(len, head) => (State::Content(self.open(head, sink)?), &bytes[len..]),
                },
                (State::Delimiter, b'-') => (State::Dash, rest),
                (State::Delimiter, b'\r') => (State::Lf, rest),
                (State::Dash, b'-') => (State::Complete, rest),
                (State::Lf, b'\n') => (State::Head(HeadParser::new(self.reading)), rest),
                (State::Delimiter | State::Dash | State::Lf, _) => (State::Content(Part::Ignored), bytes),
            };
        }
        Ok(())
    }

    /// A delimiter: the open part is complete.
    pub(super) fn delimiter(&mut self, sink: &mut impl FnMut(Event<'_>)) -> Result<(), BodyRefusal> {
        match std::mem::replace(&mut self.state, State::Delimiter) {
            State::Complete => {
                self.state = State::Complete;
                return Ok(());
            }
            State::Head(_) => return Err(BodyRefusal::Malformed),
            State::Content(Part::File) => sink(Event::FileEnd),
            State::Content(Part::SecondManifest) => return Err(BodyRefusal::SecondManifest),
            State::Content(Part::Manifest(charset)) => {
                let manifest = std::mem::take(&mut self.manifest);
                match charset {
                    Charset::Utf8 => sink(Event::Manifest(&manifest)),
                    Charset::Latin1 | Charset::Utf8OrLatin1 => {
                        sink(Event::Manifest(charset.decode(&manifest).as_bytes()))
                    }
                }
            }
            State::Content(Part::Field | Part::Ignored) | State::Delimiter | State::Dash | State::Lf => {}
        }
        let parts = self.delimiters;
        self.delimiters += 1;
        // The part that reaches the bound is too much, unlike a file or a field: so the reference counts.
        if self.limits.parts.is_some_and(|limit| u64::from(limit) == parts) { Err(BodyRefusal::Parts) } else { Ok(()) }
    }

    /// The body has ended before its last delimiter.
    pub(super) fn cut_off(&self) -> BodyRefusal {
        match self.state {
            State::Content(Part::File) => BodyRefusal::Truncated,
            _ => BodyRefusal::Malformed,
        }
    }

    /// The header of a part is complete: whose content follows.
    fn open(&mut self, head: Option<PartHead>, sink: &mut impl FnMut(Event<'_>)) -> Result<Part, BodyRefusal> {
        self.size = 0;
        let Some(head) = head else { return Ok(Part::Ignored) };
        let name = head.name.as_deref().unwrap_or_default();
        if head.is_file() {
            count(&mut self.files, self.limits.files).ok_or(BodyRefusal::Files)?;
            if name == MANIFEST && self.reading == Reading::Standard && !self.manifest_seen {
                return Err(BodyRefusal::ManifestIsFile);
            }
            if !name.starts_with("file:") {
                return Ok(Part::Ignored);
            }
            sink(Event::File(&head));
            return Ok(Part::File);
        }
        count(&mut self.fields, self.limits.fields).ok_or(BodyRefusal::Fields)?;
        if name != MANIFEST {
            return Ok(Part::Field);
        }
        let second = std::mem::replace(&mut self.manifest_seen, true);
        Ok(if second { Part::SecondManifest } else { Part::Manifest(head.charset) })
    }

    /// Content, at least one byte of it.
    fn content(&mut self, part: Part, bytes: &[u8], sink: &mut impl FnMut(Event<'_>)) -> Result<(), BodyRefusal> {
        let (limit, refusal) = match part {
            Part::Ignored => return Ok(()),
            Part::File => (self.limits.file_bytes, BodyRefusal::FileSize),
            Part::Field | Part::SecondManifest => (self.limits.field_bytes, BodyRefusal::FieldSize),
            Part::Manifest(_) => (self.limits.field_bytes.or(Some(MAX_MANIFEST_BYTES)), BodyRefusal::FieldSize),
        };
        // Up to the byte that is too much, wherever the pieces end.
        let room = limit.map_or(u64::MAX, |limit| limit - self.size);
        let bytes = &bytes[..bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
        self.size += bytes.len() as u64;
        match part {
            Part::File if !bytes.is_empty() => sink(Event::Data(bytes)),
            Part::Manifest(_) => self.manifest.extend_from_slice(bytes),
            _ => {}
        }
        if limit == Some(self.size) { Err(refusal) } else { Ok(()) }
    }
}

/// One more, unless there are as many as may be.
fn count(counter: &mut u32, limit: Option<u32>) -> Option<()> {
    if limit == Some(*counter) {
        return None;
    }
    *counter = counter.checked_add(1)?;
    Some(())
}
