//! Where the records of TLS end in what comes (RFC 8446 5.1): how much of one has come that is not complete, for which
//! memory is held, and whether any was.

/// Bytes in front of a record: its type, its version, and the length of what follows.
const HEADER_BYTES: u8 = 5;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Bytes of the header that have come.
    header: u8,
    /// Bytes that the record still needs, as far as its header has come.
    left: u16,
    /// Bytes that have come of the record which is not complete.
    partial: usize,
}

impl Records {
    /// Passes over what has come; true when a record was completed.
    pub fn pass(&mut self, mut bytes: &[u8]) -> bool {
        let mut completed = false;
        while let Some((first, rest)) = bytes.split_first() {
            if self.header < HEADER_BYTES {
                self.header += 1;
                self.partial += 1;
                match self.header {
                    4 => self.left = u16::from(*first) << 8,
                    5 => self.left |= u16::from(*first),
                    _ => {}
                }
                bytes = rest;
            } else {
                let run = bytes.len().min(self.left.into());
                self.left -= run as u16;
                self.partial += run;
                bytes = bytes.get(run..).unwrap_or_default();
            }
            if self.header == HEADER_BYTES && self.left == 0 {
                *self = Records::default();
                completed = true;
            }
        }
        completed
    }

    /// Bytes that have come of a record which is not complete.
    pub fn partial(&self) -> usize {
        self.partial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_end_where_their_lengths_say_however_they_come() {
        let wire = [&[22, 3, 1, 0, 3, 1, 2, 3][..], &[23, 3, 3, 0, 0], &[23, 3, 3, 1, 2], &[9; 258]].concat();
        for size in 1..wire.len() {
            let mut records = Records::default();
            let completed = wire.chunks(size).filter(|piece| records.pass(piece)).count();
            assert!((1..=3).contains(&completed) && records.partial() == 0, "{size}");
        }
        let mut records = Records::default();
        assert!(records.pass(&wire[..10]) && records.partial() == 2);
        assert!(!records.pass(&wire[10..12]) && records.pass(&wire[12..13]));
        assert!(!records.pass(&wire[13..20]) && records.partial() == 7);
    }
}
