use super::*;

/// Easy numbers, each different.
fn limits() -> Limits {
    Limits {
        handshake_timeout_ms: 5_000,
        head_timeout_ms: 10_000,
        body_timeout_ms: 20_000,
        min_body_bytes_per_s: 1000,
        max_body_time_ms: 60_000,
        discard_timeout_ms: 5_000,
        idle_timeout_ms: 30_000,
        write_timeout_ms: 40_000,
        ..Limits::default()
    }
}

/// One that has been in `phase` since 0, with nothing asked.
fn settled(phase: Phase) -> Standing {
    Standing {
        phase,
        since_ms: 0,
        bytes: 0,
        progressed_ms: 0,
        writing_since_ms: None,
        stalled_since_ms: None,
        pending: 0,
        settled: true,
        asking: false,
        inflow: false,
        partial: false,
        unread: false,
        closing: false,
        dead: false,
    }
}

/// The same with a call under way.
fn busy(phase: Phase) -> Standing {
    Standing { pending: 1, settled: false, ..settled(phase) }
}

/// What is demanded `at_ms`, when nothing more has come.
fn at(it: Standing, at_ms: u64) -> Verdict {
    judge(&it, &limits(), Turn { now_ms: at_ms + TIMER_MS, before_ms: at_ms, stopping: false }, || false)
}

#[test]
fn each_phase_has_its_time_and_what_follows_when_it_is_over() {
    let inflow = |phase| Standing { inflow: true, ..busy(phase) };
    let came = |it: Standing, bytes| Standing { bytes, ..it };
    let kept_coming = |it: Standing, bytes, progressed_ms| Standing { bytes, progressed_ms, ..it };
    for (it, time, verdict) in [
        (settled(Phase::Handshake), 5_000, Verdict::Cut),
        (settled(Phase::Fresh), 10_000, Verdict::Close),
        (settled(Phase::Head), 10_000, Verdict::TimedOut),
        (busy(Phase::Head), 10_000, Verdict::TimedOut),
        (settled(Phase::Body), 20_000, Verdict::TimedOut),
        // By its speed, and within the time of any body but for a form's.
        (came(settled(Phase::Body), 7_000), 27_000, Verdict::TimedOut),
        (came(settled(Phase::Body), 1 << 40), 60_000, Verdict::TimedOut),
        (came(inflow(Phase::Body), 80_000), 100_000, Verdict::TimedOut),
        (came(inflow(Phase::Stream), 1 << 40), 20_000, Verdict::TimedOut),
        (settled(Phase::Skip), 5_000, Verdict::Close),
        (busy(Phase::Skip), 5_000, Verdict::Close),
        // For what it has kept up its pace, or for what its pace is worth.
        (kept_coming(settled(Phase::Skip), 1 << 40, 3_000), 8_000, Verdict::Close),
        (kept_coming(settled(Phase::Skip), 2_000, 50_000), 7_000, Verdict::Close),
        (kept_coming(settled(Phase::Skip), 1 << 40, 1 << 40), 60_000, Verdict::Close),
        (settled(Phase::Stray), LINGER_MS, Verdict::Cut),
        (kept_coming(settled(Phase::Stray), 1 << 40, 3_000), LINGER_MS + 3_000, Verdict::Cut),
        (Standing { writing_since_ms: Some(0), ..busy(Phase::Idle) }, 40_000, Verdict::Cut),
    ] {
        assert!(!at(it, time - 1).ends(), "{it:?} before {time}");
        assert_eq!(at(it, time), verdict, "{it:?} at {time}");
    }
}

#[test]
fn what_is_idle_rests_first_and_is_closed_in_the_end() {
    let idle = settled(Phase::Idle);
    for (now_ms, verdict) in [
        (0, Verdict::Wait),
        (crate::limits::REST_AFTER_MS - 1, Verdict::Wait),
        (crate::limits::REST_AFTER_MS, Verdict::Rest),
        (30_000, Verdict::Rest),
        (30_000 + TIMER_MS, Verdict::Close),
    ] {
        let turn = Turn { now_ms, before_ms: now_ms.saturating_sub(TIMER_MS), stopping: false };
        assert_eq!(judge(&idle, &limits(), turn, || false), verdict, "{now_ms}");
    }
}

#[test]
fn some_wait_for_ever_because_others_have_to_act() {
    let for_ever = 1 << 40;
    for it in [busy(Phase::Held), settled(Phase::HalfClosed), busy(Phase::Stray), busy(Phase::Linger)] {
        assert_eq!(at(it, for_ever), Verdict::Wait, "{it:?}");
    }
    assert_eq!(at(busy(Phase::Idle), for_ever), Verdict::Rest);
}

#[test]
fn who_has_half_closed_is_forsaken_a_turn_before_the_end() {
    for (at_ms, verdict) in [
        (HALF_CLOSE_GRACE_MS - 1, Verdict::Wait),
        (HALF_CLOSE_GRACE_MS, Verdict::Forsake),
        (HALF_CLOSE_GRACE_MS + TIMER_MS - 1, Verdict::Forsake),
        (HALF_CLOSE_GRACE_MS + TIMER_MS, Verdict::Cut),
    ] {
        assert_eq!(at(busy(Phase::HalfClosed), at_ms), verdict, "{at_ms}");
    }
}

#[test]
fn who_lingers_is_cut_on_this_turn_and_not_on_the_next() {
    let turn = |now_ms| Turn { now_ms, before_ms: now_ms - TIMER_MS, stopping: false };
    let lingers = settled(Phase::Linger);
    assert_eq!(judge(&lingers, &limits(), turn(LINGER_MS - 1), || false), Verdict::Wait);
    assert_eq!(judge(&lingers, &limits(), turn(LINGER_MS), || false), Verdict::Cut);
}

#[test]
fn the_time_of_what_nobody_reads_stands_still() {
    for phase in [Phase::Head, Phase::Body, Phase::Stream, Phase::Skip] {
        let unread = Standing { unread: true, ..busy(phase) };
        assert_eq!(at(unread, 1 << 40), Verdict::HoldClock(TIMER_MS), "{phase:?}");
    }
    let stuck = Standing { unread: true, writing_since_ms: Some(0), ..busy(Phase::Head) };
    assert_eq!(at(stuck, 40_000), Verdict::Cut, "what it does not take is another matter");
}

#[test]
fn bytes_that_have_come_and_were_not_read_put_off_the_end_for_a_while() {
    let head = settled(Phase::Head);
    let at = |before_ms, has_input| {
        judge(&head, &limits(), Turn { now_ms: before_ms + TIMER_MS, before_ms, stopping: false }, || has_input)
    };
    assert_eq!(at(10_000 + UNREAD_GRACE_MS - 1, true), Verdict::Wait);
    assert_eq!(at(10_000 + UNREAD_GRACE_MS, true), Verdict::TimedOut);
    assert_eq!(at(10_000, false), Verdict::TimedOut);
    let asked = std::cell::Cell::new(false);
    let turn = Turn { now_ms: 9_999 + TIMER_MS, before_ms: 9_999, stopping: false };
    judge(&head, &limits(), turn, || asked.replace(true));
    assert!(!asked.get(), "nobody is asked who is in time");
}

#[test]
fn an_engine_that_stops_does_not_wait_for_what_nobody_wants() {
    let turn = |before_ms| Turn { now_ms: before_ms + TIMER_MS, before_ms, stopping: true };
    for phase in [Phase::Skip, Phase::Stray] {
        let it = Standing { bytes: 1 << 40, progressed_ms: 50_000, ..settled(phase) };
        assert_eq!(judge(&it, &limits(), turn(LINGER_MS - 1), || false), Verdict::Wait);
        assert_eq!(judge(&it, &limits(), turn(LINGER_MS), || false), Verdict::Cut);
        // With an answer under way it does.
        let it = Standing { settled: false, ..it };
        assert!(!judge(&it, &limits(), turn(LINGER_MS), || false).ends());
    }
}

#[test]
fn who_can_be_told_is_told_that_there_is_no_room_and_the_others_are_cut() {
    for (it, verdict) in [
        (settled(Phase::Head), Verdict::Evicted),
        (settled(Phase::Body), Verdict::Evicted),
        // Its call has not begun, so it may be sent again.
        (Standing { inflow: true, ..busy(Phase::Stream) }, Verdict::Evicted),
        (busy(Phase::Body), Verdict::Cut),
        (settled(Phase::Skip), Verdict::Cut),
        (Standing { closing: true, ..settled(Phase::Stray) }, Verdict::Cut),
        (Standing { closing: true, inflow: true, ..busy(Phase::Stream) }, Verdict::Cut),
        (Standing { writing_since_ms: Some(0), ..settled(Phase::Head) }, Verdict::Cut),
        (Standing { writing_since_ms: Some(0), inflow: true, ..busy(Phase::Stream) }, Verdict::Cut),
    ] {
        assert_eq!(judge_eviction(&it), verdict, "{it:?}");
    }
}

#[test]
fn room_is_made_by_those_that_make_no_progress_and_are_not_leaving() {
    for (it, slow) in [
        (settled(Phase::Head), true),
        (settled(Phase::Body), true),
        (settled(Phase::Stream), true),
        (settled(Phase::Skip), true),
        (settled(Phase::Stray), true),
        (settled(Phase::Fresh), false),
        (settled(Phase::Idle), false),
        (busy(Phase::Held), false),
        (busy(Phase::HalfClosed), false),
        (settled(Phase::Linger), false),
        (Standing { writing_since_ms: Some(0), ..busy(Phase::Idle) }, true),
        // The client takes its answer.
        (Standing { writing_since_ms: Some(1), ..settled(Phase::Body) }, false),
    ] {
        assert_eq!(makes_no_progress(&it, MEMORY_GRACE_MS), slow, "{it:?}");
        assert!(!makes_no_progress(&it, MEMORY_GRACE_MS - 1), "{it:?}");
    }
    assert!(leaves(&settled(Phase::Linger)) && leaves(&Standing { dead: true, ..busy(Phase::Body) }));
    assert!(!leaves(&busy(Phase::Linger)) && !leaves(&settled(Phase::Stray)));
}

#[test]
fn who_has_left_is_cut_unless_the_connection_is_at_its_end_anyhow() {
    let closing = |it: Standing| Standing { closing: true, ..it };
    for (it, gone, half_closed) in [
        (settled(Phase::Idle), Verdict::Cut, Verdict::HalfClosed(7)),
        (busy(Phase::Stream), Verdict::Cut, Verdict::HalfClosed(7)),
        (closing(busy(Phase::Stray)), Verdict::Cut, Verdict::Wait),
        (closing(settled(Phase::Linger)), Verdict::Wait, Verdict::Wait),
    ] {
        assert_eq!(judge_departure(&it, Peer::Gone, 7), gone, "{it:?}");
        assert_eq!(judge_departure(&it, Peer::HalfClosed, 7), half_closed, "{it:?}");
        assert_eq!(judge_departure(&it, Peer::There, 7), Verdict::Wait, "{it:?}");
    }
}
