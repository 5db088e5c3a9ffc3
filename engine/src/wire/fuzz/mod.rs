//! Invariants of the parsers for arbitrary bytes. Called by fuzz targets and by property tests; panics on a violation.

mod answers;

pub use answers::{Answer, End, Reading, fuzz_answers, read_answers};

use super::answer::{Answer as Written, Content, Given, is_final_status};
use super::answer_body::AnswerFraming;
use super::body::{BodyError, BodyReader, Step};
use super::date::HttpDate;
use super::field_lines::{FieldLines, put_field};
use super::framing::Framing;
use super::head::{Head, HeadError, HeadLimits, HeadScanner, Method, Scan, TargetForm};
use super::reply::Connection;
use super::token::{is_field_value, is_token};

/// Small bounds, so that short inputs reach them.
const LIMITS: HeadLimits =
    HeadLimits { max_head_bytes: 512, max_target_bytes: 64, max_headers: 8, ignore_fragment: false, connect: true };
const MAX_BODY_BYTES: u64 = 64;
/// Inputs up to this length are cut at every position, longer ones at as many evenly spaced ones.
const CUTS: usize = 256;

/// Any bytes as the start of a connection: whole, cut in two at any place and byte by byte are all accepted with the
/// same meaning, all refused, or all incomplete; an accepted head holds what it says and httparse reads it alike.
pub fn fuzz_head(data: &[u8]) {
    let whole = read_head([data]);
    for cut in cuts(data) {
        assert_same_head(&whole, &read_head([&data[..cut], data]), data, cut);
    }
    assert_same_head(&whole, &read_head((1..=data.len()).map(|n| &data[..n])), data, 0);
    if let Ok(Some((start, end, head))) = whole {
        check_accepted(&head, &data[start..end]);
    }
}

type HeadVerdict = Result<Option<(usize, usize, Head)>, HeadError>;

/// Feeds ever longer prefixes, as a connection does.
fn read_head<'a>(prefixes: impl IntoIterator<Item = &'a [u8]>) -> HeadVerdict {
    let mut scanner = HeadScanner::default();
    for prefix in prefixes {
        if let Scan::Complete { start, end } = scanner.find(prefix, &LIMITS)? {
            assert!(start < end && end <= prefix.len());
            let mut head = Head::default();
            head.parse(&prefix[start..end], &LIMITS)?;
            return Ok(Some((start, end, head)));
        }
    }
    Ok(None)
}

fn assert_same_head(one: &HeadVerdict, other: &HeadVerdict, data: &[u8], cut: usize) {
    let same = match (one, other) {
        (Ok(Some((start, end, head))), Ok(Some((other_start, other_end, other_head)))) => {
            start == other_start && end == other_end && is_same(head, other_head, &data[*start..*end])
        }
        (Ok(None), Ok(None)) | (Err(_), Err(_)) => true,
        _ => false,
    };
    assert!(same, "cut at {cut}: {:?} but {:?} for {}", brief(one), brief(other), data.escape_ascii());
}

/// Field by field: this is the innermost loop of the fuzzer.
fn is_same(one: &Head, other: &Head, bytes: &[u8]) -> bool {
    one.method == other.method
        && (one.target, one.form, one.path, one.query) == (other.target, other.form, other.path, other.query)
        && (one.minor_version, one.framing) == (other.minor_version, other.framing)
        && (one.keep_alive, one.expect_continue) == (other.keep_alive, other.expect_continue)
        && one.fields.of(bytes).iter().eq(other.fields.of(bytes).iter())
}

fn brief(verdict: &HeadVerdict) -> Result<Option<(usize, usize)>, HeadError> {
    verdict.as_ref().map(|found| found.as_ref().map(|(start, end, _)| (*start, *end))).map_err(|error| *error)
}

fn check_accepted(head: &Head, bytes: &[u8]) {
    let (target, path, query) = (head.target.of(bytes), head.path.of(bytes), head.query.of(bytes));
    assert!(!target.is_empty() && target.iter().all(u8::is_ascii_graphic));
    assert_eq!(head.method == Method::Connect, head.form == TargetForm::Authority);
    match head.form {
        TargetForm::Origin => assert!(target.starts_with(b"/") && path.starts_with(b"/")),
        TargetForm::Asterisk => assert!(head.method == Method::Options && target == b"*"),
        TargetForm::Authority => assert!(path.is_empty() && query.is_empty()),
        TargetForm::Absolute => assert!(target.contains(&b':') && !target.starts_with(b"/")),
    }
    let tail = if query.is_empty() { path.to_vec() } else { [path, b"?", query].concat() };
    assert!(target.ends_with(&tail) || (query.is_empty() && target.ends_with(&[&tail[..], b"?"].concat())));
    for (name, value) in head.fields.of(bytes).iter() {
        assert!(is_token(name) && is_field_value(value));
    }
    // No line end but CRLF, and none inside a line.
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' => assert_eq!(bytes[at - 1], b'\r'),
            b'\r' => assert_eq!(bytes[at + 1], b'\n'),
            byte => assert!(is_field_value(&[*byte])),
        }
    }
    let mut headers = [httparse::EMPTY_HEADER; crate::limits::MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    assert_eq!(request.parse(bytes), Ok(httparse::Status::Complete(bytes.len())), "{}", bytes.escape_ascii());
    assert_eq!(request.path.map(str::as_bytes), Some(target));
    assert_eq!(request.headers.len(), head.fields.of(bytes).len());
}

/// Any bytes as chunked content: whole, cut in two at any place and byte by byte give the same content, end or error;
/// reading and skipping use the same bytes.
pub fn fuzz_chunked(data: &[u8]) {
    let whole = read_body([data]);
    for cut in cuts(data) {
        let (first, second) = data.split_at(cut);
        assert_eq!(read_body([first, second]), whole, "cut at {cut}: {}", data.escape_ascii());
    }
    assert_eq!(read_body(data.chunks(1)), whole, "byte by byte: {}", data.escape_ascii());

    let skipped = BodyReader::new(Framing::Chunked, MAX_BODY_BYTES).skip(data);
    match &whole {
        Ok((content, consumed, done)) => {
            assert!(content.len() as u64 <= MAX_BODY_BYTES && *consumed <= data.len());
            assert!(*done || *consumed == data.len());
            assert_eq!(skipped, Ok(Step { consumed: *consumed, done: *done }));
        }
        Err(BodyError::TooLarge) => assert_ne!(skipped, Err(BodyError::TooLarge)),
        Err(error) => assert_eq!(skipped, Err(*error)),
    }
}

fn read_body<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Result<(Vec<u8>, usize, bool), BodyError> {
    let (mut reader, mut content, mut consumed) = (BodyReader::new(Framing::Chunked, MAX_BODY_BYTES), Vec::new(), 0);
    for part in parts {
        let step = reader.read(part, &mut content)?;
        assert!(step.consumed == part.len() || step.done);
        assert_eq!(step.done, reader.done());
        consumed += step.consumed;
    }
    Ok((content, consumed, reader.done()))
}

/// The fields that depend on the request, in [`fuzz_answer`].
const OWN: FieldLines<'static> =
    FieldLines::new(b"x-runner-request-id: a\r\nVary: Origin\r\nAccess-Control-Allow-Origin: *\r\n");

/// Any names and values as the fields of an application's answer (status in two bytes, flags, then name NUL value NUL name
/// ...): what is not refused reads back as one head, which holds the fields that the answer says it has, in that order,
/// and beside them what HTTP/1.1 alone needs.
pub fn fuzz_answer(data: &[u8]) {
    let [high, low, flags, rest @ ..] = data else { return };
    let status = u16::from_be_bytes([*high, *low]) % 700;
    if !is_final_status(status) {
        return;
    }
    let (mut lines, mut given) = (Vec::new(), Vec::new());
    let mut texts = rest.split(|byte| *byte == 0);
    while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
        let before = lines.clone();
        match put_field(&mut lines, name, value) {
            Ok(()) => given.push((name, value)),
            Err(_) => assert_eq!(lines, before),
        }
    }
    let fields = FieldLines::new(&lines);
    assert!(fields.is_well_formed() && fields.iter().all(|field| given.contains(&field)));
    let connection = if flags & 1 == 0 { Connection::Close } else { Connection::KeepAlive { hint_s: 5 } };
    let content = match flags >> 2 & 3 {
        0 => Content::text(b"12345"),
        1 => Content::Withheld(5),
        2 => Content::Streamed(None),
        _ => Content::Streamed(Some(5)),
    };
    let security = flags & 2 != 0;
    let date = HttpDate::from_unix(1_800_000_000);
    let given = Given::Application { reason: b"", fields };
    let answer = Written { status, own: OWN, given, security, date: &date, content };
    let framing = AnswerFraming::of(&answer, flags & 16 != 0);
    let mut out = Vec::new();
    answer.encode_head(&mut out, framing == AnswerFraming::Chunked, connection);
    check_head(&answer, framing, &out);
    let mut whole = Vec::new();
    answer.encode(&mut whole, connection);
    let sent = if framing == AnswerFraming::NoContent { [&b""[..]; 3] } else { content.pieces() };
    assert!(whole.ends_with(&sent.concat()));
}

fn check_head(answer: &Written<'_>, framing: AnswerFraming, out: &[u8]) {
    let text: String = out.iter().map(|byte| char::from(*byte)).collect();
    let head = text.strip_suffix("\r\n\r\n").expect("ends with an empty line");
    assert!(!head.contains("\r\n\r\n") && !head.replace("\r\n", "").contains(['\r', '\n', '\0']), "{head}");
    let mut lines = head.split("\r\n");
    assert!(lines.next().is_some_and(|line| line.starts_with(&format!("HTTP/1.1 {} ", answer.status))));
    let mut sent: Vec<(String, String)> = lines
        .map(|line| {
            line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())).expect("name: value")
        })
        .collect();
    let is = |name: &str, ours: &str| name.eq_ignore_ascii_case(ours);
    let count = |name: &str| sent.iter().filter(|(known, _)| is(known, name)).count();
    assert_eq!(count("connection"), 1);
    assert_eq!(count("transfer-encoding"), usize::from(framing == AnswerFraming::Chunked));
    assert_eq!(count("content-length"), usize::from(matches!(framing, AnswerFraming::Length(5))));
    assert!(count("x-runner-request-id") >= 1 && count("date") >= 1);
    if answer.security {
        assert_eq!((count("x-frame-options"), count("x-content-type-options")), (1, 1));
    }
    sent.retain(|(name, _)| !["connection", "keep-alive", "transfer-encoding"].iter().any(|ours| is(name, ours)));
    let mut said = Vec::new();
    let latin1 = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
    answer.for_each_field(|name, value| said.push((latin1(name), latin1(value))));
    assert_eq!(sent, said, "HTTP/1.1 sends what any version would");
}

/// Where an input is cut in two.
pub(crate) fn cuts(data: &[u8]) -> impl Iterator<Item = usize> + use<> {
    (0..=data.len()).step_by(data.len() / CUTS + 1)
}
