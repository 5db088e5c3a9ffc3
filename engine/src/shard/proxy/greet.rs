//! The beginning of a connection under TLS.

use std::rc::Rc;

use crate::limits::HANDSHAKE_BYTES;
use crate::shard::Shard;
use crate::shard::exchange::phase::Phase;
use crate::shard::proxy::client::Client;
use crate::shard::resident::Verdict;
use crate::shard::transport::halves::{ReadHalf, WriteHalf};
use crate::shard::transport::handshake::shake_hands;

/// Shakes hands with a client; false when there is nothing more to say to it. What was agreed on by ALPN, the first bytes tell
/// as well.
pub(super) async fn greet(shard: &Shard, client: &Rc<Client>, reader: &mut ReadHalf, writer: &mut WriteHalf) -> bool {
    let (_place, oldest) = shard.handshakes.begin(client.clone());
    if let Some(oldest) = oldest {
        shard.counters.turned_away.add(1);
        oldest.carry_out(shard, Verdict::Cut, shard.now_ms());
    }
    client.clock.restart(Phase::Handshake, shard.now_ms());
    client.weigh(HANDSHAKE_BYTES);
    let greeted = shake_hands(reader, writer, client.socket()).await.is_ok();
    client.weigh(0);
    shard.touch();
    if !greeted && !client.is_dead() {
        shard.counters.protocol_errors.add(1);
    }
    greeted && !client.is_dead()
}
