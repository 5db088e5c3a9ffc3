//! What the admin listener answers: is the engine alive, does it take calls, what does it do.

use std::borrow::Cow;

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

/// What there is on the admin listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Whether the engine is alive.
    Live,
    /// Whether it takes calls.
    Ready,
    /// How busy it is, as a number.
    Load,
    /// Its figures, for metrics systems.
    Metrics,
    /// Its figures, as JSON.
    Stats,
    /// The page that shows them.
    Dashboard,
    /// What that page runs.
    Script,
    /// What it looks like.
    Style,
    /// What it listens to.
    Events,
}

/// The answer to a request on the admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminAnswer {
    /// 200, 404, 405 or 503.
    pub status: u16,
    /// Its fields.
    pub fields: FieldLines<'static>,
    /// Its content.
    pub text: Cow<'static, [u8]>,
}

/// Nobody in between may answer with what was true a while ago.
const NO_STORE: FieldLines<'static> =
    FieldLines::new(b"Cache-Control: no-store\r\ncontent-type: text/plain; charset=utf-8\r\n");
const ALLOW: FieldLines<'static> =
    FieldLines::new(b"Allow: GET, HEAD\r\nCache-Control: no-store\r\ncontent-type: text/plain; charset=utf-8\r\n");

impl AdminAnswer {
    /// Plain text.
    #[must_use]
    pub fn plain(status: u16, text: &'static str) -> Self {
        AdminAnswer { status, fields: NO_STORE, text: Cow::Borrowed(text.as_bytes()) }
    }
}

impl Page {
    /// What a request is for; otherwise how it is answered. `dashboard`: there is one.
    ///
    /// # Errors
    /// The 404 or 405 that it is answered with.
    pub fn of(method: Method, path: &[u8], dashboard: bool) -> Result<Page, AdminAnswer> {
        let page = match path {
            b"/livez" => Page::Live,
            b"/readyz" => Page::Ready,
            b"/load" => Page::Load,
            b"/metrics" => Page::Metrics,
            b"/stats" => Page::Stats,
            b"/dashboard" if dashboard => Page::Dashboard,
            b"/dashboard.js" if dashboard => Page::Script,
            b"/dashboard.css" if dashboard => Page::Style,
            b"/dashboard/events" if dashboard => Page::Events,
            _ if dashboard => {
                let text = "not found: /livez, /readyz, /load, /metrics, /stats and /dashboard are here";
                return Err(AdminAnswer::plain(404, text));
            }
            _ => {
                return Err(AdminAnswer::plain(404, "not found: /livez, /readyz, /load, /metrics and /stats are here"));
            }
        };
        match method {
            Method::Get | Method::Head => Ok(page),
            _ => {
                let refused = AdminAnswer::plain(405, "method not allowed: GET and HEAD are");
                Err(AdminAnswer { fields: ALLOW, ..refused })
            }
        }
    }
}

impl Health {
    /// Why it is not alive.
    #[must_use]
    pub fn dead(self) -> Option<&'static str> {
        self.shard_failed.then_some("shard failed")
    }

    /// Why it takes no calls.
    #[must_use]
    pub fn unready(self) -> Option<&'static str> {
        self.dead()
            .or(self.closing.then_some("closing"))
            .or(self.starting.then_some("starting"))
            .or(self.host_behind.then_some("javascript is behind"))
    }

    /// How busy it is; where it takes no calls, as busy as can be.
    #[must_use]
    pub fn load(self) -> Load {
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

    /// How health is told, given what is wrong.
    #[must_use]
    pub fn answer(trouble: Option<&'static str>) -> AdminAnswer {
        trouble.map_or_else(|| AdminAnswer::plain(200, "ok"), |why| AdminAnswer::plain(503, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alive_is_less_than_ready() {
        let well = Health::default();
        let closing = Health { closing: true, ..well };
        let starting = Health { starting: true, ..well };
        let behind = Health { host_behind: true, ..well };
        let told = |health: Health| {
            [health.dead(), health.unready()].map(|trouble| {
                let answer = Health::answer(trouble);
                (answer.status, String::from_utf8_lossy(&answer.text).into_owned())
            })
        };
        let said = |status: u16, text: &str| (status, text.to_owned());
        assert_eq!(told(well), [said(200, "ok"), said(200, "ok")]);
        for (health, why) in [(closing, "closing"), (starting, "starting"), (behind, "javascript is behind")] {
            assert_eq!(told(health), [said(200, "ok"), said(503, why)]);
        }
        let failed = Health { shard_failed: true, ..closing };
        assert_eq!(told(failed), [said(503, "shard failed"), said(503, "shard failed")]);
    }

    #[test]
    fn the_load_is_a_number_and_full_where_no_calls_are_taken() {
        let busy = Health { load: Load::of(&[(37, 100)]), ..Health::default() };
        assert_eq!((busy.load().text(), busy.unready()), ("37", None));
        assert_eq!(Health { closing: true, ..busy }.load().text(), "100");
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
    fn only_those_paths_and_two_methods() {
        let status = |path: &str, dashboard| Page::of(Method::Get, path.as_bytes(), dashboard).map_err(|no| no.status);
        for path in
            ["/", "/livez/", "/LIVEZ", "/readyz%20", "/__runner/discovery", "*", "", "/metrics/x", "/dashboard/"]
        {
            assert_eq!([status(path, false), status(path, true)], [Err(404), Err(404)], "{path}");
        }
        assert_eq!([status("/metrics", false), status("/stats", true)], [Ok(Page::Metrics), Ok(Page::Stats)]);
        for path in ["/dashboard", "/dashboard.js", "/dashboard.css", "/dashboard/events"] {
            assert!(status(path, false) == Err(404) && status(path, true).is_ok(), "{path}");
        }
        for method in [Method::Post, Method::Options, Method::Put, Method::Delete, Method::Trace, Method::Other] {
            let answer = Page::of(method, b"/readyz", true).expect_err("another method");
            assert_eq!(answer.status, 405);
            assert_eq!(answer.fields.get(b"allow"), Some(&b"GET, HEAD"[..]));
        }
        assert_eq!(Page::of(Method::Head, b"/livez", false), Ok(Page::Live));
    }
}
