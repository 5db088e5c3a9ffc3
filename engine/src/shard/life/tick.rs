//! The shard's heart: the tick, the doorbell, the timer, and the end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::limits::{IDLE_GRACE_MS, TICK_ROUNDS};
use crate::link::port::ToShard;
use crate::shard::Shard;
use crate::shard::door::accept::Acceptors;
use crate::shard::door::doors::Side;
use crate::shard::reactor::signal::Signal;
use crate::shard::resident::Verdict;
use crate::shard::service::AtStop;
use crate::shard::service::in_process::IN_PROCESS;
use crate::shard::service::proxy::PROXY;
use crate::shard::service::tunnel::TUNNEL;

/// A task has ended that its shard cannot do without.
#[derive(Debug)]
pub(in crate::shard) struct Broken;

impl Shard {
    /// Runs the shard's tasks until `Stop` was received and everything has ended, or until one of those that it cannot
    /// do without is at an end.
    pub(in crate::shard) async fn run(
        self: &Rc<Self>,
        bell: Signal,
        timer: Signal,
        acceptors: Acceptors,
    ) -> Result<(), Broken> {
        self.spawn(tick_loop(self.clone()));
        self.spawn(bell_loop(self.clone(), bell));
        self.spawn(timer_loop(self.clone(), timer));
        acceptors.begin(self);
        // Anything sent before this point was rung into a running bell: look once.
        self.touch();
        std::future::poll_fn(|cx| {
            self.main_task.remember(cx);
            if self.life.is_broken() {
                return Poll::Ready(Err(Broken));
            }
            if self.life.is_finished() && self.life.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await?;
        self.backend.stopped(self.index);
        Ok(())
    }

    /// A task has ended that the shard cannot do without: it has to be started anew.
    pub(in crate::shard) fn break_down(&self) {
        if !self.stopping() {
            self.life.break_down();
            self.main_task.wake();
        }
    }

    /// Cuts everything off, so that all tasks end.
    pub(in crate::shard) fn cut_all(&self) {
        self.life.stop_at_once();
        self.cut_residents();
        self.doors.wake();
        self.look_at_end();
    }

    /// Contexts of the proxy are no more: ends what is under way for them, and what waits.
    fn cut_released(&self) {
        let now = self.now_ms();
        self.conns.residents(|_| true).iter().for_each(|resident| resident.cut_released(self, now));
        if let Some(upstreams) = &self.upstreams {
            upstreams.forget_released();
        }
    }

    fn cut_residents(&self) {
        let now = self.now_ms();
        self.conns.residents(|_| true).iter().for_each(|resident| resident.carry_out(self, Verdict::Cut, now));
        self.end_upstreams();
    }

    /// Closes connections to servers, and cuts them off once the drain is over: nobody looks at their deadlines behind the last turn
    /// of the timer. True when none is left.
    fn end_upstreams(&self) -> bool {
        let Some(upstreams) = &self.upstreams else { return true };
        upstreams.rest(self.now_ms(), true);
        if !self.life.was_told_to_stop() || self.life.is_drain_over(self.now_ms()) {
            upstreams.shares.cut();
        }
        upstreams.shares.is_empty()
    }

    /// Spawns a task and counts it: the shard ends when all tasks have, so that no operation is in flight then.
    pub(in crate::shard) fn spawn(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) {
        let counted = self.begin_task();
        monoio::spawn(async move {
            let mut task = pin!(task);
            std::future::poll_fn(|cx| {
                counted.0.note_step();
                task.as_mut().poll(cx)
            })
            .await;
            drop(counted);
        });
    }

    /// A task runs: what turns the shard has to look once more whether the kernel was told all.
    #[inline]
    pub(in crate::shard) fn note_step(&self) {
        self.steps.set(self.steps.get().wrapping_add(1));
    }

    /// Counts a task that is about to be spawned, until it drops what it gets here, last of all. For those of which there
    /// are many: awaiting them in another, as `spawn` does, would hold them twice. Each time that it runs it has to
    /// [note](Self::note_step) that.
    pub(in crate::shard) fn begin_task(self: &Rc<Self>) -> CountedTask {
        self.life.begin_task();
        CountedTask(self.clone())
    }

    /// Something happens: a tick will follow at the end of this round of tasks, so nobody needs to wake us.
    #[inline]
    pub(in crate::shard) fn touch(&self) {
        if self.pulse.begin() {
            self.inbox.bell.state.awake();
            self.timing.begin_round();
            self.pulse.wake_task();
        }
    }

    /// Completes after the next tick: lets everybody else have a turn (a task must not wake itself under monoio 0.2.4,
    /// it would run before all others).
    pub(in crate::shard) async fn next_tick(&self) {
        self.pulse.next_tick(|| self.touch()).await;
    }

    /// Wakes a task after the next tick.
    pub(in crate::shard) fn wake_after_tick(&self, waker: &Waker) {
        self.pulse.push(waker.clone());
        self.touch();
    }

    /// Completes at the next turn of the timer.
    pub(in crate::shard) async fn next_timer(&self) {
        self.pulse.next_timer(|| self.clock.arm()).await;
    }

    fn tick(self: &Rc<Self>) {
        self.counters.ticks.add(1);
        if self.index == 0 {
            self.vitals.note_turn();
        }
        self.timing.end_round();
        self.count_held();
        for _ in 0..TICK_ROUNDS {
            self.submit();
            while let Ok(message) = self.inbox.messages.try_recv() {
                self.receive(message);
            }
            for message in self.inbox.bell.take_surplus() {
                self.receive(message);
            }
            if self.stopping() {
                // Another shard has something to tell, perhaps.
                self.look_at_end();
            }
            // Inline backends and dying connections may have left something to say.
            self.submit();
            if let Some(log) = &self.log {
                log.hand_over();
            }
            if self.inbox.bell.state.try_park() {
                self.pulse.end();
                return;
            }
            self.inbox.bell.state.awake();
        }
        // Rung again and again: I/O gets a turn first. The own eventfd brings us back.
        self.pulse.end();
        self.inbox.bell.wake();
    }

    fn receive(self: &Rc<Self>, message: ToShard) {
        match message {
            ToShard::Answers(answers) => {
                self.timing.answers_came(self.take_answers(&answers));
                self.keep_answers(answers);
            }
            ToShard::CallsHome(batch) => self.keep(batch),
            ToShard::Socket(socket) => self.adopt(socket, &TUNNEL),
            ToShard::InProcess(socket) => self.adopt(socket, &IN_PROCESS),
            ToShard::Proxied(socket) => self.adopt(socket, &PROXY),
            ToShard::Resolved(resolved) => {
                if let Some(upstreams) = &self.upstreams {
                    upstreams.lookups.take(resolved);
                }
            }
            ToShard::Released => self.cut_released(),
            ToShard::Stop { drain_ms } => self.stop(drain_ms),
        }
    }

    fn stop(self: &Rc<Self>, drain_ms: u64) {
        self.clock.read();
        self.life.stop(self.now_ms(), self.now_ms().saturating_add(drain_ms));
        self.doors.close(Side::Load);
        let now = self.now_ms();
        for resident in self.conns.residents(|resident| resident.service().at_stop == AtStop::Closes) {
            // A request that is being received is still answered (with `Connection: close`), and so is one that is on its
            // way: see `let_idle_go`.
            let standing = resident.standing();
            if !standing.receives() && !standing.asks_nothing() && !standing.asking {
                resident.carry_out(self, Verdict::LastAnswers, now);
            }
        }
        self.clock.arm();
        // One more than that: the clock is read in whole milliseconds.
        self.clock.strike(Duration::from_millis(IDLE_GRACE_MS + 1));
        if drain_ms == 0 {
            self.sweep();
        }
        self.look_at_end();
    }

    /// Runs a part of the housekeeping. A panic in it (a backend's, or a defect of ours) leaves it open which calls were
    /// handed over, so it costs the connections that the shard has; the shard goes on.
    fn contain(&self, work: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            self.counters.panics.add(1);
            self.cut_residents();
            // The tick that was broken off has not parked.
            self.pulse.break_off();
            self.touch();
        }
    }

    /// True while somebody is connected who may call.
    fn has_calls(&self) -> bool {
        self.conns.load() > 0
    }

    /// True unless another shard may hand a connection over, or this one has to say how the others are.
    fn may_leave(&self) -> bool {
        let late = self.life.is_drain_over(self.now_ms());
        let handed_over = !self.vitals.is_accepting() && self.inbox.messages.is_empty();
        let heard_out = !self.doors.is_open(Side::Apart) || self.vitals.is_last();
        self.life.is_winding_down() || late || (handed_over && heard_out)
    }

    /// There is nothing more to say on the admin listener: it goes, with its connections.
    fn end_admin(&self) {
        if self.life.end_admin() {
            self.doors.close(Side::Apart);
            self.cut_residents();
        }
    }

    /// When the last connection has gone, lets the housekeeping tasks end too.
    fn look_at_end(&self) {
        if self.stopping() && !self.doors.is_open(Side::Load) && !self.has_calls() && self.may_leave() {
            self.end_admin();
        }
        if self.life.is_admin_over()
            && self.conns.is_empty()
            && !self.doors.is_open(Side::Apart)
            && self.end_upstreams()
            && self.life.finish()
        {
            // Both descriptors complete their pending reads, so that nothing is in flight when the ring goes.
            self.inbox.bell.wake();
            self.clock.strike_last();
            self.pulse.end_all();
        }
        if self.life.is_finished() {
            self.main_task.wake();
        }
    }

    fn on_timer(&self) {
        self.clock.read_all();
        self.sweep();
        self.tell_viewers();
        self.buffers.trim();
        self.spell.turn();
        self.pulse.end_timer();
        let upstreams_rest =
            self.upstreams.as_ref().is_none_or(|upstreams| upstreams.rest(self.now_ms(), self.stopping()));
        if self.conns.is_empty() && !self.stopping() && !self.spell.is_long() && upstreams_rest {
            self.clock.rest();
        }
        self.touch();
    }
}

/// A task that counts; also when it ends by a panic.
pub(in crate::shard) struct CountedTask(pub(in crate::shard) Rc<Shard>);

impl Drop for CountedTask {
    fn drop(&mut self) {
        self.0.life.end_task();
        // After a panic somebody else looks: a second one now would end the process.
        if !std::thread::panicking() {
            self.0.look_at_end();
        }
    }
}

async fn tick_loop(shard: Rc<Shard>) {
    while !shard.life.is_finished() {
        std::future::poll_fn(|cx| {
            shard.pulse.remember(cx);
            if shard.pulse.is_begun() || shard.life.is_finished() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        shard.contain(|| shard.tick());
    }
}

async fn bell_loop(shard: Rc<Shard>, mut bell: Signal) {
    while !shard.life.is_finished() {
        if bell.wait().await.is_err() {
            // The descriptor is ours and open; an error here would repeat for ever. Without it the shard is deaf.
            return shard.break_down();
        }
        shard.counters.wakes.add(1);
        shard.touch();
    }
}

async fn timer_loop(shard: Rc<Shard>, mut timer: Signal) {
    while !shard.life.is_finished() {
        if timer.wait().await.is_err() {
            return shard.break_down();
        }
        // What has come in this round, from clients and from the host, is taken in before anybody is found late.
        if !shard.life.is_finished() {
            shard.next_tick().await;
        }
        shard.contain(|| shard.on_timer());
    }
}
