//! The beginning of a connection under TLS, and of TLS within a tunnel that is read here.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use crate::limits::HANDSHAKE_BYTES;
use crate::proxy::fault::Fault;
use crate::proxy::target::Host;
use crate::shard::Shard;
use crate::shard::exchange::phase::Phase;
use crate::shard::proxy::client::{Client, Wait};
use crate::shard::proxy::hand::{Gone, Hand};
use crate::shard::resident::{Resident, Verdict};
use crate::shard::transport::halves::{ReadHalf, WriteHalf};
use crate::shard::transport::handshake::shake_hands;
use crate::shard::transport::layer::Layer;
use crate::tls::{LocalCa, Vouching};

/// `unrecognized_name`, and fatal (RFC 6066 3, RFC 8446 6), as a record.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// Too many shake hands: this one has to give way.
fn give_way(shard: &Shard, oldest: Option<Rc<dyn Resident>>) {
    if let Some(oldest) = oldest {
        shard.counters.turned_away.add(1);
        oldest.carry_out(shard, Verdict::Cut, shard.now_ms());
    }
}

/// Shakes hands with a client; false when there is nothing more to say to it. What was agreed on by ALPN, the first bytes tell
/// as well.
pub(super) async fn greet(shard: &Shard, client: &Rc<Client>, reader: &mut ReadHalf, writer: &mut WriteHalf) -> bool {
    let (_place, oldest) = shard.handshakes.begin(client.clone());
    give_way(shard, oldest);
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

/// How a handshake within a tunnel has ended.
pub(super) enum Greeted {
    /// What follows goes under TLS.
    Well(Rc<Layer>),
    /// Nothing follows, and its client has been told why.
    Refused,
    /// Nobody is there, or it is too slow.
    Gone,
}

impl Hand {
    /// Shakes hands with a client through a tunnel to `asked`, of which the first bytes have come.
    pub async fn greet_within(&mut self, ca: &Arc<LocalCa>, asked: &Host, timeout_ms: u64) -> Greeted {
        let (shard, client) = (self.shard.clone(), self.client.clone());
        let (_place, oldest) = shard.handshakes.begin(client.clone());
        give_way(&shard, oldest);
        client.weigh(HANDSHAKE_BYTES);
        let greeted = self.shake_hands_within(ca, asked, self.now_ms() + timeout_ms).await;
        client.weigh(0);
        if !matches!(greeted, Greeted::Well(_)) && !client.is_dead() {
            shard.counters.protocol_errors.add(1);
        }
        greeted
    }

    async fn shake_hands_within(&mut self, ca: &Arc<LocalCa>, asked: &Host, until_ms: u64) -> Greeted {
        let vouching = Vouching::new(ca, asked);
        let Ok(layer) = Layer::new(vouching.config(), self.shard.buffers.scale()) else { return Greeted::Gone };
        loop {
            let outcome = layer.came(&self.inlet.buffer).and_then(|()| layer.shake_hands());
            self.inlet.buffer.clear();
            let answer = if vouching.has_refused() { Ok(UNRECOGNIZED_NAME.to_vec()) } else { layer.flush() };
            if self.send_until(answer.unwrap_or_default(), until_ms).await.is_err() {
                return Greeted::Gone;
            }
            match outcome {
                Ok(true) => return Greeted::Well(layer),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => return Greeted::Refused,
                Err(_) => return Greeted::Gone,
                Ok(false) => {}
            }
            if !self.hear(until_ms, Fault::HeadLate).await {
                return Greeted::Gone;
            }
        }
    }

    /// Sends what the handshake has to say: a client that does not take it is cut, too.
    async fn send_until(&mut self, bytes: Vec<u8>, until_ms: u64) -> Result<(), Gone> {
        let client = self.client.clone();
        client.hold(Rc::new(client.end_of()));
        client.expect(Wait::Send, Some((until_ms, Fault::HeadLate)));
        let sent = self.send(bytes).await;
        client.let_go();
        sent
    }
}
