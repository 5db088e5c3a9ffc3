//! The request target: its form, and where its path and query are (RFC 9112 3.2).

use super::head_error::HeadError;
use super::head_limits::HeadLimits;
use super::host::{is_host, is_host_and_port};
use super::method::Method;
use memchr::{memchr, memchr2};

/// The four forms of a request target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetForm {
    /// `/path?query`: to the server itself (RFC 9112 3.2.1).
    #[default]
    Origin,
    /// `http://host/path?query`: to a proxy; a server takes it as well (RFC 9112 3.2.2).
    Absolute,
    /// `host:port`: of `CONNECT` alone (RFC 9112 3.2.3).
    Authority,
    /// `*`: the server as a whole, of `OPTIONS` alone (RFC 9112 3.2.4).
    Asterisk,
}

/// The path of a target that came without its request line, as it would be found on one.
///
/// # Errors
/// When the target is of no form that a request (other than `CONNECT`) may have.
pub fn path_of_target(method: Method, target: &[u8], ignore_fragment: bool) -> Result<&[u8], HeadError> {
    let limits = HeadLimits { ignore_fragment, ..HeadLimits::default() };
    TargetParts::of(method, target, &limits).map(|parts| &target[parts.path..parts.path_end])
}

/// Where a target's path and query are.
pub(super) struct TargetParts {
    pub(super) form: TargetForm,
    pub(super) path: usize,
    pub(super) path_end: usize,
    /// Where what routing looks at ends: a fragment begins, or the target is over.
    pub(super) end: usize,
}

impl TargetParts {
    #[inline]
    pub(super) fn of(method: Method, target: &[u8], limits: &HeadLimits) -> Result<TargetParts, HeadError> {
        let fragment = if limits.ignore_fragment { memchr(b'#', target) } else { None };
        let end = fragment.unwrap_or(target.len());
        let (resource, rest) = target.split_at(end);
        let clean = resource.iter().fold(true, |clean, &byte| clean & is_target_byte(byte));
        if !clean || !rest.iter().all(|&byte| byte == b'#' || is_target_byte(byte)) {
            return Err(HeadError::Target);
        }
        let (form, path) = match (method, resource) {
            (Method::Connect, _) => (TargetForm::Authority, authority(target, limits)?),
            (_, [b'/', ..]) => (TargetForm::Origin, 0),
            (Method::Options, b"*") => (TargetForm::Asterisk, 0),
            _ => (TargetForm::Absolute, absolute_path_offset(resource).ok_or(HeadError::Target)?),
        };
        let path_end = memchr(b'?', &resource[path..]).map_or(end, |at| path + at);
        Ok(TargetParts { form, path, path_end, end })
    }
}

/// Where an authority ends, if the target of a `CONNECT` is one. It holds nothing that a fragment could be of.
#[cold]
fn authority(target: &[u8], limits: &HeadLimits) -> Result<usize, HeadError> {
    match limits.connect {
        false => Err(HeadError::Connect),
        true if is_host_and_port(target) => Ok(target.len()),
        true => Err(HeadError::Target),
    }
}

/// Visible ASCII but `#`: a fragment is never sent (RFC 9112 3.2.1). Bytes that RFC 3986 would have encoded, such as
/// `"` or `[`, pass as they do in Node; no route has them. Without a branch, so that a whole target is tested at once.
#[inline]
fn is_target_byte(byte: u8) -> bool {
    (byte.wrapping_sub(0x21) < 0x5e) & (byte != b'#')
}

/// `http://` or `https://`, a host, then path and query. User information is refused (RFC 9110 4.2.4).
#[cold]
fn absolute_path_offset(target: &[u8]) -> Option<usize> {
    let scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))?;
    let authority = &target[scheme.len()..];
    let end = memchr2(b'/', b'?', authority).unwrap_or(authority.len());
    is_host(&authority[..end]).then_some(scheme.len() + end)
}
