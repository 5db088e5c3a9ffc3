//! A request that is passed on: what becomes of its target, and the head that is sent instead (RFC 9110 7, RFC 9112 3.2.2).

use crate::proxy::fault::Fault;
use crate::proxy::fields::Hop;
use crate::proxy::route::{Route, Routed, route};
use crate::proxy::target::{Scheme, Target};
use crate::wire::fields::{FieldValue, Fields};
use crate::wire::framing::Framing;
use crate::wire::head::{Head, Method, TargetForm};

/// Bytes of a method that are told.
const METHOD_BYTES: usize = 32;

/// What is to be done with a request whose client may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestPlan {
    /// It is passed on.
    Forward(Forward),
    /// A tunnel to a host.
    Tunnel(Target),
    /// What comes through a tunnel to this machine is read here, and goes where the route says.
    Intercept(Target, Routed),
    /// This proxy is the one that the request is for: `Max-Forwards` was 0.
    Own,
}

/// A request that is passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Where it goes.
    pub routed: Routed,
    /// `OPTIONS` for the server as a whole.
    pub asterisk: bool,
    /// It asks for another protocol.
    pub upgrade: bool,
    /// What `Max-Forwards` is now.
    pub max_forwards: Option<u64>,
    /// The version of HTTP that it came in.
    pub version: &'static str,
}

/// Decides on a request. `inside`: it came through a tunnel that is read here, to this host. `own`: what this proxy is called
/// in `Via`.
///
/// # Errors
/// What its client hears instead.
pub fn plan(
    head: &Head,
    bytes: &[u8],
    inside: Option<&Target>,
    way: Option<&Route>,
    own: &str,
) -> Result<RequestPlan, Fault> {
    let fields = head.fields.of(bytes);
    if has_been_at(&fields, own) {
        return Err(Fault::Loop);
    }
    let target = asked(head, bytes, inside).ok_or(Fault::Target)?;
    if head.form == TargetForm::Authority {
        return Ok(match way.and_then(|way| way.rewrite(&target)) {
            Some(routed) => RequestPlan::Intercept(target, routed),
            None => RequestPlan::Tunnel(target),
        });
    }
    let max_forwards = max_forwards(head.method, &fields)?;
    if max_forwards == Some(0) {
        return Ok(RequestPlan::Own);
    }
    Ok(RequestPlan::Forward(Forward {
        routed: route(target, way),
        asterisk: head.method == Method::Options
            && (head.form == TargetForm::Asterisk || (head.path.is_empty() && head.query.is_empty())),
        // With content, what follows it could be taken for a part of either.
        upgrade: Hop::of(fields).upgrades()
            && !asks_for_http2(&fields)
            && head.framing.is_empty()
            && head.minor_version > 0,
        max_forwards: max_forwards.map(|left| left - 1),
        version: if head.minor_version == 0 { "1.0" } else { "1.1" },
    }))
}

/// Where a request is meant to go, as its target says, or the tunnel that it came through.
#[must_use]
pub fn asked(head: &Head, bytes: &[u8], inside: Option<&Target>) -> Option<Target> {
    match (head.form, inside) {
        (TargetForm::Authority, None) => Target::of_authority(Scheme::Http, head.target.of(bytes)),
        (TargetForm::Origin | TargetForm::Asterisk, Some(target)) => Some(target.clone()),
        // Whoever is asked as a server takes this form as well, of itself (RFC 9112 3.2.2).
        (TargetForm::Absolute, inside) => {
            let asked = bytes.get(head.target.start as usize..head.path.start as usize).unwrap_or_default();
            Target::of_absolute(asked).filter(|asked| inside.is_none_or(|inside| asked == inside))
        }
        _ => None,
    }
}

/// The name of its method, or the beginning of a long one.
#[must_use]
pub fn method_of(head: &Head, bytes: &[u8]) -> String {
    let name = bytes.get(..head.target.start.saturating_sub(1) as usize).unwrap_or_default();
    String::from_utf8_lossy(name.get(..METHOD_BYTES).unwrap_or(name)).into_owned()
}

/// True when HTTP/2 in the clear is among the protocols that are asked for. Its requests would go on unread, past all that is
/// removed here, and no browser asks (RFC 9113 has no such upgrade any more).
fn asks_for_http2(fields: &Fields<'_>) -> bool {
    fields.members(b"upgrade").any(|protocol| protocol.eq_ignore_ascii_case(b"h2c"))
}

/// True when a member of `Via` has this name.
fn has_been_at(fields: &Fields<'_>, own: &str) -> bool {
    fields.members(b"via").any(|member| {
        let mut words = member.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        words.nth(1).is_some_and(|by| by.eq_ignore_ascii_case(own.as_bytes()))
    })
}

/// `Max-Forwards`, which counts for two methods only (RFC 9110 7.6.2).
fn max_forwards(method: Method, fields: &Fields<'_>) -> Result<Option<u64>, Fault> {
    if !matches!(method, Method::Trace | Method::Options) {
        return Ok(None);
    }
    match fields.get(b"max-forwards") {
        FieldValue::Absent => Ok(None),
        FieldValue::One(digits) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            let number =
                digits.iter().fold(0u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
            Ok(Some(number))
        }
        _ => Err(Fault::MaxForwards),
    }
}

/// Appends the head that is sent on.
pub fn write_head(head: &Head, bytes: &[u8], forward: &Forward, own: &str, out: &mut Vec<u8>) {
    let fields = head.fields.of(bytes);
    let hop = Hop::of(fields);
    out.extend_from_slice(bytes.get(..head.target.start as usize).unwrap_or_default());
    if forward.asterisk {
        out.push(b'*');
    } else {
        let path = head.path.of(bytes);
        out.extend_from_slice(if path.is_empty() { b"/" } else { path });
        // Whether there was a `?` in front of an empty query matters to some.
        let end = head.target.end as usize;
        out.extend_from_slice(bytes.get(head.path.end as usize..end).unwrap_or_default());
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    put(out, b"Host", forward.routed.host.as_bytes());
    for (name, value) in fields.iter() {
        if !is_replaced(name, forward) && !hop.ends_here(name) {
            put(out, name, value);
        }
    }
    if let Some(left) = forward.max_forwards {
        put(out, b"Max-Forwards", left.to_string().as_bytes());
    }
    if head.framing == Framing::Chunked {
        put(out, b"Transfer-Encoding", b"chunked");
    }
    put(out, b"Via", format!("{} {own}", forward.version).as_bytes());
    // What of `TE` does not speak of this connection alone: the trailers of the answer are passed on.
    let trailers = head.minor_version > 0 && hop.takes_trailers();
    if trailers {
        put(out, b"TE", b"trailers");
    }
    if forward.upgrade {
        for (_, value) in fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"upgrade")) {
            put(out, b"Upgrade", value);
        }
    }
    match (forward.upgrade, trailers) {
        (true, true) => put(out, b"Connection", b"upgrade, te"),
        (true, false) => put(out, b"Connection", b"upgrade"),
        (false, true) => put(out, b"Connection", b"te"),
        (false, false) => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// Fields that are not passed on as they came.
fn is_replaced(name: &[u8], forward: &Forward) -> bool {
    match name.len() {
        4 => name.eq_ignore_ascii_case(b"host"),
        12 => forward.max_forwards.is_some() && name.eq_ignore_ascii_case(b"max-forwards"),
        // A page could steer with them where its request goes behind the edge.
        length if length > 7 => name[..7].eq_ignore_ascii_case(b"x-cmux-"),
        _ => false,
    }
}

/// Appends one line.
pub(super) fn put(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
