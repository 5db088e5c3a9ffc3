//! What the header of a part says about it (RFC 7578 4.2).

use super::Reading;
use super::charset::Charset;
use super::media_type::MediaType;
use super::parameters::Parameters;
use crate::tunnel::json_string::write_json_string;
use crate::wire::token::is_tchar;

/// The header of a part that is part of the form, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartHead {
    /// `name`, its bytes read as the [`Reading`] says.
    pub name: Option<String>,
    /// `filename*`, else `filename` with its bytes read like those of `name`; without the path. May be empty where only a path
    /// was given.
    pub filename: Option<String>,
    /// `type/subtype` in lower case; `text/plain` where there is none that can be read.
    pub media_type: String,
    /// How a field's content is to be read.
    pub(super) charset: Charset,
}

impl PartHead {
    /// From the values of `Content-Disposition` and `Content-Type`. `None`: no part of the form, to be passed over.
    pub(super) fn new(disposition: Option<&[u8]>, content_type: Option<&[u8]>, reading: Reading) -> Option<PartHead> {
        let disposition = disposition?;
        let len = disposition.iter().position(|&byte| !is_tchar(byte)).unwrap_or(disposition.len());
        let (kind, parameters) = disposition.split_at(len);
        if !kind.eq_ignore_ascii_case(b"form-data") {
            return None;
        }
        let parameters = Parameters::of_disposition(parameters, reading.names()).ok()?;
        let value = |name| parameters.get(name).filter(|value| !value.is_empty());
        let content_type = content_type.and_then(MediaType::parse);
        let charset = content_type.as_ref().and_then(|content_type| content_type.parameters.get("charset"));
        let charset = charset.and_then(|label| Charset::named(label.as_bytes())).unwrap_or_default();
        Some(PartHead {
            charset,
            name: value("name").map(String::from),
            filename: value("filename*").or_else(|| value("filename")).map(|path| base_name(path).to_owned()),
            media_type: content_type.map_or_else(|| "text/plain".to_owned(), |content_type| content_type.essence),
        })
    }

    /// A file, not a field: it has a file name, or is a stream of octets.
    pub(super) fn is_file(&self) -> bool {
        self.filename.is_some() || self.media_type == "application/octet-stream"
    }
}

/// What is behind the last `/` or `\`; nothing, where that would name a folder.
fn base_name(path: &str) -> &str {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    if matches!(name, "." | "..") { "" } else { name }
}

/// Appends the head of a file as JSON: `{"name":"file:F1","filename":"a.txt","type":"text/plain"}`, without `filename`
/// where there is none.
pub fn write_file_json(out: &mut Vec<u8>, head: &PartHead) {
    out.extend_from_slice(b"{\"name\":");
    write_json_string(out, head.name.as_deref().unwrap_or_default());
    if let Some(filename) = &head.filename {
        out.extend_from_slice(b",\"filename\":");
        write_json_string(out, filename);
    }
    out.extend_from_slice(b",\"type\":");
    write_json_string(out, &head.media_type);
    out.push(b'}');
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn by_reference(disposition: Option<&[u8]>, content_type: Option<&[u8]>) -> Option<PartHead> {
        PartHead::new(disposition, content_type, Reading::Reference)
    }

    /// `None`: passed over. A field: its name and type. A file: its JSON.
    type Meaning<'a> = Option<Result<(Option<&'a str>, &'a str), &'a str>>;

    /// What busboy 1.6.0 makes of them.
    #[rustfmt::skip]
    const DISPOSITIONS: &[(&[u8], Meaning<'static>)] = &[
        (br#"form-data; name="file:F1"; filename="a.txt""#, Some(Err(r#"{"name":"file:F1","filename":"a.txt","type":"text/plain"}"#))),
        (b"FORM-DATA;NAME=x;FILENAME=a", Some(Err(r#"{"name":"x","filename":"a","type":"text/plain"}"#))),
        (b"form-data", Some(Ok((None, "text/plain")))),
        (b"form-data; name=\"\"; filename=a", Some(Err(r#"{"name":"","filename":"a","type":"text/plain"}"#))),
        (br#"form-data; name="x"; filename="""#, Some(Ok((Some("x"), "text/plain")))),
        (br#"form-data; name="a"; name="b""#, Some(Ok((Some("a"), "text/plain")))),
        (br#"form-data; name=""; name="b""#, Some(Ok((None, "text/plain")))),
        (b"form-data;\tname=\"a\"\t;  x=y \t", Some(Ok((Some("a"), "text/plain")))),
        (b"form-data; =x; name=a", Some(Ok((Some("a"), "text/plain")))),
        (b"form-data ; name = \"a\"", None),
        (b"form-data; name=\"a\";", None),
        (b"form-data; name=\"a\"; ", None),
        (b"form-data; name", None),
        (b"form-data; name=", None),
        (b"form-data; name=\"a", None),
        (b"form-data; name=\"a\"b", None),
        (b"form-data, name=a", None),
        (b"attachment; name=\"a\"", None),
        (b"", None),
        (b" ", None),
        // Quoted strings: Latin-1, and a backslash that escapes nothing is one.
        (br#"form-data; name="a\"b\\c\d""#, Some(Ok((Some(r#"a"b\c\d"#), "text/plain")))),
        (br#"form-data; name="\"#, None),
        (br#"form-data; name="C:\"; filename=a"#, None),
        (b"form-data; name=\"\xe9\xc3\xa9\xff\"", Some(Ok((Some("\u{e9}\u{c3}\u{a9}\u{ff}"), "text/plain")))),
        (b"form-data; name=\xe9", None),
        // Paths.
        (br#"form-data; name=x; filename="C:\dir\a.txt""#, Some(Err(r#"{"name":"x","filename":"a.txt","type":"text/plain"}"#))),
        (br#"form-data; name=x; filename="/a/b\\c""#, Some(Err(r#"{"name":"x","filename":"c","type":"text/plain"}"#))),
        (br#"form-data; name=x; filename="a/""#, Some(Err(r#"{"name":"x","filename":"","type":"text/plain"}"#))),
        (br#"form-data; name=x; filename="..""#, Some(Err(r#"{"name":"x","filename":"","type":"text/plain"}"#))),
        (br#"form-data; name=x; filename="a/.""#, Some(Err(r#"{"name":"x","filename":"","type":"text/plain"}"#))),
        (br#"form-data; name=x; filename="...""#, Some(Err(r#"{"name":"x","filename":"...","type":"text/plain"}"#))),
        // RFC 8187.
        (b"form-data; name=x; filename=f; filename*=UTF-8''%e2%82%ac", Some(Err(r#"{"name":"x","filename":"€","type":"text/plain"}"#))),
        (b"form-data; name=x; filename*=utf8'en'a%2Fb%41", Some(Err(r#"{"name":"x","filename":"bA","type":"text/plain"}"#))),
        (b"form-data; name=x; filename*=ISO-8859-1''%e9", Some(Err(r#"{"name":"x","filename":"é","type":"text/plain"}"#))),
        (b"form-data; name=x; filename*=x-cp1252''%80", Some(Err("{\"name\":\"x\",\"filename\":\"\u{80}\",\"type\":\"text/plain\"}"))),
        (b"form-data; name=x; filename*=UTF-8''%ff%41", Some(Err("{\"name\":\"x\",\"filename\":\"\u{fffd}A\",\"type\":\"text/plain\"}"))),
        (b"form-data; name=x; filename*=nope''; filename=f", Some(Err(r#"{"name":"x","filename":"f","type":"text/plain"}"#))),
        (b"form-data; name*=UTF-8''x; filename=f", Some(Err(r#"{"name":"","filename":"f","type":"text/plain"}"#))),
        (b"form-data; name=x; filename*=windows-1251''%e9", None),
        (b"form-data; name=x; filename*=''a", None),
        (b"form-data; name=x; filename*=UTF-8''", None),
        (b"form-data; name=x; filename*=UTF-8'a; filename=f", None),
        (b"form-data; name=x; filename*=UTF-8", None),
        (b"form-data; name=x; filename*=UTF-8''%4; filename=f", None),
        (b"form-data; name=x; filename*=UTF-8''%zz", None),
        (b"form-data; name=x; filename*=UTF-8''a b", None),
        (b"form-data; name=x; filename*=\"UTF-8''a\"", None),
        (b"form-data; name=x; filename*=UTF-8''\xe9", None),
        (b"form-data; name=x; filename*=a|b''c", None),
    ];

    #[rustfmt::skip]
    const CONTENT_TYPES: &[(&[u8], &str)] = &[
        (b"Image/PNG", "image/png"),
        (br#"image/png; q="a\"b"; q=2"#, "image/png"),
        (b"image/png; q=\"\xe9\"", "image/png"),
        (b"image/svg+xml; a*=UTF-8''x", "image/svg+xml"),
        (b"image/png ", "image/png"),
        (b"image/png;", "text/plain"),
        (b"image/png; q=\xe9", "text/plain"),
        (b"image", "text/plain"),
        (b"image/", "text/plain"),
        (b"/png", "text/plain"),
        (b"image/png/x", "text/plain"),
        (b"", "text/plain"),
    ];

    #[test]
    fn dispositions_mean_what_they_mean_to_the_reference() {
        for (disposition, expected) in DISPOSITIONS {
            let head = by_reference(Some(disposition), None);
            let mut json = Vec::new();
            let meaning = head.as_ref().map(|head| {
                if head.is_file() {
                    write_file_json(&mut json, head);
                    Err(std::str::from_utf8(&json).unwrap())
                } else {
                    Ok((head.name.as_deref(), head.media_type.as_str()))
                }
            });
            assert_eq!(meaning, *expected, "{}", disposition.escape_ascii());
        }
        assert_eq!(by_reference(None, Some(b"text/plain")), None);
    }

    #[test]
    fn names_are_utf_8_where_they_can_be_and_the_reference_is_not_followed() {
        for (disposition, name, filename) in [
            (&b"form-data; name=\"file:\xc3\xa9\"; filename=\"\xe2\x82\xac.txt\""[..], "file:\u{e9}", "\u{20ac}.txt"),
            // Not UTF-8: as before.
            (b"form-data; name=\"file:\xe9\"; filename=\"\xe9\xc3\xa9\"", "file:\u{e9}", "\u{e9}\u{c3}\u{a9}"),
            (b"form-data; name=\"file:1\"; filename=\"a/\xc3\xa9\\b\\\xc3\xbc\"", "file:1", "\u{fc}"),
            (b"form-data; name=x; filename=\"\xc3\xa9\"; filename*=UTF-8''%e2%82%ac", "x", "\u{20ac}"),
            (b"form-data; name=x; filename*=ISO-8859-1''%c3%a9", "x", "\u{c3}\u{a9}"),
        ] {
            let head = PartHead::new(Some(disposition), None, Reading::Standard).unwrap();
            let named = (head.name.as_deref(), head.filename.as_deref());
            assert_eq!(named, (Some(name), Some(filename)), "{}", disposition.escape_ascii());
        }
    }

    #[test]
    fn types_are_read_or_plain_text() {
        for (content_type, expected) in CONTENT_TYPES {
            let head = by_reference(Some(b"form-data; name=x; filename=f"), Some(content_type)).unwrap();
            assert_eq!(head.media_type, *expected, "{}", content_type.escape_ascii());
        }
    }

    #[test]
    fn a_stream_of_octets_is_a_file_without_a_name() {
        for (content_type, file) in [
            ("application/octet-stream", true),
            ("Application/Octet-Stream; a=b", true),
            ("application/octet-stream; a", false),
            ("application/json", false),
        ] {
            let head = by_reference(Some(b"form-data; name=\"file:\x01\""), Some(content_type.as_bytes()));
            assert_eq!(head, None, "a control byte");
            let head = by_reference(Some(b"form-data; name=\"file:1\""), Some(content_type.as_bytes())).unwrap();
            assert_eq!(head.is_file(), file, "{content_type}");
            let mut json = Vec::new();
            write_file_json(&mut json, &head);
            let kept = if file { "application/octet-stream" } else { head.media_type.as_str() };
            assert_eq!(String::from_utf8(json).unwrap(), format!(r#"{{"name":"file:1","type":"{kept}"}}"#));
        }
    }

    #[test]
    fn charsets_of_fields() {
        for (content_type, expected) in [
            ("text/plain", Charset::Utf8),
            ("text/plain; charset=UTF-8", Charset::Utf8),
            ("text/plain; charset=\"ISO-8859-1\"", Charset::Latin1),
            ("text/plain; Charset=Latin1; charset=utf-8", Charset::Latin1),
            ("text/plain; charset=utf-16le", Charset::Utf8),
        ] {
            let head = by_reference(Some(b"form-data; name=x"), Some(content_type.as_bytes())).unwrap();
            assert_eq!(head.charset, expected, "{content_type}");
        }
    }
}
