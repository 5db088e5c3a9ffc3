//! A shard without a thread: another loop, that of the host's language, turns it when its descriptor can be read.
//!
//! A turn never enters that loop's language: what turns cannot be turned again from within. It hands calls to the host,
//! which takes them between two turns; the next turn sends the answers.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use crate::limits::RESTART_PAUSE;
use crate::link::port::{self, ToShard};
use crate::shard::Setup;
use crate::shard::door::listener::Listeners;
use crate::shard::life::living::{Ending, Life, timer};
use crate::shard::life::supervision::{Next, Supervision};
use crate::shard::reactor::driver::{Driver, ShardRuntime};
use crate::shard::reactor::signal::set_timer;
use crate::shard::reactor::turn::{Echo, Turn, turn};
use crate::shard::transport::outlet::Known;

/// What is left after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// Nothing: the descriptor can be read when there is something to do.
    Idle,
    /// Something. It has to be turned again before anybody waits.
    More,
    /// The shard has ended, or was given up. Turning it does nothing.
    Ended,
}

enum State {
    // The echo goes first, while its runtime is there.
    Lives {
        echo: Echo,
        life: Box<Life>,
    },
    /// The next life begins at this time, which a timer tells if there is a descriptor left for one.
    Rests {
        until: Instant,
    },
    Ended,
}

/// See the module. Stays on the thread that has made it. Ends at once when it is dropped.
pub struct InlineShard {
    state: State,
    supervision: Supervision,
    outlet: Option<OwnedFd>,
    /// Descriptors that it has had.
    outlets: u32,
}

impl InlineShard {
    /// Sets the shard up.
    pub(crate) fn start(setup: Setup, listeners: Listeners) -> io::Result<Self> {
        port::enter_shard_thread();
        let supervision = Supervision::new(setup, listeners);
        let mut shard = InlineShard { state: State::Ended, supervision, outlet: None, outlets: 0 };
        match shard.begin() {
            Ok(()) => Ok(shard),
            Err(Ending::NotBegun(error)) => Err(error),
            Err(_) => Err(io::Error::other("it panicked before it was ready")),
        }
    }

    /// Whether the descriptor of a shard can be found here.
    pub(crate) fn probe(driver: &Driver) -> io::Result<()> {
        let known = Known::now(driver)?;
        let mut runtime = ShardRuntime::build(driver)?;
        let echo = Echo::new(&mut runtime);
        known.outlet(driver, &mut runtime, &echo).map(drop)
    }

    fn begin(&mut self) -> Result<(), Ending> {
        let driver = self.supervision.setup.driver.clone();
        let known = Known::now(&driver).map_err(Ending::NotBegun)?;
        let mut life = self.supervision.begin()?;
        let echo = Echo::new(&mut life.runtime);
        let outlet = known.outlet(&driver, &mut life.runtime, &echo).map_err(Ending::NotBegun)?;
        self.let_out(Some(outlet));
        self.state = State::Lives { echo, life: Box::new(life) };
        Ok(())
    }

    fn let_out(&mut self, outlet: Option<OwnedFd>) {
        self.outlet = outlet;
        self.outlets = self.outlets.wrapping_add(1);
    }

    /// What can be read when the shard has something to do, and its number: after a failure it is another. `None` when it
    /// has ended.
    #[must_use]
    pub fn outlet(&self) -> (u32, Option<&OwnedFd>) {
        (self.outlets, self.outlet.as_ref())
    }

    /// The next turn will look into the letter box: until then, nobody who sends something has to wake the shard.
    pub fn hold(&mut self) {
        if let State::Lives { life, .. } = &mut self.state
            && !life.shard.pulse.is_begun()
        {
            let shard = life.shard.clone();
            life.runtime.block_on(async move { shard.touch() });
        }
    }

    /// Does what there is to do, and ends soon when there is `enough` for the host. Does not wait.
    pub fn turn(&mut self, enough: impl Fn() -> bool) -> Turned {
        loop {
            let (ending, left) = match &mut self.state {
                State::Ended => return Turned::Ended,
                State::Rests { until } if Instant::now() < *until => return self.standing(),
                State::Rests { .. } => {
                    if let Err(ending) = self.begin() {
                        self.follow(&ending);
                        return self.standing();
                    }
                    continue;
                }
                State::Lives { echo, life } => {
                    let mut left = Turned::Idle;
                    let Supervision { setup, legacy, .. } = &mut self.supervision;
                    let ending = life.go_on(setup, legacy, |runtime, shard, main| {
                        match turn(runtime, echo, main.as_mut(), &shard.steps, &enough) {
                            Turn::Over(over) => return Some(over),
                            Turn::Idle => left = Turned::Idle,
                            Turn::More => left = Turned::More,
                        }
                        None
                    });
                    (ending, left)
                }
            };
            let Some(ending) = ending else { return left };
            self.end_life(&ending);
        }
    }

    /// A life has ended: what is left of it goes, and the next may begin.
    fn end_life(&mut self, ending: &Ending) {
        if let State::Lives { echo, life } = std::mem::replace(&mut self.state, State::Ended) {
            drop(echo);
            if matches!(ending, Ending::Stuck) { life.abandon() } else { drop(life) }
        }
        self.let_out(None);
        self.follow(ending);
    }

    fn follow(&mut self, ending: &Ending) {
        match self.supervision.judge(ending) {
            Next::Over => {
                self.state = State::Ended;
                self.let_out(None);
            }
            Next::Again => self.state = State::Rests { until: Instant::now() },
            Next::AgainLater => {
                let pause = timer().and_then(|pause| {
                    set_timer(&pause, RESTART_PAUSE, Duration::ZERO)?;
                    Ok(pause)
                });
                self.state = State::Rests { until: Instant::now() + RESTART_PAUSE };
                self.let_out(pause.ok());
            }
        }
    }

    fn standing(&self) -> Turned {
        match self.state {
            State::Ended => Turned::Ended,
            State::Rests { .. } if self.outlet.is_some() => Turned::Idle,
            State::Lives { .. } | State::Rests { .. } => Turned::More,
        }
    }

    /// Ends the shard at once, and waits until it has.
    pub fn end(&mut self) {
        loop {
            let State::Lives { life, .. } = &mut self.state else {
                self.state = State::Ended;
                return;
            };
            let Supervision { setup, legacy, .. } = &mut self.supervision;
            for port in setup.ports.iter().take(1) {
                let _ = port.send(ToShard::Stop { drain_ms: 0 });
            }
            let ended = life.go_on(setup, legacy, |runtime, _, main| Some(runtime.block_on(main)));
            self.end_life(&ended.unwrap_or(Ending::Failed));
        }
    }
}

impl Drop for InlineShard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Its tasks would not say that they have ended.
            std::mem::forget(std::mem::replace(&mut self.state, State::Ended));
        } else {
            self.end();
        }
    }
}
