//! Names that are being looked up, by the number of their question.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::Poll;

use crate::link::resolved::Resolved;
use crate::proxy::fault::Fault;
use crate::shard::reactor::waiters::Waiter;
use crate::shard::upstream::Upstreams;
use crate::shard::upstream::line::Line;

#[derive(Default)]
pub(in crate::shard) struct Lookups {
    waiting: RefCell<HashMap<u64, Rc<Lookup>>>,
}

/// One name.
#[derive(Default)]
pub(in crate::shard) struct Lookup {
    addresses: RefCell<Option<Vec<IpAddr>>>,
    given_up: Cell<bool>,
    waiter: Waiter,
}

impl Line for Lookup {
    fn cut(&self) {
        self.given_up.set(true);
        self.waiter.wake();
    }
}

impl Lookups {
    /// A name was looked up. Who has asked may have given up.
    pub fn take(&self, resolved: Resolved) {
        if let Some(lookup) = self.waiting.borrow_mut().remove(&resolved.ticket) {
            lookup.addresses.replace(Some(resolved.addresses));
            lookup.waiter.wake();
        }
    }
}

impl Upstreams {
    /// Looks a name up for a context; `begun` gets what can be told to give up.
    ///
    /// # Errors
    /// Nobody is there to do it, or there is no such name.
    pub async fn look_up(
        &self,
        host: &str,
        context: &str,
        begun: impl FnOnce(Rc<Lookup>),
    ) -> Result<Vec<IpAddr>, Fault> {
        let lookup = Rc::<Lookup>::default();
        let asked = self.link.resolver.ask(host, context, &self.port).ok_or(Fault::DnsBusy)?;
        // Its answer comes as a message, after this turn.
        self.lookups.waiting.borrow_mut().insert(asked.ticket, lookup.clone());
        begun(lookup.clone());
        let addresses = std::future::poll_fn(|cx| {
            lookup.waiter.remember(cx);
            match lookup.addresses.take() {
                Some(addresses) => Poll::Ready(addresses),
                None if lookup.given_up.get() => Poll::Ready(Vec::new()),
                None => Poll::Pending,
            }
        })
        .await;
        self.lookups.waiting.borrow_mut().remove(&asked.ticket);
        if addresses.is_empty() { Err(Fault::NotFound) } else { Ok(addresses) }
    }
}
