//! Which certificate a client is shown: that of the name it asks for (SNI, RFC 6066 3), of a kind whose signatures it takes.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Certificates that serve the same clients. One name may have several, of RSA and of ECDSA say.
type Candidates = Vec<Arc<CertifiedKey>>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Choice {
    /// In the order in which they were given: for clients that ask for no name, or for one that none of them has.
    all: Candidates,
    names: HashMap<String, Candidates>,
    /// By what stands behind `*.`, which stands for one label (RFC 9525 6.3).
    wildcards: HashMap<String, Candidates>,
}

impl Choice {
    pub fn add(&mut self, certified: Arc<CertifiedKey>, names: &[String]) {
        for name in names {
            let place = match name.strip_prefix("*.") {
                Some(parent) => self.wildcards.entry(parent.to_owned()),
                None => self.names.entry(name.clone()),
            };
            place.or_default().push(certified.clone());
        }
        self.all.push(certified);
    }

    /// Those for a name, then those for any.
    fn candidates(&self, name: Option<&str>) -> impl Iterator<Item = &Arc<CertifiedKey>> {
        let lower = name.map(|name| name.trim_end_matches('.').to_ascii_lowercase());
        let exact = lower.as_deref().and_then(|name| self.names.get(name));
        let parent = lower.as_deref().and_then(|name| name.split_once('.')).map(|(_, parent)| parent);
        let wild = parent.and_then(|parent| self.wildcards.get(parent));
        exact.into_iter().chain(wild).flatten().chain(&self.all)
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let fits = self.candidates(hello.server_name()).find(|one| one.key.choose_scheme(schemes).is_some());
        // With one that does not fit a client hears handshake_failure (RFC 8446 6.2); with none, of access_denied.
        fits.or(self.all.first()).cloned()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rustls::SignatureScheme;
    use rustls::sign::{Signer, SigningKey};

    use super::*;

    #[derive(Debug)]
    struct NoKey;

    impl SigningKey for NoKey {
        fn choose_scheme(&self, _: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
            None
        }

        fn algorithm(&self) -> rustls::SignatureAlgorithm {
            rustls::SignatureAlgorithm::ED25519
        }
    }

    #[test]
    fn a_name_of_its_own_goes_before_a_wildcard_and_both_before_the_first() {
        let mut choice = Choice::default();
        let made = [&["a.test", "b.test"][..], &["*.test"], &["x.y.test", "*.y.test"], &["a.test"]].map(|names| {
            let (one, names) =
                (Arc::new(CertifiedKey::new(Vec::new(), Arc::new(NoKey))), names.iter().map(|n| (*n).to_owned()));
            choice.add(one.clone(), &names.collect::<Vec<_>>());
            one
        });
        let order = |name| {
            let place = |one: &Arc<CertifiedKey>| made.iter().position(|other| Arc::ptr_eq(one, other)).unwrap();
            choice.candidates(name).map(place).collect::<Vec<_>>()
        };
        for (name, first) in [
            (None, &[][..]),
            (Some("a.test"), &[0, 3, 1]),
            (Some("B.Test."), &[0, 1]),
            (Some("c.test"), &[1]),
            // A wildcard stands for one label, and never for none.
            (Some("test"), &[]),
            (Some("d.c.test"), &[]),
            (Some("z.y.test"), &[2]),
            (Some("x.y.test"), &[2, 2]),
            (Some("y.test"), &[1]),
            (Some("elsewhere"), &[]),
        ] {
            assert_eq!(order(name), [first, &[0, 1, 2, 3]].concat(), "{name:?}");
        }
    }
}
