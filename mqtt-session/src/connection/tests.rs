//! What is written to a peer that takes only so much.

use alloc::{vec, vec::Vec};

use bytes::Buf;
use mqtt_proto::{Auth, ConnAck, DecodeError, Property, ReasonCodes, Status, SubAck, UnsubAck};

use super::*;

const LIMITS: Limits = Limits {
    max_packet_size: MAX_PACKET_SIZE,
    receive_maximum: u16::MAX,
    topic_alias_maximum: 0,
    transmit_limit: 1 << 16,
    ack_timeout: None,
};

fn connection(role: Role, version: ProtocolVersion, peer_max_packet_size: u32) -> Connection {
    let decoder = Decoder::new(role, version);
    let mut connection = Connection::new(role, decoder, LIMITS, Instant::ZERO);
    connection.peer_max_packet_size = peer_max_packet_size;
    connection
}

/// What the peer reads, if anything was written.
fn read(connection: &Connection) -> Result<Option<Packet<Bytes>>, DecodeError> {
    let mut decoder = Decoder::new(connection.role, connection.version);
    let packet = decoder.decode(connection.transmit.chunk())?;
    Ok(match packet {
        Status::Ready((packet, len)) => {
            assert_eq!(len, connection.transmit.len());
            assert!(len as u32 <= connection.peer_max_packet_size);
            Some(packet.to_bytes())
        }
        Status::NeedMore(_) => None,
    })
}

const TEXT: Property<'_> = Property::ReasonString("a reason");
const USER: Property<'_> = Property::UserProperty(("name", "value"));

fn list<const N: usize>(properties: [Property<'_>; N]) -> Properties<Bytes> {
    Properties::new(properties).expect("legal")
}

/// Every packet that may say more than it must, from a side that sends it.
fn saying(properties: Properties<Bytes>) -> Vec<(Role, Packet<Bytes>)> {
    let (id, refused) = (PacketId::MIN, ReasonCode::UNSPECIFIED_ERROR);
    let with_method =
        Properties::new(properties.iter().chain([Property::AuthenticationMethod("m")]))
            .expect("legal");
    let ack = |reason| Ack { id, reason, properties: properties.clone() };
    let codes = || ReasonCodes::from_iter([refused]);
    vec![
        (
            Role::Server,
            Packet::ConnAck(ConnAck {
                session_present: false,
                reason: refused,
                properties: properties.clone(),
            }),
        ),
        (Role::Client, Packet::PubAck(ack(refused))),
        (Role::Server, Packet::PubRec(ack(refused))),
        (Role::Client, Packet::PubRel(ack(ReasonCode::PACKET_IDENTIFIER_NOT_FOUND))),
        (Role::Server, Packet::PubComp(ack(ReasonCode::SUCCESS))),
        (
            Role::Server,
            Packet::SubAck(SubAck { id, properties: properties.clone(), codes: codes() }),
        ),
        (
            Role::Server,
            Packet::UnsubAck(UnsubAck { id, properties: properties.clone(), codes: codes() }),
        ),
        (
            Role::Client,
            Packet::Disconnect(Disconnect { reason: refused, properties: properties.clone() }),
        ),
        (
            Role::Server,
            Packet::Auth(Auth {
                reason: ReasonCode::CONTINUE_AUTHENTICATION,
                properties: with_method,
            }),
        ),
    ]
}

#[test]
fn answers_and_refusals_shrink_to_what_the_peer_takes() {
    let forms = [list([TEXT, USER]), list([TEXT]), list([])].map(saying);
    let [all, without_user, bare] = &forms;
    for (at, (role, packet)) in all.iter().enumerate() {
        for (_, expected) in [&all[at], &without_user[at], &bare[at]] {
            let limit = expected.encoded_len(ProtocolVersion::V5).expect("legal");
            let mut connection = connection(*role, ProtocolVersion::V5, limit);
            connection.send(Instant::from_micros(7), packet).expect("it shrinks");
            assert_eq!(read(&connection), Ok(Some(expected.clone())), "within {limit}");
            assert_eq!(connection.last_sent, Instant::from_micros(7));
            assert!(connection.can_send(packet));
        }
        let limit = bare[at].1.encoded_len(ProtocolVersion::V5).expect("legal") - 1;
        let mut connection = connection(*role, ProtocolVersion::V5, limit);
        assert!(!connection.can_send(packet));
        let error = connection.send(Instant::from_micros(7), packet);
        assert_eq!(error, Err(EncodeError::PacketTooLarge { size: limit + 1, limit }));
        assert!(connection.transmit.is_empty(), "{packet:?}");
        assert_eq!(connection.last_sent, Instant::ZERO, "nothing was sent");
    }
}

#[test]
fn requests_lose_nothing() {
    let filters = mqtt_proto::UnsubscribeFilters::new([
        mqtt_proto::TopicFilter::<Bytes>::try_from("a").expect("a filter"),
    ]);
    let packet = Packet::Unsubscribe(mqtt_proto::Unsubscribe {
        id: PacketId::MIN,
        properties: list([USER]),
        filters: filters.expect("one"),
    });
    let size = packet.encoded_len(ProtocolVersion::V5).expect("legal");
    let mut connection = connection(Role::Client, ProtocolVersion::V5, size - 1);
    let error = connection.send(Instant::ZERO, &packet);
    assert_eq!(error, Err(EncodeError::PacketTooLarge { size, limit: size - 1 }));
    connection.peer_max_packet_size = size;
    connection.send(Instant::ZERO, &packet).expect("it fits");
    assert_eq!(read(&connection), Ok(Some(packet)));
}

/// An acknowledgement has four bytes or five, a DISCONNECT two or three.
#[test]
fn a_peer_that_takes_no_answers_gets_none() {
    fn check(limit: u32, code: ReasonCode, expected: &[u8]) {
        let mut connection = connection(Role::Server, ProtocolVersion::V5, limit);
        let mut session = Session::new(1);
        let delivery = Delivery::AtLeastOnce { id: PacketId::MIN, dup: false };
        let arrival = connection.handle_publish(&mut session, Instant::ZERO, delivery, false);
        let Ok(Arrival::New(Some(receipt))) = arrival else {
            panic!("{arrival:?}");
        };
        assert_eq!(connection.acknowledge(&mut session, Instant::ZERO, receipt, code), Ok(()));
        connection.say_disconnect(Instant::ZERO, code);
        assert_eq!(connection.transmit.chunk(), expected, "{limit} {code}");
    }
    let (success, refused) = (ReasonCode::SUCCESS, ReasonCode::UNSPECIFIED_ERROR);
    check(5, refused, &[0x40, 3, 0, 1, 0x80, 0xe0, 1, 0x80]);
    check(4, refused, &[0xe0, 1, 0x80]);
    check(2, refused, &[]);
    check(4, success, &[0x40, 2, 0, 1, 0xe0, 0]);
    check(3, success, &[0xe0, 0]);
    check(1, success, &[]);
}
