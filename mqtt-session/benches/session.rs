//! One message from a client to a server and back to rest, bytes to bytes.

use std::hint::black_box;

use bytes::{Buf, Bytes, BytesMut};
use criterion::{Criterion, criterion_group, criterion_main};
use mqtt_session::{
    Accept, Client, ClientOptions, Instant, Server, ServerAction, ServerConfig, Session,
    proto::{ProtocolVersion, Publication, QoS, ReasonCode, Status, TopicName},
};

const NOW: Instant = Instant::ZERO;

struct Pair {
    client: Client,
    server: Server,
    client_src: BytesMut,
    server_src: BytesMut,
}

impl Pair {
    fn connected(version: ProtocolVersion) -> Self {
        let options = ClientOptions::new("bench").version(version);
        let mut client = Client::new(options).expect("legal options");
        client.handle_connected(NOW);
        let server = Server::new(ServerConfig::default(), NOW);
        let (client_src, server_src) = (BytesMut::new(), BytesMut::new());
        let mut pair = Self { client, server, client_src, server_src };
        pair.rest();
        assert!(pair.server.is_connected());
        pair
    }

    /// Moves bytes until there are none; how many messages came to the server.
    fn rest(&mut self) -> usize {
        let mut messages = 0;
        loop {
            let transmit = self.client.transmit();
            let up = transmit.len();
            self.server_src.extend_from_slice(transmit.chunk());
            transmit.advance(up);
            while let Ok(Status::Ready((packet, len))) = self.server.decode(NOW, &self.server_src) {
                match self.server.handle_packet(NOW, packet) {
                    Some(ServerAction::Connect(_)) => {
                        let session = Session::new(1000);
                        let accept = Accept::default();
                        self.server.accept(NOW, session, &accept, |_, _| {}).expect("a CONNECT");
                    }
                    Some(ServerAction::Publish(inbound)) => {
                        black_box(inbound.publication());
                        messages += 1;
                        if let Some(receipt) = inbound.receipt() {
                            self.server
                                .acknowledge(NOW, receipt, ReasonCode::SUCCESS)
                                .expect("it is owed");
                        }
                    }
                    _ => {}
                }
                self.server_src.advance(len);
            }
            let transmit = self.server.transmit();
            let down = transmit.len();
            self.client_src.extend_from_slice(transmit.chunk());
            transmit.advance(down);
            self.client.handle_input(NOW, &mut self.client_src);
            while let Some(action) = self.client.poll_action() {
                black_box(action);
            }
            if up + down == 0 {
                return messages;
            }
        }
    }
}

fn publish(criterion: &mut Criterion) {
    let topic = TopicName::<Bytes>::try_from("plant/7/line/3/temperature").expect("a topic name");
    let payload = Bytes::from_static(&[b'x'; 64]);
    for version in [ProtocolVersion::V311, ProtocolVersion::V5] {
        let mut group = criterion.benchmark_group(format!("publish 64 bytes, {version}"));
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let mut pair = Pair::connected(version);
            group.bench_function(format!("QoS {}", qos.bits()), |bencher| {
                bencher.iter(|| {
                    let message = Publication::new(topic.clone(), payload.clone()).with_qos(qos);
                    pair.client.publish(NOW, message).expect("room");
                    assert_eq!(pair.rest(), 1);
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, publish);
criterion_main!(benches);
