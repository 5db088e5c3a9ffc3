//! What the admin listener answers: is the engine alive, does it take calls.

use crate::tunnel::load::Load;
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
    /// How busy it is.
    pub load: Load,
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

    /// How busy it is; where it takes no calls, as busy as can be.
    fn load(self) -> Load {
        if self.unready().is_some() { Load::FULL } else { self.load }
    }

    /// What HAProxy's agent-check is told (its manual, 5.2). The words that set the state which operators set (`ready`, `drain`,
    /// `maint`) are not used: an agent that says `ready` would undo theirs. With a weight of 0 HAProxy lets nothing new
    /// through, as with `drain`, until the next process says more.
    #[must_use]
    pub fn agent_line(self) -> String {
        match self.unready() {
            None => format!("up {}%\n", self.load.weight()),
            Some(_) if self.closing && !self.shard_failed => "up 0%\n".to_owned(),
            Some(why) => format!("down #{why}\n"),
        }
    }

    /// Decides on a request.
    #[must_use]
    pub fn answer(self, method: Method, path: &[u8]) -> AdminAnswer {
        let trouble = match path {
            b"/livez" => self.dead(),
            b"/readyz" => self.unready(),
            b"/load" => None,
            _ => {
                return AdminAnswer {
                    status: 404,
                    fields: NO_STORE,
                    text: "not found: /livez, /readyz and /load are here",
                };
            }
        };
        match (method, trouble) {
            (Method::Get | Method::Head, None) => {
                let text = if path == b"/load" { self.load().text() } else { "ok" };
                AdminAnswer { status: 200, fields: NO_STORE, text }
            }
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
    fn the_load_is_a_number_and_full_where_no_calls_are_taken() {
        let busy = Health { load: Load::of(&[(37, 100)]), ..Health::default() };
        assert_eq!((get(busy, "/load"), get(busy, "/readyz")), ((200, "37"), (200, "ok")));
        assert_eq!(get(Health { closing: true, ..busy }, "/load"), (200, "100"));
    }

    #[test]
    fn a_balancer_is_told_the_weight_that_is_left_and_what_is_wrong() {
        let busy = Health { load: Load::of(&[(37, 100)]), ..Health::default() };
        assert_eq!(busy.agent_line(), "up 63%\n");
        assert_eq!(Health { load: Load::FULL, ..busy }.agent_line(), "up 1%\n");
        assert_eq!(Health { closing: true, ..busy }.agent_line(), "up 0%\n");
        assert_eq!(Health { starting: true, ..busy }.agent_line(), "down #starting\n");
        assert_eq!(Health { host_behind: true, ..busy }.agent_line(), "down #javascript is behind\n");
        assert_eq!(Health { shard_failed: true, closing: true, ..busy }.agent_line(), "down #shard failed\n");
    }

    #[test]
    fn only_three_paths_and_two_methods() {
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
