//! What comes to a side and what goes out of it.

use bytes::{Buf, Bytes, BytesMut};
use mqtt_session::{
    ClientAction, Inbound, Receipt, ServerAction,
    proto::{Packet, PacketId, Publish, QoS, Status, Storage},
};

use super::{Machine, Side};
use crate::{
    common::describe,
    peer::{puback, pubcomp, pubrec},
};

impl Side {
    /// A packet of the peer comes, and is read where it lies.
    pub(crate) fn hear(&mut self, packet: &Packet<Bytes>) {
        let mut bytes = BytesMut::new();
        packet.encode(self.version, &mut bytes).expect("encodable");
        match &mut self.machine {
            Machine::Client(client) => {
                let packet = client.decode(self.now, &bytes);
                let inbound = packet.and_then(|(packet, _)| client.handle_packet(self.now, packet));
                // What was to be done before it.
                self.poll();
                if let Some(inbound) = inbound {
                    self.deliver(&inbound);
                }
            }
            Machine::Server(Some(server)) => match server.decode(self.now, &bytes) {
                Ok(Status::Ready((packet, _))) => self.serve(packet),
                Ok(Status::NeedMore(_)) => panic!("half a packet"),
                Err(reason) => drop(self.closed.get_or_insert(reason)),
            },
            Machine::Server(None) => {}
        }
        self.poll();
    }

    /// Bytes of the peer come, and packets are taken out of them.
    pub(crate) fn hear_bytes(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
        match &mut self.machine {
            Machine::Client(client) => client.handle_input(self.now, &mut self.inbox),
            Machine::Server(_) => self.serve_all(),
        }
        self.poll();
    }

    fn serve_all(&mut self) {
        while let Machine::Server(Some(server)) = &mut self.machine {
            match server.decode_bytes(self.now, &mut self.inbox) {
                Ok(Status::Ready(packet)) => self.serve(packet),
                Ok(Status::NeedMore(_)) => return,
                Err(reason) => {
                    self.closed.get_or_insert(reason);
                    return self.inbox.clear();
                }
            }
        }
    }

    fn serve<B: Storage>(&mut self, packet: Packet<B>) {
        let Machine::Server(Some(server)) = &mut self.machine else { return };
        match server.handle_packet(self.now, packet) {
            None => {}
            Some(ServerAction::Connect(connect)) => {
                self.connects += 1;
                self.clean_start = connect.fields().clean_start;
                match self.refusal {
                    _ if !self.answers_connect => {}
                    Some(code) => self.closed = Some(server.reject(self.now, code)),
                    None => self.accept(),
                }
            }
            Some(ServerAction::Publish(inbound)) => self.deliver(&inbound),
            Some(ServerAction::Subscribe(subscribe)) => {
                self.requests.push(owned(Packet::Subscribe(subscribe)));
            }
            Some(ServerAction::Unsubscribe(unsubscribe)) => {
                self.requests.push(owned(Packet::Unsubscribe(unsubscribe)));
            }
            Some(ServerAction::Auth(auth)) => {
                let Packet::Auth(auth) = owned(Packet::Auth(auth)) else { unreachable!() };
                self.auths.push(auth);
            }
            Some(ServerAction::Finished { id, outcome }) => self.finished.push((id.get(), outcome)),
            Some(ServerAction::Disconnect(disconnect)) => self.farewell = Some(disconnect.reason),
            Some(ServerAction::Close(reason)) => self.closed = Some(reason),
            Some(action) => panic!("what is {action:?}?"),
        }
    }

    /// A message for the application.
    fn deliver<B: Storage>(&mut self, inbound: &Inbound<B>) {
        let packet = Packet::Publish(inbound.publish()).to_bytes();
        let Packet::Publish(publish) = packet else { unreachable!() };
        self.give(publish, inbound.receipt());
    }

    fn give(&mut self, publish: Publish<Bytes>, receipt: Option<Receipt>) {
        self.delivered.push(publish);
        let at = self.receipts.len();
        self.receipts.extend(receipt);
        if let (Some(_), Some(code), true) = (receipt, self.verdict, self.manual) {
            self.acknowledge(at, code).expect("it is owed");
            self.receipts.truncate(at);
        }
    }

    /// What a client says to its application.
    pub(super) fn poll(&mut self) {
        while let Machine::Client(client) = &mut self.machine {
            let Some(action) = client.poll_action() else { return };
            match action {
                ClientAction::Connected(connack) => self.connacks.push(connack),
                ClientAction::Deliver { publish, receipt } => self.give(publish, receipt),
                ClientAction::Auth(auth) => self.auths.push(auth),
                ClientAction::Refused(connack) => self.refused = Some(connack),
                ClientAction::Disconnected(disconnect) => self.dismissed = Some(disconnect),
                ClientAction::Finished { id, outcome } => self.finished.push((id.get(), outcome)),
                ClientAction::Subscribed(suback) => self.requests.push(Packet::SubAck(suback)),
                ClientAction::Unsubscribed(unsuback) => {
                    self.requests.push(Packet::UnsubAck(unsuback));
                }
                ClientAction::Close(reason) => self.closed = Some(reason),
                action => panic!("what is {action:?}?"),
            }
        }
    }

    /// Takes what there is to write, and lets more follow.
    pub(super) fn collect(&mut self) {
        loop {
            self.poll();
            let transmit = match &mut self.machine {
                Machine::Client(client) => client.transmit(),
                Machine::Server(Some(server)) => server.transmit(),
                Machine::Server(None) => return,
            };
            if transmit.is_empty() {
                break;
            }
            let count = transmit.remaining();
            self.written.extend_from_slice(transmit.chunk());
            transmit.advance(count);
            if let Machine::Server(Some(server)) = &mut self.machine {
                let finished = &mut self.finished;
                server.handle_flushed(self.now, |id, how| finished.push((id.get(), how)));
            }
        }
        while let Status::Ready(packet) =
            self.decoder.decode_bytes(&mut self.written).expect("it says what may be said")
        {
            self.said.push(packet);
        }
        assert!(self.written.is_empty(), "half a packet was written");
    }

    /// The packets it has written since the last time.
    pub(crate) fn packets(&mut self) -> Vec<Packet<Bytes>> {
        self.collect();
        std::mem::take(&mut self.said)
    }

    /// The same in a few words each.
    pub(crate) fn said(&mut self) -> Vec<String> {
        self.packets().iter().map(describe).collect()
    }

    /// The identifiers of the PUBLISH packets of QoS 1 and 2 among them.
    pub(crate) fn published(&mut self) -> Vec<u16> {
        let number = |packet: &Packet<Bytes>| match packet {
            Packet::Publish(publish) => publish.delivery.id().map(PacketId::get),
            _ => None,
        };
        self.packets().iter().filter_map(number).collect()
    }

    /// The peer acknowledges one of them to the end.
    pub(crate) fn complete(&mut self, qos: QoS, number: u16) {
        match qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => self.hear(&puback(number)),
            QoS::ExactlyOnce => {
                self.hear(&pubrec(number));
                self.hear(&pubcomp(number));
            }
        }
    }

    /// What it answers to this packet.
    pub(crate) fn answer(&mut self, packet: &Packet<Bytes>) -> Vec<String> {
        self.packets();
        self.hear(packet);
        self.said()
    }

    /// The payloads delivered since the last time.
    pub(crate) fn heard(&mut self) -> Vec<String> {
        let delivered = std::mem::take(&mut self.delivered);
        let text = |publish: Publish<Bytes>| {
            String::from_utf8_lossy(&publish.message.payload).into_owned()
        };
        delivered.into_iter().map(text).collect()
    }

    /// The topic names of the messages delivered since the last time.
    pub(crate) fn topics(&mut self) -> Vec<String> {
        let delivered = std::mem::take(&mut self.delivered);
        delivered.into_iter().map(|publish| publish.message.topic.to_string()).collect()
    }
}

fn owned<B: Storage>(packet: Packet<B>) -> Packet<Bytes> {
    packet.map(&mut |bytes: B| Bytes::copy_from_slice(bytes.as_ref()))
}
