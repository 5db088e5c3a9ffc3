//! The chunked coding, each case whole and byte by byte.

use crate::limits::{DEFAULT_CHUNK_EXTENSION_BYTES, DEFAULT_TRAILER_BYTES, MAX_HEADERS};
use crate::wire::body::{BodyError, BodyReader, ChunkLimits, Step};
use crate::wire::framing::Framing;

/// Content and bytes used when the message is complete, `None` when bytes are missing.
type Verdict = Result<Option<(Vec<u8>, usize)>, BodyError>;

fn read(input: &[u8], piece: usize) -> Verdict {
    let (mut reader, mut sink, mut consumed) = (BodyReader::new(Framing::Chunked, 1000), Vec::new(), 0);
    for part in input.chunks(piece) {
        let Step { consumed: used, done } = reader.read(part, &mut sink)?;
        consumed += used;
        if done {
            return Ok(Some((sink, consumed)));
        }
        assert_eq!(used, part.len(), "stopped early");
    }
    Ok(None)
}

fn verdict(input: &[u8]) -> Verdict {
    let whole = read(input, input.len().max(1));
    assert_eq!(read(input, 1), whole, "byte by byte: {}", input.escape_ascii());
    whole
}

#[test]
fn content_is_taken_to_the_end_of_the_message_and_not_beyond() {
    for (input, content) in [
        ("0\r\n\r\n", ""),
        ("5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("1\r\na\r\n1\r\nb\r\n0\r\n\r\n", "ab"),
        ("00000005\r\nhello\r\n000\r\n\r\n", "hello"),
        ("A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("a\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("0000000000000001\r\na\r\n0\r\n\r\n", "a"),
        ("1;a\r\na\r\n0;b=c\r\n\r\n", "a"),
        ("1;a=1;b=\"2\\\"\\\\\";c\r\na\r\n0\r\n\r\n", "a"),
        ("1 ; a = b ; c = \"d e\" ; f\r\na\r\n0\r\n\r\n", "a"),
        ("1;a=\"\u{e9}\t\"\r\na\r\n0\r\n\r\n", "a"),
        ("1\r\na\r\n0\r\nX-T: v\r\nContent-Length: 5\r\nEmpty:\r\n\r\n", "a"),
    ] {
        let expected = Ok(Some((content.as_bytes().to_vec(), input.len())));
        assert_eq!(verdict(input.as_bytes()), expected, "{input:?}");
        assert_eq!(verdict(format!("{input}GET / HTTP/1.1\r\n").as_bytes()), expected, "{input:?} and more");
        for cut in 0..input.len() {
            assert_eq!(verdict(&input.as_bytes()[..cut]), Ok(None), "{input:?} cut at {cut}");
        }
    }
}

#[test]
fn broken_framing_is_malformed() {
    for input in [
        "\r\n",
        " \r\n",
        "\t\r\n",
        ";a=b\r\n",
        ";\r\n",
        "\n",
        "+1\r\n",
        "-1\r\n",
        "0x1\r\n",
        "1_0\r\n",
        " 1\r\n",
        "\t1\r\n",
        "1 \r\n",
        "1\t\r\n",
        "1 0\r\n",
        "1g\r\n",
        "1h\r\n",
        "1=1\r\n",
        "#1\r\n",
        "1\0\r\n",
        "1\u{a0}\r\n",
        "1\n",
        "1\rX",
        "1\r\r\n",
        "00000000000000001\r\n",
        "fffffffffffffffff\r\n",
        "1;\r\n",
        "1;;a\r\n",
        "1;=b\r\n",
        "1;a=\r\n",
        "1;a=\"b\r\n",
        "1;a=\"b\"c\r\n",
        "1;[a]\r\n",
        "1;a b\r\n",
        "1;a=b c\r\n",
        "1;a \r\n",
        "1;a=b \r\n",
        "1;a=\0\r\n",
        "1;a\rb\r\n",
        "1;a\n",
        "1;a\r\r\n",
        "1;a=\"\0\"\r\n",
        "1;a=\"\\\r\"\r\n",
        "1\r\naX\r\n",
        "1\r\na\n",
        "1\r\na\rX",
        "1\r\nab\r\n",
        "1\r\na\r\n\r\n0\r\n\r\n",
        "0\r\nXX\r\n",
        "0\n",
        "0\r\n\n",
        "0\r\n\rX",
        "0\r\n X: y\r\n",
        "0\r\n: v\r\n",
        "0\r\nX : v\r\n",
        "0\r\nX: a\0\r\n",
        "0\r\nX: a\r\n b\r\n",
        "0\r\nX: a\n",
        "0\r\nX: a\rb",
        "0\r\nX\r\n",
        "0\r\nX\n",
        "0\r\n\u{e9}: v\r\n",
        "0\r\nX: \x7f\r\n",
    ] {
        assert!(matches!(verdict(input.as_bytes()), Err(BodyError::Malformed(_))), "{input:?}");
    }
}

#[test]
fn sizes_over_the_limit_are_refused_before_their_data() {
    for input in ["3e9\r\n", "7fffffffffffffff\r\n", "ffffffffffffffff\r\n", "1\r\na\r\nffffffffffffffff\r\n"] {
        assert_eq!(verdict(input.as_bytes()), Err(BodyError::TooLarge), "{input:?}");
    }
    assert_eq!(verdict(b"3e8\r\n"), Ok(None));
}

#[test]
fn extensions_and_trailers_are_bounded() {
    let extended = |n: usize| format!("1;{}\r\na\r\n0\r\n\r\n", "a".repeat(n - 1));
    assert!(matches!(verdict(extended(DEFAULT_CHUNK_EXTENSION_BYTES).as_bytes()), Ok(Some(_))));
    assert_eq!(verdict(extended(DEFAULT_CHUNK_EXTENSION_BYTES + 1).as_bytes()), Err(BodyError::ExtensionsTooLarge));
    let many = format!("{}0\r\n\r\n", "1;aaaaaaa\r\na\r\n".repeat(DEFAULT_CHUNK_EXTENSION_BYTES / 8 + 1));
    assert_eq!(verdict(many.as_bytes()), Err(BodyError::ExtensionsTooLarge), "all chunks together");

    let lines = |n: usize| format!("0\r\n{}\r\n", "X: v\r\n".repeat(n));
    assert!(matches!(verdict(lines(MAX_HEADERS).as_bytes()), Ok(Some(_))));
    assert_eq!(verdict(lines(MAX_HEADERS + 1).as_bytes()), Err(BodyError::TrailersTooLarge));
    let long = |n: usize| format!("0\r\nX:{}\r\n\r\n", "v".repeat(n - 4));
    assert!(matches!(verdict(long(DEFAULT_TRAILER_BYTES).as_bytes()), Ok(Some(_))));
    assert_eq!(verdict(long(DEFAULT_TRAILER_BYTES + 1).as_bytes()), Err(BodyError::TrailersTooLarge));
}

#[test]
fn the_bounds_of_extensions_and_trailers_are_exact_whatever_they_are() {
    for n in [0, 2, 3, 50, 1000] {
        let limits = ChunkLimits { max_extension_bytes: n, max_trailer_bytes: 6 * n, max_trailer_lines: n };
        let read =
            |text: String| BodyReader::within(Framing::Chunked, 1, limits).read(text.as_bytes(), &mut Vec::new());
        let complete = |text: String| matches!(read(text), Ok(Step { done: true, .. }));
        // `n` bytes of extension, over two chunks where they can be cut.
        let extension = |n: usize| if n == 0 { String::new() } else { format!(";{}", "a".repeat(n - 1)) };
        let once = |n: usize| format!("1{}\r\na\r\n0\r\n\r\n", extension(n));
        let twice = |n: usize| format!("1{}\r\na\r\n0{}\r\n\r\n", extension(2), extension(n - 2));
        assert!(complete(once(n)), "{n}");
        assert_eq!(read(once(n + 1)), Err(BodyError::ExtensionsTooLarge), "{n}");
        if n > 3 {
            assert!(complete(twice(n)), "{n}");
            assert_eq!(read(twice(n + 1)), Err(BodyError::ExtensionsTooLarge), "{n}");
        }
        let lines = |n: usize| format!("0\r\n{}\r\n", "X: v\r\n".repeat(n));
        assert!(complete(lines(n)), "{n}");
        assert_eq!(read(lines(n + 1)), Err(BodyError::TrailersTooLarge), "{n}");
    }
}

#[test]
fn twenty_thousand_chunks_of_one_byte_are_read_in_one_pass() {
    let input = format!("{}0\r\n\r\n", "1\r\na\r\n".repeat(20_000));
    let mut sink = Vec::new();
    let step = BodyReader::new(Framing::Chunked, 20_000).read(input.as_bytes(), &mut sink);
    assert_eq!(step, Ok(Step { consumed: input.len(), done: true }));
    assert_eq!(sink.len(), 20_000);
}
