//! All 256 connect flag bytes, section 3.1.2.3, with the fields they announce (section 3.1.3) and
//! with others.

use bytes::BytesMut;
use mqtt_proto::{
    Connect, ConnectPacket, DecodeErrorKind, Decoder, Packet, ProtocolVersion, QoS, Role,
};

use crate::{VERSIONS, ran};

/// A field of the payload: a length and one byte. A will of 5.0 begins with its property list.
fn payload(flags: u8, version: ProtocolVersion) -> Vec<Vec<u8>> {
    let field = |byte: u8| vec![0, 1, byte];
    let mut fields = vec![field(b'c')];
    if flags & 0x04 != 0 {
        if version == ProtocolVersion::V5 {
            fields.push(vec![0]);
        }
        fields.extend([field(b't'), field(b'p')]);
    }
    if flags & 0x80 != 0 {
        fields.push(field(b'u'));
    }
    if flags & 0x40 != 0 {
        fields.push(field(b'w'));
    }
    fields
}

fn connect(flags: u8, version: ProtocolVersion, fields: &[Vec<u8>]) -> Vec<u8> {
    let mut body = b"\0\x04MQTT".to_vec();
    body.extend([version.level(), flags, 0, 60]);
    if version == ProtocolVersion::V5 {
        body.push(0);
    }
    body.extend(fields.iter().flatten());
    let mut packet = vec![0x10, body.len() as u8];
    packet.extend(body);
    packet
}

/// Every rule that this byte breaks.
fn faults(flags: u8, version: ProtocolVersion) -> Vec<DecodeErrorKind> {
    let bit = |number: u8| flags >> number & 1 == 1;
    let (will, qos_high, qos_low, retain) = (bit(2), bit(4), bit(3), bit(5));
    let (password, user_name) = (bit(6), bit(7));
    [
        // [MQTT-3.1.2-3]
        (bit(0), DecodeErrorKind::ConnectFlags),
        // [MQTT-3.1.2-12]
        (qos_high && qos_low, DecodeErrorKind::QoS3),
        // [MQTT-3.1.2-11] [MQTT-3.1.2-13]
        (!will && (qos_high || qos_low || retain), DecodeErrorKind::WillFlags),
        // [3.1.1 MQTT-3.1.2-22]
        (
            password && !user_name && version == ProtocolVersion::V311,
            DecodeErrorKind::PasswordWithoutUserName,
        ),
    ]
    .into_iter()
    .filter_map(|(broken, rule)| broken.then_some(rule))
    .collect()
}

/// The same outcome from a decoder that was told the version and one that was not, borrowed and
/// owned.
fn decode(
    bytes: &[u8],
    version: ProtocolVersion,
) -> Result<ConnectPacket<bytes::Bytes>, DecodeErrorKind> {
    let outcomes =
        [Decoder::new(Role::Client, version), Decoder::awaiting_connect()].map(|mut decoder| {
            let borrowed = decoder.clone().decode(bytes).map(|status| {
                let (packet, len) = status.ready().expect("all of it is there");
                assert_eq!(len, bytes.len());
                packet.to_bytes()
            });
            let owned = decoder.decode_bytes(&mut BytesMut::from(bytes));
            assert_eq!(owned.map(|status| status.ready().unwrap()), borrowed);
            borrowed
        });
    let [told, learnt] = outcomes;
    assert_eq!(told, learnt);
    match told {
        Ok(Packet::Connect(connect)) => Ok(connect),
        Ok(packet) => panic!("{packet:?}"),
        Err(error) => Err(error.kind()),
    }
}

#[test]
fn every_connect_flag_announces_its_field_and_nothing_else_is_there() {
    let (mut legal, mut count) = (0, 0);
    for version in VERSIONS {
        for flags in 0..=255 {
            let faults = faults(flags, version);
            let fields = payload(flags, version);
            let exact = connect(flags, version, &fields);
            let mut wrong = Vec::new();
            for missing in 1..=fields.len() {
                let bytes = connect(flags, version, &fields[..fields.len() - missing]);
                wrong.push((bytes, DecodeErrorKind::UnexpectedEnd));
            }
            for left_over in [vec![0], vec![0, 0], vec![0, 1, b'x']] {
                let fields = [&fields[..], &[left_over]].concat();
                wrong.push((connect(flags, version, &fields), DecodeErrorKind::TrailingBytes));
            }
            count += 1 + wrong.len() as u64;
            if faults.is_empty() {
                let connect = decode(&exact, version).expect("a legal CONNECT");
                let fields = connect.fields();
                check_fields(&fields, flags);
                let mut again = Vec::new();
                fields.encode(&mut again).unwrap();
                assert_eq!(again, exact);
                again.clear();
                Packet::Connect(connect).encode(version, &mut again).unwrap();
                assert_eq!(again, exact);
                for (bytes, kind) in wrong {
                    assert_eq!(decode(&bytes, version), Err(kind), "{version} {flags:#04x}");
                }
                legal += 1;
            } else {
                for bytes in wrong.into_iter().map(|(bytes, _)| bytes).chain([exact]) {
                    let kind = decode(&bytes, version).expect_err("illegal flags");
                    assert!(faults.contains(&kind), "{version} {flags:#04x}: {kind}");
                }
            }
        }
    }
    // Clean Start, a will of QoS 0 to 2 that is retained or not, or none; name and password.
    ran("legal connect flags", legal, 2 * (1 + 3 * 2) * (3 + 4));
    ran("CONNECT packets", count, 3712);
}

fn check_fields(connect: &Connect<&[u8]>, flags: u8) {
    assert_eq!(connect.clean_start, flags & 0x02 != 0);
    assert_eq!(connect.client_id, "c");
    assert_eq!(connect.will.is_some(), flags & 0x04 != 0);
    if let Some(will) = &connect.will {
        assert_eq!(Some(will.qos), QoS::from_bits(flags >> 3 & 3));
        assert_eq!(will.retain, flags & 0x20 != 0);
        assert_eq!((will.message.topic.as_str(), will.message.payload), ("t", &b"p"[..]));
    }
    assert_eq!(
        connect.user_name.as_ref().map(|name| name.as_str()),
        (flags & 0x80 != 0).then_some("u")
    );
    assert_eq!(connect.password, (flags & 0x40 != 0).then_some(&b"w"[..]));
}
