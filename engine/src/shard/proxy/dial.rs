//! From a target to a connection: whether it may be connected to, where it is, and whether that may be.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustls::pki_types::ServerName;

use crate::link::contexts::Context;
use crate::proxy::fault::Fault;
use crate::proxy::target::{Host, Scheme, Target};
use crate::shard::proxy::client::{Client, Wait};
use crate::shard::transport::Toward;
use crate::shard::transport::handshake::shake_hands_with_server;
use crate::shard::upstream::Upstreams;
use crate::shard::upstream::connect::{connect, in_turn};
use crate::shard::upstream::counted::Counted;
use crate::shard::upstream::end::End;
use crate::shard::upstream::flow::{Inlet, Outlet};
use crate::shard::upstream::pool::{Key, Upstream};
use crate::shard::{Shard, transport};
use crate::tls::Protocol;

/// A connection to `target`, which may speak HTTP/2 if it is `offered`. Its name is looked up once, and what was checked is what is
/// connected to.
///
/// # Errors
/// What the client hears instead.
pub(super) async fn dial(
    shard: &Rc<Shard>,
    upstreams: &Upstreams,
    client: &Rc<Client>,
    context: &Context,
    target: &Target,
    offered: bool,
) -> Result<Upstream, Fault> {
    let dialled = reach(shard, upstreams, client, context, target, offered).await;
    client.let_go();
    // Whatever an operation says that was ended because it was late.
    client.late().map_or(dialled, Err)
}

async fn reach(
    shard: &Rc<Shard>,
    upstreams: &Upstreams,
    client: &Rc<Client>,
    context: &Context,
    target: &Target,
    offered: bool,
) -> Result<Upstream, Fault> {
    let (link, limits) = (&upstreams.link, &upstreams.link.settings.limits);
    if !link.settings.policy.allows(target) {
        return Err(Fault::Denied);
    }
    let counted = upstreams.count_one(&context.id).ok_or(Fault::TooMany)?;
    let addresses = match (link.settings.place_of(target), &target.host) {
        (Some(place), _) => vec![place],
        (None, Host::Address(address)) => permitted(upstreams, context, target, vec![*address])?,
        (None, Host::Name(name)) => {
            client.expect(Wait::Hear, Some((shard.now_ms() + limits.dns_timeout_ms, Fault::DnsLate)));
            let found = upstreams.look_up(name, &context.id, |lookup| client.hold(lookup)).await?;
            permitted(upstreams, context, target, found)?
        }
    };
    client.expect(Wait::Hear, Some((shard.now_ms() + limits.connect_timeout_ms, Fault::ConnectLate)));
    let socket = connect(shard, &addresses, |race| client.hold(race)).await?;
    let key = Key { context: context.id.clone(), target: target.clone() };
    open(shard, upstreams, client, key, socket, (counted, offered)).await
}

/// Those that may be connected to.
fn permitted(
    upstreams: &Upstreams,
    context: &Context,
    target: &Target,
    addresses: Vec<IpAddr>,
) -> Result<Vec<SocketAddr>, Fault> {
    let policy = &upstreams.link.settings.policy;
    let routed = context.route.is_some();
    let allowed: Vec<_> = addresses.into_iter().filter(|address| policy.allows_address(*address, routed)).collect();
    if allowed.is_empty() {
        return Err(Fault::Prohibited);
    }
    let places: Vec<_> = in_turn(allowed).into_iter().map(|address| SocketAddr::new(address, target.port)).collect();
    if places.iter().any(|place| upstreams.link.is_own(*place)) { Err(Fault::Loop) } else { Ok(places) }
}

/// Makes a connection of a socket that is connected: under TLS once the server has proved who it is.
async fn open(
    shard: &Rc<Shard>,
    upstreams: &Upstreams,
    client: &Rc<Client>,
    key: Key,
    socket: OwnedFd,
    (counted, offered): (Counted, bool),
) -> Result<Upstream, Fault> {
    let link = &upstreams.link;
    let toward = match key.target.scheme {
        Scheme::Http => None,
        Scheme::Https => Some(Toward {
            config: link.trust.config(offered),
            name: server_name(&key.target.host).ok_or(Fault::Target)?,
            held: shard.buffers.scale(),
        }),
    };
    let opened = transport::open_toward(socket, &shard.driver, toward);
    let (socket, mut reader, mut writer) = opened.map_err(|_| Fault::Unavailable)?;
    let encrypted = socket.is_encrypted();
    let socket = Rc::new(socket);
    let end = End::Socket(socket.clone());
    client.hold(Rc::new(end.clone()));
    if encrypted {
        client.expect(Wait::Hear, Some((shard.now_ms() + link.settings.limits.tls_timeout_ms, Fault::ConnectLate)));
        let agreed = shake_hands_with_server(&mut reader, &mut writer).await.map_err(|error| fault_of(&error))?;
        if agreed == Protocol::Http2 && offered {
            return upstreams.shares.begin(shard, key, socket, (reader, writer), counted);
        }
    }
    Ok(Upstream::new(Inlet::new(reader), Outlet::new(writer), end, key, counted))
}

/// Who a server has to prove to be.
fn server_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Name(name) => ServerName::try_from(name.clone()).ok(),
        Host::Address(address) => Some(ServerName::IpAddress((*address).into())),
    }
}

/// What has failed of a handshake.
fn fault_of(error: &io::Error) -> Fault {
    let tls = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(_)) => Fault::Certificate,
        Some(_) => Fault::Tls,
        None => Fault::Terminated,
    }
}
