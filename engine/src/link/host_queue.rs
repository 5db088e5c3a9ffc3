//! What one shard has handed over to a host.

use crossbeam_channel::TrySendError;

use super::batch::CallBatch;
use super::counter::Counter;
use super::meter::{HandoverMeter, HostMeter};
use super::surplus::Surplus;
use super::sync::{AtomicBool, Ordering, Receiver, Sender, bounded};
use crate::limits::HOST_QUEUE_BATCHES;

/// What a host can be sent.
pub(super) enum ToHost {
    Calls(Box<CallBatch>),
    Stopped,
    Failed,
}

/// What one shard has handed over.
pub(super) struct Queue {
    pub sender: Sender<ToHost>,
    pub receiver: Receiver<ToHost>,
    /// A batch was refused, and its shard waits to hear of room.
    pub refused: AtomicBool,
    /// What follows calls that the host has, where the queue had no room for it. Comes behind the queue.
    pub surplus: Surplus,
    /// What its thread has said last, where the queue had no room for that. Comes behind everything.
    stopped: AtomicBool,
    failed: AtomicBool,
    /// When a batch last found the queue empty; the shard writes it.
    pub begun_ns: Counter,
    pub handover: HandoverMeter,
    pub meter: HostMeter,
}

impl Queue {
    pub fn new() -> Self {
        let (sender, receiver) = bounded(HOST_QUEUE_BATCHES);
        let refused = AtomicBool::new(false);
        Queue {
            sender,
            receiver,
            refused,
            surplus: Surplus::default(),
            stopped: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            begun_ns: Counter::default(),
            handover: HandoverMeter::default(),
            meter: HostMeter::default(),
        }
    }

    /// What comes next where the queue was found empty.
    pub fn behind(&self) -> Option<ToHost> {
        if !self.surplus.is_there() {
            return self.last();
        }
        // The queue may have been filled since. While there is a surplus no calls enter it, so all that is seen now came
        // before what was put aside.
        self.receiver.try_recv().ok().or_else(|| self.surplus.take().map(ToHost::Calls))
    }

    /// Takes the last word of a shard. Never waits for room: the shard may live on the very thread that would make some.
    pub fn part(&self, last: ToHost) {
        match self.sender.try_send(last).map_err(TrySendError::into_inner) {
            Ok(()) | Err(ToHost::Calls(_)) => {}
            Err(ToHost::Stopped) => self.stopped.store(true, Ordering::Release),
            Err(ToHost::Failed) => self.failed.store(true, Ordering::Release),
        }
    }

    /// What was said last, where nothing else is left.
    fn last(&self) -> Option<ToHost> {
        // Acquire: whoever sees it sees what has entered the queue before, which was full.
        let (stopped, failed) = (self.stopped.load(Ordering::Acquire), self.failed.load(Ordering::Acquire));
        if !stopped && !failed {
            return None;
        }
        self.receiver.try_recv().ok().or_else(|| {
            let flag = if stopped { &self.stopped } else { &self.failed };
            flag.store(false, Ordering::Relaxed);
            Some(if stopped { ToHost::Stopped } else { ToHost::Failed })
        })
    }
}
