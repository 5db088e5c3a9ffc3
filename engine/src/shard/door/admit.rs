//! Whether a connection that was accepted is served, and by which shard.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::Ordering;

use crate::limits::{MAX_ADMIN_CONNECTIONS, MAX_TURNED_AWAY};
use crate::shard::service::Service;
use crate::shard::service::turned_away::TURNED_AWAY;
use crate::shard::{Shard, open_connections};
use crate::tunnel::envelope::Refusal;
use crate::wire::field_lines::FieldLines;
use crate::wire::reply::Connection;

impl Shard {
    /// Takes a connection that was accepted: gives it to a shard, or turns it away when there are too many.
    pub(in crate::shard) fn admit(self: &Rc<Self>, socket: OwnedFd, service: &'static Service) {
        if let Some(greet) = service.greets {
            greet(self, &socket);
        } else if service.is_load {
            self.place(socket, service);
        } else if self.conns.apart() >= MAX_ADMIN_CONNECTIONS {
            self.turn_away(socket);
        } else {
            self.adopt(socket, service);
        }
    }

    /// Gives a connection to the shard that has the fewest.
    fn place(self: &Rc<Self>, socket: OwnedFd, service: &'static Service) {
        let loads: Vec<usize> = self.loads.iter().map(|load| load.load(Ordering::Relaxed)).collect();
        if open_connections(&loads) >= self.limits.max_connections {
            self.counters.turned_away.add(1);
            return self.turn_away(socket);
        }
        // On a tie the accepting shard keeps it: no hop. And at the end: another may have ended by now.
        let least = loads.iter().min().copied().unwrap_or(0);
        let stays = loads.get(self.index) == Some(&least) || self.stopping();
        let elsewhere = service.hand_over.filter(|_| !stays).and_then(|message| {
            let target = loads.iter().position(|load| *load == least)?;
            Some((self.loads.get(target)?, self.ports.get(target)?, message))
        });
        match (elsewhere, self.loads.get(self.index)) {
            (Some((load, port, message)), _) => {
                load.fetch_add(1, Ordering::Relaxed);
                if port.send(message(socket)).is_err() {
                    load.fetch_sub(1, Ordering::Relaxed);
                }
            }
            (None, own) => {
                if let Some(load) = own {
                    load.fetch_add(1, Ordering::Relaxed);
                }
                self.adopt(socket, service);
            }
        }
    }

    /// Best effort: the socket's buffer is empty, so the answer fits or the peer is gone already. What the client sends is
    /// read for a while, as long as not too many are turned away.
    fn turn_away(self: &Rc<Self>, socket: OwnedFd) {
        let mut answer = Vec::new();
        self.with_refusal(Refusal::ServiceUnavailable, FieldLines::NONE, false, |refusal| {
            refusal.encode(&mut answer, Connection::Close);
        });
        let _ = rustix::net::send(
            socket.as_fd(),
            &answer,
            rustix::net::SendFlags::DONTWAIT | rustix::net::SendFlags::NOSIGNAL,
        );
        let _ = rustix::net::shutdown(&socket, rustix::net::Shutdown::Write);
        if self.conns.turned_away() < MAX_TURNED_AWAY {
            self.adopt(socket, &TURNED_AWAY);
        }
    }
}
