//! Properties of the multipart reader over generated bodies: ordinary ones, mutated ones, plain noise, and such as are
//! made to be expensive.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use fasttunnel_engine::limits::MultipartLimits;
use fasttunnel_engine::tunnel::multipart::fuzz::{BOUNDARY, Told, fuzz_multipart, fuzz_part_head, read};
use fasttunnel_engine::tunnel::multipart::{BodyRefusal, Event, MultipartReader};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const UNBOUNDED: MultipartLimits =
    MultipartLimits { file_bytes: None, files: None, field_bytes: None, fields: None, parts: None };

/// Pieces of bodies; a few of them in a row get deeper into the reader than random bytes do.
#[rustfmt::skip]
const PIECES: &[&[u8]] = &[
    b"--B-b\r\n", b"\r\n--B-b\r\n", b"\r\n--B-b\r\n", b"\r\n--B-b--", b"\r\n--B-b", b"\r\n--B-", b"\r\n--B-bb\r\n", b"--",
    b"Content-Disposition: form-data; name=\"__manifest\"\r\n\r\n{}", b"Content-Disposition: form-data; name=\"__manifest\"\r\n\r\n",
    b"Content-Disposition: form-data; name=\"file:1\"; filename=\"a\"\r\n\r\n", b"content-type: application/octet-stream\r\n",
    b"Content-Disposition: form-data; name=\"file:2\"; filename*=UTF-8''%e2\r\n\r\nabc", b"Content-Type: text/x; charset=latin1\r\n",
    b"Content-Disposition: form-data; name=x\r\n\r\n", b"X: y\r\n", b" folded\r\n", b"\r\n\r\n", b"\r\n", b"\r", b"\n", b"-", b"abc", b"\xe9",
];

#[rustfmt::skip]
const VALUE_PIECES: &[&[u8]] = &[
    b"form-data", b"multipart/form-data", b"text/plain", b"; ", b";", b"name=", b"filename=", b"filename*=", b"boundary=", b"\"", b"\\",
    b"UTF-8''", b"iso-8859-1'en'", b"%e9", b"%", b"'", b"/", b"..", b"\xe9", b" ", b"\t", b"=", b"*", b"file:1", b"a", b"\"b c\"",
];

fn joined(pieces: &'static [&'static [u8]], most: usize) -> impl Strategy<Value = Vec<u8>> {
    let whole = vec(select(pieces), 0..most).prop_map(|pieces| pieces.concat());
    // One byte replaced or removed, or none.
    (whole, any::<Index>(), any::<u8>(), 0..4u8).prop_map(|(mut bytes, at, byte, how)| {
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                _ => {}
            }
        }
        bytes
    })
}

/// Bytes with many line ends and dashes, none of them a delimiter.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let pieces: &[&[u8]] = &[b"\r\n--B-", b"\r\n--", b"\r\n", b"\r", b"-", b"b", b"B", b"\0\xff", b"some text"];
    vec(select(pieces), 0..12)
        .prop_map(|pieces| pieces.concat())
        // The line end before a delimiter may be that of the part's head.
        .prop_filter("a delimiter", |content| {
            !content.starts_with(b"--B-b") && !content.windows(7).any(|bytes| bytes == b"\r\n--B-b")
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bodies_mean_the_same_however_they_are_cut(body in joined(PIECES, 14)) {
        fuzz_multipart(&body);
    }

    #[test]
    fn noise_is_no_form(body in vec(any::<u8>(), 0..300)) {
        fuzz_multipart(&body);
    }

    #[test]
    fn fields_of_heads(disposition in joined(VALUE_PIECES, 12), content_type in joined(VALUE_PIECES, 8)) {
        fuzz_part_head(&disposition, &content_type);
        fuzz_part_head(&[b"form-data; name=x; filename=", &disposition[..]].concat(), &content_type);
    }

    #[test]
    fn forms_come_back(
        manifest in content(), files in vec((content(), "[a-z]{1,9}"), 0..4), sizes in vec(1..40usize, 1..9),
        preamble in any::<bool>(),
    ) {
        let mut body = if preamble { b"preamble\r\n".to_vec() } else { Vec::new() };
        let mut expected = vec![Told::Manifest(manifest.clone())];
        let head = "--B-b\r\nContent-Disposition: form-data; name=";
        body.extend_from_slice(format!("{head}\"__manifest\"\r\n\r\n").as_bytes());
        body.extend_from_slice(&manifest);
        for (content, name) in &files {
            body.extend_from_slice(format!("\r\n{head}\"file:{name}\"; filename=\"{name}\"\r\n\r\n").as_bytes());
            body.extend_from_slice(content);
            let (told, _) = read(BOUNDARY, &UNBOUNDED, [format!("{head}\"file:{name}\"; filename=\"{name}\"\r\n\r\n").as_bytes()]);
            expected.extend(told);
            if !content.is_empty() {
                expected.push(Told::Data(content.clone()));
            }
            expected.push(Told::FileEnd);
        }
        body.extend_from_slice(b"\r\n--B-b--\r\n");
        let (mut pieces, mut rest) = (Vec::new(), &body[..]);
        for size in sizes.iter().cycle() {
            let (piece, behind) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(read(BOUNDARY, &UNBOUNDED, pieces), (expected, Ok(())));
    }
}

/// Reads a body of many repetitions in such pieces; returns the number of events and the verdict. Whatever takes time
/// in proportion to the square of these lengths does not come back within the bound.
fn costly(
    boundary: &[u8],
    start: &[u8],
    repeated: &[u8],
    bytes: usize,
    piece: usize,
) -> (u64, Result<(), BodyRefusal>) {
    let body = [start, &repeated.repeat(bytes / repeated.len())].concat();
    let (began, mut events) = (Instant::now(), 0);
    let mut reader = MultipartReader::new(boundary, &UNBOUNDED);
    let mut sink = |_: Event<'_>| events += 1;
    let mut verdict = Ok(());
    for bytes in body.chunks(piece) {
        verdict = verdict.and(reader.feed(bytes, &mut sink));
    }
    let end = reader.finish(&mut sink);
    let what = repeated[..repeated.len().min(60)].escape_ascii();
    assert!(began.elapsed() < Duration::from_secs(20), "{what} by {piece}: {:?}", began.elapsed());
    (events, verdict.and(end))
}

const MIB: usize = 1 << 20;
const FILE: &[u8] = b"--B-b\r\nContent-Disposition: form-data; name=\"file:1\"; filename=f\r\n\r\n";

#[test]
fn near_delimiters_cost_no_more_than_other_bytes() {
    let long = [b'a'; 4000];
    let near_long = [b"\r\n--", &long[1..]].concat();
    for piece in [1, 1000, MIB * 2] {
        for near in [&b"\r\n--B-"[..], b"\r\n--", b"\r", b"\r\n", b"-", b"\r\n--B-\r\n--B", b"x"] {
            let (_, verdict) = costly(BOUNDARY, b"", near, MIB, piece);
            assert_eq!(verdict, Err(BodyRefusal::Malformed), "a preamble");
            let (events, verdict) = costly(BOUNDARY, FILE, near, MIB, piece);
            assert_eq!(verdict, Err(BodyRefusal::Truncated), "a file");
            // No more than a few events for each piece, and for what was held back between two of them.
            assert!(events as usize <= 1 + 2 * (MIB / piece + 2), "{events} by {piece}");
        }
        let (_, verdict) = costly(&long, b"", &near_long, MIB, piece);
        assert_eq!(verdict, Err(BodyRefusal::Malformed));
        let start = [b"--", &long[..], &FILE[5..]].concat();
        let (_, verdict) = costly(&long, &start, &near_long, MIB, piece);
        assert_eq!(verdict, Err(BodyRefusal::Truncated));
    }
}

#[test]
fn a_header_without_an_end_is_refused_at_its_bound() {
    for endless in [&b"a"[..], b"a: b\r\n", b"a:\r\n b\r\n", b"a: b\r\n\r", b" "] {
        for piece in [1, MIB * 2] {
            let (_, verdict) = costly(BOUNDARY, b"--B-b\r\nContent-Disposition: ", endless, MIB, piece);
            assert_eq!(verdict, Err(BodyRefusal::Malformed));
        }
    }
}

#[test]
fn a_hundred_thousand_tiny_parts() {
    let count = 100_000;
    let file = [FILE, b"x\r\n"].concat();
    let field = b"--B-b\r\nContent-Disposition: form-data; name=x\r\n\r\n\r\n";
    let parameters = ["; a=b"; 3000].concat();
    let greedy = format!("--B-b\r\nContent-Disposition: form-data; name=x{parameters}\r\n\r\n\r\n");
    for piece in [1000, MIB * 16] {
        let files = costly(BOUNDARY, b"", &file, count * file.len(), piece);
        // The last one is open: its line end may begin a delimiter.
        assert_eq!(files, (3 * count as u64, Err(BodyRefusal::Truncated)));
        let fields = costly(BOUNDARY, b"", field, count * field.len(), piece);
        assert_eq!(fields, (0, Err(BodyRefusal::Malformed)));
        let fields = costly(BOUNDARY, b"", greedy.as_bytes(), 50 * greedy.len(), piece);
        assert_eq!(fields, (0, Err(BodyRefusal::Malformed)));
    }
}
