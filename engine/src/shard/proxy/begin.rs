//! How a client of the proxy comes into its shard, and how it goes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use crate::shard::Shard;
use crate::shard::life::tick::CountedTask;
use crate::shard::proxy::client::Client;
use crate::shard::proxy::hand::Hand;
use crate::shard::proxy::session::session;
use crate::shard::resident::Resident;
use crate::shard::service::Service;
use crate::shard::transport::halves::{ReadHalf, WriteHalf};
use crate::shard::transport::socket::Socket;
use crate::shard::upstream::flow::{Inlet, Outlet};

/// Begins a connection of a client.
pub(in crate::shard) fn begin(
    shard: &Rc<Shard>,
    service: &'static Service,
    socket: Socket,
    reader: ReadHalf,
    writer: WriteHalf,
) {
    let client = Rc::new(Client::new(socket, service, shard.now_ms(), shard.buffers.clone()));
    client.id.set(shard.conns.enter_other(client.clone()));
    let hand = Hand { shard: shard.clone(), client, inlet: Inlet::new(reader), outlet: Outlet::new(writer) };
    monoio::spawn(serve(shard.begin_task(), hand));
}

/// Serves one client until it ends.
fn serve(task: CountedTask, hand: Hand) -> impl Future<Output = ()> {
    let (shard, client) = (hand.shard.clone(), hand.client.clone());
    let mut session: Pin<Box<dyn Future<Output = ()>>> = Box::pin(session(hand));
    async move {
        std::future::poll_fn(|cx| {
            // A panic costs this connection, not the shard.
            match catch_unwind(AssertUnwindSafe(|| session.as_mut().poll(cx))) {
                Ok(outcome) => outcome,
                Err(_) => {
                    shard.counters.panics.add(1);
                    Poll::Ready(())
                }
            }
        })
        .await;
        client.cut(false);
        client.weigh(0);
        // Closes the sockets.
        drop(session);
        shard.conns.leave_other(client.id.get());
        shard.counters.connections.set(shard.conns.load() as u64);
        shard.forget_load(client.service());
        shard.touch();
        drop(task);
    }
}
