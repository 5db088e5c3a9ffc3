//! One stream of a client: its request, on a task of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use crate::shard::Shard;
use crate::shard::exchange::phase::Phase;
use crate::shard::life::tick::CountedTask;
use crate::shard::multiplex::stream::Stream;
use crate::shard::proxy::client::Client;
use crate::shard::proxy::hand::Hand;
use crate::shard::proxy::session::serve_one;
use crate::shard::upstream::flow::{Inlet, Outlet};

/// Begins with a request, of which `text` is the head. `empty`: it has no content.
pub(super) fn begin(shard: &Rc<Shard>, connection: &Rc<Client>, stream: Stream, text: Vec<u8>, empty: bool) {
    let stream = Rc::new(stream);
    let client = Rc::new(Client::on(connection, stream.clone(), shard.now_ms()));
    client.id.set(connection.carried.enter(client.clone()));
    // A stop finds it under way.
    client.begin(shard.now_ms());
    shard.counters.http2_streams.add(1);
    let hand = Hand {
        shard: shard.clone(),
        client,
        inlet: Inlet::of(stream.clone()),
        outlet: Outlet::Stream(stream.clone(), shard.head_limits),
        framed: true,
        empty,
    };
    monoio::spawn(serve(shard.begin_task(), connection.clone(), stream, hand, text));
}

fn serve(
    task: CountedTask,
    connection: Rc<Client>,
    stream: Rc<Stream>,
    hand: Hand,
    text: Vec<u8>,
) -> impl Future<Output = ()> {
    let (shard, client) = (hand.shard.clone(), hand.client.clone());
    let mut work: Pin<Box<dyn Future<Output = ()>>> = Box::pin(serve_one(hand, text));
    async move {
        std::future::poll_fn(|cx| {
            shard.note_step();
            // A panic costs this stream, not its connection.
            let step = catch_unwind(AssertUnwindSafe(|| {
                let step = work.as_mut().poll(cx);
                if step.is_ready() || client.is_dead() || stream.poll_gone(cx).is_pending() {
                    return step;
                }
                // Its client has ended it.
                client.cut(true);
                work.as_mut().poll(cx)
            }));
            step.unwrap_or_else(|_| {
                shard.counters.panics.add(1);
                client.cut(true);
                Poll::Ready(())
            })
        })
        .await;
        client.cut(false);
        client.weigh(0);
        drop(work);
        connection.carried.leave(client.id.get());
        if connection.clock.phase() == Phase::Idle {
            connection.clock.restart(Phase::Idle, shard.now_ms());
        }
        connection.carried.wake();
        let streams = &shard.counters.http2_streams;
        streams.set(streams.get().saturating_sub(1));
        shard.touch();
        drop(task);
    }
}
