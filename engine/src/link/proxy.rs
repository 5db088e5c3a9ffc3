//! What the shards of a proxy share.

use std::net::SocketAddr;
use std::sync::Arc;

use super::contexts::Contexts;
use super::http2_counts::Http2Counts;
use super::proxy_log::ProxyLog;
use super::resolver::Resolver;
use crate::proxy::address::Class;
use crate::proxy::settings::Settings;
use crate::tls::LocalCa;
use crate::trust::Trust;

/// See the module.
pub struct ProxyLink {
    /// What it was started with.
    pub settings: Settings,
    /// By whom servers have to be certified.
    pub trust: Trust,
    /// By what TLS within tunnels to this machine is read; `None`: it is not.
    pub local_ca: Option<Arc<LocalCa>>,
    /// Who may ask.
    pub contexts: Contexts,
    /// Who wants to hear what became of each request.
    pub log: Option<Arc<ProxyLog>>,
    /// What is counted of HTTP/2.
    pub http2: Http2Counts,
    /// Looks names up.
    pub resolver: Resolver,
    /// What it is called in `Via`, unlike any other.
    pub name: String,
    /// Where it listens.
    pub address: Option<SocketAddr>,
}

impl ProxyLink {
    /// True for an address at which this proxy listens: a request would come back for ever.
    #[must_use]
    pub fn is_own(&self, address: SocketAddr) -> bool {
        self.address.is_some_and(|own| {
            let (ip, own_ip) = (address.ip().to_canonical(), own.ip().to_canonical());
            let same = ip == own_ip || (Class::of(ip) == Class::Loopback && own_ip.is_unspecified());
            own.port() == address.port() && (same || (ip.is_unspecified() && Class::of(own_ip) == Class::Loopback))
        })
    }
}
