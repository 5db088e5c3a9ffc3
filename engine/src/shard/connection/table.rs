//! The connections of a shard.

use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;

use slab::Slab;

use crate::shard::connection::conn::Conn;
use crate::shard::resident::Resident;

#[derive(Default)]
pub(in crate::shard) struct Table {
    conns: RefCell<Slab<Rc<Conn>>>,
    /// Of those, how many are no load.
    apart: Cell<usize>,
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
        if !conn.service().is_load {
            self.apart.set(self.apart.get() + 1);
        }
        conn
    }

    pub fn leave(&self, conn: &Conn) {
        let known = self.conns.borrow_mut().try_remove(conn.id as usize);
        if known.is_some() && !conn.service().is_load {
            self.apart.set(self.apart.get() - 1);
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
        self.conns.borrow().len() - self.apart.get() + self.others.borrow().len()
    }

    /// How many are none.
    pub fn apart(&self) -> usize {
        self.apart.get()
    }

    pub fn is_empty(&self) -> bool {
        self.conns.borrow().is_empty() && self.others.borrow().is_empty()
    }
}
