//! From a raw path to a target (CONTRACT 2).
//!
//! The path is never normalised. What a gateway in front and this code might read differently is not served:
//!
//! * a byte that no URI path contains (control, blank, DEL, `\`, `?`, `#`, anything outside ASCII) → **400**,
//! * a `.` or `..` segment, also written with `%2e`, or an empty authority (`//` in front) → **404**.
//!
//! The reference runs the target through a WHATWG URL parser, which resolves all of these (a deliberate
//! departure: the id that a gateway authorises is the id that runs).

use std::fmt;

use memchr::memchr;

/// What a path points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// Holds a byte that no URI path contains: 400.
    Malformed,
    /// Not under the base path: 404 of an own server, silence of an attached one.
    Outside,
    /// Under the base path, but would need normalising: 404 whatever the method.
    Refused,
    /// Under the base path, but neither task, event nor discovery: OPTIONS 204, else 404.
    NoTarget,
    /// `task/{id}`; the id is decoded.
    Task(&'a str),
    /// `event/{id}`; the id is decoded.
    Event(&'a str),
    /// `discovery`, whatever follows it.
    Discovery,
}

/// Why a base path was refused at construction: no request could ever reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BasePathError {
    /// A byte that no URI path contains.
    ForbiddenByte(u8),
    /// A `.` or `..` segment.
    DotSegment,
    /// Starts with `//`, which reads as an authority.
    Authority,
}

impl fmt::Display for BasePathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BasePathError::ForbiddenByte(byte) => write!(f, "basePath: byte 0x{byte:02x} cannot occur in a URL path"),
            BasePathError::DotSegment => f.write_str("basePath: dot segments are never matched"),
            BasePathError::Authority => f.write_str("basePath: must not start with two slashes"),
        }
    }
}

impl std::error::Error for BasePathError {}

/// The path that all routes lie under, normalised (CONTRACT 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasePath {
    path: Box<str>,
}

impl BasePath {
    /// What the contract uses when nothing is configured.
    pub const DEFAULT: &'static str = "/__runner";

    /// Adds a missing leading slash and removes exactly one trailing one (`/x//` becomes `/x/`). `/` and the empty
    /// text are the root, under which `/task/{id}` works (D8; unreachable in the reference).
    pub fn new(text: &str) -> Result<BasePath, BasePathError> {
        if let Some(&byte) = text.as_bytes().iter().find(|byte| CLASS[usize::from(**byte)] & FORBIDDEN != 0) {
            return Err(BasePathError::ForbiddenByte(byte));
        }
        let mut path = String::with_capacity(text.len() + 1);
        if !text.starts_with('/') {
            path.push('/');
        }
        path.push_str(text);
        if path.len() > 1 && path.ends_with('/') {
            path.pop();
        }
        if path.starts_with("//") {
            return Err(BasePathError::Authority);
        }
        if path.as_bytes().split(|byte| *byte == b'/').any(is_dot_segment) {
            return Err(BasePathError::DotSegment);
        }
        Ok(BasePath { path: path.into() })
    }

    /// The normalised text; `/` for the root.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.path
    }

    /// True when a raw path lies under this one, whatever else may be wrong with it.
    #[must_use]
    pub fn covers(&self, path: &[u8]) -> bool {
        self.below(path).is_some()
    }

    /// What follows the base path; `None` outside of it.
    fn below<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        let prefix = if self.path.len() == 1 { &[][..] } else { self.path.as_bytes() };
        path.strip_prefix(prefix).filter(|rest| matches!(rest, [] | [b'/', ..]))
    }

    /// Where a raw path (see [`super::request::Request::path`]) leads. `decoded` is a buffer for ids that are not
    /// a plain slice of the path; its content does not matter.
    #[must_use]
    pub fn route<'a>(&self, path: &'a [u8], decoded: &'a mut Vec<u8>) -> Route<'a> {
        let seen = path.iter().fold(0, |seen, byte| seen | CLASS[usize::from(*byte)]);
        if seen & FORBIDDEN != 0 {
            return Route::Malformed;
        }
        let Some(rest) = self.below(path) else {
            return Route::Outside;
        };
        // With a base path of its own, such a path is outside already.
        if path.starts_with(b"//") {
            return Route::Refused;
        }
        if rest.split(|byte| *byte == b'/').any(is_dot_segment) {
            return Route::Refused;
        }
        let rest = trim_slashes(rest);
        let (kind, id) = match memchr(b'/', rest) {
            Some(at) => (&rest[..at], trim_slashes(&rest[at..])),
            None => (rest, &[][..]),
        };
        match kind {
            b"task" => read_id(id, seen, decoded).map_or(Route::NoTarget, Route::Task),
            b"event" => read_id(id, seen, decoded).map_or(Route::NoTarget, Route::Event),
            b"discovery" => Route::Discovery,
            _ => Route::NoTarget,
        }
    }
}

impl Default for BasePath {
    fn default() -> Self {
        BasePath { path: BasePath::DEFAULT.into() }
    }
}

/// The byte may not occur.
const FORBIDDEN: u8 = 1;
/// The byte is a `%`.
const PERCENT: u8 = 2;

const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        if byte <= 0x20 || byte >= 0x7f || byte == b'\\' as usize || byte == b'?' as usize || byte == b'#' as usize {
            class[byte] = FORBIDDEN;
        }
        byte += 1;
    }
    class[b'%' as usize] = PERCENT;
    class
};

fn trim_slashes(mut path: &[u8]) -> &[u8] {
    while let [b'/', rest @ ..] = path {
        path = rest;
    }
    while let [rest @ .., b'/'] = path {
        path = rest;
    }
    path
}

/// True for `.`, `..` and every spelling of them with `%2e`.
fn is_dot_segment(mut segment: &[u8]) -> bool {
    let mut dots = 0;
    loop {
        segment = match segment {
            [] => return dots == 1 || dots == 2,
            [b'.', rest @ ..] | [b'%', b'2', b'e' | b'E', rest @ ..] => rest,
            _ => return false,
        };
        dots += 1;
    }
}

/// The id: segments joined with `/`, then decoded once as `decodeURIComponent` does. None: absent or malformed.
fn read_id<'a>(id: &'a [u8], seen: u8, decoded: &'a mut Vec<u8>) -> Option<&'a str> {
    if id.is_empty() {
        return None;
    }
    // Almost every id is a slice of the path: nothing to decode, no doubled slash to drop.
    if seen & PERCENT == 0 && !id.windows(2).any(|pair| pair == b"//") {
        return std::str::from_utf8(id).ok();
    }
    decoded.clear();
    let mut rest = id;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match byte {
            // Only a slash of the path separates; one that is decoded belongs to the id.
            b'/' if tail.first() == Some(&b'/') => {}
            b'%' => {
                let [high, low, tail @ ..] = tail else { return None };
                decoded.push(hex(*high)? << 4 | hex(*low)?);
                rest = tail;
            }
            _ => decoded.push(*byte),
        }
    }
    std::str::from_utf8(decoded).ok()
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Routes arbitrary bytes under two bases and checks what must hold for all of them.
#[cfg(any(test, feature = "fuzzing"))]
pub fn fuzz_route(path: &[u8]) {
    for base in [BasePath::default(), BasePath { path: "/".into() }] {
        let mut decoded = Vec::new();
        if let Route::Task(id) | Route::Event(id) = base.route(path, &mut decoded) {
            assert!(!id.is_empty() && id.len() <= path.len());
            assert!(path.is_ascii() && !path.contains(&b'\\'));
            assert!(!path.split(|byte| *byte == b'/').any(|segment| segment == b".." || segment == b"."));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(base: &str, table: &[(&str, Route<'_>)]) {
        let base = BasePath::new(base).unwrap();
        for (path, expected) in table {
            let mut decoded = b"left over".to_vec();
            assert_eq!(base.route(path.as_bytes(), &mut decoded), *expected, "{path} under {}", base.as_str());
        }
    }

    #[test]
    fn routes_of_the_contract() {
        use Route::*;
        check(
            "/__runner",
            &[
                ("/__runner/task/app.tasks.add", Task("app.tasks.add")),
                ("/__runner/event/app.events.a/b", Event("app.events.a/b")),
                ("/__runner/task/a/b", Task("a/b")),
                ("/__runner/task/a//b", Task("a/b")),
                ("/__runner/task/a%2Fb", Task("a/b")),
                ("/__runner/task/a%2F%2Fb", Task("a//b")),
                ("/__runner//task///x/", Task("x")),
                ("/__runner/task/%2Fx", Task("/x")),
                ("/__runner/task/app.tasks.%61dd", Task("app.tasks.add")),
                ("/__runner/task/app%2Etasks%2Eadd", Task("app.tasks.add")),
                ("/__runner/task/pct%2541", Task("pct%41")),
                ("/__runner/task/a+b;v=1", Task("a+b;v=1")),
                ("/__runner/task/%C3%BCn%C3%AF", Task("ünï")),
                ("/__runner/task/app%00", Task("app\0")),
                ("/__runner/task/x%0d%0aX-Evil:%201", Task("x\r\nX-Evil: 1")),
                ("/__runner/task/%23%3f%5c", Task("#?\\")),
                ("/__runner/task/__proto__", Task("__proto__")),
                ("/__runner/task/%2e%2e%2fx", Task("../x")),
                ("/__runner/task/...", Task("...")),
                ("/__runner/task/..x", Task("..x")),
                ("/__runner/task/task", Task("task")),
                ("/__runner/discovery", Discovery),
                ("/__runner/discovery/", Discovery),
                ("/__runner/discovery/task/x", Discovery),
                ("/__runner", NoTarget),
                ("/__runner/", NoTarget),
                ("/__runner/task", NoTarget),
                ("/__runner/task/", NoTarget),
                ("/__runner/task//", NoTarget),
                ("/__runner/health/x", NoTarget),
                ("/__runner/Task/x", NoTarget),
                ("/__runner/%74ask/x", NoTarget),
                ("/__runner/task/x%zz", NoTarget),
                ("/__runner/task/x%2", NoTarget),
                ("/__runner/task/x%", NoTarget),
                ("/__runner/task/x%+1", NoTarget),
                ("/__runner/task/%ff", NoTarget),
                ("/__runner/task/%c0%af", NoTarget),
                ("/__runner/task/%ed%a0%80", NoTarget),
                ("/other", Outside),
                ("/__runnerx/task/x", Outside),
                ("/__RUNNER/task/x", Outside),
                ("/%5F_runner/task/x", Outside),
                ("//evil/__runner/task/x", Outside),
                ("//__runner/task/x", Outside),
                ("/x/../__runner/task/x", Outside),
                ("/", Outside),
                ("*", Outside),
                ("", Outside),
                ("/__runner/task/../task/x", Refused),
                ("/__runner/./task/x", Refused),
                ("/__runner/task/zzz/..", Refused),
                ("/__runner/%2e%2e/__runner/task/x", Refused),
                ("/__runner/task/.%2E", Refused),
                ("/__runner/discovery/%2e", Refused),
                ("/__runner\\task\\x", Malformed),
                ("/__runner/task/ü", Malformed),
                ("/__runner/task/a b", Malformed),
                ("/__runner/task/a\tb", Malformed),
                ("/__runner/task/a\u{7f}", Malformed),
                ("/__runner/task/a?b", Malformed),
            ],
        );
    }

    #[test]
    fn the_root_works() {
        use Route::*;
        for root in ["/", "", "//"] {
            check(
                root,
                &[
                    ("/task/x", Task("x")),
                    ("/event/a/b", Event("a/b")),
                    ("/discovery", Discovery),
                    ("/", NoTarget),
                    ("/x", NoTarget),
                    ("/task//x", Task("x")),
                    ("//task/x", Refused),
                    ("///task/x", Refused),
                    ("/.//task/x", Refused),
                    ("*", Outside),
                ],
            );
        }
    }

    #[test]
    fn base_paths_are_normalised() {
        for (given, expected) in [
            ("/__runner", "/__runner"),
            ("rpc", "/rpc"),
            ("/api/v1/", "/api/v1"),
            ("/a/b/c", "/a/b/c"),
            ("/x//", "/x/"),
            ("", "/"),
            ("/", "/"),
        ] {
            assert_eq!(BasePath::new(given).unwrap().as_str(), expected, "{given}");
        }
        check("/x//", &[("/x//task/a", Route::Task("a")), ("/x/task/a", Route::Outside), ("/x/", Route::NoTarget)]);
    }

    #[test]
    fn unreachable_base_paths_are_errors() {
        for (given, expected) in [
            ("/a b", BasePathError::ForbiddenByte(b' ')),
            ("/ü", BasePathError::ForbiddenByte(0xc3)),
            ("/a?b", BasePathError::ForbiddenByte(b'?')),
            ("/a/../b", BasePathError::DotSegment),
            ("/a/%2E", BasePathError::DotSegment),
            ("//a", BasePathError::Authority),
        ] {
            let error = BasePath::new(given).unwrap_err();
            assert_eq!(error, expected, "{given}");
            assert!(error.to_string().starts_with("basePath: "));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn an_encoded_id_comes_back(id in "\\PC{1,20}") {
            let encoded: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let path = format!("/__runner/task/{encoded}");
            let mut decoded = Vec::new();
            let expected = if is_dot_segment(encoded.as_bytes()) { Route::Refused } else { Route::Task(&id) };
            prop_assert_eq!(BasePath::default().route(path.as_bytes(), &mut decoded), expected);
        }

        #[test]
        fn arbitrary_paths(path in "(/__runner)?/(task|event|discovery)?[/.%2eEa\\\\ü]{0,12}") {
            fuzz_route(path.as_bytes());
        }
    }
}
