//! Batches of calls on loan from their shards, where the heads of the calls are.
//!
//! A batch goes home as soon as its calls are given out; what a call may yet be asked for is copied then, because few are.

use slab::Slab;

use super::tickets::{HeadPlace, Live, Tickets};
use crate::link::batch::{CallBatch, CallRecord, flags};
use crate::link::host::Host;
use crate::link::tasks::Label;

/// A batch on loan.
pub(super) struct Loan {
    pub shard: u32,
    pub batch: Box<CallBatch>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Loans {
    loans: Slab<Loan>,
    /// Tickets given out since the last return, with their loan: what is left of them then is copied.
    fresh: Vec<(u32, u32)>,
}

impl Loans {
    pub fn lend(&mut self, shard: u32, batch: Box<CallBatch>) -> u32 {
        self.loans.insert(Loan { shard, batch }) as u32
    }

    /// A loan comes to its end early.
    pub fn take(&mut self, loan: u32) -> Option<(u32, Box<CallBatch>)> {
        self.loans.try_remove(loan as usize).map(|Loan { shard, batch }| (shard, batch))
    }

    pub fn get(&self, loan: u32) -> Option<&Loan> {
        self.loans.get(loan as usize)
    }

    pub fn get_mut(&mut self, loan: u32) -> Option<&mut Loan> {
        self.loans.get_mut(loan as usize)
    }

    /// A loan to give calls out of, and where their tickets are to be noted, with their loan.
    pub fn open(&mut self, loan: u32) -> Option<(&Loan, &mut Vec<(u32, u32)>)> {
        Some((self.loans.get(loan as usize)?, &mut self.fresh))
    }

    /// Sends all batches home but the one that is `held`.
    pub fn give_back(&mut self, tickets: &mut Tickets, held: Option<u32>, link: &Host) {
        for (ticket, loan) in self.fresh.drain(..) {
            let Some(live) = tickets.get_mut(ticket) else { continue };
            let HeadPlace::Loan { batch, request_id, head } = live.head else { continue };
            if batch != loan {
                continue;
            }
            if let Some(lent) = self.loans.get(loan as usize) {
                let heads = &lent.batch.heads;
                let bytes = [request_id.of(heads), head.of(heads)].concat().into_boxed_slice();
                live.head = HeadPlace::Own { bytes, id_length: request_id.len() as u32 };
            }
        }
        let done: Vec<usize> =
            self.loans.iter().map(|(loan, _)| loan).filter(|loan| held != Some(*loan as u32)).collect();
        for loan in done {
            let Loan { shard, batch } = self.loans.remove(loan);
            link.recycle(shard as usize, batch);
        }
    }

    /// The effective request id of a call.
    pub fn request_id<'a>(&'a self, live: &'a Live) -> Option<&'a [u8]> {
        match &live.head {
            HeadPlace::Loan { batch, request_id, .. } => self.get(*batch).map(|loan| request_id.of(&loan.batch.heads)),
            HeadPlace::Own { bytes, id_length } => bytes.get(..*id_length as usize),
        }
    }

    /// The head of a call as received: request line and field lines.
    pub fn head<'a>(&'a self, live: &'a Live) -> Option<&'a [u8]> {
        match &live.head {
            HeadPlace::Loan { batch, head, .. } => self.get(*batch).map(|loan| head.of(&loan.batch.heads)),
            HeadPlace::Own { bytes, id_length } => bytes.get(*id_length as usize..),
        }
    }
}

/// A call that is given out at `now_ns`.
pub(super) fn live_of(loan: u32, shard: u32, record: &CallRecord, now_ns: u64, queued_ns: u64, label: Label) -> Live {
    let head = HeadPlace::Loan { batch: loan, request_id: record.request_id, head: record.head() };
    let ask = record.flags & flags::ASK != 0;
    let taken_ns = if ask { 0 } else { now_ns };
    Live { shard, key: record.key, gone: false, ask, label, taken_ns, queued_ns, head, peer: record.peer }
}
