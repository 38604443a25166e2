//! All 256 first bytes, sections 2.1.2 and 2.1.3.

use bytes::BytesMut;
use mqtt_proto::{DecodeErrorKind, Decoder, PacketType, ProtocolVersion, Role, Status};

use crate::{ROLES, VERSIONS, ran};

/// Table 2-1, by number: who sends it, and the flags that it must have; those of PUBLISH vary.
const TYPES: [(&str, u8); 16] = [
    ("nobody", 0),
    ("client", 0),
    ("server", 0),
    ("both", 0),
    ("both", 0),
    ("both", 0),
    ("both", 2),
    ("both", 0),
    ("client", 2),
    ("server", 0),
    ("client", 2),
    ("server", 0),
    ("client", 0),
    ("server", 0),
    ("both", 0),
    ("both", 0),
];

/// What is wrong with a first byte; `None` for a version that CONNECT is to tell.
fn fault(first: u8, sender: Role, version: Option<ProtocolVersion>) -> Option<DecodeErrorKind> {
    let (number, flags) = (first / 16, first % 16);
    let (senders, wanted) = TYPES[usize::from(number)];
    let v311 = version == Some(ProtocolVersion::V311);
    if number == 0 || number == 15 && v311 {
        return Some(DecodeErrorKind::ReservedPacketType(number));
    }
    if version.is_none() && number != 1 {
        return Some(DecodeErrorKind::ConnectExpected);
    }
    let sent = match sender {
        Role::Client => senders != "server",
        Role::Server => senders != "client" && !(number == 14 && v311),
    };
    if !sent {
        return PacketType::new(number).map(DecodeErrorKind::WrongSender);
    }
    if number != 3 {
        return (flags != wanted).then_some(DecodeErrorKind::FixedHeaderFlags);
    }
    match flags / 2 % 4 {
        3 => Some(DecodeErrorKind::QoS3),
        0 if flags >= 8 => Some(DecodeErrorKind::DupOnQoS0),
        _ => None,
    }
}

#[test]
fn every_first_byte_is_the_start_of_a_packet_or_refused_at_once() {
    let mut decoders = vec![(Decoder::awaiting_connect(), Role::Client, None)];
    for version in VERSIONS {
        for sender in ROLES {
            decoders.push((Decoder::new(sender, version), sender, Some(version)));
        }
    }
    let (mut count, mut legal) = (0, 0);
    for (decoder, sender, version) in decoders {
        for first in 0..=255 {
            let expected = fault(first, sender, version);
            check(&decoder, first, expected);
            legal += u64::from(expected.is_none());
            count += 1;
        }
    }
    ran("first bytes", count, 5 * 256);
    // PUBLISH has 10: 16 less 4 of QoS 3 and 2 of DUP at QoS 0. The other types have one each.
    ran("legal first bytes", legal, 1 + 19 + 18 + 20 + 20);
}

fn check(decoder: &Decoder, first: u8, expected: Option<DecodeErrorKind>) {
    // Whatever comes behind it, and how it is asked for.
    for bytes in [&[first][..], &[first, 0], &[first, 0xff, 0xff, 0xff, 0xff]] {
        let results = [
            decoder.clone().header(bytes).map(drop),
            decoder.clone().decode(bytes).map(drop),
            decoder.clone().decode_bytes(&mut BytesMut::from(bytes)).map(drop),
        ];
        for result in results {
            match (expected, result) {
                (Some(kind), Err(error)) => {
                    assert_eq!((error.kind(), error.offset()), (kind, 0), "{first:#04x}");
                }
                // Its rest may be wrong.
                (None, Ok(())) => {}
                (None, Err(error)) => assert_ne!(error.offset(), 0, "{first:#04x}: {error}"),
                (Some(kind), Ok(())) => panic!("{first:#04x} was accepted: {kind}"),
            }
        }
    }
    if expected.is_none() {
        let missing = decoder.clone().header(&[first]).unwrap();
        assert!(matches!(missing, Status::NeedMore(missing) if missing.get() == 1));
        let header = decoder.clone().header(&[first, 0]).unwrap().ready().unwrap();
        assert_eq!(header.packet_type() as u8, first / 16);
        assert_eq!(header.packet_len(), 2);
    }
}
