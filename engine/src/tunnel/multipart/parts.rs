//! The parts of a form, between their delimiters.

use super::charset::Charset;
use super::head_parser::{HeadParser, Progress};
use super::part_head::PartHead;
use super::{BodyRefusal, Event};
use crate::limits::{MAX_MANIFEST_BYTES, MultipartLimits};

/// Behind a delimiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    /// Not (any more): these are bytes of a part, or of none.
    Nothing,
    /// CRLF is due, or the dashes that make it the last.
    Delimiter,
    /// The second dash is due.
    Dash,
    /// LF is due.
    Cr,
}

/// The part that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// None that counts: the preamble, a part without a usable header, a file that is not the tunnel's.
    Ignored,
    /// A field; the manifest is kept.
    Field {
        manifest: bool,
    },
    File,
}

/// Reads what is between the delimiters.
#[derive(Debug)]
pub(super) struct Parts {
    limits: MultipartLimits,
    behind: Behind,
    /// While the header of a part is being read.
    head: Option<HeadParser>,
    part: Part,
    /// Bytes of the open part.
    size: u64,
    manifest: Vec<u8>,
    charset: Charset,
    manifest_done: bool,
    /// Delimiters: one more than parts.
    delimiters: u64,
    files: u32,
    fields: u32,
    /// The last delimiter is behind us.
    pub(super) complete: bool,
}

type Verdict = Result<(), BodyRefusal>;

impl Parts {
    pub(super) fn new(limits: &MultipartLimits) -> Self {
        Parts {
            limits: *limits,
            behind: Behind::Nothing,
            head: None,
            part: Part::Ignored,
            size: 0,
            manifest: Vec::new(),
            charset: Charset::Utf8,
            manifest_done: false,
            delimiters: 0,
            files: 0,
            fields: 0,
            complete: false,
        }
    }

    /// Bytes that are no delimiter.
    pub(super) fn bytes(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(Event<'_>)) -> Verdict {
        loop {
            if let Some(parser) = &mut self.head {
                match parser.push(bytes).map_err(|_| BodyRefusal::Malformed)? {
                    Progress::More => return Ok(()),
                    Progress::Complete(len, head) => {
                        self.head = None;
                        bytes = &bytes[len..];
                        self.open(head, sink)?;
                    }
                }
            }
            if self.behind == Behind::Delimiter {
                let Some((first, rest)) = bytes.split_first() else { return Ok(()) };
                (self.behind, bytes) = match first {
                    b'-' => (Behind::Dash, rest),
                    b'\r' => (Behind::Cr, rest),
                    _ => (Behind::Nothing, bytes),
                };
            }
            let Some((first, rest)) = bytes.split_first() else { return Ok(()) };
            match std::mem::replace(&mut self.behind, Behind::Nothing) {
                Behind::Dash if *first == b'-' => {
                    self.complete = true;
                    return Ok(());
                }
                Behind::Cr if *first == b'\n' => {
                    self.head = Some(HeadParser::default());
                    bytes = rest;
                    continue;
                }
                Behind::Dash => self.content(b"-", sink)?,
                Behind::Cr => self.content(b"\r", sink)?,
                Behind::Nothing | Behind::Delimiter => {}
            }
            return self.content(bytes, sink);
        }
    }

    /// A delimiter: the open part is complete.
    pub(super) fn delimiter(&mut self, sink: &mut impl FnMut(Event<'_>)) -> Verdict {
        self.behind = Behind::Delimiter;
        match std::mem::replace(&mut self.part, Part::Ignored) {
            Part::File => sink(Event::FileEnd),
            Part::Field { manifest: true } if self.manifest_done => return Err(BodyRefusal::SecondManifest),
            Part::Field { manifest: true } => {
                self.manifest_done = true;
                let manifest = std::mem::take(&mut self.manifest);
                match self.charset {
                    Charset::Utf8 => sink(Event::Manifest(&manifest)),
                    Charset::Latin1 => sink(Event::Manifest(self.charset.decode(&manifest).as_bytes())),
                }
            }
            Part::Field { manifest: false } | Part::Ignored => {}
        }
        self.delimiters += 1;
        // The part that reaches the bound is complete: "reached" is "exceeded" here, as for sizes.
        if self.limits.parts.is_some_and(|parts| self.delimiters - 1 == u64::from(parts)) {
            return Err(BodyRefusal::Parts);
        }
        Ok(())
    }

    /// The body has ended, and not with its last delimiter.
    pub(super) fn cut_off(&self) -> BodyRefusal {
        if self.part == Part::File { BodyRefusal::Truncated } else { BodyRefusal::Malformed }
    }

    /// The header of a part is complete.
    fn open(&mut self, head: Option<PartHead>, sink: &mut impl FnMut(Event<'_>)) -> Verdict {
        self.part = Part::Ignored;
        self.size = 0;
        let Some(head) = head else { return Ok(()) };
        let name = head.name.as_deref().unwrap_or_default();
        if head.is_file() {
            count(&mut self.files, self.limits.files).ok_or(BodyRefusal::Files)?;
            if name.starts_with("file:") {
                self.part = Part::File;
                sink(Event::File(&head));
            }
        } else {
            count(&mut self.fields, self.limits.fields).ok_or(BodyRefusal::Fields)?;
            self.charset = head.charset;
            self.part = Part::Field { manifest: name == "__manifest" };
        }
        Ok(())
    }

    /// Bytes of the open part; at least one.
    fn content(&mut self, bytes: &[u8], sink: &mut impl FnMut(Event<'_>)) -> Verdict {
        let (limit, refusal) = match self.part {
            Part::Ignored => return Ok(()),
            Part::File => (self.limits.file_bytes, BodyRefusal::FileSize),
            Part::Field { manifest: true } => {
                (self.limits.field_bytes.or(Some(MAX_MANIFEST_BYTES)), BodyRefusal::FieldSize)
            }
            Part::Field { manifest: false } => (self.limits.field_bytes, BodyRefusal::FieldSize),
        };
        let room = limit.map_or(u64::MAX, |limit| limit - self.size);
        let bytes = &bytes[..usize::try_from(room).map_or(bytes.len(), |room| room.min(bytes.len()))];
        self.size += bytes.len() as u64;
        match self.part {
            Part::File if !bytes.is_empty() => sink(Event::Data(bytes)),
            Part::Field { manifest: true } if !self.manifest_done => self.manifest.extend_from_slice(bytes),
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
