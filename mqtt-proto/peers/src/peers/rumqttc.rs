//! rumqttc: `Packet::read` and `Packet::write` of its two modules.

use bytes::BytesMut;
use rumqttc::{mqttbytes as v4, v5::mqttbytes as v5};

use super::BytesMutCodec;
use crate::{Kind, Peer};

pub(crate) fn peer() -> Peer {
    Peer { name: "rumqttc", kind: Kind::Owned, codecs: vec![V4::codec(), V5::codec()] }
}

const MAX_SIZE: usize = 1 << 28;

struct V4;

impl BytesMutCodec for V4 {
    const LEVEL: u8 = 4;
    const SIZES: [usize; 2] = [size_of::<Self::Packet>(), size_of::<rumqttc::Publish>()];
    type Packet = rumqttc::Packet;
    type Error = v4::Error;

    #[inline(always)]
    fn read(src: &mut BytesMut) -> Result<Self::Packet, Self::Error> {
        rumqttc::Packet::read(src, MAX_SIZE)
    }

    fn is_incomplete(error: &Self::Error) -> bool {
        matches!(error, v4::Error::InsufficientBytes(_))
    }

    #[inline(always)]
    fn write(packet: &Self::Packet, dst: &mut BytesMut) {
        packet.write(dst, MAX_SIZE).unwrap();
    }
}

struct V5;

impl BytesMutCodec for V5 {
    const LEVEL: u8 = 5;
    const SIZES: [usize; 2] = [size_of::<Self::Packet>(), size_of::<v5::v5::Publish>()];
    type Packet = v5::v5::Packet;
    type Error = v5::Error;

    #[inline(always)]
    fn read(src: &mut BytesMut) -> Result<Self::Packet, Self::Error> {
        v5::v5::Packet::read(src, None)
    }

    fn is_incomplete(error: &Self::Error) -> bool {
        matches!(error, v5::Error::InsufficientBytes(_))
    }

    #[inline(always)]
    fn write(packet: &Self::Packet, dst: &mut BytesMut) {
        packet.write(dst, None).unwrap();
    }
}
