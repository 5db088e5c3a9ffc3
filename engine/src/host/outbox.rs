//! Answers on their way home: a batch for each shard.

use crate::limits::{ANSWERS_POOL, ANSWERS_SENT_BYTES};
use crate::link::batch::AnswerBatch;
use crate::link::host::Host;

// Boxes, because they are the very boxes that travel.
#[allow(clippy::vec_box)]
pub(super) struct Outbox {
    batches: Vec<Box<AnswerBatch>>,
    /// Batches that have come home.
    spare: Vec<Box<AnswerBatch>>,
}

impl Outbox {
    pub fn new(shards: usize) -> Self {
        Outbox { batches: (0..shards).map(|_| Box::default()).collect(), spare: Vec::new() }
    }

    /// The batch of a shard, to be filled.
    pub fn of(&mut self, shard: u32) -> Option<&mut AnswerBatch> {
        self.batches.get_mut(shard as usize).map(|batch| &mut **batch)
    }

    /// Batches have come home.
    #[allow(clippy::vec_box)]
    pub fn keep(&mut self, home: &mut Vec<Box<AnswerBatch>>) {
        let room = ANSWERS_POOL.saturating_sub(self.spare.len());
        self.spare.extend(home.drain(..).take(room));
    }

    /// Sends the batch of a shard if it holds enough.
    pub fn send_if_full(&mut self, shard: u32, link: &Host) {
        if let Some(batch) = self.batches.get_mut(shard as usize).filter(|batch| batch.raw.len() >= ANSWERS_SENT_BYTES)
        {
            link.answer(shard as usize, std::mem::replace(batch, self.spare.pop().unwrap_or_default()));
        }
    }

    /// Sends what there is.
    pub fn send(&mut self, now_ns: u64, link: &Host) {
        for (shard, batch) in self.batches.iter_mut().enumerate() {
            if !batch.records.is_empty() {
                batch.answered_ns = now_ns;
                link.answer(shard, std::mem::replace(batch, self.spare.pop().unwrap_or_default()));
            }
        }
    }
}
