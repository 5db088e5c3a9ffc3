//! Answers that the application makes as a whole: checked before they are written.

use crate::link::batch::RawAnswer;
use crate::wire::answer::is_final_status;
use crate::wire::field_lines::put_field;
use crate::wire::token::is_field_value;

/// A raw answer as it is given.
pub struct RawParts<'a> {
    /// Should be an integer from 200 to 599.
    pub status: f64,
    /// Reason phrase; empty for the usual one.
    pub reason: &'a str,
    /// Names and values in turn.
    pub headers: &'a [String],
    /// The body.
    pub body: &'a [u8],
    /// Send the contract's CORS lines.
    pub cors: bool,
    /// Send the contract's security lines.
    pub security: bool,
}

impl RawParts<'_> {
    /// The answer, and its reason and header lines as bytes; nothing when any of it may not be written.
    pub fn compile(&self) -> Option<(RawAnswer, Vec<u8>)> {
        let status = Some(self.status).filter(|status| status.fract() == 0.0 && (0.0..1000.0).contains(status))? as u16;
        let mut head = latin1(self.reason).filter(|reason| is_final_status(status) && is_field_value(reason))?;
        let reason_len = head.len() as u32;
        let (pairs, rest) = self.headers.as_chunks::<2>();
        if !rest.is_empty() {
            return None;
        }
        for [name, value] in pairs {
            put_field(&mut head, &latin1(name)?, &latin1(value)?).ok()?;
        }
        let lines_len = u32::try_from(head.len()).ok()? - reason_len;
        Some((RawAnswer { status, reason_len, lines_len, cors: self.cors, security: self.security }, head))
    }
}

/// A text as the bytes that node:http would send for it in a head; nothing if it has other characters.
pub(super) fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect()
}
