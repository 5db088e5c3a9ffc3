//! Fields behind content as their frames pass (RFC 9113 8.1): what is wrong with them that whoever decodes them leaves out.

use super::field_start::FieldStart;
use crate::limits::DEFAULT_TRAILER_BYTES;

/// What a section within the bounds takes at most in frames: its lines, and what stands around them. `h2` leaves fields out from
/// 16 KiB on, which are 10 KiB at least in the code of RFC 7541 B.
const MAX_BYTES: usize = DEFAULT_TRAILER_BYTES + 1024;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// They begin with a pseudo-field.
    PseudoField,
    /// They are more than allowed.
    TooLarge,
}

/// Looks at the frames of one section, in pieces of any size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionWatch {
    start: FieldStart,
    /// What it begins with is known.
    begun: bool,
    bytes: usize,
}

impl SectionWatch {
    /// At the first byte of what a `HEADERS` frame with these flags holds.
    #[must_use]
    pub const fn of(flags: u8) -> SectionWatch {
        SectionWatch { start: FieldStart::of(flags), begun: false, bytes: 0 }
    }

    /// What is wrong with what has come. Nothing that follows matters then.
    pub fn take(&mut self, bytes: &[u8]) -> Option<Flaw> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if !self.begun
            && let Some(is_pseudo) = self.start.take(bytes)
        {
            self.begun = true;
            if is_pseudo {
                return Some(Flaw::PseudoField);
            }
        }
        (self.bytes > MAX_BYTES).then_some(Flaw::TooLarge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_no_larger_than_allowed_however_it_comes() {
        for piece in [1, 100, MAX_BYTES] {
            let mut watch = SectionWatch::of(0);
            let most = [&[0, 1, b'x'][..], &vec![b'x'; MAX_BYTES - 3]].concat();
            assert!(most.chunks(piece).all(|piece| watch.take(piece).is_none()), "{piece}");
            assert_eq!(watch.take(b"x"), Some(Flaw::TooLarge), "{piece}");
        }
        assert_eq!(SectionWatch::of(0).take(&[0x82]), Some(Flaw::PseudoField));
    }
}
