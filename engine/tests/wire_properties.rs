//! Properties of the parsers over generated messages: ordinary ones, mutated ones, and plain noise.

use fasttunnel_engine::wire::body::{BodyReader, Step};
use fasttunnel_engine::wire::framing::Framing;
use fasttunnel_engine::wire::fuzz::{fuzz_answer, fuzz_answers, fuzz_chunked, fuzz_head};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Pieces of heads, good and bad; a few of them in a row get deeper into the parser than random bytes do.
#[rustfmt::skip]
const HEAD_PIECES: &[&[u8]] = &[
    b"POST /a?b=c HTTP/1.1\r\n", b"GET / HTTP/1.0\r\n", b"OPTIONS * HTTP/1.1\r\n", b"GET http://h/x?y HTTP/1.1\r\n",
    b"CONNECT h:80 HTTP/1.1\r\n", b"GET / HTTP/2.0\r\n", b"Host: h\r\n", b"Host: [::1]:80\r\n", b"Content-Length: 5\r\n",
    b"content-length: 05, 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n",
    b"Connection: keep-alive, close\r\n", b"Expect: 100-continue\r\n", b"X-A: \t b \xff\t \r\n", b"Empty:\r\n",
    b" folded\r\n", b"X : v\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\0", b":", b" ", b"a",
];

#[rustfmt::skip]
const CHUNK_PIECES: &[&[u8]] = &[
    b"1\r\na\r\n", b"5\r\nhello\r\n", b"0\r\n", b"0\r\n\r\n", b"1;a=b\r\nx\r\n", b"2 ;a = \"b\\\"\"\r\n\r\n\r\n",
    b"3f\r\n", b"ffffffffffffffff\r\n", b"X-T: v\r\n", b"\r\n", b"\r", b"\n", b";", b" ", b"0", b"a", b"\"", b"\0",
];

#[rustfmt::skip]
const ANSWER_PIECES: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 204 \r\n\r\n",
    b"HTTP/1.1 101 X\r\n\r\n", b"HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", b"HTTP/2.0 200 X\r\n",
    b"Content-Length: 5\r\n", b"content-length: 05, 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n",
    b"Connection: keep-alive, close\r\n", b"X-A: \t b \xff\t \r\n", b" folded\r\n", b"X : v\r\n", b"\r\n", b"\r\n", b"hello",
    b"1\r\na\r\n", b"0\r\n\r\n", b"\n", b"\r", b"\0", b" ",
];

/// Names and values of an answer's fields, each with its end.
#[rustfmt::skip]
const FIELD_PIECES: &[&[u8]] = &[
    b"Date\0now\0", b"vary\0Accept\0", b"X-Frame-Options\0SAMEORIGIN\0", b"x-runner-request-id\0b\0",
    b"access-control-allow-origin\0https://x\0", b"Content-Length\x007\0", b"connection\0close\0", b"set-cookie\0a=b; c\0",
    b"set-cookie\0d\0", b"x\0\0", b"y\0\xe9 \t\0", b"z\0: \0", b"bad name\0x\0", b"x\0a\r\nEvil: 1\0", b"\0", b"a", b"\r", b":",
];

fn message(pieces: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    let whole = vec(select(pieces), 0..9).prop_map(|pieces| pieces.concat());
    // One byte replaced, inserted or removed, or none.
    (whole, any::<Index>(), any::<u8>(), 0..4u8).prop_map(|(mut bytes, at, byte, how)| {
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                _ => {}
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_are_sent_with_the_fields_that_they_say(
        status in 200..600u16, flags in any::<u8>(), fields in message(FIELD_PIECES),
    ) {
        fuzz_answer(&[&status.to_be_bytes()[..], &[flags], &fields].concat());
    }

    #[test]
    fn heads_mean_the_same_however_they_are_cut(bytes in message(HEAD_PIECES)) {
        fuzz_head(&bytes);
    }

    #[test]
    fn fields_mean_the_same_however_they_are_cut(
        name in "[!-~]{1,12}", value in vec(any::<u8>(), 0..24), host in "[ -~]{0,12}",
    ) {
        let head = [b"POST /x HTTP/1.1\r\nHost: ", host.as_bytes(), b"\r\n", name.as_bytes(), b":", &value, b"\r\n\r\n"];
        fuzz_head(&head.concat());
    }

    #[test]
    fn noise_is_no_head(bytes in vec(any::<u8>(), 0..600)) {
        fuzz_head(&bytes);
    }

    #[test]
    fn answers_mean_the_same_however_they_are_cut(choice in any::<u8>(), bytes in message(ANSWER_PIECES)) {
        fuzz_answers(&[&[choice], &bytes[..]].concat());
    }

    #[test]
    fn noise_is_no_answer(bytes in vec(any::<u8>(), 0..300)) {
        fuzz_answers(&bytes);
    }

    #[test]
    fn chunked_content_is_the_same_however_it_is_cut(bytes in message(CHUNK_PIECES)) {
        fuzz_chunked(&bytes);
    }

    #[test]
    fn noise_is_no_chunk(bytes in vec(any::<u8>(), 0..300)) {
        fuzz_chunked(&bytes);
    }

    #[test]
    fn content_comes_back_from_any_chunking(
        parts in vec(vec(any::<u8>(), 1..9), 0..7), extension in "(;[a-z]{1,4}(=[a-z]{1,3}|=\"[ a-z]{0,3}\")?)?",
    ) {
        let mut wire = Vec::new();
        for part in &parts {
            wire.extend_from_slice(format!("{:x}{extension}\r\n", part.len()).as_bytes());
            wire.extend_from_slice(part);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b"0\r\n\r\n");
        let mut content = Vec::new();
        let step = BodyReader::new(Framing::Chunked, 64).read(&wire, &mut content);
        prop_assert_eq!(step, Ok(Step { consumed: wire.len(), done: true }));
        prop_assert_eq!(content, parts.concat());
        fuzz_chunked(&wire);
    }
}
