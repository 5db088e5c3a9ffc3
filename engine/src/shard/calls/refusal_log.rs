//! Refusals for want of authentication, told to the host for its log (CONTRACT 21).

use crate::limits::MAX_NOTICES;
use crate::link::batch::Notice;
use crate::shard::Shard;
use crate::tunnel::decide::Decision;
use crate::tunnel::envelope::Refusal;
use crate::wire::head::Head;

impl Shard {
    /// Notes the refusal of a request, if the host wants to hear of it; `request_id` is the effective one.
    pub(in crate::shard) fn notice(&self, answer: Decision<'_>, head: &Head, bytes: &[u8], request_id: &[u8]) {
        let Decision::Refuse(refusal @ (Refusal::Unauthorized | Refusal::AuthNotConfigured)) = answer else { return };
        if !self.report_refusals {
            return;
        }
        let mut open = self.open.borrow_mut();
        if open.notices.len() >= MAX_NOTICES {
            self.counters.notices_dropped.add(1);
            return;
        }
        let method = bytes.get(..head.target.start.saturating_sub(1) as usize).unwrap_or_default();
        let request_id = open.push_head(request_id);
        let method = open.push_head(method);
        let path = open.push_head(head.path.of(bytes));
        open.notices.push(Notice { status: refusal.status(), code: refusal.code(), request_id, method, path });
    }
}
