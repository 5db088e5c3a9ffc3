//! Answers that JavaScript makes as a whole: checked before the engine writes them.

use fasttunnel_engine::link::batch::RawAnswer;
use fasttunnel_engine::wire::raw_reply::{is_final_status, put_line};
use fasttunnel_engine::wire::token::is_field_value;

/// A raw answer as JavaScript gives it.
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
            put_line(&mut head, &latin1(name)?, &latin1(value)?).ok()?;
        }
        let lines_len = u32::try_from(head.len()).ok()? - reason_len;
        Some((RawAnswer { status, reason_len, lines_len, cors: self.cors, security: self.security }, head))
    }
}

/// A text as the bytes that node:http would send for it in a head; nothing if it has other characters.
pub fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn compile(status: f64, reason: &str, headers: &[&str]) -> Option<(u16, String)> {
        let headers: Vec<String> = headers.iter().map(|text| (*text).to_owned()).collect();
        let parts = RawParts { status, reason, headers: &headers, body: b"body", cors: true, security: false };
        parts.compile().map(|(answer, head)| {
            assert_eq!((answer.reason_len + answer.lines_len) as usize, head.len());
            (answer.status, head.iter().map(|byte| char::from(*byte)).collect())
        })
    }

    #[test]
    fn only_what_may_be_written_is_compiled() {
        assert_eq!(compile(200.0, "", &[]), Some((200, String::new())));
        let lines = ["a", "b", "X-C", "\u{e9}\t", "Content-Length", "5"];
        assert_eq!(compile(599.0, "R", &lines), Some((599, "Ra: b\r\nX-C: \u{e9}\t\r\n".to_owned())));
        for status in [199.0, 600.0, 200.5, -200.0, f64::NAN, f64::INFINITY, 65_736.0] {
            assert_eq!(compile(status, "", &[]), None, "{status}");
        }
        for reason in ["a\r\nb", "a\0", "\u{3bb}"] {
            assert_eq!(compile(200.0, reason, &[]), None, "{reason:?}");
        }
        for headers in [&["a"][..], &["", "b"], &["a", "b\n"], &["a\u{10a}", "b"], &["a", "\u{10a}x: y"]] {
            assert_eq!(compile(200.0, "", headers), None, "{headers:?}");
        }
    }
}
