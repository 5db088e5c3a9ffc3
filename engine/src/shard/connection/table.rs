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

    /// By their numbers.
    pub fn borrow(&self) -> Ref<'_, Slab<Rc<Conn>>> {
        self.conns.borrow()
    }

    /// Those that are to be judged, as far as they are `wanted`.
    pub fn residents(&self, wanted: impl Fn(&dyn Resident) -> bool) -> Vec<Rc<dyn Resident>> {
        let conns = self.conns.borrow();
        conns.iter().filter(|(_, conn)| wanted(&***conn)).map(|(_, conn)| conn.clone() as Rc<dyn Resident>).collect()
    }

    /// How many are load.
    pub fn load(&self) -> usize {
        self.conns.borrow().len() - self.apart.get()
    }

    /// How many are none.
    pub fn apart(&self) -> usize {
        self.apart.get()
    }

    pub fn is_empty(&self) -> bool {
        self.conns.borrow().is_empty()
    }
}
