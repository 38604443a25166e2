use alloc::{format, vec::Vec};

use arbitrary::{Arbitrary, Unstructured};
use bytes::{Bytes, BytesMut};

use super::{ROLES, Sent, VERSIONS, encode, oracle};
use crate::{
    Decoder, Packet, PacketType, PropertyOwner, ProtocolVersion, Publication, Role, Status,
};

/// A packet made of the bytes: what is encoded decodes to itself in both storages, in the other
/// version it says the same or is refused, and a packet that its sender may send is not refused.
pub fn roundtrip(data: &[u8]) {
    let Ok(sent) = Sent::arbitrary(&mut Unstructured::new(data)) else { return };
    for version in VERSIONS {
        let must = sent.legal && version == sent.version;
        match encode(&sent.packet, version) {
            Ok(bytes) => {
                // Slow, and tells nothing new of long ones.
                assert!(bytes.len() > 1000 || !format!("{sent:?}").is_empty());
                let readers: Vec<_> = ROLES
                    .into_iter()
                    .filter(|&sender| reads_itself(&sent.packet, &bytes, sender, version))
                    .collect();
                assert!(!must || readers.contains(&sent.sender), "{sent:?} was not read");
                let nobody = readers.is_empty() && !is_of_both_sides(&sent.packet);
                assert!(!nobody, "{sent:?} was written, but nobody reads it");
            }
            Err(error) => assert!(!must, "{sent:?}: {error}"),
        }
    }
    check_copies(&sent.packet);
}

/// Whether what `sender` sends is read, and then as what it was.
fn reads_itself(
    packet: &Packet<Bytes>,
    bytes: &[u8],
    sender: Role,
    version: ProtocolVersion,
) -> bool {
    let mut decoder = Decoder::new(sender, version);
    let mut src = BytesMut::from(bytes);
    let owned = decoder.clone().decode_bytes(&mut src);
    let Ok(borrowed) = decoder.decode(bytes) else {
        assert!(owned.is_err());
        return false;
    };
    let Status::Ready((borrowed, len)) = borrowed else { panic!("{packet:?} is too short") };
    assert_eq!(len, bytes.len());
    assert!(src.is_empty());
    assert_eq!(borrowed.to_bytes(), *packet);
    assert_eq!(owned.as_ref(), Ok(&Status::Ready(packet.clone())));
    assert_eq!(encode(&borrowed, version).as_deref(), Ok(bytes));
    oracle::check(&borrowed, sender, version);
    if packet.packet_type() == PacketType::Connect {
        assert_eq!(Decoder::awaiting_connect().decode(bytes), Ok(Status::Ready((borrowed, len))));
    }
    true
}

/// The encoder is not told who sends, so a DISCONNECT may say what only a client may say beside
/// what only a server may say. Nobody reads that.
fn is_of_both_sides(packet: &Packet<Bytes>) -> bool {
    let Packet::Disconnect(packet) = packet else { return false };
    let owner = PropertyOwner::Packet(PacketType::Disconnect);
    let may_send = |sender| {
        packet.reason.is_legal_in(PacketType::Disconnect, sender)
            && oracle::property_list(packet.properties.as_bytes(), owner, Some(sender)).is_some()
    };
    let may_have = oracle::property_list(packet.properties.as_bytes(), owner, None).is_some();
    may_have && !ROLES.into_iter().any(may_send)
}

/// Copies and borrowed views say the same.
fn check_copies(packet: &Packet<Bytes>) {
    assert_eq!(packet.clone().map(&mut |bytes: Bytes| Bytes::copy_from_slice(&bytes)), *packet);
    match packet {
        Packet::Publish(publish) => {
            assert_eq!(publish.as_ref().message, publish.message.detach().as_ref());
            assert_eq!(publish.message.detach(), publish.message);
        }
        Packet::Connect(connect) => {
            let Some(will) = &connect.will else { return };
            assert_eq!(will.detach(), *will);
            assert_eq!(will.as_ref(), will.detach().as_ref());
            let message = will.message.clone();
            let again = Publication::new(message.topic, message.payload)
                .with_qos(will.qos)
                .with_retain(will.retain)
                .with_properties(message.properties);
            assert_eq!(again, *will);
        }
        _ => {}
    }
}
