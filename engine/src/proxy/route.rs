//! The route of a context: hosts of the own machine become those of the workspace that runs what is asked for.

use crate::limits::MAX_LABEL_BYTES;
use crate::proxy::target::{Host, Scheme, Target, is_label, is_name};

/// See the module. Whatever is built of it is a name that DNS can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    morph_id: String,
    scope: String,
    domain_suffix: String,
    /// Begins with a dot.
    morph_domain_suffix: Option<String>,
}

/// Why a route is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Not a label of a host name.
    #[error("route.morphId: must be letters, digits and inner dashes")]
    MorphId,
    /// Not a label of a host name.
    #[error("route.scope: must be letters, digits and inner dashes")]
    Scope,
    /// Not a host name.
    #[error("route.domainSuffix: must be a host name without a dot in front, such as cmux.app")]
    DomainSuffix,
    /// Not a host name with a dot in front.
    #[error("route.morphDomainSuffix: must be a host name with a dot in front, such as .http.cloud.morph.so")]
    MorphDomainSuffix,
    /// A host of it would be no name.
    #[error("route: morphId and scope are too long for a host name, of which a label has 63 characters")]
    TooLong,
}

/// Where a request goes, and what it says it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routed {
    /// What is connected to.
    pub target: Target,
    /// The value of `Host`.
    pub host: String,
    /// The route has led it to another host than its client has asked for.
    pub moved: bool,
}

impl Route {
    /// Checks the parts.
    ///
    /// # Errors
    /// See [`RouteError`].
    pub fn new(
        morph_id: &str,
        scope: &str,
        domain_suffix: &str,
        morph_domain_suffix: Option<&str>,
    ) -> Result<Route, RouteError> {
        let is_part = |part: &str| is_label(part) && !part.contains('_');
        if !is_part(morph_id) {
            return Err(RouteError::MorphId);
        }
        if !is_part(scope) {
            return Err(RouteError::Scope);
        }
        if !is_name(domain_suffix) {
            return Err(RouteError::DomainSuffix);
        }
        if morph_domain_suffix.is_some_and(|suffix| !suffix.strip_prefix('.').is_some_and(is_name)) {
            return Err(RouteError::MorphDomainSuffix);
        }
        let route = Route {
            morph_id: morph_id.to_ascii_lowercase(),
            scope: scope.to_ascii_lowercase(),
            domain_suffix: domain_suffix.to_ascii_lowercase(),
            morph_domain_suffix: morph_domain_suffix.map(str::to_ascii_lowercase),
        };
        let longest = route.name(u16::MAX);
        let label = longest.split('.').next().unwrap_or_default();
        if label.len() > MAX_LABEL_BYTES || !is_name(&longest) { Err(RouteError::TooLong) } else { Ok(route) }
    }

    /// The name that stands for a port of the own machine.
    fn name(&self, port: u16) -> String {
        let Route { morph_id, scope, domain_suffix, morph_domain_suffix } = self;
        match morph_domain_suffix {
            Some(suffix) => format!("port-{port}-morphvm-{morph_id}{suffix}"),
            None => format!("cmux-{morph_id}-{scope}-{port}.{domain_suffix}"),
        }
    }

    /// Where a request for `target` goes instead; `None`: it is not for the own machine.
    #[must_use]
    pub fn rewrite(&self, target: &Target) -> Option<Routed> {
        if !target.host.is_loopback() {
            return None;
        }
        let name = self.name(target.port);
        // A workspace behind this form tells its servers apart by port, and shows them what the browser has asked for.
        let host = if self.morph_domain_suffix.is_some() { target.authority() } else { name.clone() };
        Some(Routed { target: Target { scheme: Scheme::Https, host: Host::Name(name), port: 443 }, host, moved: true })
    }
}

/// Where a request goes for a context with this route, or with none.
#[must_use]
pub fn route(target: Target, route: Option<&Route>) -> Routed {
    route.and_then(|route| route.rewrite(&target)).unwrap_or_else(|| Routed {
        host: target.authority(),
        target,
        moved: false,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rewritten(given: &Route, url: &str) -> (String, String) {
        let Routed { target, host, .. } = route(Target::of_absolute(url.as_bytes()).unwrap(), Some(given));
        (format!("{}{}", if target.scheme == Scheme::Https { "s " } else { "" }, target.host_and_port()), host)
    }

    #[test]
    fn hosts_of_the_own_machine_become_the_workspace_and_others_stay() {
        let cmux = Route::new("abc123", "base", "cmux.app", None).unwrap();
        for (url, target, host) in [
            ("http://localhost:5173", "s cmux-abc123-base-5173.cmux.app:443", "cmux-abc123-base-5173.cmux.app"),
            ("http://localhost", "s cmux-abc123-base-80.cmux.app:443", "cmux-abc123-base-80.cmux.app"),
            ("https://127.0.0.1", "s cmux-abc123-base-443.cmux.app:443", "cmux-abc123-base-443.cmux.app"),
            ("http://[::1]:3000", "s cmux-abc123-base-3000.cmux.app:443", "cmux-abc123-base-3000.cmux.app"),
            ("http://0.0.0.0:8080", "s cmux-abc123-base-8080.cmux.app:443", "cmux-abc123-base-8080.cmux.app"),
            ("http://app.localhost:1", "s cmux-abc123-base-1.cmux.app:443", "cmux-abc123-base-1.cmux.app"),
            ("http://127.evil.com:5173", "127.evil.com:5173", "127.evil.com:5173"),
            ("http://example.com", "example.com:80", "example.com"),
            ("https://example.com", "s example.com:443", "example.com"),
        ] {
            assert_eq!(rewritten(&cmux, url), (target.to_owned(), host.to_owned()), "{url}");
        }
        let morph = Route::new("abc123", "base", "cmux.app", Some(".http.cloud.morph.so")).unwrap();
        let expected = ("s port-5173-morphvm-abc123.http.cloud.morph.so:443".to_owned(), "localhost:5173".to_owned());
        assert_eq!(rewritten(&morph, "http://localhost:5173"), expected);
        assert_eq!(rewritten(&morph, "http://[::1]:80").1, "[::1]");
        let untouched = route(Target::of_absolute(b"http://localhost:5173").unwrap(), None);
        assert_eq!(
            (untouched.target.host_and_port(), untouched.host),
            ("localhost:5173".into(), "localhost:5173".into())
        );
    }

    #[test]
    fn what_could_end_a_label_or_a_line_is_no_part_of_a_route() {
        for bad in ["", "a.b", "a b", "a\r\nX: y", "-a", "a-", "a_b", "ä", "a/b", "a:1", "a@b", "a%2e", "a#"] {
            assert_eq!(Route::new(bad, "base", "cmux.app", None), Err(RouteError::MorphId), "{bad}");
            assert_eq!(Route::new("a", bad, "cmux.app", None), Err(RouteError::Scope), "{bad}");
        }
        for bad in ["", ".cmux.app", "cmux.app.", "cmux..app", "cmux.app:1", "a/b", "a\r\nb", "a b"] {
            assert_eq!(Route::new("a", "base", bad, None), Err(RouteError::DomainSuffix), "{bad}");
            let morph = Route::new("a", "base", "cmux.app", Some(bad));
            assert_eq!(morph.is_ok(), bad == ".cmux.app", "{bad}");
        }
        // `cmux-`, two dashes, `base`, and a port of five digits.
        let longest = "a".repeat(63 - "cmux--base-65535".len());
        assert!(Route::new(&longest, "base", "cmux.app", None).is_ok());
        assert_eq!(Route::new(&format!("{longest}a"), "base", "cmux.app", None), Err(RouteError::TooLong));
        // A name has 253 bytes at most, with the port of five digits.
        let suffix = |bytes: usize| "a".repeat(1 - bytes % 2) + &"a.".repeat(bytes)[..bytes - 1 + bytes % 2];
        let room = 253 - "cmux-a-base-65535.".len();
        assert!(Route::new("a", "base", &suffix(room), None).is_ok());
        assert_eq!(Route::new("a", "base", &suffix(room + 1), None), Err(RouteError::TooLong));
        let morph = format!(".{}", suffix(253 - "port-65535-morphvm-a.".len()));
        assert!(Route::new("a", "base", "cmux.app", Some(&morph)).is_ok());
        assert_eq!(Route::new("aa", "base", "cmux.app", Some(&morph)), Err(RouteError::TooLong));
    }
}
