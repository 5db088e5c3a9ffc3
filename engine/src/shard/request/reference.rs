//! What node:http decides otherwise than the engine by itself (CONTRACT 22), for tunnels that replace the reference.

use crate::shard::Shard;
use crate::shard::answers::wording::refusal_of;
use crate::tunnel::envelope::Refusal;
use crate::tunnel::multipart::{MultipartReader, Reading};
use crate::wire::head::{Head, HeadError, Method};

/// `http.METHODS` of Node 20, but for those that [`Method`] knows.
const OTHER_METHODS: [&[u8]; 26] = [
    b"ACL",
    b"BIND",
    b"CHECKOUT",
    b"COPY",
    b"LINK",
    b"LOCK",
    b"M-SEARCH",
    b"MERGE",
    b"MKACTIVITY",
    b"MKCALENDAR",
    b"MKCOL",
    b"MOVE",
    b"NOTIFY",
    b"PROPFIND",
    b"PROPPATCH",
    b"PURGE",
    b"QUERY",
    b"REBIND",
    b"REPORT",
    b"SEARCH",
    b"SOURCE",
    b"SUBSCRIBE",
    b"UNBIND",
    b"UNLINK",
    b"UNLOCK",
    b"UNSUBSCRIBE",
];

/// What becomes of an expectation that is not exactly `100-continue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expectation {
    /// An HTTP/1.0 client has none.
    None,
    /// It names `100-continue` among others.
    Continue,
    /// 417; the connection is kept.
    Unknown,
}

impl Shard {
    /// Reads a form.
    pub(in crate::shard) fn form_reader(&self, boundary: &[u8]) -> MultipartReader {
        let reading = if self.reference { Reading::Reference } else { Reading::Standard };
        MultipartReader::new(boundary, &self.limits.multipart).reading(reading)
    }

    /// The answer to a head that is refused, before the connection closes; `None` closes without a word.
    pub(in crate::shard) fn head_refusal(&self, error: HeadError) -> Option<Refusal<'static>> {
        match error.status() {
            _ if self.reference && error == HeadError::Connect => None,
            // A target counts as a part of the head.
            414 if self.reference => Some(Refusal::HeaderFieldsTooLarge),
            413 | 501 | 505 if self.reference => Some(Refusal::BadRequest),
            status => Some(refusal_of(status)),
        }
    }

    /// Looks at a head again that [`Head::parse`] has found good, or bad for its expectation only.
    pub(in crate::shard) fn follow_reference(
        &self,
        head: &mut Head,
        bytes: &[u8],
        parsed: Result<(), HeadError>,
    ) -> Result<(), HeadError> {
        if !self.reference {
            return parsed;
        }
        if parsed == Err(HeadError::Expectation) {
            match expectation(head, bytes) {
                Expectation::None => {}
                Expectation::Continue => head.expect_continue = true,
                Expectation::Unknown => return parsed,
            }
        } else {
            parsed?;
        }
        let method = bytes.get(..head.target.start.saturating_sub(1) as usize).unwrap_or_default();
        if head.method == Method::Other && !OTHER_METHODS.contains(&method) {
            return Err(HeadError::Method);
        }
        Ok(())
    }
}

fn expectation(head: &Head, bytes: &[u8]) -> Expectation {
    const CONTINUE: &[u8] = b"100-continue";
    if head.minor_version == 0 {
        return Expectation::None;
    }
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let names_it =
        head.fields.of(bytes).iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"expect")).any(|(_, value)| {
            value.windows(CONTINUE.len()).enumerate().any(|(at, window)| {
                window.eq_ignore_ascii_case(CONTINUE)
                    && !at.checked_sub(1).and_then(|before| value.get(before)).is_some_and(is_word)
                    && !value.get(at + CONTINUE.len()).is_some_and(is_word)
            })
        });
    if names_it { Expectation::Continue } else { Expectation::Unknown }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::wire::head::HeadLimits;

    #[test]
    fn expectations_are_read_as_node_reads_them() {
        for (version, value, expected) in [
            (1, "banana", Expectation::Unknown),
            (1, "", Expectation::Unknown),
            (1, "100-continued", Expectation::Unknown),
            (1, "x100-continue", Expectation::Unknown),
            (1, "100-continue, banana", Expectation::Continue),
            (1, "y 100-CONTINUE", Expectation::Continue),
            (0, "banana", Expectation::None),
        ] {
            let text = format!("POST / HTTP/1.{version}\r\nHost: x\r\nExpect: {value}\r\n\r\n");
            let mut head = Head::default();
            assert_eq!(head.parse(text.as_bytes(), &HeadLimits::default()), Err(HeadError::Expectation), "{text}");
            assert_eq!(expectation(&head, text.as_bytes()), expected, "{text}");
        }
    }
}
