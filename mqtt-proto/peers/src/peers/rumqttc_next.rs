//! rumqttc-v4-next and rumqttc-v5-next, the maintained fork of rumqttc.

use bytes::BytesMut;
use rumqttc_next_v4 as v4;
use rumqttc_next_v5 as v5;

use super::BytesMutCodec;
use crate::{Kind, Peer};

pub(crate) fn peer() -> Peer {
    Peer { name: "rumqttc-next", kind: Kind::Owned, codecs: vec![V4::codec(), V5::codec()] }
}

const MAX_SIZE: usize = 1 << 28;

struct V4;

impl BytesMutCodec for V4 {
    const LEVEL: u8 = 4;
    const SIZES: [usize; 2] = [size_of::<Self::Packet>(), size_of::<v4::Publish>()];
    type Packet = v4::Packet;
    type Error = v4::Error;

    #[inline(always)]
    fn read(src: &mut BytesMut) -> Result<Self::Packet, Self::Error> {
        v4::Packet::read(src, MAX_SIZE)
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
    const SIZES: [usize; 2] = [size_of::<Self::Packet>(), size_of::<v5::Publish>()];
    type Packet = v5::Packet;
    type Error = v5::Error;

    #[inline(always)]
    fn read(src: &mut BytesMut) -> Result<Self::Packet, Self::Error> {
        v5::Packet::read(src, None)
    }

    fn is_incomplete(error: &Self::Error) -> bool {
        matches!(error, v5::Error::InsufficientBytes(_))
    }

    #[inline(always)]
    fn write(packet: &Self::Packet, dst: &mut BytesMut) {
        packet.write(dst, None).unwrap();
    }
}
