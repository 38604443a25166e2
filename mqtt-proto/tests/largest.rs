//! The largest packets there can be: lengths are 32 bits wide until they are known to be no longer
//! than the bytes there are. What nobody looks at is never given memory, so this costs little.
#![cfg(all(feature = "bytes", target_pointer_width = "64"))]

use bytes::{Buf, BytesMut};
use mqtt_proto::*;

/// The largest remaining length, section 2.1.4.
const LARGEST: u32 = 268_435_455;
const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::V311, ProtocolVersion::V5];

/// A PUBLISH of topic `t` without properties, and what comes before its payload.
fn publish(payload: &[u8]) -> Publish<&[u8]> {
    let topic = TopicName::try_from("t").unwrap();
    let message = Message { topic, payload, properties: Properties::default() };
    Publish { delivery: Delivery::AtMostOnce, retain: false, message }
}

fn head(version: ProtocolVersion) -> &'static [u8] {
    match version {
        ProtocolVersion::V311 => b"\x30\xff\xff\xff\x7f\0\x01t",
        ProtocolVersion::V5 => b"\x30\xff\xff\xff\x7f\0\x01t\0",
    }
}

#[test]
fn the_largest_publish_is_written_and_one_byte_more_is_not() {
    let zeros = vec![0; LARGEST as usize];
    for version in VERSIONS {
        let most = MAX_PACKET_SIZE as usize - head(version).len();
        let largest = publish(&zeros[..most]);
        assert_eq!(largest.encoded_len(version), Ok(MAX_PACKET_SIZE));
        assert_eq!(largest.head_len(version), Ok(head(version).len() as u32));
        let mut written = Vec::new();
        largest.encode_head(version, &mut written).unwrap();
        assert_eq!(written, head(version));
        let packet = Packet::Publish(largest);
        let too_large = EncodeError::PacketTooLarge { size: MAX_PACKET_SIZE, limit: LARGEST };
        assert_eq!(packet.encoded_len_within(version, MAX_PACKET_SIZE), Ok(MAX_PACKET_SIZE));
        assert_eq!(packet.encoded_len_within(version, LARGEST), Err(too_large));
        let no_room = Err(EncodeError::BufferTooSmall);
        assert_eq!(packet.encode_to_slice(version, &mut [0; 100]), no_room);

        let larger = publish(&zeros[..=most]);
        let packet = Packet::Publish(larger);
        written.clear();
        assert_eq!(packet.encoded_len(version), Err(EncodeError::TooLong));
        assert_eq!(packet.encoded_len_within(version, u32::MAX), Err(EncodeError::TooLong));
        assert_eq!(packet.encode(version, &mut written), Err(EncodeError::TooLong));
        assert_eq!(packet.encode_to_slice(version, &mut [0; 100]), Err(EncodeError::TooLong));
        assert_eq!(larger.head_len(version), Err(EncodeError::TooLong));
        assert_eq!(larger.encode_head(version, &mut written), Err(EncodeError::TooLong));
        assert_eq!(written, []);
    }
}

/// The largest remaining length is that of what is written, not of the message.
#[test]
fn an_alias_in_the_place_of_a_topic_name_makes_room_for_the_largest() {
    let zeros = vec![0; LARGEST as usize];
    let most = LARGEST as usize - b"\0\0\x03\x23\0\x01".len();
    let alias = core::num::NonZeroU16::MIN;
    let written = |payload, alias| {
        let topic = TopicName::try_from("topic").unwrap();
        let publish = Publish::new(topic, &zeros[..payload]);
        let overrides = PublishOverrides { topic_alias: alias, ..Default::default() };
        publish.encoded_len_with(ProtocolVersion::V5, overrides)
    };
    assert_eq!(written(most, Some(TopicAlias::Use(alias))), Ok(MAX_PACKET_SIZE));
    assert_eq!(written(most + 1, Some(TopicAlias::Use(alias))), Err(EncodeError::TooLong));
    assert_eq!(written(most, None), Err(EncodeError::TooLong));
    assert_eq!(written(most - 2, None), Ok(MAX_PACKET_SIZE));
    assert_eq!(written(most - 2, Some(TopicAlias::Set(alias))), Err(EncodeError::TooLong));
    assert_eq!(written(most - 5, Some(TopicAlias::Set(alias))), Ok(MAX_PACKET_SIZE));
}

#[test]
fn the_largest_publish_is_read_borrowed_and_owned() {
    for version in VERSIONS {
        let head = head(version);
        let mut bytes = BytesMut::zeroed(MAX_PACKET_SIZE as usize + 1);
        bytes[..head.len()].copy_from_slice(head);
        let payload = MAX_PACKET_SIZE as usize - head.len();
        let mut decoder = Decoder::new(Role::Client, version);

        let header = decoder.header(&bytes[..5]).unwrap().ready().unwrap();
        assert_eq!(header.packet_len(), MAX_PACKET_SIZE);
        for there in [5, 100, MAX_PACKET_SIZE as usize - 1] {
            let missing = decoder.decode(&bytes[..there]).unwrap();
            let Status::NeedMore(missing) = missing else { panic!("{missing:?}") };
            assert_eq!(missing.get(), MAX_PACKET_SIZE - there as u32);
        }
        let (borrowed, len) = decoder.decode(&bytes).unwrap().ready().unwrap();
        assert_eq!(len, MAX_PACKET_SIZE as usize);
        let Packet::Publish(borrowed) = borrowed else { panic!() };
        assert_eq!(borrowed.message.payload.len(), payload);
        assert_eq!(borrowed.encoded_len(version), Ok(MAX_PACKET_SIZE));

        let owned = decoder.decode_bytes(&mut bytes).unwrap().ready().unwrap();
        let Packet::Publish(owned) = owned else { panic!() };
        assert_eq!(owned.message.payload.len(), payload);
        assert_eq!(bytes.remaining(), 1);
    }
}

/// Every length that cannot be is refused at once, however little is there.
#[test]
fn lengths_above_the_limit_are_refused_before_anything_comes() {
    for (bytes, limit, legal) in [
        (&b"\x30\xff\xff\xff\x7f"[..], MAX_PACKET_SIZE, true),
        (b"\x30\xff\xff\xff\x7f", u32::MAX, true),
        (b"\x30\xff\xff\xff\x7f", MAX_PACKET_SIZE - 1, false),
        (b"\x30\xff\xff\x03", 65_535 + 4, true),
        (b"\x30\xff\xff\x03", 65_535 + 3, false),
        (b"\x30\x80\x80\x04", 65_536 + 4, true),
        (b"\x30\x80\x80\x04", 65_536 + 3, false),
        // Where 16 bits would see a packet of four bytes, which are there.
        (b"\x30\x80\x80\x04", 4, false),
    ] {
        for version in VERSIONS {
            let decoder = Decoder::new(Role::Client, version).with_max_packet_size(limit);
            let result = decoder.clone().decode(bytes).map(Status::ready);
            let too_large = |error: DecodeError| error.kind() == DecodeErrorKind::PacketTooLarge;
            match legal {
                true => assert_eq!(result, Ok(None), "{bytes:02x?} {limit}"),
                false => assert!(result.is_err_and(too_large), "{bytes:02x?} {limit}"),
            }
        }
    }
}

const GREATEST_USER_PROPERTY: usize = 5 + 2 * 65_535;

/// Fills a list with User Properties of the greatest length, and a last one of what is left.
fn fill(block: &mut [u8]) {
    block.fill(b'a');
    let (mut start, len) = (0, block.len());
    while start < len {
        let mut this = (len - start).min(GREATEST_USER_PROPERTY);
        // What is left over must hold the least there is.
        if (1..5).contains(&(len - start - this)) {
            this -= 5;
        }
        let (name, value) = ((this - 5).min(65_535), (this - 5).saturating_sub(65_535));
        block[start] = 0x26;
        block[start + 1..start + 3].copy_from_slice(&(name as u16).to_be_bytes());
        let at = start + 3 + name;
        block[at..at + 2].copy_from_slice(&(value as u16).to_be_bytes());
        start += this;
    }
}

const OWNER: PropertyOwner = PropertyOwner::Packet(PacketType::Publish);

fn with_list(block: &[u8]) -> Publish<&[u8]> {
    let properties = Properties::from_wire(block, OWNER).unwrap();
    let publish = publish(b"");
    Publish { message: Message { properties, ..publish.message }, ..publish }
}

#[test]
fn the_largest_property_list_is_read_and_written_and_one_byte_more_is_not() {
    let mut bytes = vec![0; MAX_PACKET_SIZE as usize + 1];
    // Refused for what it says, and for its length.
    let (largest, larger) = (&bytes[..LARGEST as usize], &bytes[..=LARGEST as usize]);
    assert_eq!(Properties::from_wire(largest, OWNER), Err(DecodeErrorKind::PropertyUnknown(0)));
    assert_eq!(Properties::from_wire(larger, OWNER), Err(DecodeErrorKind::VarIntTooLong));

    // Behind a topic name of one byte and the length of the list.
    const HEAD: &[u8] = b"\x30\xff\xff\xff\x7f\0\x01t\xf8\xff\xff\x7f";
    let version = ProtocolVersion::V5;
    fill(&mut bytes[HEAD.len()..]);
    let larger = with_list(&bytes[HEAD.len()..]);
    assert_eq!(larger.encoded_len(version), Err(EncodeError::TooLong));

    bytes.truncate(MAX_PACKET_SIZE as usize);
    fill(&mut bytes[HEAD.len()..]);
    bytes[..HEAD.len()].copy_from_slice(HEAD);
    let decoded = Decoder::new(Role::Client, version).decode(&bytes).unwrap();
    let Some((Packet::Publish(largest), len)) = decoded.ready() else { panic!() };
    assert_eq!(len, MAX_PACKET_SIZE as usize);
    assert_eq!(largest, with_list(&bytes[HEAD.len()..]));
    assert_eq!(largest.encoded_len(version), Ok(MAX_PACKET_SIZE));
    let properties = largest.message.properties;
    let expected = properties.as_bytes().len().div_ceil(GREATEST_USER_PROPERTY);
    assert_eq!(properties.user_properties().count(), expected);
    let no_room = Err(EncodeError::BufferTooSmall);
    assert_eq!(largest.encode(version, &mut &mut [0; 100][..]), no_room);
}
