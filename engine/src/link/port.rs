//! A shard's letter box: a bounded channel, and an eventfd that is written only when the shard sleeps.

use std::cell::Cell;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, PoisonError};

use crossbeam_channel::TrySendError;

use super::batch::{AnswerBatch, CallBatch};
use super::doorbell::Doorbell;
use super::resolved::Resolved;
use super::sync::{AtomicBool, Event, Mutex, Ordering, Receiver, Sender, bounded};
use crate::limits::SHARD_INBOX_MESSAGES;

/// What a shard can be sent.
pub enum ToShard {
    /// Answers to calls of this shard.
    Answers(Box<AnswerBatch>),
    /// An emptied batch comes home.
    CallsHome(Box<CallBatch>),
    /// A connection that another shard has accepted.
    Socket(OwnedFd),
    /// The engine's end of a connection that its own process has asked for.
    InProcess(OwnedFd),
    /// A connection to the proxy that another shard has accepted.
    Proxied(OwnedFd),
    /// A name was looked up.
    Resolved(Resolved),
    /// Contexts of the proxy were released.
    Released,
    /// Stop: no new connections, finish what is in flight, give up after so many milliseconds.
    Stop {
        /// Milliseconds until what is left is cut off.
        drain_ms: u64,
    },
}

/// The sender's end. Cheap to clone; any thread may hold one.
#[derive(Clone)]
pub struct ShardPort {
    inbox: Sender<ToShard>,
    bell: Arc<ShardBell>,
}

/// The shard's end.
#[derive(Clone)]
pub struct Inbox {
    /// What was sent and not yet looked at.
    pub messages: Receiver<ToShard>,
    /// The shard's doorbell.
    pub bell: Arc<ShardBell>,
}

/// A doorbell, the descriptor that wakes its sleeper, and what did not fit into the channel.
pub struct ShardBell {
    /// The state machine.
    pub state: Doorbell,
    event: Event,
    /// Messages of senders that may not wait. Bounded by what they send: one message for a call or a connection.
    surplus: Mutex<Vec<ToShard>>,
    has_surplus: AtomicBool,
    /// Nobody looks into the box any more.
    closed: AtomicBool,
}

impl Inbox {
    /// Takes nothing more: what is in it is dropped, and who waits for room goes on.
    pub(crate) fn close(&self) {
        self.bell.closed.store(true, Ordering::Relaxed);
        while self.messages.try_recv().is_ok() {}
        self.bell.take_surplus();
    }
}

#[cfg(not(loom))]
thread_local! {
    /// This thread runs a shard: it must never wait for one, itself least of all.
    static ON_SHARD: Cell<bool> = const { Cell::new(false) };
}
#[cfg(loom)]
loom::thread_local! {
    static ON_SHARD: Cell<bool> = Cell::new(false);
}

/// Says that the current thread runs a shard.
#[doc(hidden)]
pub fn enter_shard_thread() {
    ON_SHARD.with(|on_shard| on_shard.set(true));
}

impl ShardBell {
    /// Wakes the shard, whatever its state. `ShardPort::send` does so only when needed.
    pub fn wake(&self) {
        self.event.write();
    }

    /// What did not fit into the channel, in order. Looked at with the channel, after `Doorbell::awake`.
    pub fn take_surplus(&self) -> Vec<ToShard> {
        // Relaxed: the flag was set before a ring, which the owner's `awake` or `try_park` has read.
        if self.has_surplus.load(Ordering::Relaxed) && self.has_surplus.swap(false, Ordering::Relaxed) {
            std::mem::take(&mut *self.surplus.lock().unwrap_or_else(PoisonError::into_inner))
        } else {
            Vec::new()
        }
    }

    fn put_surplus(&self, message: ToShard) {
        self.surplus.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        self.has_surplus.store(true, Ordering::Relaxed);
    }

    /// Sleeps until it is woken.
    #[cfg(loom)]
    pub fn sleep(&self) {
        self.event.read();
    }

    /// The descriptor to read from.
    #[must_use]
    pub fn event(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

/// The shard has ended; the message is dropped.
#[derive(Debug, thiserror::Error)]
#[error("the shard has ended")]
pub struct ShardGone;

impl ShardPort {
    /// Sends a message and wakes the shard if it sleeps.
    ///
    /// When the inbox is full ([`SHARD_INBOX_MESSAGES`]): waits. A shard never waits for anybody, so it makes room
    /// as soon as it runs. What a shard's own thread sends (a Rust handler answers at once, a connection is handed
    /// over) is put aside instead.
    pub fn send(&self, message: ToShard) -> Result<(), ShardGone> {
        if self.bell.closed.load(Ordering::Relaxed) {
            return Err(ShardGone);
        }
        let sent = match self.inbox.try_send(message) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(message)) if ON_SHARD.with(Cell::get) => {
                self.bell.put_surplus(message);
                Ok(())
            }
            Err(TrySendError::Full(message)) => {
                self.bell.wake();
                self.inbox.send(message).map_err(|_| ShardGone)
            }
            Err(TrySendError::Disconnected(_)) => Err(ShardGone),
        };
        self.nudge();
        sent
    }

    /// Makes the shard tick, without a message.
    pub fn nudge(&self) {
        if self.bell.state.ring() {
            self.bell.wake();
        }
    }

    /// Sends a message that may as well be dropped (an empty batch); never waits, never wakes.
    pub fn send_idle(&self, message: ToShard) {
        let _ = self.inbox.try_send(message);
    }
}

/// Makes both ends of a shard's letter box.
///
/// # Errors
/// When the kernel has no descriptor left for the eventfd.
pub fn letter_box() -> std::io::Result<(ShardPort, Inbox)> {
    let event = Event::new()?;
    let bell = Arc::new(ShardBell {
        state: Doorbell::default(),
        event,
        surplus: Mutex::default(),
        has_surplus: AtomicBool::new(false),
        closed: AtomicBool::new(false),
    });
    let (sender, messages) = bounded(SHARD_INBOX_MESSAGES);
    Ok((ShardPort { inbox: sender, bell: bell.clone() }, Inbox { messages, bell }))
}
