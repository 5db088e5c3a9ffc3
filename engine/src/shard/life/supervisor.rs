//! A shard's thread: runs the shard, and starts it anew when it fails, a bounded number of times (`supervision`).

use std::io;

use crate::limits::RESTART_PAUSE;
use crate::link::port;
use crate::shard::Setup;
use crate::shard::door::listener::Listeners;
use crate::shard::life::living::Ending;
use crate::shard::life::supervision::{Next, Supervision};

/// Runs a shard on the current thread until it is told to stop and everything has ended, or until it is given up.
///
/// `ready` is called once, with the outcome of setting up.
pub(crate) fn supervise(setup: Setup, listeners: Listeners, ready: impl FnOnce(io::Result<()>)) {
    port::enter_shard_thread();
    let mut supervision = Supervision::new(setup, listeners);
    let mut ready = Some(ready);
    loop {
        let ending = match supervision.begin() {
            Ok(mut life) => {
                if let Some(ready) = ready.take() {
                    ready(Ok(()));
                }
                let Supervision { setup, legacy, .. } = &mut supervision;
                let ended = life.go_on(setup, legacy, |runtime, _, main| Some(runtime.block_on(main)));
                // A main future that never waits for anything outside has come to something.
                let ending = ended.unwrap_or(Ending::Failed);
                if matches!(ending, Ending::Stuck) {
                    life.abandon();
                }
                ending
            }
            Err(ending) => match (ready.take(), ending) {
                (Some(ready), Ending::NotBegun(error)) => return ready(Err(error)),
                // The engine says so.
                (Some(_), _) => {
                    supervision.give_up();
                    return;
                }
                (None, ending) => ending,
            },
        };
        match supervision.judge(&ending) {
            Next::Over => return,
            Next::Again => {}
            Next::AgainLater => std::thread::sleep(RESTART_PAUSE),
        }
    }
}
