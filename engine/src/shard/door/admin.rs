//! The connections of the admin listener: ordinary ones of shard 0 in all but what they are answered. They need neither
//! the host nor a slot, count for no bound but their own, and stay until the engine ends.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use crate::limits::{HOST_BEHIND, MAX_ADMIN_CONNECTIONS};
use crate::shard::connection::conn::Origin;
use crate::shard::exchange::handle::Exchange;
use crate::shard::exchange::sink::Sink;
use crate::shard::{GIVEN_UP, Shard};
use crate::tunnel::admin::{AdminAnswer, Health};
use crate::wire::answer::{Answer, Content, Given};
use crate::wire::field_lines::FieldLines;

impl Shard {
    /// Takes a connection of the admin listener over; turns it away when there are too many.
    pub(in crate::shard) fn admit(self: &Rc<Self>, socket: OwnedFd) {
        if self.admin_conns.get() >= MAX_ADMIN_CONNECTIONS {
            return self.turn_away(socket);
        }
        self.adopt(socket, Origin::Admin);
    }

    /// How the engine is.
    pub(in crate::shard) fn health(&self) -> Health {
        let behind = u64::try_from(HOST_BEHIND.as_nanos()).unwrap_or(u64::MAX);
        Health {
            shard_failed: self.loads.iter().any(|load| load.load(Ordering::Relaxed) == GIVEN_UP),
            closing: self.vitals.is_closing(),
            starting: self.vitals.is_starting(),
            host_behind: (0..self.loads.len()).any(|shard| self.backend.unseen_ns(shard) >= behind),
        }
    }

    /// Gives what the admin listener answers.
    pub(in crate::shard) fn answer_admin(
        &self,
        exchange: Exchange<'_, impl Sink>,
        answer: AdminAnswer,
        head_only: bool,
        last: bool,
    ) {
        let AdminAnswer { status, fields, text } = answer;
        let (given, content) = (Given::Engine(fields), Content::text(text.as_bytes()).withheld_if(head_only));
        let answer = Answer { status, own: FieldLines::NONE, given, security: true, date: &self.clock.date(), content };
        exchange.sink.answer(&answer, last);
    }
}
