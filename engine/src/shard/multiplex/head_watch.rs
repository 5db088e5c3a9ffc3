//! Heads that a server sends on each stream. Interim ones have no window, and `h2` keeps all of them until somebody takes them
//! (RFC 9113 8.1).

use std::collections::VecDeque;

use crate::limits::{MAX_INTERIM_ANSWERS, UPSTREAM_STREAMS};

/// Bytes in front of what a frame holds (RFC 9113 4.1).
const FRAME_HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const END_STREAM: u8 = 1;

/// Looks at what a server sends, in pieces of any size.
#[derive(Default)]
pub(in crate::shard) struct HeadWatch {
    header: [u8; FRAME_HEADER],
    have: usize,
    /// Bytes of the frame that are to come.
    left: usize,
    /// Streams that have not ended, and how many heads came on each.
    heads: VecDeque<(u32, usize)>,
}

impl HeadWatch {
    /// Bytes of content in what has come; `None`: a stream has more heads than an answer may have.
    pub fn take(&mut self, mut input: &[u8]) -> Option<u64> {
        let mut content = 0;
        loop {
            input = input.get(self.left.min(input.len())..).map_or(input, |rest| {
                self.left -= input.len() - rest.len();
                rest
            });
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
            if kind == DATA {
                content += self.left as u64;
            }
            self.note(kind, flags, u32::from_be_bytes(stream) & 0x7fff_ffff)?;
        }
    }

    fn note(&mut self, kind: u8, flags: u8, stream: u32) -> Option<()> {
        if kind == RST_STREAM || (matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0) {
            self.heads.retain(|(known, _)| *known != stream);
        } else if kind == HEADERS {
            match self.heads.iter_mut().find(|(known, _)| *known == stream) {
                Some((_, heads)) if *heads > MAX_INTERIM_ANSWERS => return None,
                Some((_, heads)) => *heads += 1,
                None => {
                    if self.heads.len() == 2 * UPSTREAM_STREAMS {
                        self.heads.pop_front();
                    }
                    self.heads.push_back((stream, 1));
                }
            }
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
