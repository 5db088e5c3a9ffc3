//! A loop of the tests' own, on a thread of its own, that turns a shard as an event loop would.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use fasttunnel_engine::link::backend::Backend;
use fasttunnel_engine::shard::inline::{InlineShard, Turned};
use fasttunnel_engine::{Config, Engine, StartError};
use rustix::event::{PollFd, PollFlags, Timespec};

/// Starts an engine whose one shard is turned by a thread, which ends when the shard has.
pub fn start(config: Config, backend: Arc<dyn Backend>) -> Result<(Engine, JoinHandle<()>), StartError> {
    let (tell, told) = channel();
    let turn = move || match Engine::start_inline(config, backend) {
        Ok((engine, shard)) => {
            let _ = tell.send(Ok(engine));
            run(shard);
        }
        Err(error) => drop(tell.send(Err(error))),
    };
    let turner = std::thread::Builder::new().name("test-turner".to_owned()).spawn(turn).unwrap();
    told.recv().unwrap().map(|engine| (engine, turner))
}

/// Turns a shard until it has ended.
fn run(mut shard: InlineShard) {
    loop {
        match shard.turn(|| false) {
            Turned::Ended => return,
            Turned::More => {}
            Turned::Idle => _ = wait(&shard, Duration::from_secs(3600)),
        }
    }
}

/// Waits until the shard has something to do, however long that takes: whoever hangs fails the test elsewhere.
pub fn wait(shard: &InlineShard, time: Duration) -> bool {
    let (_, Some(outlet)) = shard.outlet() else { return true };
    let mut polled = [PollFd::new(outlet, PollFlags::IN)];
    let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
    // A signal: a completion is due, which the next turn takes.
    rustix::event::poll(&mut polled, Some(&time)).is_err() || !polled[0].revents().is_empty()
}
