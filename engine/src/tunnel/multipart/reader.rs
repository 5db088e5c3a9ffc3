//! A multipart body, piece by piece.

use super::delimiter::{Delimiter, Found, Resumed};
use super::parts::Parts;
use super::{BodyRefusal, Event, Reading};
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

    /// This reader, reading in another way than by default.
    #[must_use]
    pub fn reading(mut self, reading: Reading) -> Self {
        self.parts.reading = reading;
        self
    }

    /// Bytes that are held of what has come.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.parts.held_bytes()
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
mod tests {
    use super::super::fuzz::{Told, read, read_by};
    use super::*;

    const MANIFEST: &str = "Content-Disposition: form-data; name=\"__manifest\"";

    /// No bound, so that each test sets its own.
    const NONE: MultipartLimits =
        MultipartLimits { file_bytes: None, files: None, field_bytes: None, fields: None, parts: None };

    fn part(header: &str, content: &str) -> String {
        format!("--B\r\n{header}\r\n\r\n{content}\r\n")
    }

    fn manifest(content: &str) -> String {
        part(MANIFEST, content)
    }

    fn field(content: &str) -> String {
        part("Content-Disposition: form-data; name=x", content)
    }

    fn file(name: &str, content: &str) -> String {
        part(&format!("Content-Disposition: form-data; name=\"{name}\"; filename=f"), content)
    }

    /// In short: `m` and the manifest, `f` and a file's name, its data, `.` for its end; and the verdict. In any
    /// pieces the same.
    fn told(body: &str, limits: &MultipartLimits) -> (String, Result<(), BodyRefusal>) {
        let whole = read(b"B", limits, [body.as_bytes()]);
        for piece in [1, 2, 3, 5, 16] {
            assert_eq!(read(b"B", limits, body.as_bytes().chunks(piece)), whole, "{body} by {piece}");
        }
        let words = whole.0.iter().map(|event| match event {
            Told::Manifest(bytes) => format!("m{}", String::from_utf8_lossy(bytes)),
            Told::File(head) => format!("f{}", head.name.as_deref().unwrap_or_default()),
            Told::Data(bytes) => bytes.escape_ascii().to_string(),
            Told::FileEnd => ".".into(),
        });
        (words.collect::<Vec<_>>().join(" "), whole.1)
    }

    #[test]
    fn a_manifest_that_is_a_file_is_refused_where_the_reference_is_not_followed() {
        let blob = part("Content-Disposition: form-data; name=\"__manifest\"; filename=\"blob\"", "{}");
        let octets =
            part("Content-Disposition: form-data; name=__manifest\r\nContent-Type: application/octet-stream", "{}");
        let standard =
            |body: &str| read_by(MultipartReader::new(b"B", &NONE).reading(Reading::Standard), [body.as_bytes()]).1;
        for body in [blob.clone() + "--B--", octets + "--B--", field("x") + &blob + "--B--"] {
            assert_eq!(standard(&body), Err(BodyRefusal::ManifestIsFile), "{body}");
            assert_eq!(told(&body, &NONE).1, Ok(()), "{body}");
        }
        // There is one already.
        assert_eq!(standard(&(manifest("{}") + &blob + "--B--")), Ok(()));
    }

    #[test]
    fn forms() {
        let (manifest, end) = (manifest("{}"), "--B--");
        for (body, expected) in [
            (format!("{manifest}{end}"), "m{}"),
            (format!("{manifest}{end}\r\n"), "m{}"),
            (format!("preamble\r\n{manifest}{end}epilogue\r\n{manifest}{end}"), "m{}"),
            (format!("see --B\r\n{manifest}{end}"), "m{}"),
            (end.into(), ""),
            (
                format!("{}{manifest}{}{end}", file("file:1", "abc"), file("file:", "\r\n--\r")),
                "ffile:1 abc . m{} ffile: \\r\\n--\\r .",
            ),
            (format!("{}{end}", file("file:1", "")), "ffile:1 ."),
            (format!("{}{manifest}{}{end}", field("a"), file("x", "abc")), "m{}"),
            (format!("{}{manifest}{}{end}", field("a\r\n--Bx\r\nb"), part("X: y", "z")), "m{}"),
            // What is behind a delimiter without its CRLF belongs to no part.
            (format!("{}{end}", file("file:1", "a\r\n--Bx\r\nb")), "ffile:1 a ."),
            (format!("--B \r\n{MANIFEST}\r\n\r\n{{}}\r\n{end}"), ""),
            // A file in disguise is no manifest, and no file.
            (format!("{}{end}", part(&format!("{MANIFEST}; filename=m"), "{}")), ""),
            (format!("{}{end}", part("Content-Disposition: form-data; name=\"file:1\"", "a")), ""),
            (
                format!("{}{end}", part(&format!("{MANIFEST}\r\nContent-Type: text/plain; charset=latin1"), "\u{e9}")),
                "m\u{c3}\u{a9}",
            ),
        ] {
            assert_eq!(told(&body, &MultipartLimits::default()), (expected.into(), Ok(())), "{body}");
        }
    }

    #[test]
    fn bodies_that_cannot_be_read() {
        let manifest = manifest("{}");
        for (body, expected) in [
            ("".into(), ""),
            ("hello".into(), ""),
            ("--C\r\n\r\n--C--".into(), ""),
            (format!("{manifest}--B--").replace("\r\n", "\n"), ""),
            (format!("{manifest}--B\r\n\r\nno header\r\n--B--"), "m{}"),
            (format!("{manifest}{}--B--", part("no colon", "x")), "m{}"),
            // A delimiter inside of a header.
            (format!("{manifest}--B\r\nX: y\r\n--B--"), "m{}"),
            (format!("{manifest}--B\r\nX: y\r\n\r\n--B--"), "m{}"),
            // Cut off.
            (format!("--B\r\n{MANIFEST}\r\n\r\n{{}}"), ""),
            (format!("--B\r\n{MANIFEST}\r\n\r\n{{}}\r\n--"), ""),
            (manifest.clone(), ""),
            (format!("{manifest}--B"), "m{}"),
            (format!("{manifest}--B-"), "m{}"),
            (format!("{manifest}--B\r\n"), "m{}"),
            (format!("{manifest}--B\r\nContent-Di"), "m{}"),
            (format!("{manifest}{}", file("file:1", "").trim_end()), "m{}"),
            (format!("{manifest}{}", field("a")), "m{}"),
            (format!("{manifest}{}", file("x", "a")), "m{}"),
            (format!("{manifest}{}--B", file("file:1", "a")), "m{} ffile:1 a ."),
        ] {
            assert_eq!(
                told(&body, &MultipartLimits::default()),
                (expected.into(), Err(BodyRefusal::Malformed)),
                "{body}"
            );
        }
        for (body, expected) in [
            (format!("{manifest}{}", file("file:1", "a")), "m{} ffile:1 a\\r\\n"),
            (format!("{manifest}{}--", file("file:1", "a")), "m{} ffile:1 a\\r\\n--"),
            // The manifest does not matter to the reference.
            (file("file:1", "a"), "ffile:1 a\\r\\n"),
        ] {
            assert_eq!(
                told(&body, &MultipartLimits::default()),
                (expected.into(), Err(BodyRefusal::Truncated)),
                "{body}"
            );
        }
    }

    #[test]
    fn sizes_are_too_much_when_they_reach_the_bound() {
        let limits = MultipartLimits { file_bytes: Some(3), field_bytes: Some(4), ..NONE };
        for (body, expected, verdict) in [
            (file("file:1", "ab"), "ffile:1 ab .", Ok(())),
            (file("file:1", "abc"), "ffile:1 abc", Err(BodyRefusal::FileSize)),
            (file("file:1", "abcdef"), "ffile:1 abc", Err(BodyRefusal::FileSize)),
            // What looked like a delimiter counts as soon as it is none.
            (file("file:1", "\r\n-"), "ffile:1 \\r\\n-", Err(BodyRefusal::FileSize)),
            // A file that is passed over has no bound, as in the reference.
            (file("x", "abcdef"), "", Ok(())),
            (field("abc"), "", Ok(())),
            (field("abcd"), "", Err(BodyRefusal::FieldSize)),
            (manifest("abc"), "mabc", Ok(())),
            (manifest("abcd"), "", Err(BodyRefusal::FieldSize)),
            (manifest("a") + &manifest("abcd"), "ma", Err(BodyRefusal::FieldSize)),
        ] {
            assert_eq!(told(&(body.clone() + "--B--"), &limits), (expected.into(), verdict), "{body}");
        }
        let zero = MultipartLimits { file_bytes: Some(0), field_bytes: Some(0), ..NONE };
        assert_eq!(told(&(file("file:1", "") + &field("") + "--B--"), &zero), ("ffile:1 .".into(), Ok(())));
        assert_eq!(told(&file("file:1", "a"), &zero), ("ffile:1".into(), Err(BodyRefusal::FileSize)));
    }

    #[test]
    fn counts() {
        let two = |one: String| one.repeat(2) + "--B--";
        let three = |one: String| one.repeat(3) + "--B--";
        let limits = MultipartLimits { files: Some(2), fields: Some(2), ..NONE };
        assert_eq!(told(&two(field("a") + &file("x", "a")), &limits), (String::new(), Ok(())));
        assert_eq!(told(&three(file("x", "a")), &limits), (String::new(), Err(BodyRefusal::Files)));
        assert_eq!(told(&three(field("a")), &limits), (String::new(), Err(BodyRefusal::Fields)));
        // What is no part of the form is no field and no file.
        assert_eq!(told(&three(part("X: y", "a")), &limits), (String::new(), Ok(())));
        let limits = MultipartLimits { parts: Some(3), ..NONE };
        assert_eq!(told(&two(field("a")), &limits), (String::new(), Ok(())));
        assert_eq!(told(&three(field("a")), &limits), (String::new(), Err(BodyRefusal::Parts)));
        assert_eq!(told(&three(part("X: y", "a")), &limits), (String::new(), Err(BodyRefusal::Parts)));
        let last = field("a").repeat(2) + &manifest("{}") + "--B--";
        assert_eq!(told(&last, &limits), ("m{}".into(), Err(BodyRefusal::Parts)));
        for (limits, refusal) in [
            (MultipartLimits { files: Some(0), ..NONE }, BodyRefusal::Files),
            (MultipartLimits { fields: Some(0), ..NONE }, BodyRefusal::Fields),
            (MultipartLimits { parts: Some(0), ..NONE }, BodyRefusal::Parts),
        ] {
            let body = if refusal == BodyRefusal::Files { file("x", "a") } else { field("a") };
            assert_eq!(told(&body, &limits), (String::new(), Err(refusal)));
        }
    }

    #[test]
    fn a_second_manifest_is_refused_where_it_ends() {
        let body = manifest("{}") + &manifest("{}") + &file("file:1", "a") + "--B--";
        assert_eq!(told(&body, &NONE), ("m{}".into(), Err(BodyRefusal::SecondManifest)));
    }

    #[test]
    fn a_manifest_without_a_bound_has_one() {
        let mut reader = MultipartReader::new(b"B", &NONE);
        let mut sink = |event: Event<'_>| panic!("{event:?}");
        let head = format!("--B\r\n{MANIFEST}\r\n\r\n");
        assert_eq!(reader.feed(head.as_bytes(), &mut sink), Ok(()));
        let piece = vec![b' '; 1 << 20];
        for _ in 1..crate::limits::MAX_MANIFEST_BYTES >> 20 {
            assert_eq!(reader.feed(&piece, &mut sink), Ok(()));
        }
        assert_eq!(reader.feed(&piece[1..], &mut sink), Ok(()));
        assert_eq!(reader.feed(b" ", &mut sink), Err(BodyRefusal::FieldSize));
    }

    #[test]
    fn nothing_follows_a_refusal() {
        let mut reader = MultipartReader::new(b"B", &NONE);
        let mut sink = |event: Event<'_>| panic!("{event:?}");
        assert_eq!(reader.feed(b"--B\r\nno colon", &mut sink), Err(BodyRefusal::Malformed));
        assert_eq!(reader.feed((manifest("{}") + "--B--").as_bytes(), &mut sink), Ok(()));
        assert_eq!(reader.finish(&mut sink), Ok(()));
    }
}
