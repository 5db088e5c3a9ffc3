//! A shard that the event loop turns: when its descriptor can be read, and while there is more to do.
//!
//! A turn collects calls; then JavaScript is entered, once, and takes all of them; the answers go out with the turn that
//! follows in the same native call (`complete`). Nothing here waits, and no turn enters JavaScript.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fasttunnel_engine::link::host::Host;
use fasttunnel_engine::placement::{Arrangement, Decision, Placement, available_cores};
use fasttunnel_engine::shard::driver::DriverChoice;
use fasttunnel_engine::shard::inline::{InlineShard, Turned};
use fasttunnel_engine::{Engine, StartError};
use napi::{Env, Error, Result};

use crate::raw_turn::{self, LoopTurn};
use crate::ring::{Ring, Wake};

/// Turns in a row of which JavaScript gets the calls, before the event loop goes on.
const ENTRIES: usize = 2;

/// What was decided, as far as it is possible here.
pub fn place(decided: Decision, ring: &Ring, driver: DriverChoice) -> Decision {
    let Arrangement { placement: Placement::Inline, .. } = decided.arrangement else { return decided };
    match refusal(ring, driver) {
        Some(reason) => decided.on_threads(reason, available_cores()),
        None => decided,
    }
}

/// Why no shard can be turned here; `None` where one can.
fn refusal(ring: &Ring, driver: DriverChoice) -> Option<String> {
    if !ring.is_loop() || !raw_turn::is_possible() {
        return Some("this runtime's event loop is not libuv's".to_owned());
    }
    // What else is wrong fails the start, with a better word for it.
    match Engine::try_inline(driver) {
        Err(error @ StartError::Inline(_)) => Some(error.to_string()),
        _ => None,
    }
}

/// See the module.
pub struct Inline {
    shard: RefCell<InlineShard>,
    link: Arc<Host>,
    ring: Rc<Ring>,
    rung: Rung,
    turning: RefCell<Option<LoopTurn>>,
    /// The descriptor that is watched.
    outlet: Cell<u32>,
    /// The last turn has left something to do.
    unfinished: Cell<bool>,
}

/// Whether JavaScript sleeps and there is something for it.
#[derive(Clone, Default)]
pub struct Rung(Arc<AtomicBool>);

impl Rung {
    /// What wakes JavaScript: between two turns on this thread; by `ring` from any other.
    pub fn wake(&self, ring: Wake) -> Wake {
        let (rung, here) = (self.clone(), std::thread::current().id());
        Box::new(move || {
            if std::thread::current().id() == here {
                rung.0.store(true, Ordering::Relaxed);
            } else {
                ring();
            }
        })
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Inline {
    /// Lets the event loop turn `shard`, whose calls `link` takes.
    ///
    /// # Errors
    /// What Node-API or libuv refuses. The shard has ended then.
    pub fn new(env: &Env, shard: InlineShard, link: Arc<Host>, ring: Rc<Ring>, rung: Rung) -> Result<Rc<Self>> {
        let inline = Rc::new(Inline {
            shard: RefCell::new(shard),
            link,
            ring,
            rung,
            turning: RefCell::default(),
            outlet: Cell::new(0),
            unfinished: Cell::new(true),
        });
        let weak: Weak<Inline> = Rc::downgrade(&inline);
        let work = move || {
            if let Some(inline) = weak.upgrade() {
                inline.work();
            }
        };
        let refused = || Error::from_reason("libuv does not watch the shard");
        inline.turning.replace(Some(LoopTurn::new(env, work)?.ok_or_else(refused)?));
        if inline.settle() { Ok(inline) } else { Err(refused()) }
    }

    /// The event loop says that there is something to do.
    fn work(&self) {
        for _ in 0..ENTRIES {
            self.turn();
            if !self.rung.take() {
                break;
            }
            self.ring.enter();
            // What JavaScript had to say went out with a turn of its own, if there was anything.
            if !self.unfinished.get() {
                break;
            }
        }
        self.settle();
    }

    fn turn(&self) {
        let turned = self.shard.borrow_mut().turn(|| self.link.queued() > 0);
        self.unfinished.set(turned == Turned::More);
    }

    /// JavaScript looks by itself: it need not be called.
    pub fn looked(&self) {
        self.rung.take();
    }

    /// Sends what `say` says: it is found by the turn that follows, and wakes nobody.
    pub fn send<T>(&self, say: impl FnOnce() -> T) -> T {
        self.shard.borrow_mut().hold();
        let said = say();
        self.turn();
        self.settle();
        said
    }

    /// Sees to it that there is another turn when there has to be. False when libuv does not watch the shard.
    fn settle(&self) -> bool {
        let turning = self.turning.borrow();
        let Some(turning) = &*turning else { return true };
        let mut watches = true;
        {
            let shard = self.shard.borrow();
            let (number, outlet) = shard.outlet();
            if self.outlet.replace(number) != number {
                let own = outlet.map(|outlet| outlet.try_clone());
                watches = match own.transpose() {
                    Ok(own) => turning.watch(own).unwrap_or(false),
                    Err(_) => false,
                };
            }
        }
        // What cannot be watched is looked at all the time: slow, but alive.
        turning.hurry(self.unfinished.get() || !watches);
        watches
    }

    /// Ends the shard at once, and lets go of the event loop.
    pub fn end(&self) {
        self.turning.take();
        self.shard.borrow_mut().end();
    }
}
