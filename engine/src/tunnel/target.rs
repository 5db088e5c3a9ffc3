//! Where a request target leads, for a server of somebody else's that asks before it hands a request over.

use memchr::memchr2;

use super::route::{BasePath, Route};
use crate::wire::method::Method;
use crate::wire::target::path_of_target;

/// Whom a target concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Not under the base path: somebody else's.
    Outside,
    /// Under the base path, and refused whatever the request: 400.
    Malformed,
    /// Under the base path, but neither task, event nor discovery.
    NoTarget,
    /// A task.
    Task,
    /// An event.
    Event,
    /// Discovery.
    Discovery,
}

impl Destination {
    /// Reads a target as the engine would with the request line before it.
    #[must_use]
    pub fn of(base: &BasePath, target: &[u8]) -> Destination {
        // No method: the two that have targets of their own (`*`, `host:port`) lead nowhere.
        let Ok(path) = path_of_target(Method::Other, target, true) else {
            // An attached server must not answer for others, so what cannot be read is ours only by its beginning.
            let path = memchr2(b'?', b'#', target).map_or(target, |end| &target[..end]);
            return if base.covers(path) { Destination::Malformed } else { Destination::Outside };
        };
        // An absolute form without a path means the root.
        let path = if path.is_empty() { b"/" } else { path };
        match base.route(path, &mut Vec::new()) {
            Route::Outside => Destination::Outside,
            Route::Malformed if base.covers(path) => Destination::Malformed,
            Route::Malformed => Destination::Outside,
            Route::Refused | Route::NoTarget => Destination::NoTarget,
            Route::Task(_) => Destination::Task,
            Route::Event(_) => Destination::Event,
            Route::Discovery => Destination::Discovery,
        }
    }

    /// Its name in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Destination::Outside => "outside",
            Destination::Malformed => "malformed",
            Destination::NoTarget => "none",
            Destination::Task => "task",
            Destination::Event => "event",
            Destination::Discovery => "discovery",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn targets_lead_where_their_requests_would() {
        let base = BasePath::default();
        for (target, destination) in [
            ("/__runner/task/app.tasks.add", Destination::Task),
            ("/__runner/task/a%2Fb?x=/../#y", Destination::Task),
            ("/__runner//event/a/", Destination::Event),
            ("/__runner/discovery/anything", Destination::Discovery),
            ("http://any.host:80/__runner/task/a?b", Destination::Task),
            ("/__runner", Destination::NoTarget),
            ("/__runner?x", Destination::NoTarget),
            ("/__runner/", Destination::NoTarget),
            ("/__runner/task/%zz", Destination::NoTarget),
            ("/__runner/task/../x", Destination::NoTarget),
            ("/__runner/zzz", Destination::NoTarget),
            ("/__runner/task/a\\b", Destination::Malformed),
            ("/__runner/task/ä", Destination::Malformed),
            ("/own", Destination::Outside),
            ("/own\\x", Destination::Outside),
            ("/owñ", Destination::Outside),
            ("/__runnerx/task/a", Destination::Outside),
            ("/__RUNNER/task/a", Destination::Outside),
            ("/own?/__runner/task/a", Destination::Outside),
            ("//__runner/task/a", Destination::Outside),
            ("http://any.host", Destination::Outside),
            ("ftp://any.host/__runner/task/a", Destination::Outside),
            ("*", Destination::Outside),
            ("any.host:443", Destination::Outside),
            ("", Destination::Outside),
        ] {
            assert_eq!(Destination::of(&base, target.as_bytes()), destination, "{target}");
        }
    }

    #[test]
    fn under_the_root_everything_is_covered() {
        let root = BasePath::new("/").unwrap();
        for (target, destination) in [
            ("/task/a", Destination::Task),
            ("/own", Destination::NoTarget),
            ("//host/task/a", Destination::NoTarget),
            ("http://any.host", Destination::NoTarget),
            ("/a\\b", Destination::Malformed),
        ] {
            assert_eq!(Destination::of(&root, target.as_bytes()), destination, "{target}");
        }
    }
}
