//! mqtt5-protocol: it has no framing; the fixed header is decoded out of the buffer.

use bytes::{Buf, BufMut, BytesMut};
use mqtt5_protocol::{
    FixedHeader, MqttError, Packet, PacketType,
    encoding::encode_variable_int,
    packet::{MqttPacket, publish::PublishPacket},
};

use super::BytesMutCodec;
use crate::{Kind, Outcome, Peer, frame};

pub(crate) fn peer() -> Peer {
    let codecs = vec![Level::<4>::codec(), Level::<5>::codec()];
    Peer { name: "mqtt5-protocol", kind: Kind::Owned, codecs }
}

struct Level<const LEVEL: u8>;

impl<const LEVEL: u8> BytesMutCodec for Level<LEVEL> {
    const LEVEL: u8 = LEVEL;
    const SIZES: [usize; 2] = [size_of::<Packet>(), size_of::<PublishPacket>()];
    type Packet = Packet;
    type Error = MqttError;

    #[inline(always)]
    fn read(src: &mut BytesMut) -> Result<Packet, MqttError> {
        let header = FixedHeader::decode(src)?;
        let mut body = src.split_to(header.remaining_length as usize).freeze();
        Packet::decode_from_body_with_version(header.packet_type, &header, &mut body, LEVEL)
    }

    fn is_incomplete(_: &MqttError) -> bool {
        false
    }

    /// `read` would panic on a body that is not all there, and does not say what it left of it.
    fn decode_one(bytes: &[u8]) -> Outcome {
        if frame(bytes).is_some_and(|(_, header, remaining)| bytes.len() < header + remaining) {
            return Outcome::Incomplete;
        }
        let mut src = BytesMut::from(bytes);
        let header = match FixedHeader::decode(&mut src) {
            Ok(header) => header,
            Err(error) => return Outcome::Refused(format!("{error:?}")),
        };
        let len = header.remaining_length as usize;
        if src.len() < len {
            return Outcome::Incomplete;
        }
        let mut body = src.split_to(len).freeze();
        match Packet::decode_from_body_with_version(header.packet_type, &header, &mut body, LEVEL) {
            Ok(packet) => {
                let taken = bytes.len() - src.len() - body.remaining();
                Outcome::Accepted(format!("{packet:?}"), Some(taken))
            }
            Err(error) => Outcome::Refused(format!("{error:?}")),
        }
    }

    /// As mqtt5 does it: PUBLISH straight into the buffer, the others through a `Vec` for the body.
    #[inline(always)]
    fn write(packet: &Packet, dst: &mut BytesMut) {
        let written = match packet {
            Packet::Publish(packet) => {
                dst.put_u8((u8::from(PacketType::Publish) << 4) | (packet.flags() & 15));
                encode_variable_int(dst, packet.body_encoded_size() as u32).unwrap();
                packet.encode_body_direct(dst)
            }
            Packet::Connect(packet) => packet.encode(dst),
            Packet::ConnAck(packet) => packet.encode(dst),
            Packet::PubAck(packet) => packet.encode(dst),
            Packet::PubRec(packet) => packet.encode(dst),
            Packet::PubRel(packet) => packet.encode(dst),
            Packet::PubComp(packet) => packet.encode(dst),
            Packet::Subscribe(packet) => packet.encode(dst),
            Packet::SubAck(packet) => packet.encode(dst),
            Packet::Unsubscribe(packet) => packet.encode(dst),
            Packet::UnsubAck(packet) => packet.encode(dst),
            Packet::Disconnect(packet) => packet.encode(dst),
            Packet::Auth(packet) => packet.encode(dst),
            Packet::PingReq => FixedHeader::new(PacketType::PingReq, 0, 0).encode(dst),
            Packet::PingResp => FixedHeader::new(PacketType::PingResp, 0, 0).encode(dst),
        };
        written.unwrap();
    }
}
