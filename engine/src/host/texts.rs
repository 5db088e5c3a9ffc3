//! The texts of answers, as the event loop hands them over.

use std::ops::Range;

use memchr::memchr;

use crate::tunnel::array::ArraySplitter;

/// The texts of answers: a JSON array, whose elements come first, then any others, each behind a zero byte. JSON has no
/// such byte, so that what a serializer wrote wrongly ends where it should.
pub(super) struct Texts<'a> {
    whole: &'a [u8],
    values: ArraySplitter<'a>,
    /// Where the next text behind the array starts; past the end when there is none.
    at: usize,
}

impl<'a> Texts<'a> {
    /// Reads `whole`.
    pub fn new(whole: &'a [u8]) -> Self {
        let end = memchr(0, whole).unwrap_or(whole.len());
        Texts { whole, values: ArraySplitter::new(&whole[..end]), at: end + 1 }
    }
}

impl Iterator for Texts<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        self.values.next().or_else(|| {
            let start = self.at;
            let rest = self.whole.get(start..)?;
            let end = start + memchr(0, rest).unwrap_or(rest.len());
            self.at = end + 1;
            Some(start..end)
        })
    }
}
