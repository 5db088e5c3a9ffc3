//! What refusals, decisions and outcomes say, as answers.

use crate::limits::RETRY_AFTER_S;
use crate::link::batch::{Outcome, RawAnswer};
use crate::shard::Shard;
use crate::shard::exchange::own_fields::OwnFields;
use crate::tunnel::decide::Decision;
use crate::tunnel::envelope::{self, Refusal};
use crate::wire::answer::{Answer, Content, Given, is_final_status};
use crate::wire::date::HttpDate;
use crate::wire::field_lines::FieldLines;

/// Says when a refused call may be tried again: capacity comes back as soon as calls under way end.
const RETRY: FieldLines<'static> = FieldLines::new(&RETRY_LINES);

const RETRY_LINES: [u8; 63] = {
    assert!(RETRY_AFTER_S < 10, "one digit");
    let mut lines = *b"Retry-After: 0\r\ncontent-type: application/json; charset=utf-8\r\n";
    lines[13] += RETRY_AFTER_S;
    lines
};

/// An answer of the engine's: JSON.
fn json<'a>(status: u16, own: FieldLines<'a>, date: &'a HttpDate, content: Content<'a>) -> Answer<'a> {
    Answer { status, own, given: Given::Json, security: true, date, content }
}

impl Shard {
    /// Lends out the answer that says how a call has ended, of which `bytes` are what the outcome needs.
    #[inline]
    pub(in crate::shard) fn with_outcome<R>(
        &self,
        outcome: Outcome,
        bytes: &[u8],
        own: OwnFields<'_>,
        give: impl FnOnce(&Answer<'_>) -> R,
    ) -> R {
        let refusal = match outcome {
            Outcome::Result => {
                let content = Content::Whole(envelope::ok_result(bytes));
                return give(&json(200, own.all(), &self.clock.date(), content));
            }
            Outcome::Done => return give(&json(200, own.all(), &self.clock.date(), Content::text(envelope::OK))),
            Outcome::Failed { status } => {
                return give(&json(status, own.all(), &self.clock.date(), Content::text(bytes)));
            }
            Outcome::Raw(raw) => {
                let date = self.clock.date();
                if let Some((answer, body)) = raw_answer(raw, bytes, own, &date) {
                    return give(&Answer { content: Content::text(body), ..answer });
                }
                Refusal::Internal
            }
            Outcome::InvalidJson => Refusal::InvalidJson,
            Outcome::TimedOut => Refusal::HandlerTimeout,
            Outcome::Overloaded => Refusal::ServiceUnavailable,
            Outcome::Lost => Refusal::HandlerLost,
            // Streams are not answered whole, and nobody has asked for advice on a call.
            _ => Refusal::Internal,
        };
        self.with_refusal(refusal, own.all(), false, give)
    }

    /// Lends out the answer to a request that became no call.
    pub(in crate::shard) fn with_decision<R>(
        &self,
        decision: Decision<'_>,
        own: FieldLines<'_>,
        head_only: bool,
        give: impl FnOnce(&Answer<'_>) -> R,
    ) -> R {
        let refusal = match decision {
            Decision::Refuse(refusal) => refusal,
            Decision::Outside => Refusal::NotFound,
            Decision::Discovery => {
                let exposure = self.exposure.borrow();
                let content = Content::text(exposure.table.discovery());
                return give(&json(200, own, &self.clock.date(), content));
            }
            Decision::Preflight => {
                let (given, date) = (Given::Engine(FieldLines::NONE), &self.clock.date());
                let content = Content::Absent;
                return give(&Answer { status: 204, own, given, security: false, date, content });
            }
            // The caller has dealt with both.
            Decision::Call { .. } | Decision::Ask(_) => Refusal::Unauthorized,
        };
        self.with_refusal(refusal, own, head_only, give)
    }

    /// Lends out the envelope of a refusal.
    pub(in crate::shard) fn with_refusal<R>(
        &self,
        refusal: Refusal<'_>,
        own: FieldLines<'_>,
        head_only: bool,
        give: impl FnOnce(&Answer<'_>) -> R,
    ) -> R {
        self.counters.refusals.note(refusal.status());
        let mut body = self.body.borrow_mut();
        body.clear();
        refusal.write_body(&mut body);
        let content = Content::text(&body).withheld_if(head_only);
        let date = self.clock.date();
        let answer = json(refusal.status(), own, &date, content);
        let given = match refusal {
            Refusal::ServiceUnavailable | Refusal::TooManyCalls => Given::Engine(RETRY),
            _ => Given::Json,
        };
        give(&Answer { given, ..answer })
    }
}

/// An answer of the application's own, but for its content, and the bytes behind its head. Nothing if it may not be sent.
pub(in crate::shard) fn raw_answer<'a>(
    raw: RawAnswer,
    bytes: &'a [u8],
    own: OwnFields<'a>,
    date: &'a HttpDate,
) -> Option<(Answer<'a>, &'a [u8])> {
    let (reason, rest) = bytes.split_at_checked(raw.reason_len as usize)?;
    let (fields, body) = rest.split_at_checked(raw.lines_len as usize)?;
    let given = Given::Application { reason, fields: FieldLines::new(fields) };
    let own = if raw.cors { own.all() } else { own.id_only() };
    let answer = Answer { status: raw.status, own, given, security: raw.security, date, content: Content::Absent };
    is_final_status(raw.status).then_some((answer, body))
}

/// The refusal that goes with the status of a malformed, too large or too slow request.
pub(in crate::shard) fn refusal_of(status: u16) -> Refusal<'static> {
    match status {
        408 => Refusal::RequestTimeout,
        413 => Refusal::PayloadTooLarge,
        414 => Refusal::UriTooLong,
        417 => Refusal::ExpectationFailed,
        431 => Refusal::HeaderFieldsTooLarge,
        501 => Refusal::NotImplemented,
        505 => Refusal::VersionNotSupported,
        _ => Refusal::BadRequest,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const RAW: RawAnswer = RawAnswer { status: 201, reason_len: 4, lines_len: 6, cors: false, security: true };

    #[test]
    fn a_raw_answer_is_taken_apart_by_its_lengths() {
        let date = HttpDate::from_unix(0);
        let own = OwnFields::new(b"i: 1\r\nVary: Origin\r\n", crate::wire::fields::Span { start: 3, end: 4 });
        let (answer, body) = raw_answer(RAW, b"Madea: b\r\nbody", own, &date).unwrap();
        let Given::Application { reason, fields } = answer.given else { panic!("{answer:?}") };
        assert_eq!((reason, fields.as_bytes(), body), (&b"Made"[..], &b"a: b\r\n"[..], &b"body"[..]));
        assert_eq!((answer.status, answer.own.as_bytes()), (201, &b"i: 1\r\n"[..]));
        let with_cors = raw_answer(RawAnswer { cors: true, ..RAW }, b"Madea: b\r\n", own, &date).unwrap().0;
        assert_eq!(with_cors.own, own.all());
    }

    #[test]
    fn a_raw_answer_with_lengths_or_a_status_that_cannot_be_is_none() {
        let date = HttpDate::from_unix(0);
        let bytes = b"Madea: b\r\nbody";
        for bad in [
            RawAnswer { status: 199, ..RAW },
            RawAnswer { status: 600, ..RAW },
            RawAnswer { reason_len: 15, lines_len: 0, ..RAW },
            RawAnswer { lines_len: 11, ..RAW },
            RawAnswer { lines_len: u32::MAX, ..RAW },
        ] {
            assert!(raw_answer(bad, bytes, OwnFields::NONE, &date).is_none(), "{bad:?}");
        }
    }
}
