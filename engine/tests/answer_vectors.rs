//! Vectors of answers: what a server, or somebody on the way from it, may send so that two readers take one answer for
//! two, or two for one. Each is read whole and cut at every place. A refused connection gives no further answer: whatever
//! stands behind the fault is never taken for one.

use fasttunnel_engine::wire::fuzz::{End, read_answers};
use fasttunnel_engine::wire::head::Method::{self, Connect, Get, Head};

/// Name, what was asked with (the last for all that follow), bytes, the answers (`status body`), and the end.
type Vector<'a> = (&'a str, &'a [Method], &'a str, &'a [&'a str], End);

const OVER: End = End::Over(0);

#[rustfmt::skip]
const GOOD: &[Vector<'_>] = &[
    ("lengths, one behind the other", &[Get],
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 404 X\r\ncontent-length: 0\r\n\r\n", &["200 ab", "404 "], End::Between),
    ("chunks, with extensions and trailers", &[Get],
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2;a=b\r\nab\r\n1\r\nc\r\n0\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 \r\n\r\n",
        &["200 abc", "204 "], End::Between),
    ("content until the end of the connection", &[Get], "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", &["200 HTTP/1.1 200 OK\r\n\r\n"], OVER),
    ("HTTP/1.0 ends with its answer", &[Get], "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP", &["200 ab"], End::Over(4)),
    ("HTTP/1.0 may go on", &[Get],
        "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\naHTTP/1.0 200 OK\r\n\r\nb", &["200 a", "200 b"], OVER),
    ("close is the end", &[Get], "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\naHTTP/1.1 200 OK\r\n\r\n", &["200 a"], End::Over(19)),
    ("interim answers first", &[Get],
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
        &["100 ", "103 ", "200 a"], End::Between),
    ("HEAD has the length of GET and no content", &[Head, Get],
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", &["200 ", "200 ab"], End::Between),
    ("HEAD has the coding of GET and no content", &[Head],
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", &["200 ", "200 "], End::Between),
    ("an interim answer is not the one to HEAD", &[Head, Get],
        "HTTP/1.1 100 X\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", &["100 ", "200 ", "200 a"], End::Between),
    ("304 has a length and no content", &[Get],
        "HTTP/1.1 304 X\r\nContent-Length: 2\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", &["304 ", "200 a"], End::Between),
    ("204 may say that it has none", &[Get], "HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n", &["204 "], End::Between),
    ("a tunnel is no HTTP any more", &[Connect], "HTTP/1.1 200 X\r\nContent-Length: 2\r\nTransfer-Encoding: x\r\n\r\nbytes", &["200 "], End::Over(5)),
    ("a refused tunnel is an answer like any", &[Connect, Get],
        "HTTP/1.1 407 X\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n", &["407 ab", "200 "], End::Between),
    ("another protocol", &[Get], "HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", &["101 "], End::Over(19)),
    ("a status that no RFC has", &[Get], "HTTP/1.1 799 X\r\nContent-Length: 1\r\n\r\na", &["799 a"], End::Between),
    ("content that stops short is not whole", &[Get], "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", &["200 ab..."], End::Within),
    ("chunks that stop short are not whole", &[Get], "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", &["200 ab..."], End::Within),
    ("half a head", &[Get], "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", &[], End::Within),
];

/// What follows the first head would be an answer to those who read the fault otherwise.
const SMUGGLED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[rustfmt::skip]
const BAD: &[(&str, &str)] = &[
    // Where the content ends.
    ("a length twice", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n"),
    ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 38\r\nContent-Length: 0\r\n\r\n"),
    ("a list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 0, 38\r\n\r\n"),
    ("a list of equal lengths", "HTTP/1.1 200 OK\r\nContent-Length: 0,0\r\n\r\n"),
    ("a length with a sign", "HTTP/1.1 200 OK\r\nContent-Length: +0\r\n\r\n"),
    ("a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
    ("a length in hexadecimal digits", "HTTP/1.1 200 OK\r\nContent-Length: 0x26\r\n\r\n"),
    ("a length with a blank", "HTTP/1.1 200 OK\r\nContent-Length: 3 8\r\n\r\n"),
    ("an empty length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n"),
    ("a length beyond 64 bits", "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551654\r\n\r\n"),
    ("length and coding", "HTTP/1.1 200 OK\r\nContent-Length: 38\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("coding and length", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"),
    ("chunked twice", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("chunked twice in one line", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    ("chunked is not the last", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    ("chunked behind another", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("an unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    ("identity", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n"),
    ("chunked with a parameter", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"),
    ("chunked in quotes", "HTTP/1.1 200 OK\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
    ("an empty coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\nContent-Length: 0\r\n\r\n"),
    ("chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n"),
    ("chunked with a vertical tab", "HTTP/1.1 200 OK\r\nTransfer-Encoding: \u{b}chunked\r\n\r\n0\r\n\r\n"),
    ("204 with content", "HTTP/1.1 204 X\r\nContent-Length: 38\r\n\r\n"),
    ("204 in chunks", "HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("100 with content", "HTTP/1.1 100 X\r\nContent-Length: 38\r\n\r\n"),
    ("100 in chunks", "HTTP/1.1 100 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("101 with content", "HTTP/1.1 101 X\r\nContent-Length: 38\r\n\r\n"),
    ("an interim answer in HTTP/1.0", "HTTP/1.0 100 X\r\nConnection: keep-alive\r\n\r\n"),
    // Chunks.
    ("a chunk size with a sign", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+0\r\n\r\n"),
    ("a chunk size with a prefix", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n"),
    ("a chunk size beyond 64 bits", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n"),
    ("a chunk that is longer than it says", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n"),
    ("a chunk size that ends with LF", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\n\r\n"),
    ("an extension with a line end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0;a\nb\r\n\r\n"),
    // Lines.
    ("LF alone", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    ("LF alone behind a line", "HTTP/1.1 200 OK\r\nA: b\nContent-Length: 0\r\n\r\n"),
    ("CR alone in a value", "HTTP/1.1 200 OK\r\nA: b\rContent-Length: 38\r\nContent-Length: 0\r\n\r\n"),
    ("NUL in a value", "HTTP/1.1 200 OK\r\nA: b\0\r\nContent-Length: 0\r\n\r\n"),
    ("a blank before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n"),
    ("a folded length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n 38\r\n\r\n"),
    ("a folded line", "HTTP/1.1 200 OK\r\nA: b\r\n Content-Length: 38\r\nContent-Length: 0\r\n\r\n"),
    ("a line that begins with a blank", "HTTP/1.1 200 OK\r\n Content-Length: 38\r\nContent-Length: 0\r\n\r\n"),
    ("a name with a control byte", "HTTP/1.1 200 OK\r\nContent\0-Length: 38\r\nContent-Length: 0\r\n\r\n"),
    ("a line without a colon", "HTTP/1.1 200 OK\r\nabc\r\nContent-Length: 0\r\n\r\n"),
    ("an empty name", "HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 0\r\n\r\n"),
    // The status line.
    ("an empty line first", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("another version", "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("HTTP/2.0", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("HTTP/0.9", "<html>hello</html>\r\n\r\n"),
    ("a version in lower case", "http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("another protocol's name", "ICY 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("a request", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("two blanks", "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("a tab", "HTTP/1.1\t200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("a short code", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
    ("a long code", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
    ("a code below 100", "HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n"),
    ("a code that is no number", "HTTP/1.1 2OO OK\r\nContent-Length: 0\r\n\r\n"),
    ("no blank behind the code", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"),
    ("a control byte in the reason", "HTTP/1.1 200 O\x07K\r\nContent-Length: 0\r\n\r\n"),
    // Bounds.
    ("a head without an end", "HTTP/1.1 200 OK\r\nA: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
    ("more lines than allowed", "HTTP/1.1 200 OK\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\n\r\n"),
    ("more content than allowed", "HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n"),
];

/// The answers and the end, after checking that they are the same however the bytes are cut.
fn read(name: &str, asked: &[Method], bytes: &[u8]) -> (Vec<String>, End) {
    let asked = |at: usize| asked.get(at).or(asked.last()).copied().unwrap_or_default();
    let whole = read_answers([bytes], asked);
    for cut in 0..=bytes.len() {
        assert_eq!(read_answers([&bytes[..cut], &bytes[cut..]], asked), whole, "{name}, cut at {cut}");
    }
    assert_eq!(read_answers(bytes.chunks(1), asked), whole, "{name}, byte by byte");
    let told = whole.answers.iter().map(|answer| {
        format!("{} {}{}", answer.status, answer.body.escape_ascii(), if answer.whole { "" } else { "..." })
    });
    (told.collect(), whole.end)
}

#[test]
fn good_answers_are_read_to_the_byte() {
    for (name, asked, bytes, answers, end) in GOOD {
        let expected: Vec<String> =
            answers.iter().map(|answer| answer.replace('\r', "\\r").replace('\n', "\\n")).collect();
        assert_eq!(read(name, asked, bytes.as_bytes()), (expected, *end), "{name}");
    }
}

#[test]
fn nothing_is_smuggled_behind_an_answer_that_two_readers_read_otherwise() {
    let good = "HTTP/1.1 201 X\r\nContent-Length: 1\r\n\r\na";
    for (name, bytes) in BAD {
        let (answers, end) = read(name, &[Get], format!("{good}{bytes}{SMUGGLED}").as_bytes());
        assert_eq!(end, End::Refused, "{name}: {answers:?}");
        // Of the bad one no more than its beginning, where the fault is in the content.
        assert_eq!(answers[0], "201 a", "{name}");
        assert!(answers.len() <= 2 && answers[1..].iter().all(|answer| answer.ends_with("...")), "{name}: {answers:?}");
    }
}
