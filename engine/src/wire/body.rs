//! Takes the content of one message off the wire, whatever its framing (RFC 9112 6 and 7).

pub use super::body_step::{BodyError, Step};
pub use super::chunked::ChunkLimits;

use super::chunked::ChunkedReader;
use super::framing::Framing;

/// Reads the content of one message. Input may be cut at any byte.
#[derive(Clone, Debug)]
pub struct BodyReader {
    kind: Kind,
    max_body_bytes: u64,
}

#[derive(Clone, Debug)]
enum Kind {
    Length { total: u64, left: u64 },
    Chunked(ChunkedReader),
    UntilClose { taken: u64 },
}

impl BodyReader {
    /// A reader at the first byte behind the head. `max_body_bytes` bounds what [`BodyReader::read`] takes: exactly so
    /// many bytes pass, one more is [`BodyError::TooLarge`]. What stands around the content has its default bounds.
    #[must_use]
    pub fn new(framing: Framing, max_body_bytes: u64) -> BodyReader {
        BodyReader::within(framing, max_body_bytes, ChunkLimits::default())
    }

    /// A reader as of [`BodyReader::new`], with other bounds of what stands around chunked content.
    #[must_use]
    pub fn within(framing: Framing, max_body_bytes: u64, limits: ChunkLimits) -> BodyReader {
        let kind = match framing {
            Framing::None => Kind::Length { total: 0, left: 0 },
            Framing::Length(total) => Kind::Length { total, left: total },
            Framing::Chunked => Kind::Chunked(ChunkedReader::new(limits)),
        };
        BodyReader { kind, max_body_bytes }
    }

    /// A reader of what comes until the connection ends, of an answer (RFC 9112 6.3), or until a frame says that it is
    /// complete (RFC 9113 8.1). It is never done by itself: [`BodyReader::close`], [`BodyReader::end`].
    #[must_use]
    pub fn until_close(max_body_bytes: u64) -> BodyReader {
        BodyReader { kind: Kind::UntilClose { taken: 0 }, max_body_bytes }
    }

    /// The connection has ended: true when the message is complete with that.
    #[must_use]
    pub fn close(&self) -> bool {
        matches!(self.kind, Kind::UntilClose { .. }) || self.done()
    }

    /// What carries the content has said that it is complete.
    pub fn end(&mut self) {
        if let Kind::UntilClose { taken } = self.kind {
            self.kind = Kind::Length { total: taken, left: 0 };
        }
    }

    /// Takes content from `input` and appends it to `sink`.
    ///
    /// Too large is said as soon as a Content-Length or a chunk size tells, before any of its data; the reader and the
    /// sink are then as before the call, and the same `input` may be given to [`BodyReader::skip`]. After any other
    /// error the message has no known end.
    #[inline]
    pub fn read(&mut self, input: &[u8], sink: &mut Vec<u8>) -> Result<Step, BodyError> {
        match &mut self.kind {
            Kind::Length { total, .. } if *total > self.max_body_bytes => Err(BodyError::TooLarge),
            Kind::Length { left, .. } => Ok(take(left, input, |data| sink.extend_from_slice(data))),
            Kind::Chunked(reader) => {
                let (before, sink_len) = (*reader, sink.len());
                let step = reader.advance(input, self.max_body_bytes, |data| sink.extend_from_slice(data));
                if step == Err(BodyError::TooLarge) {
                    *reader = before;
                    sink.truncate(sink_len);
                }
                step
            }
            Kind::UntilClose { taken } if taken.saturating_add(input.len() as u64) > self.max_body_bytes => {
                Err(BodyError::TooLarge)
            }
            Kind::UntilClose { taken } => Ok(take_all(taken, input, |data| sink.extend_from_slice(data))),
        }
    }

    /// Takes content from `input` and hands it to `put`, piece by piece; of content without a limit, and so never
    /// [`BodyError::TooLarge`].
    #[inline]
    pub fn pass(&mut self, input: &[u8], put: impl FnMut(&[u8])) -> Result<Step, BodyError> {
        match &mut self.kind {
            Kind::Length { left, .. } => Ok(take(left, input, put)),
            Kind::Chunked(reader) => reader.advance(input, u64::MAX, put),
            Kind::UntilClose { taken } => Ok(take_all(taken, input, put)),
        }
    }

    /// As [`BodyReader::pass`], with the field lines of the trailer section, which are appended to `trailers`.
    #[inline]
    pub fn pass_with_trailers(
        &mut self,
        input: &[u8],
        trailers: &mut Vec<u8>,
        put: impl FnMut(&[u8]),
    ) -> Result<Step, BodyError> {
        match &mut self.kind {
            Kind::Chunked(reader) => reader.advance_noting(input, u64::MAX, put, |byte| trailers.push(byte)),
            _ => self.pass(input, put),
        }
    }

    /// Takes content from `input` and drops it: draining after an early answer. Knows no limit of its own, never
    /// [`BodyError::TooLarge`]; the caller bounds how many bytes it is willing to drain.
    #[inline]
    pub fn skip(&mut self, input: &[u8]) -> Result<Step, BodyError> {
        self.pass(input, |_| {})
    }

    /// Bytes that come next and are nothing but content, as far as is known: the caller may drop as many of them unseen,
    /// and says so by [`BodyReader::pass_unseen`].
    #[must_use]
    pub fn content_run(&self) -> u64 {
        match &self.kind {
            Kind::Length { left, .. } => *left,
            Kind::Chunked(reader) => reader.content_run(),
            Kind::UntilClose { .. } => u64::MAX,
        }
    }

    /// So many bytes of the [`BodyReader::content_run`] were dropped unseen; true when the message is complete.
    pub fn pass_unseen(&mut self, bytes: u64) -> bool {
        match &mut self.kind {
            Kind::Length { left, .. } => *left = left.saturating_sub(bytes),
            Kind::Chunked(reader) => reader.pass_unseen(bytes),
            Kind::UntilClose { taken } => *taken = taken.saturating_add(bytes),
        }
        self.done()
    }

    /// Bytes of content still to come; `None` when only the last chunk, or the end of the connection, will tell.
    #[must_use]
    pub fn remaining_length(&self) -> Option<u64> {
        match &self.kind {
            Kind::Length { left, .. } => Some(*left),
            Kind::Chunked(reader) if reader.done() => Some(0),
            Kind::Chunked(_) | Kind::UntilClose { .. } => None,
        }
    }

    /// True when the whole message was taken; at once for a request without content.
    #[must_use]
    pub fn done(&self) -> bool {
        match &self.kind {
            Kind::Length { left, .. } => *left == 0,
            Kind::Chunked(reader) => reader.done(),
            Kind::UntilClose { .. } => false,
        }
    }
}

/// Takes at most `left` bytes off `input`.
#[inline]
fn take(left: &mut u64, input: &[u8], mut put: impl FnMut(&[u8])) -> Step {
    let consumed = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
    put(&input[..consumed]);
    *left -= consumed as u64;
    Step { consumed, done: *left == 0 }
}

/// Takes all of `input`.
#[inline]
fn take_all(taken: &mut u64, input: &[u8], mut put: impl FnMut(&[u8])) -> Step {
    put(input);
    *taken = taken.saturating_add(input.len() as u64);
    Step { consumed: input.len(), done: false }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_length_takes_its_bytes_and_no_more() {
        let mut reader = BodyReader::new(Framing::Length(5), 5);
        let mut sink = Vec::new();
        assert_eq!(reader.remaining_length(), Some(5));
        assert_eq!(reader.read(b"he", &mut sink), Ok(Step { consumed: 2, done: false }));
        assert_eq!(reader.read(b"", &mut sink), Ok(Step { consumed: 0, done: false }));
        assert_eq!(reader.remaining_length(), Some(3));
        assert_eq!(reader.read(b"lloGET", &mut sink), Ok(Step { consumed: 3, done: true }));
        assert_eq!(reader.read(b"GET", &mut sink), Ok(Step { consumed: 0, done: true }));
        assert_eq!(sink, b"hello");
        assert!(reader.done());
    }

    #[test]
    fn content_is_passed_on_without_its_framing() {
        let mut reader = BodyReader::new(Framing::Chunked, 0);
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        let step = reader.pass(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET", |piece| pieces.push(piece.to_vec()));
        assert_eq!(step, Ok(Step { consumed: 20, done: true }));
        assert_eq!(pieces, [&b"abc"[..], b"de"]);
    }

    #[test]
    fn trailers_are_handed_over_as_lines_wherever_the_input_is_cut() {
        let input = b"3\r\nabc\r\n0\r\nX-A: 1\r\nX-B:2 \r\n\r\nGET";
        for cut in 0..input.len() {
            let mut reader = BodyReader::new(Framing::Chunked, 0);
            let (mut content, mut trailers) = (Vec::new(), Vec::new());
            let mut at = 0;
            for piece in [&input[..cut], &input[cut..]] {
                let step = reader.pass_with_trailers(piece, &mut trailers, |piece| content.extend_from_slice(piece));
                at += step.unwrap().consumed;
            }
            assert_eq!((&content[..], &trailers[..]), (&b"abc"[..], &b"X-A: 1\r\nX-B:2 \r\n"[..]), "{cut}");
            assert_eq!((reader.done(), at), (true, input.len() - 3));
        }
        let (mut trailers, mut reader) = (Vec::new(), BodyReader::new(Framing::Length(3), 3));
        assert!(reader.pass_with_trailers(b"abcX-A: 1\r\n", &mut trailers, |_| {}).unwrap().done);
        assert!(trailers.is_empty(), "only chunks have any");
    }

    #[test]
    fn content_may_be_dropped_unseen() {
        let mut reader = BodyReader::new(Framing::Length(5), 0);
        assert_eq!(reader.content_run(), 5);
        assert!(!reader.pass_unseen(3));
        assert_eq!((reader.content_run(), reader.remaining_length()), (2, Some(2)));
        assert!(reader.pass_unseen(2));

        let mut reader = BodyReader::new(Framing::Chunked, 0);
        assert_eq!(reader.content_run(), 0, "a chunk size comes next");
        assert_eq!(reader.skip(b"10\r\nab"), Ok(Step { consumed: 6, done: false }));
        assert_eq!(reader.content_run(), 14);
        assert!(!reader.pass_unseen(4));
        assert_eq!(reader.content_run(), 10);
        assert!(!reader.pass_unseen(10));
        assert_eq!(reader.content_run(), 0, "CRLF comes next");
        assert_eq!(reader.skip(b"\r\n0\r\n\r\nGET"), Ok(Step { consumed: 7, done: true }));
        assert_eq!(reader.content_run(), 0);
    }

    #[test]
    fn content_without_an_end_of_its_own_ends_with_the_connection() {
        let mut reader = BodyReader::until_close(5);
        let mut sink = Vec::new();
        assert_eq!((reader.content_run(), reader.remaining_length()), (u64::MAX, None));
        assert_eq!(reader.read(b"abc", &mut sink), Ok(Step { consumed: 3, done: false }));
        assert!(!reader.done());
        assert_eq!(reader.read(b"def", &mut sink), Err(BodyError::TooLarge), "one more than the limit");
        assert_eq!(reader.read(b"de", &mut sink), Ok(Step { consumed: 2, done: false }));
        assert_eq!(reader.skip(b"fg"), Ok(Step { consumed: 2, done: false }));
        assert!(!reader.pass_unseen(7));
        assert_eq!(sink, b"abcde");
        assert!(reader.close());
        // Elsewhere it is the end of the message only where that was complete.
        let mut reader = BodyReader::new(Framing::Length(2), 5);
        assert!(!reader.close());
        assert_eq!(reader.skip(b"ab"), Ok(Step { consumed: 2, done: true }));
        assert!(reader.close());
        assert!(!BodyReader::new(Framing::Chunked, 5).close());
    }

    #[test]
    fn content_is_complete_when_what_carries_it_says_so() {
        let mut reader = BodyReader::until_close(5);
        let mut sink = Vec::new();
        assert_eq!(reader.read(b"abc", &mut sink), Ok(Step { consumed: 3, done: false }));
        reader.end();
        assert_eq!(reader.read(b"", &mut sink), Ok(Step { consumed: 0, done: true }));
        assert_eq!((reader.done(), reader.remaining_length(), &sink[..]), (true, Some(0), &b"abc"[..]));
        let mut reader = BodyReader::new(Framing::Length(5), 5);
        reader.end();
        assert!(!reader.done(), "its length says where it ends");
    }

    #[test]
    fn no_content_is_done_at_once() {
        for framing in [Framing::None, Framing::Length(0)] {
            let mut reader = BodyReader::new(framing, 0);
            assert!(reader.done());
            assert_eq!(reader.read(b"GET", &mut Vec::new()), Ok(Step { consumed: 0, done: true }));
            assert_eq!(reader.remaining_length(), Some(0));
        }
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_its_data_and_can_be_drained() {
        for length in [6, u64::MAX] {
            let mut reader = BodyReader::new(Framing::Length(length), 5);
            assert_eq!(reader.read(b"", &mut Vec::new()), Err(BodyError::TooLarge));
            assert_eq!(reader.skip(b"hello"), Ok(Step { consumed: 5, done: false }));
            assert_eq!(reader.remaining_length(), Some(length - 5));
        }
    }

    #[test]
    fn a_chunk_over_the_limit_leaves_reader_and_sink_as_before_the_call() {
        let mut reader = BodyReader::new(Framing::Chunked, 5);
        let mut sink = Vec::new();
        assert_eq!(reader.read(b"3\r\nab", &mut sink), Ok(Step { consumed: 5, done: false }));
        let rest = b"c\r\n3\r\ndef\r\n0\r\n\r\nGET";
        assert_eq!(reader.read(rest, &mut sink), Err(BodyError::TooLarge));
        assert_eq!(sink, b"ab");
        assert_eq!(reader.skip(rest), Ok(Step { consumed: rest.len() - 3, done: true }));
        assert_eq!(reader.remaining_length(), Some(0));
    }

    #[test]
    fn exactly_the_limit_passes() {
        let mut sink = Vec::new();
        assert!(
            BodyReader::new(Framing::Chunked, 5).read(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", &mut sink).unwrap().done
        );
        assert_eq!(sink, b"abcde");
        assert!(BodyReader::new(Framing::Length(5), 5).read(b"abcde", &mut sink).unwrap().done);
    }
}
