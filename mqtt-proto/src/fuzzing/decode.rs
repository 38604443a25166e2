use alloc::format;

use bytes::BytesMut;

use super::{ROLES, VERSIONS, encode, oracle, rebuild};
use crate::{
    DecodeError, DecodeErrorKind, Decoder, FrameHeader, MAX_DISPLAY_LEN, MAX_PACKET_SIZE, Packet,
    PacketRef, PacketType, ProtocolVersion, Role, Status,
};

/// One packet, from either side of either version: borrowed and owned are the same, what is
/// accepted is legal, and what is encoded again decodes to itself.
pub fn decode(data: &[u8]) {
    for sender in ROLES {
        for version in VERSIONS {
            check(Decoder::new(sender, version), sender, data);
        }
    }
    check(Decoder::awaiting_connect(), Role::Client, data);
}

fn check(decoder: Decoder, sender: Role, data: &[u8]) {
    let mut src = BytesMut::from(data);
    let owned = decoder.clone().decode_bytes(&mut src);
    let fresh = decoder.clone();
    let mut decoder = decoder;
    match decoder.decode(data) {
        Ok(Status::Ready((packet, len))) => {
            assert_eq!(owned, Ok(Status::Ready(packet.to_bytes())));
            assert_eq!(src, data[len..]);
            let version = decoder.version().expect("it read a packet");
            check_packet(&packet, sender, version);
            check_bytes(&packet, version, &data[..len]);
            check_frame(&fresh, &packet, &data[..len]);
            assert_eq!(decoder.decode(&data[..len]), Ok(Status::Ready((packet, len))));
        }
        Ok(Status::NeedMore(missing)) => {
            assert_eq!(owned, Ok(Status::NeedMore(missing)));
            assert_eq!(src, data);
        }
        Err(error) => {
            assert_eq!(owned, Err(error));
            check_error(&mut decoder, error, data);
        }
    }
}

fn check_packet(packet: &PacketRef<'_>, sender: Role, version: ProtocolVersion) {
    // Reads every text in it.
    assert!(!format!("{packet:?}").is_empty());
    oracle::check(packet, sender, version);
    rebuild::check(packet, version);
    for version in VERSIONS {
        // The other version says the same or nothing.
        let Ok(bytes) = encode(packet, version) else { continue };
        let same = Ok(Status::Ready((*packet, bytes.len())));
        let again = ROLES.map(|role| Decoder::new(role, version).decode(&bytes) == same);
        assert!(again.contains(&true), "{packet:?} is another in {version}");
    }
    assert!(format!("{packet}").len() <= MAX_DISPLAY_LEN);
    if let Packet::Connect(connect) = packet {
        assert_eq!(connect.fields().to_packet(), Ok(packet.to_bytes()));
    }
    if let Packet::Publish(publish) = packet {
        assert_eq!(publish.message.detach().as_ref(), publish.message);
        assert_eq!(publish.as_ref(), *publish);
    }
}

/// What was read is written again byte for byte, but in the shortest form.
fn check_bytes(packet: &PacketRef<'_>, version: ProtocolVersion, read: &[u8]) {
    let written = encode(packet, version).expect("what is decoded can be encoded");
    let (read_body, written_body) = (body(read), body(&written));
    assert_eq!(read[0], written[0]);
    let unsaid = read_body.strip_prefix(written_body).expect("the same, and then what is unsaid");
    use PacketType::{Auth, Disconnect, PubAck, PubComp, PubRec, PubRel};
    let may_be_short =
        matches!(packet.packet_type(), PubAck | PubRec | PubRel | PubComp | Disconnect | Auth);
    // A reason code of 0 and a property length of 0.
    let most = if may_be_short && version == ProtocolVersion::V5 { 2 } else { 0 };
    assert!(unsaid.len() <= most && unsaid.iter().all(|&byte| byte == 0), "{unsaid:x?} was lost");
}

/// What follows the fixed header.
fn body(packet: &[u8]) -> &[u8] {
    let length = packet[1..].iter().take_while(|&&byte| byte >= 0x80).count() + 1;
    &packet[1 + length..]
}

/// Where the packet ends is known from its header, and a limit counts all of it.
fn check_frame(decoder: &Decoder, packet: &PacketRef<'_>, bytes: &[u8]) {
    let len = bytes.len() as u32;
    let header = decoder.clone().header(bytes).expect("it was read").ready().expect("all of it");
    assert_eq!(header.packet_type(), packet.packet_type());
    assert_eq!(header.packet_len(), len);
    assert_eq!(FrameHeader::parse(bytes, MAX_PACKET_SIZE), Ok(Status::Ready(header)));

    let mut limited = decoder.clone().with_max_packet_size(len);
    assert!(limited.clone().decode(bytes).is_ok());
    limited.set_max_packet_size(len - 1);
    let refused = limited.decode(bytes).expect_err("it is larger than the limit");
    assert_eq!(refused.kind(), DecodeErrorKind::PacketTooLarge);

    for end in (0..bytes.len().min(8)).chain([bytes.len() - 1]) {
        let mut decoder = decoder.clone();
        let Ok(Status::NeedMore(missing)) = decoder.decode(&bytes[..end]) else {
            panic!("{end} bytes of {bytes:02x?} were taken for the whole");
        };
        assert!(end + missing.get() as usize <= bytes.len(), "{missing} after {end} is too many");
    }
}

/// The first error is the last word, and says something that fits.
fn check_error(decoder: &mut Decoder, error: DecodeError, data: &[u8]) {
    const PINGS: [&[u8]; 2] = [&[0xc0, 0], &[0xd0, 0]];
    for bytes in PINGS.into_iter().chain([data]) {
        assert_eq!(decoder.decode(bytes), Err(error));
        assert_eq!(decoder.decode_bytes(&mut BytesMut::from(bytes)), Err(error));
        assert_eq!(decoder.header(bytes), Err(error));
    }
    assert!(error.offset() as usize <= data.len(), "{error} of {}", data.len());
    assert!(error.reason_code().is_error());
    assert!(!format!("{error} {error:?}").is_empty());
    for sender in ROLES {
        let code = error.reason_code().for_disconnect(sender);
        assert!(code.is_legal_in(PacketType::Disconnect, sender));
    }
}
