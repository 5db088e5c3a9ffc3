//! What the scripts beside this file start: calls through the bridge as fast as it takes them, and rings of its bell.
//! Everything runs on a thread of libuv's pool, in the place of a shard.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use fasttunnel_engine::link::batch::Outcome;
use napi::bindgen_prelude::AsyncTask;
use napi::{Env, Error, Result, Task};
use napi_derive::napi;

use crate::line::{Line, last_line};

/// Without any answer for so long, a run has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A thread that asks without sleeping looks at the clock once in so many turns.
const SPINS: u32 = 256;

/// How calls are fed.
#[napi(object)]
pub struct FeedPlan {
    /// Index of the handler.
    pub handler: u32,
    /// Calls in a batch.
    pub calls: u32,
    /// Batches under way.
    pub batches: u32,
    /// Sleep while there is nothing to do, as a shard does; otherwise spin.
    pub sleeps: bool,
    /// Calls in all.
    pub total: f64,
}

/// What became of them.
#[napi(object)]
pub struct FeedReport {
    /// Seconds from the first batch to the last answer.
    pub seconds: f64,
    /// Calls that were answered.
    pub answered: f64,
    /// Answers that were not `a + 2`, or for nobody.
    pub wrong: f64,
    /// What the first of the wrong ones was, if there was any.
    pub first_wrong: Option<String>,
}

/// Runs a [`FeedPlan`] or [`RingPlan`] on a line.
pub struct Run<Plan> {
    line: Arc<Mutex<Line>>,
    plan: Plan,
}

fn run<Plan>(plan: Plan) -> Result<AsyncTask<Run<Plan>>>
where
    Run<Plan>: Task,
{
    let line = last_line().ok_or_else(|| Error::from_reason("there is no tunnel yet"))?;
    Ok(AsyncTask::new(Run { line, plan }))
}

/// Feeds calls to the tunnel that was started last. The handler has to return `a + b`.
#[napi(catch_unwind)]
pub fn feed(plan: FeedPlan) -> Result<AsyncTask<Run<FeedPlan>>> {
    run(plan)
}

impl Task for Run<FeedPlan> {
    type Output = FeedReport;
    type JsValue = FeedReport;

    fn compute(&mut self) -> Result<FeedReport> {
        let FeedPlan { handler, calls, batches, sleeps, total } = self.plan;
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.reset(calls * batches, sleeps);
        let (mut sent, mut answered, mut wrong) = (0_f64, 0_f64, 0_f64);
        let mut first_wrong = None;
        let started = Instant::now();
        let mut heard = started;
        let mut spins = 0;
        // Until nothing is under way: an answer that comes in the next run is for nobody there.
        while sent < total || answered < sent {
            while sent < total && line.room() >= calls as usize {
                line.send(handler, calls as usize);
                sent += f64::from(calls);
            }
            let any = line.receive(|slot, record, text| {
                answered += 1.0;
                let right = record.outcome == Outcome::Result && text == (slot.digit + 2).to_string().as_bytes();
                if !right {
                    wrong += 1.0;
                    first_wrong.get_or_insert_with(|| {
                        format!("{:?} {:?} to {} + 2", record.outcome, String::from_utf8_lossy(text), slot.digit)
                    });
                }
            });
            if any {
                (spins, heard) = (0, Instant::now());
            } else {
                line.wait(PATIENCE);
                spins += 1;
                if (sleeps || spins % SPINS == 0) && heard.elapsed() > PATIENCE {
                    return Err(Error::from_reason(format!("{} calls have no answer", line.under_way())));
                }
            }
        }
        wrong += f64::from(line.strays);
        Ok(FeedReport { seconds: started.elapsed().as_secs_f64(), answered, wrong, first_wrong })
    }

    fn resolve(&mut self, _env: Env, report: FeedReport) -> Result<FeedReport> {
        Ok(report)
    }
}

/// How the bell is rung.
#[napi(object)]
pub struct RingPlan {
    /// Rings that are waited for, one by one.
    pub rounds: u32,
    /// Microseconds between an answer and the next ring: this much, and up to as much again.
    pub gap_us: u32,
}

/// What it took, in microseconds, round by round.
#[napi(object)]
pub struct RingReport {
    /// From the call of `submit` to the first line of the callback.
    pub wake_us: Vec<f64>,
    /// What `submit` took on the thread that rings.
    pub ring_us: Vec<f64>,
}

/// Sends calls one by one to the tunnel that was started last, each to a bridge that has parked. It has to answer each
/// with what [`clock_us`] has said at the start of its callback.
#[napi(catch_unwind)]
pub fn ring(plan: RingPlan) -> Result<AsyncTask<Run<RingPlan>>> {
    run(plan)
}

impl Task for Run<RingPlan> {
    type Output = RingReport;
    type JsValue = RingReport;

    fn compute(&mut self) -> Result<RingReport> {
        let RingPlan { rounds, gap_us } = self.plan;
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.reset(1, true);
        let mut report = RingReport { wake_us: Vec::new(), ring_us: Vec::new() };
        for round in 0..rounds {
            // Steps that have nothing to do with whatever period the other thread has.
            let gap = Duration::from_micros(u64::from(gap_us + round * 37 % gap_us.max(1)));
            std::thread::sleep(gap);
            let sent_us = clock_us();
            line.send(0, 1);
            report.ring_us.push(clock_us() - sent_us);
            let mut rung_us = None;
            while rung_us.is_none() {
                line.wait(PATIENCE);
                line.receive(|_, _, text| rung_us = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()));
                if clock_us() - sent_us > PATIENCE.as_secs_f64() * 1e6 {
                    return Err(Error::from_reason("a ring was not heard"));
                }
            }
            report.wake_us.push(rung_us.unwrap_or(f64::NAN) - sent_us);
        }
        Ok(report)
    }

    fn resolve(&mut self, _env: Env, report: RingReport) -> Result<RingReport> {
        Ok(report)
    }
}

/// So many rings as fast as possible, whether they are needed or not.
#[napi(object)]
pub struct StormPlan {
    /// Rings.
    pub rings: u32,
}

/// Rings the tunnel that was started last, past its doorbell: nearly each ring is one of the threadsafe function (unless
/// the bridge finds it before). Resolves to the microseconds that a ring took on the thread that rings.
#[napi(catch_unwind)]
pub fn storm(plan: StormPlan) -> Result<AsyncTask<Run<StormPlan>>> {
    run(plan)
}

impl Task for Run<StormPlan> {
    type Output = f64;
    type JsValue = f64;

    fn compute(&mut self) -> Result<f64> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let started = Instant::now();
        for _ in 0..self.plan.rings {
            line.force_ring();
        }
        Ok(started.elapsed().as_secs_f64() * 1e6 / f64::from(self.plan.rings))
    }

    fn resolve(&mut self, _env: Env, each_us: f64) -> Result<f64> {
        Ok(each_us)
    }
}

/// Microseconds on the clock that all threads share.
#[napi]
pub fn clock_us() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1e6
}
