//! What the admin listener answers: is the engine alive, does it take calls.

use crate::wire::field_lines::FieldLines;
use crate::wire::method::Method;

/// What is known of the engine when somebody asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// A shard was given up. The host hears of it, and closes.
    pub shard_failed: bool,
    /// It was told to stop, or to look like it.
    pub closing: bool,
    /// Not every shard runs yet.
    pub starting: bool,
    /// Calls wait, and the host has taken nothing for [`HOST_BEHIND`](crate::limits::HOST_BEHIND).
    pub host_behind: bool,
}

/// The answer to a request on the admin listener: plain text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdminAnswer {
    /// 200, 404, 405 or 503.
    pub status: u16,
    /// Its fields.
    pub fields: FieldLines<'static>,
    /// Its content.
    pub text: &'static str,
}

/// Nobody in between may answer with what was true a while ago.
const NO_STORE: FieldLines<'static> =
    FieldLines::new(b"Cache-Control: no-store\r\ncontent-type: text/plain; charset=utf-8\r\n");
const ALLOW: FieldLines<'static> =
    FieldLines::new(b"Allow: GET, HEAD\r\nCache-Control: no-store\r\ncontent-type: text/plain; charset=utf-8\r\n");

impl Health {
    /// Why it is not alive.
    fn dead(self) -> Option<&'static str> {
        self.shard_failed.then_some("shard failed")
    }

    /// Why it takes no calls.
    fn unready(self) -> Option<&'static str> {
        self.dead()
            .or(self.closing.then_some("closing"))
            .or(self.starting.then_some("starting"))
            .or(self.host_behind.then_some("javascript is behind"))
    }

    /// Decides on a request.
    #[must_use]
    pub fn answer(self, method: Method, path: &[u8]) -> AdminAnswer {
        let trouble = match path {
            b"/livez" => self.dead(),
            b"/readyz" => self.unready(),
            _ => return AdminAnswer { status: 404, fields: NO_STORE, text: "not found: /livez and /readyz are here" },
        };
        match (method, trouble) {
            (Method::Get | Method::Head, None) => AdminAnswer { status: 200, fields: NO_STORE, text: "ok" },
            (Method::Get | Method::Head, Some(why)) => AdminAnswer { status: 503, fields: NO_STORE, text: why },
            _ => AdminAnswer { status: 405, fields: ALLOW, text: "method not allowed: GET and HEAD are" },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(health: Health, path: &str) -> (u16, &'static str) {
        let answer = health.answer(Method::Get, path.as_bytes());
        (answer.status, answer.text)
    }

    #[test]
    fn alive_is_less_than_ready() {
        let well = Health::default();
        let closing = Health { closing: true, ..well };
        let starting = Health { starting: true, ..well };
        let behind = Health { host_behind: true, ..well };
        assert_eq!((get(well, "/livez"), get(well, "/readyz")), ((200, "ok"), (200, "ok")));
        for (health, why) in [(closing, "closing"), (starting, "starting"), (behind, "javascript is behind")] {
            assert_eq!((get(health, "/livez"), get(health, "/readyz")), ((200, "ok"), (503, why)));
        }
        let failed = Health { shard_failed: true, ..closing };
        assert_eq!((get(failed, "/livez"), get(failed, "/readyz")), ((503, "shard failed"), (503, "shard failed")));
    }

    #[test]
    fn only_two_paths_and_two_methods() {
        for path in ["/", "/livez/", "/LIVEZ", "/readyz%20", "/__runner/discovery", "*", ""] {
            assert_eq!(get(Health::default(), path).0, 404, "{path}");
        }
        for method in [Method::Post, Method::Options, Method::Put, Method::Delete, Method::Trace, Method::Other] {
            let answer = Health::default().answer(method, b"/readyz");
            assert_eq!(answer.status, 405);
            assert_eq!(answer.fields.get(b"allow"), Some(&b"GET, HEAD"[..]));
        }
        assert_eq!(Health::default().answer(Method::Head, b"/livez").status, 200);
    }
}
