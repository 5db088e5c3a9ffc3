//! Heads that a server sends on each stream. Interim ones have no window, and `h2` keeps all of them until somebody takes them
//! (RFC 9113 8.1).

use std::collections::VecDeque;

use crate::limits::{MAX_INTERIM_ANSWERS, UPSTREAM_STREAMS};
use crate::wire::section_watch::{Flaw, SectionWatch};

/// Bytes in front of what a frame holds (RFC 9113 4.1).
const FRAME_HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;

/// Looks at what a server sends, in pieces of any size.
#[derive(Default)]
pub(in crate::shard) struct HeadWatch {
    header: [u8; FRAME_HEADER],
    have: usize,
    /// Bytes of the frame that are to come.
    left: usize,
    /// Streams that have not ended.
    streams: VecDeque<Open>,
    /// The one of them that had content last.
    content: u32,
    /// The fields behind content that come, as long as nothing is wrong with them.
    section: Option<SectionWatch>,
    /// Streams behind whose content fields have come that are wrong, by what was taken last.
    spoiled: Vec<(u32, Flaw)>,
    settled: bool,
}

/// A stream that has not ended.
struct Open {
    stream: u32,
    heads: usize,
    /// Content has come. Fields behind it are no head, as those are that come without any: one may be interim.
    content: bool,
}

impl HeadWatch {
    /// Bytes of content in what has come; `None`: a stream has more heads than an answer may have.
    pub fn take(&mut self, mut input: &[u8]) -> Option<u64> {
        let mut content = 0;
        self.spoiled.clear();
        loop {
            let (payload, rest) = input.split_at(self.left.min(input.len()));
            self.left -= payload.len();
            input = rest;
            self.note_section(payload);
            if input.is_empty() {
                return Some(content);
            }
            let (some, rest) = input.split_at((FRAME_HEADER - self.have).min(input.len()));
            if let Some(place) = self.header.get_mut(self.have..self.have + some.len()) {
                place.copy_from_slice(some);
            }
            self.have += some.len();
            input = rest;
            if self.have < FRAME_HEADER {
                return Some(content);
            }
            self.have = 0;
            let [a, b, c, kind, flags, stream @ ..] = self.header;
            self.left = u32::from_be_bytes([0, a, b, c]) as usize;
            self.settled |= kind == SETTINGS && flags & ACK == 0;
            if kind == DATA {
                content += self.left as u64;
            }
            self.note(kind, flags, u32::from_be_bytes(stream) & 0x7fff_ffff)?;
        }
    }

    /// The server has said how many streams it takes.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Streams behind whose content fields have come that are wrong, by what was taken last: `h2` leaves those out.
    pub fn spoiled(&self) -> &[(u32, Flaw)] {
        &self.spoiled
    }

    /// Looks at fields behind content.
    fn note_section(&mut self, payload: &[u8]) {
        if let Some(flaw) = self.section.as_mut().and_then(|section| section.take(payload)) {
            self.section = None;
            let [.., a, b, c, d] = self.header;
            self.spoiled.push((u32::from_be_bytes([a & 0x7f, b, c, d]), flaw));
        }
    }

    fn note(&mut self, kind: u8, flags: u8, stream: u32) -> Option<()> {
        if kind != CONTINUATION {
            self.section = None;
        }
        if kind == HEADERS && self.streams.iter().any(|open| open.stream == stream && open.content) {
            self.section = Some(SectionWatch::of(flags));
        }
        if kind == RST_STREAM || (matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0) {
            self.streams.retain(|open| open.stream != stream);
        } else if kind == HEADERS {
            match self.streams.iter_mut().find(|open| open.stream == stream) {
                Some(open) if open.heads > MAX_INTERIM_ANSWERS => return None,
                Some(open) => open.heads += 1,
                None => {
                    if self.streams.len() == 2 * UPSTREAM_STREAMS {
                        self.streams.pop_front();
                    }
                    self.streams.push_back(Open { stream, heads: 1, content: false });
                }
            }
        } else if kind == DATA && self.content != stream {
            self.content = stream;
            self.streams.iter_mut().filter(|open| open.stream == stream).for_each(|open| open.content = true);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, stream];
        frame.extend(std::iter::repeat_n(0x5a, usize::from(length)));
        frame
    }

    #[test]
    fn a_stream_has_so_many_heads_and_no_more_however_they_come() {
        let most = MAX_INTERIM_ANSWERS + 1;
        let heads = |count: usize| frame(HEADERS, 4, 1, 3).repeat(count);
        for cut in 0..12 {
            let mut watch = HeadWatch::default();
            let (first, rest) = (heads(1)[..cut].to_vec(), [&heads(1)[cut..], &heads(most - 1)].concat());
            assert_eq!(watch.take(&first).and_then(|_| watch.take(&rest)), Some(0), "{cut}");
            assert_eq!(watch.take(&heads(1)), None, "{cut}");
        }
    }

    #[test]
    fn pseudo_fields_behind_content_spoil_their_stream_however_the_frames_are_cut() {
        let headers =
            |flags: u8, block: &[u8]| [&[0, 0, block.len() as u8, HEADERS, flags, 0, 0, 0, 1], block].concat();
        let (status, data) = (headers(4, &[0x88]), frame(DATA, 0, 1, 3));
        for (name, frames, expected) in [
            ("interim heads, and one", vec![status.clone(), status.clone(), headers(5, &[0x88])], &[][..]),
            ("behind content", vec![status.clone(), data.clone(), headers(5, &[0x88])], &[1]),
            ("another field", vec![status.clone(), data.clone(), headers(5, &[0, 1, b'x', 1, b'y'])], &[]),
            ("behind content of two frames", vec![status, data.clone(), data, headers(13, &[0, 0x84])], &[1]),
        ] {
            let bytes = frames.concat();
            for cut in 0..=bytes.len() {
                let (mut watch, mut spoiled) = (HeadWatch::default(), Vec::new());
                for piece in [&bytes[..cut], &bytes[cut..]] {
                    assert!(watch.take(piece).is_some());
                    spoiled.extend(watch.spoiled().iter().map(|(stream, _)| *stream));
                }
                assert_eq!(spoiled, expected, "{name}, cut at {cut}");
            }
        }
    }

    #[test]
    fn a_stream_that_ends_begins_anew_and_content_is_counted() {
        let mut watch = HeadWatch::default();
        for _ in 0..3 {
            assert_eq!(watch.take(&frame(HEADERS, 4, 1, 1).repeat(MAX_INTERIM_ANSWERS + 1)), Some(0));
            assert_eq!(
                watch.take(&[frame(DATA, 0, 1, 7), frame(6, 0, 0, 8), frame(DATA, END_STREAM, 1, 5)].concat()),
                Some(12)
            );
        }
    }
}
