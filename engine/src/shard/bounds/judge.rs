//! What a deadline, or the bound on memory, demands of a resident, given how it stands. Nothing is done here.

use crate::limits::{HALF_CLOSE_GRACE_MS, LINGER_MS, Limits, MEMORY_GRACE_MS, TIMER_MS, UNREAD_GRACE_MS};
use crate::shard::exchange::phase::Phase;
use crate::shard::resident::Verdict;
use crate::shard::resident::standing::Standing;
use crate::shard::transport::socket::Peer;

/// A turn of the timer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub now_ms: u64,
    /// The turn before this one. Late is who was late then: what had come by then has been read since. And what happens
    /// between two turns is noted with the time of the first, so nothing ends before its time.
    pub before_ms: u64,
    /// The engine stops.
    pub stopping: bool,
}

/// Judges by time. `has_input`: bytes have come that were not read yet; asked only of those that would be late.
pub(super) fn judge(it: &Standing, limits: &Limits, turn: Turn, has_input: impl FnOnce() -> bool) -> Verdict {
    match judge_late(it, limits, turn, has_input) {
        Verdict::Wait if it.idles(turn.now_ms) => Verdict::Rest,
        verdict => verdict,
    }
}

fn judge_late(it: &Standing, limits: &Limits, turn: Turn, has_input: impl FnOnce() -> bool) -> Verdict {
    let (now, before) = (turn.now_ms, turn.before_ms);
    if it.writing_since_ms.is_some_and(|since| before.saturating_sub(since) >= limits.write_timeout_ms) {
        return Verdict::Cut;
    }
    // Noted at the last turn of the timer, and the FIN has come later than that.
    let elapsed = before.saturating_sub(it.since_ms);
    let (time, verdict) = match it.phase {
        Phase::Handshake => (limits.handshake_timeout_ms, Verdict::Cut),
        Phase::Fresh => (limits.head_timeout_ms, Verdict::Close),
        Phase::Idle if it.settled => (limits.idle_timeout_ms, Verdict::Close),
        Phase::Head => (limits.head_timeout_ms, Verdict::TimedOut),
        Phase::Stream => (limits.body_timeout_ms, Verdict::TimedOut),
        // Of a form, which its call reads as it comes.
        Phase::Body if it.inflow => (rate_time_ms(limits, it.bytes), Verdict::TimedOut),
        Phase::Body => (body_time_ms(limits, it.bytes), Verdict::TimedOut),
        // Nothing waits for it any more but the engine, which stops.
        Phase::Skip | Phase::Stray if turn.stopping && it.settled => (LINGER_MS, Verdict::Cut),
        Phase::Skip => (discard_time_ms(limits, limits.discard_timeout_ms, it), Verdict::Close),
        Phase::Stray if it.settled => (discard_time_ms(limits, LINGER_MS, it), Verdict::Cut),
        Phase::HalfClosed if elapsed < HALF_CLOSE_GRACE_MS || it.pending == 0 => return Verdict::Wait,
        Phase::HalfClosed if elapsed < HALF_CLOSE_GRACE_MS + TIMER_MS => return Verdict::Forsake,
        Phase::HalfClosed => return Verdict::Cut,
        Phase::Linger if now.saturating_sub(it.since_ms) >= LINGER_MS && it.settled => return Verdict::Cut,
        Phase::Idle | Phase::Held | Phase::Stray | Phase::Linger => return Verdict::Wait,
    };
    if it.unread {
        return Verdict::HoldClock(now.saturating_sub(before));
    }
    let in_time = elapsed < time || (elapsed < time.saturating_add(UNREAD_GRACE_MS) && has_input());
    if in_time { Verdict::Wait } else { verdict }
}

/// What becomes of one that nobody reads, given what the kernel says of its peer.
pub(super) fn judge_departure(it: &Standing, peer: Peer, before_ms: u64) -> Verdict {
    match peer {
        // A connection that lingers may have hung up itself.
        Peer::Gone if !it.closing || it.pending > 0 => Verdict::Cut,
        // FIN. Should there be room within the grace, the reader sees what came before it.
        // It has come since the turn before.
        Peer::HalfClosed if !it.closing => Verdict::HalfClosed(before_ms),
        Peer::There | Peer::HalfClosed | Peer::Gone => Verdict::Wait,
    }
}

/// What becomes of one that is to make room.
pub(super) fn judge_eviction(it: &Standing) -> Verdict {
    // Its request is answered, or others before it are not: nobody waits for a refusal, or it would wait itself.
    let is_answered = it.closing || it.phase == Phase::Skip || (it.pending > 0 && !it.inflow);
    if it.writing_since_ms.is_some() || is_answered { Verdict::Cut } else { Verdict::Evicted }
}

/// True for one that ends without further ado, within [`LINGER_MS`].
pub(super) fn leaves(it: &Standing) -> bool {
    it.dead || (it.phase == Phase::Linger && it.settled)
}

/// True for a client that has taken nothing of its answer, or has not sent all of a head or a body, for
/// [`MEMORY_GRACE_MS`]; of a stream: nothing at all.
pub(super) fn makes_no_progress(it: &Standing, now_ms: u64) -> bool {
    let waits = it.partial
        || matches!(
            it.phase,
            Phase::Handshake | Phase::Head | Phase::Body | Phase::Stream | Phase::Skip | Phase::Stray
        );
    let since = it.writing_since_ms.or(waits.then_some(it.since_ms)).or(it.stalled_since_ms);
    since.is_some_and(|since| now_ms.saturating_sub(since) >= MEMORY_GRACE_MS)
}

/// Milliseconds that a body may take of which `bytes` have come, for all that its speed says.
fn rate_time_ms(limits: &Limits, bytes: u64) -> u64 {
    limits.body_timeout_ms.saturating_add(pace_ms(limits, bytes))
}

/// Milliseconds in which so many bytes come at the slowest pace.
fn pace_ms(limits: &Limits, bytes: u64) -> u64 {
    bytes.saturating_mul(1000) / limits.min_body_bytes_per_s.max(1)
}

/// Milliseconds that a body may take of which `bytes` have come: by its speed, and within the time of any body.
fn body_time_ms(limits: &Limits, bytes: u64) -> u64 {
    rate_time_ms(limits, bytes).min(longest_ms(limits))
}

fn longest_ms(limits: &Limits) -> u64 {
    limits.max_body_time_ms.max(limits.body_timeout_ms)
}

/// Milliseconds for what nobody wants: as long as it comes and keeps up its pace, but for `quiet_ms`, and within the time
/// of any body.
fn discard_time_ms(limits: &Limits, quiet_ms: u64, it: &Standing) -> u64 {
    quiet_ms.saturating_add(it.progressed_ms.min(pace_ms(limits, it.bytes))).min(longest_ms(limits))
}

#[cfg(test)]
mod tests;
