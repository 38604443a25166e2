//! mqttbytes: `read` of its two modules, and `write` of each packet.

use bytes::BytesMut;
use mqttbytes::{Error, v4, v5};

use super::BytesMutCodec;
use crate::{Kind, Peer};

pub(crate) fn peer() -> Peer {
    Peer { name: "mqttbytes", kind: Kind::Owned, codecs: vec![V4::codec(), V5::codec()] }
}

const MAX_SIZE: usize = 1 << 28;

struct V4;

impl BytesMutCodec for V4 {
    const LEVEL: u8 = 4;
    const SIZES: [usize; 2] = [size_of::<Self::Packet>(), size_of::<v4::Publish>()];
    type Packet = v4::Packet;
    type Error = Error;

    #[inline(always)]
    fn read(src: &mut BytesMut) -> Result<Self::Packet, Self::Error> {
        v4::read(src, MAX_SIZE)
    }

    fn is_incomplete(error: &Self::Error) -> bool {
        matches!(error, Error::InsufficientBytes(_))
    }

    #[inline(always)]
    fn write(packet: &Self::Packet, dst: &mut BytesMut) {
        use v4::Packet;
        let written = match packet {
            Packet::Connect(packet) => packet.write(dst),
            Packet::ConnAck(packet) => packet.write(dst),
            Packet::Publish(packet) => packet.write(dst),
            Packet::PubAck(packet) => packet.write(dst),
            Packet::PubRec(packet) => packet.write(dst),
            Packet::PubRel(packet) => packet.write(dst),
            Packet::PubComp(packet) => packet.write(dst),
            Packet::Subscribe(packet) => packet.write(dst),
            Packet::SubAck(packet) => packet.write(dst),
            Packet::Unsubscribe(packet) => packet.write(dst),
            Packet::UnsubAck(packet) => packet.write(dst),
            Packet::PingReq => v4::PingReq.write(dst),
            Packet::PingResp => v4::PingResp.write(dst),
            Packet::Disconnect => v4::Disconnect.write(dst),
        };
        written.unwrap();
    }
}

struct V5;

impl BytesMutCodec for V5 {
    const LEVEL: u8 = 5;
    const SIZES: [usize; 2] = [size_of::<Self::Packet>(), size_of::<v5::Publish>()];
    type Packet = v5::Packet;
    type Error = Error;

    #[inline(always)]
    fn read(src: &mut BytesMut) -> Result<Self::Packet, Self::Error> {
        v5::read(src, MAX_SIZE)
    }

    fn is_incomplete(error: &Self::Error) -> bool {
        matches!(error, Error::InsufficientBytes(_))
    }

    #[inline(always)]
    fn write(packet: &Self::Packet, dst: &mut BytesMut) {
        use v5::Packet;
        let written = match packet {
            Packet::Connect(packet) => packet.write(dst),
            Packet::ConnAck(packet) => packet.write(dst),
            Packet::Publish(packet) => packet.write(dst),
            Packet::PubAck(packet) => packet.write(dst),
            Packet::PubRec(packet) => packet.write(dst),
            Packet::PubRel(packet) => packet.write(dst),
            Packet::PubComp(packet) => packet.write(dst),
            Packet::Subscribe(packet) => packet.write(dst),
            Packet::SubAck(packet) => packet.write(dst),
            Packet::Unsubscribe(packet) => packet.write(dst),
            Packet::UnsubAck(packet) => packet.write(dst),
            Packet::PingReq => v5::PingReq.write(dst),
            Packet::PingResp => v5::PingResp.write(dst),
            Packet::Disconnect(packet) => packet.write(dst),
        };
        written.unwrap();
    }
}
