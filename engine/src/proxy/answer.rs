//! An answer that is passed on: the head that the client gets, and how its content is delimited there.

use crate::proxy::fault::Fault;
use crate::proxy::fields::Hop;
use crate::proxy::request::put;
use crate::wire::answer_body::AnswerFraming;
use crate::wire::answer_head::{AnswerContent, AnswerHead};
use crate::wire::date::HttpDate;
use crate::wire::fields::Fields;
use crate::wire::framing::Framing;
use crate::wire::status::reason_phrase;

/// Who gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reader {
    /// Speaks HTTP/1.0.
    pub old: bool,
    /// Has asked for another protocol.
    pub upgrades: bool,
    /// No other request of the connection is answered.
    pub last: bool,
    /// Frames tell it where content ends (RFC 9113 8.1).
    pub framed: bool,
    /// Has asked for another host than the one that answers.
    pub moved: bool,
}

/// Fields by which a server says how it is reached from now on: browsers keep them for the host that they have asked for, and each of its
/// ports (RFC 6797 8.2, RFC 7838 3).
const OF_THE_SERVER: &[&[u8]] = &[b"strict-transport-security", b"alt-svc"];

/// How an answer is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerPlan {
    /// How its content is delimited.
    pub framing: AnswerFraming,
    /// The connection ends with it.
    pub close: bool,
    /// What follows is another protocol.
    pub tunnel: bool,
}

/// True when each protocol that a 101 switches to, and there is one, is among those that were asked for (RFC 9110 7.8). Their
/// versions are the business of the two ends.
#[must_use]
pub fn is_asked_for(answer: &Fields<'_>, request: &Fields<'_>) -> bool {
    let mut switched = protocols(answer).peekable();
    switched.peek().is_some() && switched.all(|name| protocols(request).any(|asked| asked.eq_ignore_ascii_case(name)))
}

fn protocols<'a>(fields: &Fields<'a>) -> impl Iterator<Item = &'a [u8]> {
    let names = fields.members(b"upgrade").filter_map(|protocol| protocol.split(|byte| *byte == b'/').next());
    names.filter(|name| !name.is_empty())
}

/// Decides how a final answer is passed on.
///
/// # Errors
/// What the client hears instead.
pub fn plan(head: &AnswerHead, reader: Reader) -> Result<AnswerPlan, Fault> {
    let framing = match head.content {
        // To `CONNECT`, which is not passed on, or 101.
        AnswerContent::Tunnel if head.status == 101 && reader.upgrades => {
            return Ok(AnswerPlan { framing: AnswerFraming::NoContent, close: true, tunnel: true });
        }
        AnswerContent::Tunnel => return Err(Fault::Upgrade),
        // A server could have the credentials sent to it that are for the proxy.
        _ if head.status == 407 => return Err(Fault::Challenge),
        // Over frames any success would say that it has switched (RFC 8441 5).
        _ if reader.framed && reader.upgrades && (200..300).contains(&head.status) => return Err(Fault::Upgrade),
        AnswerContent::Framed(Framing::None) => AnswerFraming::NoContent,
        AnswerContent::Framed(Framing::Length(length)) => AnswerFraming::Length(length),
        AnswerContent::Framed(Framing::Chunked) | AnswerContent::UntilClose if reader.old || reader.framed => {
            AnswerFraming::UntilClose
        }
        AnswerContent::Framed(Framing::Chunked) | AnswerContent::UntilClose => AnswerFraming::Chunked,
    };
    Ok(AnswerPlan { framing, close: reader.last || framing == AnswerFraming::UntilClose, tunnel: false })
}

/// Appends the head of a final answer, or of an interim one (`plan` is `None`). `via`: the version in which it came, and by whom.
pub fn write_head(
    head: &AnswerHead,
    bytes: &[u8],
    plan: Option<AnswerPlan>,
    reader: Reader,
    via: &str,
    date: &HttpDate,
    out: &mut Vec<u8>,
) {
    let fields = head.fields.of(bytes);
    let hop = Hop::of(fields);
    let reason = head.reason.of(bytes);
    let known = reason_phrase(head.status).as_bytes();
    out.extend_from_slice(format!("HTTP/1.1 {} ", head.status).as_bytes());
    out.extend_from_slice(if reason.is_empty() { known } else { reason });
    out.extend_from_slice(b"\r\n");
    // 204 and 1xx have no length, whatever the server says (RFC 9110 8.6).
    let has_length = head.status >= 200 && head.status != 204;
    let mut dated = false;
    for (name, value) in fields.iter() {
        dated |= name.eq_ignore_ascii_case(b"date");
        if reader.moved && OF_THE_SERVER.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            continue;
        }
        if !hop.ends_here(name) && (has_length || !name.eq_ignore_ascii_case(b"content-length")) {
            put(out, name, value);
        }
    }
    put(out, b"Via", via.as_bytes());
    let Some(plan) = plan else {
        out.extend_from_slice(b"\r\n");
        return;
    };
    if !dated && !plan.tunnel {
        put(out, b"Date", date.as_bytes());
    }
    if plan.framing == AnswerFraming::Chunked {
        put(out, b"Transfer-Encoding", b"chunked");
    }
    // 426 says to which protocol: the field is of no use without its option.
    let upgrade = (plan.tunnel || head.status == 426) && fields.get(b"upgrade").first().is_some();
    if upgrade {
        for (_, value) in fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"upgrade")) {
            put(out, b"Upgrade", value);
        }
    }
    match (upgrade, plan.close && !plan.tunnel, reader.old) {
        (true, false, _) => put(out, b"Connection", b"upgrade"),
        (true, true, _) => put(out, b"Connection", b"upgrade, close"),
        (false, true, _) => put(out, b"Connection", b"close"),
        (false, false, true) => put(out, b"Connection", b"keep-alive"),
        (false, false, false) => {}
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
