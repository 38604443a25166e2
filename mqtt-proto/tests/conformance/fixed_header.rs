//! The first byte of every packet: sections 2.1.3 (2.2.2 in 3.1.1), 3.3.1, and what comes first at all.

use bytes::Bytes;
use conformance::Run;
use mqtt_proto::*;

use crate::{
    check::{self, Ids, MALFORMED, PROTOCOL, VERSIONS},
    samples::{publish, samples},
};

/// The statements about the flags of one packet type, and the flags.
fn rule(packet: PacketType, version: ProtocolVersion) -> (&'static str, u8) {
    let v5 = version == ProtocolVersion::V5;
    match packet {
        PacketType::PubRel if v5 => ("v5 MQTT-3.6.1-1", 2),
        PacketType::PubRel => ("v3.1.1 MQTT-3.6.1-1", 2),
        PacketType::Subscribe if v5 => ("v5 MQTT-3.8.1-1", 2),
        PacketType::Subscribe => ("v3.1.1 MQTT-3.8.1-1", 2),
        PacketType::Unsubscribe if v5 => ("v5 MQTT-3.10.1-1", 2),
        PacketType::Unsubscribe => ("v3.1.1 MQTT-3.10.1-1", 2),
        PacketType::Disconnect if v5 => ("v5 MQTT-3.14.1-1", 0),
        PacketType::Disconnect => ("v3.1.1 MQTT-3.14.1-1", 0),
        PacketType::Auth => ("v5 MQTT-3.15.1-1", 0),
        _ if v5 => ("v5 MQTT-2.1.3-1", 0),
        _ => ("", 0),
    }
}

pub(crate) fn flags_of_every_packet(run: &mut Run) {
    for version in VERSIONS {
        let (decoding, encoding): (&[&str], &str) = match version {
            ProtocolVersion::V5 => (&["v5 U5-2.1.3-1", "v5 MQTT-2.1.3-1"], "v5 MQTT-2.1.3-1"),
            ProtocolVersion::V311 => (&["v3.1.1 MQTT-2.2.2-2"], "v3.1.1 MQTT-2.2.2-1"),
        };
        for sample in samples(version) {
            if sample.packet_type == PacketType::Publish {
                continue;
            }
            let (rule, legal) = rule(sample.packet_type, version);
            let with_rule = |ids: &[&'static str]| {
                ids.iter().copied().chain([rule]).filter(|id| !id.is_empty()).collect::<Vec<_>>()
            };
            let decoding = with_rule(decoding);
            for flags in 0..16 {
                let mut bytes = sample.bytes.clone();
                bytes[0] = bytes[0] & 0xf0 | flags;
                if flags == legal {
                    check::decodes(run, &decoding, sample.from, &bytes, &sample.packet);
                    check::encodes(run, &with_rule(&[encoding]), &sample.packet, &bytes);
                } else {
                    let kind = DecodeErrorKind::FixedHeaderFlags;
                    check::refuses(run, &decoding, sample.from, &bytes, kind, MALFORMED);
                }
            }
        }
    }
}

/// DUP, QoS and RETAIN in all combinations.
pub(crate) fn flags_of_publish(run: &mut Run) {
    let no_dup: [Ids<'_>; 2] = [&["v3.1.1 MQTT-3.3.1-2"], &["v5 MQTT-3.3.1-2"]];
    let no_qos_3: [Ids<'_>; 2] = [&["v3.1.1 MQTT-3.3.1-4"], &["v5 MQTT-3.3.1-4"]];
    let read_qos_3: [Ids<'_>; 2] =
        [&["v3.1.1 MQTT-3.3.1-4"], &["v5 MQTT-3.3.1-4", "v5 U5-3.3.1.2-1"]];
    for at in 0..2 {
        let v5 = check::version(no_dup[at]) == ProtocolVersion::V5;
        for flags in 0..16u8 {
            let [dup, retain] = [8, 1].map(|bit| flags & bit != 0);
            let (qos, id) = (flags >> 1 & 3, PacketId::MIN);
            let mut bytes = vec![0x30 | flags, 0, 0, 1, b'a'];
            if qos > 0 {
                bytes.extend([0, 1]);
            }
            if v5 {
                bytes.push(0);
            }
            bytes[1] = bytes.len() as u8 - 2;
            let delivery = match qos {
                0 if dup => None,
                0 => Some(Delivery::AtMostOnce),
                1 => Some(Delivery::AtLeastOnce { id, dup }),
                2 => Some(Delivery::ExactlyOnce { id, dup }),
                _ => None,
            };
            for from in crate::common::ROLES {
                let Some(delivery) = delivery else {
                    let (ids, kind) = if qos == 3 {
                        (read_qos_3[at], DecodeErrorKind::QoS3)
                    } else {
                        (no_dup[at], DecodeErrorKind::DupOnQoS0)
                    };
                    check::refuses(run, ids, from, &bytes, kind, MALFORMED);
                    continue;
                };
                let publish = Packet::Publish(Publish { delivery, retain, ..publish("a", "") });
                check::both_ways(run, no_dup[at], from, &bytes, &publish);
                check::both_ways(run, no_qos_3[at], from, &bytes, &publish);
            }
        }
        // A delivery of QoS 0 has no place for DUP, and there is no QoS 3.
        run.encoding(no_dup[at]).holds(!Delivery::AtMostOnce.dup(), "DUP of QoS 0");
        for bits in 0..=255 {
            let qos = [QoS::from_bits(bits), QoS::try_from(bits).ok()];
            let made = qos.map(|qos| qos.map(QoS::bits));
            let expected = (bits < 3).then_some(bits);
            run.encoding(no_qos_3[at]).equal(made, [expected; 2], bits);
        }
    }
}

/// A decoder that awaits CONNECT refuses everything else at the first byte.
pub(crate) fn first_packets(run: &mut Run) {
    for (version, id) in VERSIONS.into_iter().zip(["v3.1.1 MQTT-3.1.0-1", "v5 MQTT-3.1.0-1"]) {
        for sample in samples(version) {
            let mut decoder = Decoder::awaiting_connect();
            let found = decoder.decode(&sample.bytes).map(Status::ready);
            let found = found.map(|ready| ready.map(|(packet, _)| packet.to_bytes()));
            let code = found.as_ref().err().map(|error: &DecodeError| error.reason_code().get());
            let expected: Result<Option<Packet<Bytes>>, _> = match sample.packet_type {
                PacketType::Connect => Ok(Some(sample.packet)),
                _ => Err(DecodeErrorKind::ConnectExpected),
            };
            let should = expected.as_ref().err().map(|_| PROTOCOL);
            run.decoding(&[id]).equal(code, should, sample.packet_type.name());
            let found = found.map_err(DecodeError::kind);
            run.decoding(&[id]).equal(found, expected, sample.packet_type.name());
        }
    }
}
