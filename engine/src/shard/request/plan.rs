//! What becomes of a request whose head is complete: a plan, made of what the contract has decided and of how the shard
//! stands. Nothing is done here.

use crate::limits::READ_BUFFER_BYTES;
use crate::tunnel::advice::Question;
use crate::tunnel::decide::{BodyMode, Decision};
use crate::tunnel::envelope::Refusal;
use crate::tunnel::multipart;
use crate::tunnel::table::Kind;
use crate::wire::head::{Framing, Head};

/// What the shard is and can, as far as that matters.
#[derive(Clone, Copy, Debug)]
pub(in crate::shard) struct Standing {
    /// Bytes of a JSON body.
    pub max_body_bytes: u64,
    /// The reference is followed: of a body that is too long, only what has come counts (CONTRACT 10).
    pub reference: bool,
    /// Somebody reads bodies as they come.
    pub takes_frames: bool,
}

/// See the module.
#[derive(Debug, PartialEq)]
pub(in crate::shard) enum Plan<'a> {
    /// It is answered at once, without a call.
    Answer(Decision<'a>),
    /// So it is, because the shard has too much to do.
    TurnAway,
    /// JavaScript is asked before it is decided.
    Ask(Question),
    /// A call that reads its body as it comes.
    Stream {
        handler: u32,
        /// What delimits the parts, where it is a form.
        boundary: Option<Vec<u8>>,
    },
    /// A call whose body has come: so many bytes of it.
    Run { handler: u32, event: bool, length: usize },
    /// A call whose body is gathered first; so many bytes are worth reserving.
    Gather { handler: u32, event: bool, reserve: usize },
}

/// Plans for a request with this `head`, of which `bytes` are the head as received, and behind which `behind` bytes have come.
pub(in crate::shard) fn plan<'a>(
    decision: Decision<'a>,
    head: &Head,
    bytes: &[u8],
    behind: usize,
    standing: Standing,
    is_full: impl FnOnce() -> bool,
) -> Plan<'a> {
    let (handler, event, mode) = match decision {
        Decision::Call { handler, kind, body } => (handler, kind == Kind::Event, body),
        Decision::Ask(question) => return Plan::Ask(question),
        answer => return Plan::Answer(answer),
    };
    let boundary = if mode == BodyMode::Multipart { form_boundary(head, bytes) } else { None };
    let refusal = match mode {
        BodyMode::OctetStream | BodyMode::Multipart if !standing.takes_frames => Some(Refusal::UnsupportedMediaType),
        BodyMode::Json if is_too_long(head.framing, behind, standing) => Some(Refusal::PayloadTooLarge),
        BodyMode::Multipart if boundary.is_none() => Some(Refusal::InvalidMultipart),
        _ => None,
    };
    match (refusal, mode) {
        (Some(refusal), _) => Plan::Answer(Decision::Refuse(refusal)),
        (None, _) if is_full() => Plan::TurnAway,
        (None, BodyMode::Json) => match whole(head.framing, behind) {
            Some(length) => Plan::Run { handler, event, length },
            None => Plan::Gather { handler, event, reserve: reserve(head.framing, behind) },
        },
        (None, BodyMode::OctetStream | BodyMode::Multipart) => Plan::Stream { handler, boundary },
    }
}

/// What delimits the parts of a form, if the head says so in a usable way.
fn form_boundary(head: &Head, bytes: &[u8]) -> Option<Vec<u8>> {
    multipart::boundary(head.fields.of(bytes).get(b"content-type").first().unwrap_or_default())
}

/// True when the declared length alone is too much; a chunked body is measured as it comes.
fn is_too_long(framing: Framing, behind: usize, standing: Standing) -> bool {
    let most = standing.max_body_bytes;
    matches!(framing, Framing::Length(length) if length > most) && (!standing.reference || behind as u64 > most)
}

/// Bytes of a body that has come whole.
fn whole(framing: Framing, behind: usize) -> Option<usize> {
    match framing {
        Framing::None => Some(0),
        Framing::Length(length) => usize::try_from(length).ok().filter(|length| *length <= behind),
        Framing::Chunked => None,
    }
}

/// No more than what has come suggests: what a head declares costs nothing.
fn reserve(framing: Framing, behind: usize) -> usize {
    match framing {
        Framing::Length(length) => (length as usize).min(READ_BUFFER_BYTES.max(2 * behind)),
        Framing::None | Framing::Chunked => 0,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::wire::head::HeadLimits;

    const OWN: Standing = Standing { max_body_bytes: 1000, reference: false, takes_frames: true };
    const FOLLOWING: Standing = Standing { reference: true, ..OWN };
    const INLINE: Standing = Standing { takes_frames: false, ..OWN };

    fn call(body: BodyMode) -> Decision<'static> {
        Decision::Call { handler: 7, kind: Kind::Task, body }
    }

    fn planned(
        decision: Decision<'static>,
        lines: &str,
        behind: usize,
        standing: Standing,
        full: bool,
    ) -> Plan<'static> {
        let text = format!("POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
        let mut head = Head::default();
        head.parse(text.as_bytes(), &HeadLimits::default()).unwrap();
        plan(decision, &head, text.as_bytes(), behind, standing, || full)
    }

    fn refused(refusal: Refusal<'static>) -> Plan<'static> {
        Plan::Answer(Decision::Refuse(refusal))
    }

    #[test]
    fn json_runs_when_it_is_there_and_is_gathered_otherwise() {
        let run = |length| Plan::Run { handler: 7, event: false, length };
        let gather = |reserve| Plan::Gather { handler: 7, event: false, reserve };
        for (lines, behind, expected) in [
            ("", 0, run(0)),
            ("", 99, run(0)),
            ("Content-Length: 5\r\n", 5, run(5)),
            ("Content-Length: 5\r\n", 99, run(5)),
            ("Content-Length: 5\r\n", 4, gather(5)),
            ("Content-Length: 1000\r\n", 0, gather(1000)),
            ("Content-Length: 1001\r\n", 0, refused(Refusal::PayloadTooLarge)),
            ("Transfer-Encoding: chunked\r\n", 5000, gather(0)),
        ] {
            assert_eq!(planned(call(BodyMode::Json), lines, behind, OWN, false), expected, "{lines:?} {behind}");
        }
        let large = Standing { max_body_bytes: 1 << 30, ..OWN };
        let lines = "Content-Length: 1000000000\r\n";
        assert_eq!(planned(call(BodyMode::Json), lines, 10, large, false), gather(READ_BUFFER_BYTES));
        assert_eq!(planned(call(BodyMode::Json), lines, 5000, large, false), gather(10_000));
    }

    #[test]
    fn for_the_reference_only_what_has_come_is_too_long() {
        for (behind, too_long) in [(0, false), (1000, false), (1001, true)] {
            let plan = planned(call(BodyMode::Json), "Content-Length: 5000\r\n", behind, FOLLOWING, false);
            assert_eq!(plan == refused(Refusal::PayloadTooLarge), too_long, "{behind}");
        }
    }

    #[test]
    fn streams_and_forms_need_somebody_who_reads_them() {
        let form = "Content-Type: multipart/form-data; boundary=b\r\n";
        let stream = |boundary: Option<&[u8]>| Plan::Stream { handler: 7, boundary: boundary.map(<[u8]>::to_vec) };
        for (mode, lines, standing, expected) in [
            (BodyMode::OctetStream, "Content-Length: 99999\r\n", OWN, stream(None)),
            (BodyMode::OctetStream, "", INLINE, refused(Refusal::UnsupportedMediaType)),
            (BodyMode::Multipart, form, OWN, stream(Some(b"b"))),
            (BodyMode::Multipart, form, INLINE, refused(Refusal::UnsupportedMediaType)),
            (BodyMode::Multipart, "Content-Type: multipart/form-data\r\n", OWN, refused(Refusal::InvalidMultipart)),
        ] {
            assert_eq!(planned(call(mode), lines, 0, standing, false), expected, "{mode:?} {lines:?}");
        }
    }

    #[test]
    fn a_full_shard_turns_calls_away_and_refuses_all_the_same() {
        for mode in [BodyMode::Json, BodyMode::OctetStream] {
            assert_eq!(planned(call(mode), "", 0, OWN, true), Plan::TurnAway);
        }
        let too_long = planned(call(BodyMode::Json), "Content-Length: 1001\r\n", 0, OWN, true);
        assert_eq!(too_long, refused(Refusal::PayloadTooLarge));
        assert_eq!(planned(Decision::Refuse(Refusal::Unauthorized), "", 0, OWN, true), refused(Refusal::Unauthorized));
        let question = Question { origin: true, auth: false };
        assert_eq!(planned(Decision::Ask(question), "", 0, OWN, true), Plan::Ask(question));
    }
}
