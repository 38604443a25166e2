//! `Client` and `Server`, with packets that borrow from the read buffers: `decode` and
//! `handle_packet` of both; or that share them: `handle_input` of the client, `decode_bytes` and
//! `handle_packet` of the server.

use std::hint::black_box;

use bytes::{Buf, Bytes, BytesMut};
use mqtt_proto::{
    Packet, ProtocolVersion, Publication, QoS, ReasonCode, Status, Storage, TopicName,
};
use mqtt_session::{
    Accept, Client, ClientAction, ClientOptions, Instant, Server, ServerAction, ServerConfig,
    Session, Transmit,
};

use super::{Case, Connection, PAYLOAD, Seen, TOPIC, WINDOW, session};
use crate::Bench;

const NOW: Instant = Instant::ZERO;

pub(super) fn make<const OWNED: bool>(case: &Case) -> Box<dyn Bench> {
    session(case, Pair::<OWNED>::connected(case))
}

struct Pair<const OWNED: bool> {
    client: Client,
    server: Server,
    client_src: BytesMut,
    server_src: BytesMut,
    message: Publication<Bytes>,
    seen: Seen,
}

impl<const OWNED: bool> Pair<OWNED> {
    fn connected(case: &Case) -> Self {
        let version = if case.level == 4 { ProtocolVersion::V311 } else { ProtocolVersion::V5 };
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(case.qos)];
        let options = ClientOptions::new("c").version(version).max_in_flight(WINDOW as u16);
        let mut client = Client::new(options).expect("legal options");
        client.handle_connected(NOW);
        let topic = TopicName::<Bytes>::try_from(TOPIC).expect("a topic name");
        let mut pair = Self {
            client,
            server: Server::new(ServerConfig::default(), NOW),
            client_src: BytesMut::new(),
            server_src: BytesMut::new(),
            message: Publication::new(topic, Bytes::from_static(&PAYLOAD)).with_qos(qos),
            seen: Seen::default(),
        };
        assert_eq!(pair.settle(), Seen::default());
        assert!(pair.server.is_connected());
        pair
    }

    fn read_server(&mut self) {
        if OWNED {
            loop {
                let status = self.server.decode_bytes(NOW, &mut self.server_src);
                let Status::Ready(packet) = status.expect("packets") else { return };
                serve(&mut self.server, &mut self.seen, packet);
            }
        }
        let mut used = 0;
        loop {
            let status = self.server.decode(NOW, &self.server_src[used..]);
            let Status::Ready((packet, len)) = status.expect("packets") else { break };
            serve(&mut self.server, &mut self.seen, packet);
            used += len;
        }
        self.server_src.advance(used);
    }

    fn read_client(&mut self) {
        if OWNED {
            self.client.handle_input(NOW, &mut self.client_src);
        } else {
            let mut used = 0;
            while let Some((packet, len)) = self.client.decode(NOW, &self.client_src[used..]) {
                let inbound = self.client.handle_packet(NOW, packet);
                assert_eq!(inbound, None, "all messages go the other way");
                used += len;
            }
            self.client_src.advance(used);
        }
        while let Some(action) = self.client.poll_action() {
            match black_box(&action) {
                ClientAction::Connected(_) => {}
                ClientAction::Finished { .. } => self.seen.acknowledged += 1,
                action => panic!("{action:?}"),
            }
        }
    }
}

fn serve<B: Storage>(server: &mut Server, seen: &mut Seen, packet: Packet<B>) {
    match &server.handle_packet(NOW, packet) {
        None => {}
        Some(ServerAction::Connect(_)) => {
            let session = Session::new(WINDOW as u16);
            server.accept(NOW, session, &Accept::default(), |_, _| {}).expect("a CONNECT");
        }
        Some(ServerAction::Publish(inbound)) => {
            black_box(&inbound.publish());
            seen.delivered += 1;
            if let Some(receipt) = inbound.receipt() {
                server.acknowledge(NOW, receipt, ReasonCode::SUCCESS).expect("it is owed");
            }
        }
        Some(action) => panic!("{action:?}"),
    }
}

/// As a socket would.
fn copy(transmit: &mut Transmit, src: &mut BytesMut) {
    src.extend_from_slice(transmit.chunk());
    transmit.advance(transmit.len());
}

impl<const OWNED: bool> Connection for Pair<OWNED> {
    fn publish(&mut self) {
        self.client.publish(NOW, self.message.clone()).expect("room");
    }

    fn settle(&mut self) -> Seen {
        self.seen = Seen::default();
        loop {
            copy(self.client.transmit(), &mut self.server_src);
            if self.server_src.is_empty() {
                return self.seen;
            }
            self.read_server();
            copy(self.server.transmit(), &mut self.client_src);
            self.read_client();
        }
    }
}
