//! A record as a line. Whatever a client sends, it stays one line, and one text in it.

use std::io::Write as _;

use super::moment::{Now, put_clf, put_rfc3339};
use super::record::{Record, Text};

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A JSON object.
    #[default]
    Json,
    /// The Combined Log Format of Apache and nginx.
    Combined,
}

/// Appends the line of a record, with its end.
pub fn put_line(out: &mut Vec<u8>, format: Format, record: &Record, now: Now) {
    match format {
        Format::Json => put_json(out, record, now),
        Format::Combined => put_combined(out, record, now),
    }
    out.push(b'\n');
}

/// Appends the JSON object of a record.
pub fn put_json(out: &mut Vec<u8>, record: &Record, now: Now) {
    out.extend_from_slice(b"{\"time\":\"");
    put_rfc3339(out, now.unix_ns_of(record.began_ns));
    out.push(b'"');
    if let Some(remote) = record.remote {
        let _ = write!(out, ",\"remoteAddress\":\"{}\"", remote.ip());
        if remote.port() != 0 {
            let _ = write!(out, ",\"remotePort\":{}", remote.port());
        }
    }
    put_text(out, "method", record.text(Text::Method));
    put_text(out, "path", record.text(Text::Path));
    put_text(out, "httpVersion", version_of(record).as_bytes());
    let us = record.ended_ns.saturating_sub(record.began_ns) / 1000;
    let (ms, rest) = (us / 1000, us % 1000);
    let _ = write!(out, ",\"status\":{},\"bytes\":{},\"durationMs\":{ms}.{rest:03}", record.status, record.bytes);
    put_text(out, "requestId", record.text(Text::RequestId));
    put_text(out, "userAgent", record.text(Text::Agent));
    put_text(out, "referer", record.text(Text::Referer));
    put_text(out, "traceId", record.text(Text::TraceId));
    if record.aborted {
        out.extend_from_slice(b",\"aborted\":true");
    }
    out.push(b'}');
}

fn put_combined(out: &mut Vec<u8>, record: &Record, now: Now) {
    match record.remote {
        Some(remote) => drop(write!(out, "{}", remote.ip())),
        None => out.push(b'-'),
    }
    out.extend_from_slice(b" - - [");
    put_clf(out, now.unix_ns_of(record.began_ns));
    out.extend_from_slice(b"] \"");
    if record.version == 0 {
        out.push(b'-');
    } else {
        put_quoted(out, record.text(Text::Method));
        out.push(b' ');
        put_quoted(out, record.text(Text::Path));
        let _ = write!(out, " HTTP/{}", version_of(record));
    }
    let _ = write!(out, "\" {} {} \"", record.status, record.bytes);
    put_quoted_or_dash(out, record.text(Text::Referer));
    out.extend_from_slice(b"\" \"");
    put_quoted_or_dash(out, record.text(Text::Agent));
    out.push(b'"');
}

fn version_of(record: &Record) -> &'static str {
    match record.version {
        10 => "1.0",
        11 => "1.1",
        20 => "2.0",
        _ => "",
    }
}

/// A member of a JSON object; nothing where the text is empty. What is no UTF-8 is taken for ISO 8859-1, as Node.js takes
/// fields.
fn put_text(out: &mut Vec<u8>, name: &str, text: &[u8]) {
    if text.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":\"");
    match std::str::from_utf8(text) {
        Ok(text) if !text.is_ascii() => put_unicode(out, text),
        _ => {
            let is_plain = |byte: u8| matches!(byte, 0x20..=0x7e) && !matches!(byte, b'"' | b'\\');
            put_escaped(out, text, is_plain, |out, byte| match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                byte => drop(write!(out, "\\u{byte:04x}")),
            });
        }
    }
    out.push(b'"');
}

/// As [`put_escaped`] does for JSON. What steers a terminal, or ends a line for some readers, is escaped as well.
fn put_unicode(out: &mut Vec<u8>, text: &str) {
    let is_odd =
        |c: char| c.is_control() || matches!(c, '"' | '\\' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    for piece in text.split_inclusive(is_odd) {
        let last = piece.chars().next_back().filter(|c| is_odd(*c));
        let plain = last.map_or(piece, |c| piece.strip_suffix(c).unwrap_or(piece));
        out.extend_from_slice(plain.as_bytes());
        match last {
            Some(c @ ('"' | '\\')) => out.extend_from_slice(&[b'\\', c as u8]),
            Some(c) => drop(write!(out, "\\u{:04x}", u32::from(c))),
            None => {}
        }
    }
}

fn put_quoted_or_dash(out: &mut Vec<u8>, text: &[u8]) {
    if text.is_empty() {
        out.push(b'-');
    } else {
        put_quoted(out, text);
    }
}

/// Between quotes, as nginx escapes it.
fn put_quoted(out: &mut Vec<u8>, text: &[u8]) {
    let is_plain = |byte: u8| matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\';
    put_escaped(out, text, is_plain, |out, byte| drop(write!(out, "\\x{byte:02X}")));
}

/// Copies what is plain as a whole, and gives the rest to `escape`.
fn put_escaped(out: &mut Vec<u8>, text: &[u8], is_plain: impl Fn(u8) -> bool, escape: impl Fn(&mut Vec<u8>, u8)) {
    let mut rest = text;
    loop {
        let plain = rest.iter().position(|byte| !is_plain(*byte)).unwrap_or(rest.len());
        let (copied, behind) = rest.split_at(plain);
        out.extend_from_slice(copied);
        let Some((byte, behind)) = behind.split_first() else { return };
        escape(out, *byte);
        rest = behind;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NOW: Now = Now { monotonic_ns: 10_000_000, unix_ns: 784_111_777_010_000_000 };

    fn line(format: Format, record: &Record) -> String {
        let mut out = Vec::new();
        put_line(&mut out, format, record, NOW);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_steers_a_terminal_or_ends_a_line_is_escaped_in_text_of_any_language() {
        let mut out = Vec::new();
        put_text(&mut out, "userAgent", "ä\u{9b}2J\u{2028}\"x\\\u{202e}\u{85}ß".as_bytes());
        assert_eq!(String::from_utf8(out).unwrap(), r#","userAgent":"ä\u009b2J\u2028\"x\\\u202e\u0085ß""#);
    }

    fn record() -> Record {
        let mut record =
            Record { began_ns: 9_000_000, ended_ns: 9_012_345, version: 11, status: 200, ..Record::default() };
        (record.bytes, record.remote) = (22, Some("192.0.2.1:5".parse().unwrap()));
        record.set(Text::Method, b"POST");
        record.set(Text::Path, b"/__runner/task/a");
        record
    }

    #[test]
    fn a_record_is_written_as_a_table_says() {
        let plain = record();
        let mut full = record();
        full.set(Text::Agent, b"a\"b\\c\r\n\x7f");
        full.set(Text::Referer, "http://h/ä".as_bytes());
        full.set(Text::TraceId, b"0af7651916cd43dd8448eb211c80319c");
        full.set(Text::RequestId, b"r-1");
        let mut latin = Record { version: 20, status: 499, aborted: true, ..Record::default() };
        latin.set(Text::Method, b"GET");
        latin.set(Text::Path, b"/\xe4");
        let unread = Record { began_ns: 1, ended_ns: 1, status: 400, ..Record::default() };
        let v6 = Record {
            remote: Some("[2001:db8::1]:443".parse().unwrap()),
            version: 10,
            status: 408,
            ..Record::default()
        };
        for (record, json, combined) in [
            (
                &plain,
                r#"{"time":"1994-11-06T08:49:37.009Z","remoteAddress":"192.0.2.1","remotePort":5,"method":"POST","path":"/__runner/task/a","httpVersion":"1.1","status":200,"bytes":22,"durationMs":0.012}"#,
                r#"192.0.2.1 - - [06/Nov/1994:08:49:37 +0000] "POST /__runner/task/a HTTP/1.1" 200 22 "-" "-""#,
            ),
            (
                &full,
                r#"{"time":"1994-11-06T08:49:37.009Z","remoteAddress":"192.0.2.1","remotePort":5,"method":"POST","path":"/__runner/task/a","httpVersion":"1.1","status":200,"bytes":22,"durationMs":0.012,"requestId":"r-1","userAgent":"a\"b\\c\u000d\u000a\u007f","referer":"http://h/ä","traceId":"0af7651916cd43dd8448eb211c80319c"}"#,
                r#"192.0.2.1 - - [06/Nov/1994:08:49:37 +0000] "POST /__runner/task/a HTTP/1.1" 200 22 "http://h/\xC3\xA4" "a\x22b\x5Cc\x0D\x0A\x7F""#,
            ),
            (
                &latin,
                r#"{"time":"1994-11-06T08:49:37.000Z","method":"GET","path":"/\u00e4","httpVersion":"2.0","status":499,"bytes":0,"durationMs":0.000,"aborted":true}"#,
                r#"- - - [06/Nov/1994:08:49:37 +0000] "GET /\xE4 HTTP/2.0" 499 0 "-" "-""#,
            ),
            (
                &unread,
                r#"{"time":"1994-11-06T08:49:37.000Z","status":400,"bytes":0,"durationMs":0.000}"#,
                r#"- - - [06/Nov/1994:08:49:37 +0000] "-" 400 0 "-" "-""#,
            ),
            (
                &v6,
                r#"{"time":"1994-11-06T08:49:37.000Z","remoteAddress":"2001:db8::1","remotePort":443,"httpVersion":"1.0","status":408,"bytes":0,"durationMs":0.000}"#,
                r#"2001:db8::1 - - [06/Nov/1994:08:49:37 +0000] "  HTTP/1.0" 408 0 "-" "-""#,
            ),
        ] {
            assert_eq!(line(Format::Json, record), format!("{json}\n"));
            assert_eq!(line(Format::Combined, record), format!("{combined}\n"));
        }
    }

    #[test]
    fn every_byte_stays_within_its_line_and_its_text() {
        for byte in 0..=u8::MAX {
            let mut odd = record();
            odd.set(Text::Agent, &[b'<', byte, b'>']);
            for format in [Format::Json, Format::Combined] {
                let line = line(format, &odd);
                assert_eq!(line.matches('\n').count(), 1, "{byte}");
                assert_eq!(
                    line.matches('"').count() - line.matches("\\\"").count(),
                    line_quotes(format),
                    "{byte}: {line}"
                );
            }
        }
    }

    fn line_quotes(format: Format) -> usize {
        line(format, &{
            let mut plain = record();
            plain.set(Text::Agent, b"<a>");
            plain
        })
        .matches('"')
        .count()
    }
}
