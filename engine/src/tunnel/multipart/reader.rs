//! A multipart body, piece by piece.

use super::delimiter::{Delimiter, Found, Resumed};
use super::parts::Parts;
use super::{BodyRefusal, Event};
use crate::limits::MultipartLimits;

/// Reads one body.
#[derive(Debug)]
pub struct MultipartReader {
    delimiter: Delimiter,
    parts: Parts,
    refused: bool,
}

impl MultipartReader {
    /// For a body whose parts are delimited by `boundary`, as [`super::boundary`] gives it.
    #[must_use]
    pub fn new(boundary: &[u8], limits: &MultipartLimits) -> Self {
        MultipartReader { delimiter: Delimiter::new(boundary), parts: Parts::new(limits), refused: false }
    }

    /// Takes the next bytes of the body and tells `sink` what they hold, in any pieces the same. Refuses once; from
    /// then on, as behind the last delimiter, bytes mean nothing.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(Event<'_>)) -> Result<(), BodyRefusal> {
        if self.refused {
            return Ok(());
        }
        self.read(bytes, sink).inspect_err(|_| self.refused = true)
    }

    /// The body is complete. Refuses it when its last delimiter is missing.
    pub fn finish(&mut self, sink: &mut impl FnMut(Event<'_>)) -> Result<(), BodyRefusal> {
        if self.refused || self.parts.complete() {
            return Ok(());
        }
        self.refused = true;
        self.parts.bytes(self.delimiter.give_up(), sink)?;
        Err(self.parts.cut_off())
    }

    fn read(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(Event<'_>)) -> Result<(), BodyRefusal> {
        if bytes.is_empty() || self.parts.complete() {
            return Ok(());
        }
        match self.delimiter.resume(bytes) {
            Resumed::Not(stale) => self.parts.bytes(stale, sink)?,
            Resumed::More => return Ok(()),
            Resumed::Delimiter(len) => {
                self.parts.delimiter(sink)?;
                bytes = &bytes[len..];
            }
        }
        while !self.parts.complete() && !bytes.is_empty() {
            match self.delimiter.find(bytes) {
                Found::Delimiter(before, behind) => {
                    self.parts.bytes(&bytes[..before], sink)?;
                    self.parts.delimiter(sink)?;
                    bytes = &bytes[behind..];
                }
                Found::Bytes(len) => return self.parts.bytes(&bytes[..len], sink),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::write_file_json;
    use super::*;

    /// What a body tells, and how it ends.
    fn told(body: &[u8], limits: &MultipartLimits, piece: usize) -> (Vec<String>, Result<(), BodyRefusal>) {
        let mut reader = MultipartReader::new(b"B", limits);
        let mut told: Vec<String> = Vec::new();
        let mut sink = |event: Event<'_>| match event {
            Event::Manifest(bytes) => told.push(format!("manifest {}", bytes.escape_ascii())),
            Event::File(head) => {
                let mut json = Vec::new();
                write_file_json(&mut json, head);
                told.push(String::from_utf8(json).unwrap());
                told.push(String::new());
            }
            Event::Data(bytes) => *told.last_mut().unwrap() += &bytes.escape_ascii().to_string(),
            Event::FileEnd => told.push("end".into()),
        };
        let mut verdict = Ok(());
        for bytes in body.chunks(piece) {
            verdict = verdict.and(reader.feed(bytes, &mut sink));
        }
        verdict = verdict.and(reader.finish(&mut sink));
        (told, verdict)
    }

    #[test]
    fn a_form() {
        let body = b"preamble\r\n--B\r\nContent-Disposition: form-data; name=\"__manifest\"\r\n\r\n{\"input\":1}\r\n\
            --B\r\nContent-Disposition: form-data; name=\"file:F1\"; filename=\"C:\\dir\\\xe9.txt\"\r\n\r\na\r\n--\r\n--B--\r\nepilogue";
        for piece in 1..=body.len() {
            let (told, verdict) = told(body, &MultipartLimits::default(), piece);
            assert_eq!(verdict, Ok(()));
            let file = r#"{"name":"file:F1","filename":"é.txt","type":"text/plain"}"#;
            assert_eq!(told, [r#"manifest {\"input\":1}"#, file, r"a\r\n--", "end"], "{piece}");
        }
    }
}
