//! What one shard has handed over to a host.

use super::batch::CallBatch;
use super::counter::Counter;
use super::meter::{HandoverMeter, HostMeter};
use super::surplus::Surplus;
use super::sync::{AtomicBool, Receiver, Sender, bounded};
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
            begun_ns: Counter::default(),
            handover: HandoverMeter::default(),
            meter: HostMeter::default(),
        }
    }

    /// What comes next where the queue was found empty.
    pub fn behind(&self) -> Option<ToHost> {
        if !self.surplus.is_there() {
            return None;
        }
        // The queue may have been filled since. While there is a surplus no calls enter it, so all that is seen now came
        // before what was put aside.
        self.receiver.try_recv().ok().or_else(|| self.surplus.take().map(ToHost::Calls))
    }
}
