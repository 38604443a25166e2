//! How large values are on a 64-bit machine: whoever makes one larger says so here.
#![cfg(all(feature = "bytes", target_pointer_width = "64"))]

use bytes::Bytes;
use mqtt_proto::*;

macro_rules! sizes {
    ($($type:ty = $size:literal;)*) => {
        [$((stringify!($type), size_of::<$type>(), $size),)*]
    };
}

#[test]
fn values_are_as_large_as_they_were() {
    let sizes = sizes! {
        DecodeErrorKind = 2;
        DecodeError = 8;
        EncodeError = 24;
        PropertyError = 2;
        FrameHeader = 8;
        Decoder = 24;
        Option<PacketId> = 2;
        Delivery = 4;
        TopicName<Bytes> = 40;
        Properties<&[u8]> = 24;
        Properties<Bytes> = 40;
        Ack<&[u8]> = 32;
        Ack<Bytes> = 48;
        Message<&[u8]> = 80;
        Message<Bytes> = 112;
        Publish<&[u8]> = 88;
        Publish<Bytes> = 120;
        Connect<&[u8]> = 168;
        ConnectPacket<&[u8]> = 56;
        ConnectPacket<Bytes> = 88;
        Packet<&[u8]> = 88;
        Packet<Bytes> = 120;
        Result<Status<Packet<Bytes>>, DecodeError> = 120;
    };
    let wrong: Vec<_> = sizes.into_iter().filter(|(_, size, expected)| size != expected).collect();
    assert!(wrong.is_empty(), "type, size, expected: {wrong:#?}");
}
