//! mqtt-protocol-core: a connection of each role, which answers by itself when it is asked to. The
//! session of the client lasts, as otherwise no message would be kept.

use std::hint::black_box;

use mqtt_protocol_core::mqtt::{
    Arc, Connection as Side, Version,
    common::Cursor,
    connection::{
        Event,
        role::{Client, RoleType, Server},
    },
    packet::{GenericPacketTrait, Packet, Qos, SessionExpiryInterval, v3_1_1 as v4, v5_0 as v5},
    result_code::{ConnectReasonCode, ConnectReturnCode},
};

use super::{Case, Connection, PAYLOAD, Seen, TOPIC, session};
use crate::Bench;

pub(super) fn make(case: &Case) -> Box<dyn Bench> {
    session(case, Pair::connected(case))
}

struct Pair {
    client: Side<Client>,
    server: Side<Server>,
    is_v5: bool,
    qos: Qos,
    payload: Arc<[u8]>,
    up: Vec<u8>,
    down: Vec<u8>,
}

impl Pair {
    fn connected(case: &Case) -> Self {
        let is_v5 = case.level == 5;
        let version = if is_v5 { Version::V5_0 } else { Version::V3_1_1 };
        let mut pair = Self {
            client: Side::new(version),
            server: Side::new(version),
            is_v5,
            qos: [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce][usize::from(case.qos)],
            payload: Arc::from(&PAYLOAD[..]),
            up: Vec::new(),
            down: Vec::new(),
        };
        pair.client.set_auto_pub_response(true);
        pair.server.set_auto_pub_response(true);
        let (connect, connack) = if is_v5 { handshake_v5() } else { handshake_v4() };
        let mut seen = Seen::default();
        handle(pair.client.send(connect), &mut pair.up, &mut seen);
        read(&mut pair.server, &mut pair.up, &mut pair.down, &mut seen);
        handle(pair.server.send(connack), &mut pair.down, &mut seen);
        read(&mut pair.client, &mut pair.down, &mut pair.up, &mut seen);
        assert!(pair.up.is_empty());
        pair
    }
}

fn handshake_v4() -> (Packet, Packet) {
    let connect = v4::Connect::builder().client_id("c").expect("short").clean_session(false);
    let connack = v4::Connack::builder().session_present(false);
    let connack = connack.return_code(ConnectReturnCode::Accepted);
    (connect.build().expect("legal").into(), connack.build().expect("legal").into())
}

fn handshake_v5() -> (Packet, Packet) {
    let lasting = SessionExpiryInterval::new(1000).expect("any number").into();
    let connect = v5::Connect::builder().client_id("c").expect("short").clean_start(true);
    let connack = v5::Connack::builder().session_present(false);
    let connack = connack.reason_code(ConnectReasonCode::Success);
    let connect = connect.props(vec![lasting]).build();
    (connect.expect("legal").into(), connack.build().expect("legal").into())
}

impl Connection for Pair {
    fn publish(&mut self) {
        let (qos, payload) = (self.qos, self.payload.clone());
        let id =
            (qos != Qos::AtMostOnce).then(|| self.client.acquire_packet_id().expect("a free one"));
        let events = if self.is_v5 {
            let publish = v5::Publish::builder().topic_name(TOPIC).expect("short").qos(qos);
            let publish = publish.payload(payload);
            let publish = if let Some(id) = id { publish.packet_id(id) } else { publish };
            self.client.checked_send(publish.build().expect("legal"))
        } else {
            let publish = v4::Publish::builder().topic_name(TOPIC).expect("short").qos(qos);
            let publish = publish.payload(payload);
            let publish = if let Some(id) = id { publish.packet_id(id) } else { publish };
            self.client.checked_send(publish.build().expect("legal"))
        };
        handle(events, &mut self.up, &mut Seen::default());
    }

    fn settle(&mut self) -> Seen {
        let mut seen = Seen::default();
        while !self.up.is_empty() {
            read(&mut self.server, &mut self.up, &mut self.down, &mut seen);
            read(&mut self.client, &mut self.down, &mut self.up, &mut seen);
        }
        assert!(self.client.get_stored_packets().is_empty());
        seen
    }
}

fn read<R: RoleType>(side: &mut Side<R>, src: &mut Vec<u8>, dst: &mut Vec<u8>, seen: &mut Seen) {
    let mut cursor = Cursor::new(&src[..]);
    while (cursor.position() as usize) < src.len() {
        handle(side.recv(&mut cursor), dst, seen);
    }
    src.clear();
}

fn handle(events: Vec<Event>, dst: &mut Vec<u8>, seen: &mut Seen) {
    for event in events {
        match black_box(&event) {
            Event::RequestSendPacket { packet, .. } => {
                packet.to_buffers().iter().for_each(|part| dst.extend_from_slice(part));
            }
            Event::NotifyPacketReceived(packet) => match packet {
                Packet::V3_1_1Publish(_) | Packet::V5_0Publish(_) => seen.delivered += 1,
                Packet::V3_1_1Puback(_)
                | Packet::V5_0Puback(_)
                | Packet::V3_1_1Pubcomp(_)
                | Packet::V5_0Pubcomp(_) => seen.acknowledged += 1,
                _ => {}
            },
            Event::NotifyError(error) => panic!("{error:?}"),
            _ => {}
        }
    }
}
