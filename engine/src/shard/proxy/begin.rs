//! How a client of the proxy comes into its shard, and how it goes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use crate::shard::Shard;
use crate::shard::life::tick::CountedTask;
use crate::shard::proxy::client::Client;
use crate::shard::proxy::greet::greet;
use crate::shard::proxy::hand::Hand;
use crate::shard::proxy::multiplexed;
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
    monoio::spawn(serve(shard.begin_task(), client, reader, writer));
}

/// Serves one client until it ends.
fn serve(task: CountedTask, client: Rc<Client>, reader: ReadHalf, writer: WriteHalf) -> impl Future<Output = ()> {
    let shard = task.0.clone();
    let mut talk: Pin<Box<dyn Future<Output = ()>>> = Box::pin(talk(shard.clone(), client.clone(), reader, writer));
    async move {
        std::future::poll_fn(|cx| {
            shard.note_step();
            // A panic costs this connection, not the shard.
            match catch_unwind(AssertUnwindSafe(|| talk.as_mut().poll(cx))) {
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
        drop(talk);
        shard.conns.leave_other(client.id.get());
        shard.counters.connections.set(shard.conns.load() as u64);
        shard.forget_load(client.service());
        shard.touch();
        drop(task);
    }
}

async fn talk(shard: Rc<Shard>, client: Rc<Client>, mut reader: ReadHalf, mut writer: WriteHalf) {
    if !client.socket().is_encrypted() || Box::pin(greet(&shard, &client, &mut reader, &mut writer)).await {
        let (inlet, outlet) = (Inlet::new(reader), Outlet::new(writer));
        let hand = Hand { shard, client, inlet, outlet, framed: false, empty: false };
        if let Some(hand) = session(hand, None).await {
            Box::pin(multiplexed::serve(hand)).await;
        }
    }
}
