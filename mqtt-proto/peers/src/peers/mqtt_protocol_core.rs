//! mqtt-protocol-core: through its `PacketBuilder`, and straight into its `parse` functions.

use std::hint::black_box;

use mqtt_protocol_core::mqtt::{
    Arc,
    common::Cursor,
    connection::{PacketBuildResult, PacketBuilder, PacketData, RawPacket},
    packet::{GenericPacketTrait, Packet, v3_1_1 as v4, v5_0 as v5},
    result_code::MqttError,
};

use super::{decode_slice, encode_owned};
use crate::{Codec, Kind, Outcome, Peer, frame};

/// `PacketBuilder`, then `parse`; `to_continuous_buffer`.
pub(crate) fn peer() -> Peer {
    fn codec<const LEVEL: u8>(publish: usize) -> Codec {
        Codec {
            level: LEVEL,
            decode_one: Some(|bytes, _| decode_one::<LEVEL>(bytes)),
            decode: Some(|stream| decode_slice(stream, build_all::<LEVEL>)),
            encode: Some(|stream| {
                let encode = |packet: &Packet| {
                    black_box(packet.to_continuous_buffer());
                };
                encode_owned(packets::<LEVEL>(stream), encode, Packet::to_continuous_buffer)
            }),
            sizes: Some([size_of::<Packet>(), publish]),
        }
    }
    let codecs = vec![codec::<4>(size_of::<v4::Publish>()), codec::<5>(size_of::<v5::Publish>())];
    Peer { name: "mqtt-protocol-core", kind: Kind::Owned, codecs }
}

/// Our framing, then `parse`; `to_buffers`, a `Vec` of `IoSlice` for each packet without a copy.
pub(crate) fn parse_and_vectored() -> Peer {
    fn codec<const LEVEL: u8>() -> Codec {
        Codec {
            level: LEVEL,
            decode_one: None,
            decode: Some(|stream| decode_slice(stream, parse_all::<LEVEL>)),
            encode: Some(|stream| {
                let encode = |packet: &Packet| {
                    black_box(packet.to_buffers());
                };
                let show = |packet: &Packet| {
                    packet.to_buffers().iter().flat_map(|buffer| buffer.to_vec()).collect()
                };
                encode_owned(packets::<LEVEL>(stream), encode, show)
            }),
            sizes: None,
        }
    }
    let codecs = vec![codec::<4>(), codec::<5>()];
    Peer { name: "mqtt-protocol-core/parse+iovec", kind: Kind::Owned, codecs }
}

fn decode_one<const LEVEL: u8>(bytes: &[u8]) -> Outcome {
    let mut cursor = Cursor::new(bytes);
    match PacketBuilder::new().feed(&mut cursor) {
        PacketBuildResult::Incomplete => Outcome::Incomplete,
        PacketBuildResult::Error(error) => Outcome::Refused(format!("{error:?}")),
        PacketBuildResult::Complete(raw) => match parse_raw(LEVEL, raw) {
            Ok(packet) => {
                Outcome::Accepted(format!("{packet:?}"), Some(cursor.position() as usize))
            }
            Err(error) => Outcome::Refused(format!("{error:?}")),
        },
    }
}

fn build_all<const LEVEL: u8>(stream: &[u8]) -> usize {
    let mut builder = PacketBuilder::new();
    let mut cursor = Cursor::new(stream);
    let mut count = 0;
    while let PacketBuildResult::Complete(raw) = builder.feed(&mut cursor) {
        let Ok(packet) = parse_raw(LEVEL, raw) else { break };
        black_box(&packet);
        count += 1;
    }
    count
}

fn parse_all<const LEVEL: u8>(stream: &[u8]) -> usize {
    let (mut count, mut at) = (0, 0);
    while let Some((first, header, remaining)) = frame(&stream[at..]) {
        let body = &stream[at + header..at + header + remaining];
        let packet = if first >> 4 == 3 {
            parse_publish(LEVEL, first & 15, Arc::from(body))
        } else {
            parse(LEVEL, first >> 4, body)
        };
        let Ok(packet) = packet else { break };
        black_box(&packet);
        count += 1;
        at += header + remaining;
    }
    count
}

fn packets<const LEVEL: u8>(stream: &[u8]) -> Vec<Packet> {
    let mut builder = PacketBuilder::new();
    let mut cursor = Cursor::new(stream);
    let mut packets = Vec::new();
    while let PacketBuildResult::Complete(raw) = builder.feed(&mut cursor) {
        let Ok(packet) = parse_raw(LEVEL, raw) else { break };
        packets.push(packet);
    }
    packets
}

#[inline(always)]
fn parse_raw(level: u8, raw: RawPacket) -> Result<Packet, MqttError> {
    let (packet_type, flags) = (raw.packet_type(), raw.flags());
    match raw.data {
        PacketData::Publish(body) => parse_publish(level, flags, body),
        PacketData::Normal(ref body) => parse(level, packet_type, body),
    }
}

#[inline(always)]
fn parse_publish(level: u8, flags: u8, body: Arc<[u8]>) -> Result<Packet, MqttError> {
    Ok(match level {
        4 => v4::Publish::parse(flags, body)?.0.into(),
        _ => v5::Publish::parse(flags, body)?.0.into(),
    })
}

/// The dispatch of the crate, which is private: by type, and with a look at the flags for PUBLISH
/// only.
#[inline(always)]
fn parse(level: u8, packet_type: u8, body: &[u8]) -> Result<Packet, MqttError> {
    if level == 4 { parse_v4(packet_type, body) } else { parse_v5(packet_type, body) }
}

#[inline(always)]
fn parse_v4(packet_type: u8, body: &[u8]) -> Result<Packet, MqttError> {
    Ok(match packet_type {
        1 => exact(body, v4::Connect::parse)?.into(),
        2 => exact(body, v4::Connack::parse)?.into(),
        4 => exact(body, v4::Puback::parse)?.into(),
        5 => exact(body, v4::Pubrec::parse)?.into(),
        6 => exact(body, v4::Pubrel::parse)?.into(),
        7 => exact(body, v4::Pubcomp::parse)?.into(),
        8 => exact(body, v4::Subscribe::parse)?.into(),
        9 => exact(body, v4::Suback::parse)?.into(),
        10 => exact(body, v4::Unsubscribe::parse)?.into(),
        11 => exact(body, v4::Unsuback::parse)?.into(),
        12 => exact(body, v4::Pingreq::parse)?.into(),
        13 => exact(body, v4::Pingresp::parse)?.into(),
        14 => exact(body, v4::Disconnect::parse)?.into(),
        _ => return Err(MqttError::MalformedPacket),
    })
}

#[inline(always)]
fn parse_v5(packet_type: u8, body: &[u8]) -> Result<Packet, MqttError> {
    Ok(match packet_type {
        1 => exact(body, v5::Connect::parse)?.into(),
        2 => exact(body, v5::Connack::parse)?.into(),
        4 => exact(body, v5::Puback::parse)?.into(),
        5 => exact(body, v5::Pubrec::parse)?.into(),
        6 => exact(body, v5::Pubrel::parse)?.into(),
        7 => exact(body, v5::Pubcomp::parse)?.into(),
        8 => exact(body, v5::Subscribe::parse)?.into(),
        9 => exact(body, v5::Suback::parse)?.into(),
        10 => exact(body, v5::Unsubscribe::parse)?.into(),
        11 => exact(body, v5::Unsuback::parse)?.into(),
        12 => exact(body, v5::Pingreq::parse)?.into(),
        13 => exact(body, v5::Pingresp::parse)?.into(),
        14 => exact(body, v5::Disconnect::parse)?.into(),
        15 => exact(body, v5::Auth::parse)?.into(),
        _ => return Err(MqttError::MalformedPacket),
    })
}

/// A packet that takes all of the body.
fn exact<T>(
    body: &[u8],
    parse: impl FnOnce(&[u8]) -> Result<(T, usize), MqttError>,
) -> Result<T, MqttError> {
    let (packet, len) = parse(body)?;
    if len == body.len() { Ok(packet) } else { Err(MqttError::MalformedPacket) }
}
