//! The connections of a shard.

use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;

use slab::Slab;

use crate::shard::connection::conn::Conn;
use crate::shard::resident::Resident;
use crate::shard::service::Service;

#[derive(Default)]
pub(in crate::shard) struct Table {
    conns: RefCell<Slab<Rc<Conn>>>,
    /// Of those, how many are no load, and ask for something.
    apart: Cell<usize>,
    /// And how many ask for nothing.
    turned_away: Cell<usize>,
    /// What speaks otherwise; all of them load.
    others: RefCell<Slab<Rc<dyn Resident>>>,
}

impl Table {
    /// Enters a connection, which is made with its number.
    pub fn enter(&self, make: impl FnOnce(u32) -> Conn) -> Rc<Conn> {
        let mut conns = self.conns.borrow_mut();
        let entry = conns.vacant_entry();
        let conn = Rc::new(make(entry.key() as u32));
        entry.insert(conn.clone());
        if let Some(count) = self.count_of(&conn) {
            count.set(count.get() + 1);
        }
        conn
    }

    pub fn leave(&self, conn: &Conn) {
        let known = self.conns.borrow_mut().try_remove(conn.id as usize);
        if known.is_some()
            && let Some(count) = self.count_of(conn)
        {
            count.set(count.get() - 1);
        }
    }

    /// Where it counts, unless it is load.
    fn count_of(&self, conn: &Conn) -> Option<&Cell<usize>> {
        match conn.service() {
            Service { is_load: true, .. } => None,
            Service { takes_requests: true, .. } => Some(&self.apart),
            Service { .. } => Some(&self.turned_away),
        }
    }

    /// Enters what is no connection of this room, and gives it a number among its like.
    pub fn enter_other(&self, resident: Rc<dyn Resident>) -> u32 {
        self.others.borrow_mut().insert(resident) as u32
    }

    pub fn leave_other(&self, number: u32) {
        self.others.borrow_mut().try_remove(number as usize);
    }

    /// By their numbers.
    pub fn borrow(&self) -> Ref<'_, Slab<Rc<Conn>>> {
        self.conns.borrow()
    }

    /// Those that are to be judged, as far as they are `wanted`.
    pub fn residents(&self, wanted: impl Fn(&dyn Resident) -> bool) -> Vec<Rc<dyn Resident>> {
        let (conns, others) = (self.conns.borrow(), self.others.borrow());
        let conns = conns.iter().filter(|(_, conn)| wanted(&***conn)).map(|(_, conn)| conn.clone() as Rc<dyn Resident>);
        conns.chain(others.iter().filter(|(_, other)| wanted(&***other)).map(|(_, other)| other.clone())).collect()
    }

    /// How many are load.
    pub fn load(&self) -> usize {
        self.conns.borrow().len() - self.apart.get() - self.turned_away.get() + self.others.borrow().len()
    }

    /// How many are none, and ask for something.
    pub fn apart(&self) -> usize {
        self.apart.get()
    }

    /// How many ask for nothing.
    pub fn turned_away(&self) -> usize {
        self.turned_away.get()
    }

    pub fn is_empty(&self) -> bool {
        self.conns.borrow().is_empty() && self.others.borrow().is_empty()
    }
}
