//! Callers: what holds of them, on its way in, and what a handler hears of its own.

use fasttunnel_engine::bounds;
use fasttunnel_engine::caller::access::Access;
use fasttunnel_engine::caller::bucket::Bucket;
use fasttunnel_engine::caller::networks::Networks;
use fasttunnel_engine::caller::proxies::{Client, Proxies, Whereabouts};
use fasttunnel_engine::caller::rules::{LimitRule, Per, ProxyHeaderRule, Rules};
use fasttunnel_engine::link::peers::Peer;
use napi_derive::napi;

use crate::options::{CodedError, bad_option};

/// What holds of callers.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct NativeCallers {
    /// Proxies in a row that are trusted.
    pub trusted_hops: Option<u32>,
    /// Networks of proxies that are trusted; none with the one above.
    pub trusted_networks: Option<Vec<String>>,
    /// Whether connections begin with a header of the PROXY protocol.
    pub proxy_protocol: Option<NativeProxyProtocol>,
    /// Who may call.
    pub access: Option<NativeAccess>,
    /// What each caller may ask.
    pub limits: Vec<NativeCallerLimit>,
}

/// What each caller may ask.
#[napi(object, object_to_js = false)]
pub struct NativeCallerLimit {
    /// `token` or `address`.
    pub per: String,
    /// Requests a second; without it any number.
    pub rate: Option<f64>,
    /// Requests that may come at once.
    pub burst: u32,
    /// Calls under way; without it any number.
    pub max_concurrent: Option<u32>,
    /// Callers whose requests are counted.
    pub max_callers: u32,
}

impl NativeCallerLimit {
    fn rule(&self) -> Result<LimitRule, CodedError> {
        let numbers = [
            ("burst", Some(self.burst)),
            ("maxConcurrent", self.max_concurrent),
            ("maxCallers", Some(self.max_callers)),
        ];
        for (option, value) in numbers {
            if value.is_some_and(|value| !bounds::of(option).is_some_and(|bound| bound.allows(value.into()))) {
                return Err(bad_option(format!("rateLimit.{option}: {value:?} is out of its range")));
            }
        }
        let per = match self.per.as_str() {
            "token" => Per::Token,
            "address" => Per::Address,
            other => return Err(bad_option(format!("rateLimit.per: {other:?} is no kind of callers"))),
        };
        let bucket = match self.rate {
            Some(rate) if rate.is_finite() && rate > 0.0 => Some(Bucket::new(rate, self.burst)),
            Some(rate) => return Err(bad_option(format!("rateLimit.rate: {rate} is no rate"))),
            None => None,
        };
        Ok(LimitRule { per, bucket, most_at_once: self.max_concurrent, max_callers: self.max_callers as usize })
    }
}

/// Whether connections begin with a header of the PROXY protocol.
#[napi(object, object_to_js = false)]
pub struct NativeProxyProtocol {
    /// A connection may begin without one.
    pub optional: bool,
    /// Networks of those who are believed; without it all are.
    pub from: Option<Vec<String>>,
}

/// Who may call.
#[napi(object, object_to_js = false)]
pub struct NativeAccess {
    /// Networks of those who may; without it all may.
    pub allow: Option<Vec<String>>,
    /// Networks of those who may not.
    pub deny: Vec<String>,
}

impl NativeCallers {
    /// As the engine has it.
    pub fn rules(&self) -> Result<Rules, CodedError> {
        let proxies = match (&self.trusted_networks, self.trusted_hops) {
            (Some(list), _) => Some(Proxies::Networks(networks("trustProxy", list)?)),
            (None, Some(hops)) => Some(Proxies::Hops(hops as usize)),
            (None, None) => None,
        };
        let proxy_header = match &self.proxy_protocol {
            Some(NativeProxyProtocol { optional, from }) => {
                let from = from.as_ref().map(|list| networks("proxyProtocol.from", list)).transpose()?;
                Some(ProxyHeaderRule { optional: *optional, from })
            }
            None => None,
        };
        let access = match &self.access {
            Some(NativeAccess { allow, deny }) => {
                let allow = allow.as_ref().map(|list| networks("access.allow", list)).transpose()?;
                Some(Access { allow, deny: networks("access.deny", deny)? })
            }
            None => None,
        };
        let limits = self.limits.iter().map(NativeCallerLimit::rule).collect::<Result<_, _>>()?;
        Ok(Rules { proxies, proxy_header, access, limits })
    }
}

fn networks(option: &str, list: &[String]) -> Result<Networks, CodedError> {
    Networks::parse(list.iter().map(String::as_str))
        .map_err(|text| bad_option(format!("{option}: {text:?} is no network")))
}

/// Who has made a call.
#[napi(object, object_from_js = false)]
pub struct NativeCaller {
    /// Its address, where that is known.
    pub address: Option<String>,
    /// Its port, where that is known.
    pub port: Option<u32>,
    /// It speaks HTTPS, to this server or to a proxy that has said so.
    pub secure: bool,
    /// The host that it has asked a proxy for, where that has said so.
    pub host: Option<String>,
}

impl NativeCaller {
    /// One that has sent a request by way of this peer.
    pub fn new(peer: &Peer, client: Client) -> Self {
        let (address, port) = match client.at {
            Whereabouts::At(address, port) => (Some(address.to_string()), port.map(u32::from)),
            Whereabouts::Local | Whereabouts::Unknown => (None, None),
        };
        let secure = client.secure.unwrap_or(peer.secure || peer.tls.is_some());
        NativeCaller {
            address,
            port,
            secure,
            host: client.host.map(|host| String::from_utf8_lossy(&host).into_owned()),
        }
    }
}
