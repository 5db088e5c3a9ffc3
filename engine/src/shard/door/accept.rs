//! The accept loops: one that feeds all shards, and others for what is no load.
//!
//! Shard 0 accepts and hands each connection to the shard with the fewest: with SO_REUSEPORT the kernel would spread
//! by hash, and few long-lived connections would pile up on one shard. Accepting is `accept4` after a readiness wait:
//! no accepted socket can be lost with a dropped operation, and descriptors are close-on-exec (monoio 0.2.4 does
//! neither through its own accept).

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use rustix::io::Errno;

use crate::limits::{ACCEPT_BURST, LAST_ACCEPTS};
use crate::shard::Shard;
use crate::shard::door::doors::Door;
use crate::shard::door::listener::{Listener, Listeners};
use crate::shard::door::watch::Closer;
use crate::shard::service::Service;
use crate::shard::service::admin::ADMIN;
use crate::shard::service::agent::AGENT;
use crate::shard::service::proxy::PROXY;
use crate::shard::service::tunnel::TUNNEL;

/// Where a listener is while no accept loop has it: it outlives a shard that fails.
pub(in crate::shard) type ListenerHome = Rc<Cell<Option<Listener>>>;

/// The homes of all, with what each lets connections in for.
#[derive(Clone)]
pub(in crate::shard) struct Homes(Vec<(ListenerHome, &'static Service)>);

impl Homes {
    pub fn new(Listeners { main, proxy, admin, agent }: Listeners) -> Self {
        let home = |listener, service| (Rc::new(Cell::new(listener)), service);
        Homes(vec![home(main, &TUNNEL), home(proxy, &PROXY), home(admin, &ADMIN), home(agent, &AGENT)])
    }

    /// Nobody is to wait in a backlog any more.
    pub fn shut(&self) {
        self.0.iter().filter_map(|(home, _)| home.take()).for_each(Listener::shut);
    }
}

/// What is to be accepted from.
pub(in crate::shard) struct Acceptors(Vec<Acceptor>);

impl Acceptors {
    /// Registers the listeners that are at home. Before the shard says that it is ready: an engine must not start deaf.
    pub fn new(homes: &Homes) -> io::Result<Self> {
        let registered = homes.0.iter().filter_map(|(home, service)| Acceptor::new(home, service).transpose());
        registered.collect::<io::Result<_>>().map(Acceptors)
    }

    /// Starts the loops.
    pub fn begin(self, shard: &Rc<Shard>) {
        for acceptor in self.0 {
            shard.doors.add(acceptor.door.clone());
            shard.spawn(accept_loop(shard.clone(), acceptor));
        }
    }
}

/// A listener that is registered with the driver of the current thread's runtime. Goes home when it is dropped.
struct Acceptor {
    listener: Option<Listener>,
    home: ListenerHome,
    door: Rc<Door>,
    readiness: monoio::net::TcpStream,
    closer: Option<Closer>,
}

impl Acceptor {
    fn new(home: &ListenerHome, service: &'static Service) -> io::Result<Option<Self>> {
        let Some(listener) = home.take() else { return Ok(None) };
        let registered = (|| {
            let watch = listener.watch()?;
            let readiness = monoio::net::TcpStream::from_std(std::net::TcpStream::from(watch.readiness))?;
            Ok((readiness, watch.closer))
        })();
        match registered {
            Ok((readiness, closer)) => Ok(Some(Acceptor {
                listener: Some(listener),
                home: home.clone(),
                door: Rc::new(Door::of(service)),
                readiness,
                closer: Some(closer),
            })),
            Err(error) => {
                home.set(Some(listener));
                Err(error)
            }
        }
    }

    fn accept(&self) -> io::Result<OwnedFd> {
        self.listener.as_ref().map_or(Err(io::ErrorKind::NotConnected.into()), Listener::accept)
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.home.set(self.listener.take());
    }
}

/// Says that the loop has ended, however it does.
struct Running<'a>(&'a Door);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.closer.take();
    }
}

/// Accepts until the door is closed.
async fn accept_loop(shard: Rc<Shard>, mut acceptor: Acceptor) {
    let door = acceptor.door.clone();
    door.closer.replace(acceptor.closer.take());
    let _running = Running(&door);
    accept(&shard, &acceptor).await;
    if shard.life.is_winding_down() {
        return;
    }
    if door.is_closing() {
        // At once, not when the last call has been answered: the address is free for others.
        acceptor.listener = None;
        if door.service.is_load {
            shard.vitals.end_accepting(&shard.ports);
        }
    } else {
        shard.break_down();
    }
}

async fn accept(shard: &Rc<Shard>, acceptor: &Acceptor) {
    let door = &*acceptor.door;
    // Held back so that a connection can be taken and closed when no descriptor is left, instead of spinning on it.
    let mut reserve = reserve_descriptor();
    loop {
        let mut readable = pin!(acceptor.readiness.readable(false));
        let mut ready = None;
        std::future::poll_fn(|cx: &mut Context<'_>| {
            if shard.life.is_winding_down() || door.is_closing() {
                return Poll::Ready(());
            }
            door.waker.replace(Some(cx.waker().clone()));
            readable.as_mut().poll(cx).map(|outcome| ready = Some(is_intact(&outcome)))
        })
        .await;
        shard.touch();
        if shard.life.is_winding_down() {
            return;
        }
        if door.is_closing() {
            // Whom the kernel has let in may have sent a request: shutting would reset the connection.
            if door.service.is_load {
                accept_some(shard, acceptor, &mut reserve, LAST_ACCEPTS);
            }
            door.shut();
            if ready.is_none() {
                // Ends because the door was shut. No operation may be in flight when the ring goes.
                let _ = readable.await;
            }
            return;
        }
        if ready != Some(true) {
            return;
        }
        match accept_some(shard, acceptor, &mut reserve, ACCEPT_BURST) {
            Came::Fine => {}
            // The surplus is closed at the pace of the timer, not in a busy loop.
            Came::Starved => shard.next_timer().await,
            Came::Lost => return,
        }
        shard.next_tick().await;
    }
}

/// True unless the socket has become something else. A signal that interrupts the question (see [`Signal::wait`]) says
/// nothing about it: accepting tells.
///
/// [`Signal::wait`]: crate::shard::reactor::signal::Signal::wait
fn is_intact(readable: &io::Result<()>) -> bool {
    readable.as_ref().map_or_else(|error| error.kind() == io::ErrorKind::Interrupted, |()| true)
}

/// What became of a few accepts.
enum Came {
    Fine,
    /// No descriptors or memory are left, or something else that may pass.
    Starved,
    /// The socket is no longer what it was: nobody would ever be accepted.
    Lost,
}

/// Accepts those who wait, at most so many.
fn accept_some(shard: &Rc<Shard>, acceptor: &Acceptor, reserve: &mut Option<std::fs::File>, most: usize) -> Came {
    for _ in 0..most {
        match acceptor.accept() {
            Ok(socket) => shard.admit(socket, acceptor.door.service),
            Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::AGAIN) => return Came::Fine,
                Some(Errno::INTR | Errno::CONNABORTED | Errno::PROTO) => {}
                Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    drop(reserve.take());
                    if acceptor.accept().is_ok() {
                        shard.counters.turned_away.add(1);
                    }
                    *reserve = reserve_descriptor();
                    return Came::Starved;
                }
                Some(Errno::BADF | Errno::NOTSOCK | Errno::INVAL) => return Came::Lost,
                _ => return Came::Starved,
            },
        }
    }
    Came::Fine
}

fn reserve_descriptor() -> Option<std::fs::File> {
    std::fs::File::open("/dev/null").ok()
}
