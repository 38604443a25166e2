//! UTF-8 encoded strings, section 1.5.4 (1.5.3 in 3.1.1), in every field that is one.

use bytes::Bytes;
use conformance::Run;
use mqtt_proto::*;

use crate::{
    check::{self, MALFORMED},
    common::wire::{behind_u16, behind_varint, frame},
};

/// Not well-formed UTF-8: surrogates, overlong forms, sequences cut short, bytes that never occur, and more.
const NOT_UTF8: [&[u8]; 16] = [
    &[0xed, 0xa0, 0x80],
    &[0xed, 0xbf, 0xbf],
    &[0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80],
    &[0xc0, 0xaf],
    &[0xc0, 0x80],
    &[0xe0, 0x80, 0xaf],
    &[0xf0, 0x80, 0x80, 0xaf],
    &[0xe2, 0x82],
    &[0xf0, 0x9f, 0x98],
    &[0xc3],
    &[0x80],
    &[0xbf],
    &[0xfe],
    &[0xff],
    &[0xf4, 0x90, 0x80, 0x80],
    &[0xf8, 0x88, 0x80, 0x80, 0x80],
];

/// What a field is made of in a value.
enum Made {
    Text,
    Name,
    Filter,
    Property(PropertyId, PropertyOwner),
    /// The name of a User Property, or its value.
    PairOf(bool),
}

/// A field, the statements that say it is a string, and the packet around it.
struct Field {
    ids: &'static [&'static str],
    from: Role,
    made: Made,
    packet: fn(&[u8]) -> Vec<u8>,
}

const fn field(
    ids: &'static [&'static str],
    from: Role,
    made: Made,
    packet: fn(&[u8]) -> Vec<u8>,
) -> Field {
    Field { ids, from, made, packet }
}

/// Each is a string of 5.0, in a packet that is in order but for it.
fn fields_of_v5() -> Vec<Field> {
    use PacketType::*;
    use Role::{Client, Server};

    let of = |id, packet| Made::Property(id, PropertyOwner::Packet(packet));
    let of_will = |id| Made::Property(id, PropertyOwner::Will);
    vec![
        field(&["v5 MQTT-3.1.3-4"], Client, Made::Text, |text| {
            frame(0x10, &[b"\0\x04MQTT\x05\x02\0\x3c\0", &behind_u16(text)])
        }),
        field(&["v5 MQTT-3.1.3-11"], Client, Made::Name, |text| {
            let head = b"\0\x04MQTT\x05\x06\0\x3c\0\0\x01c\0";
            frame(0x10, &[head, &behind_u16(text), &[0, 0]])
        }),
        field(&["v5 MQTT-3.1.3-12"], Client, Made::Text, |text| {
            frame(0x10, &[b"\0\x04MQTT\x05\x82\0\x3c\0\0\x01c", &behind_u16(text)])
        }),
        field(&["v5 MQTT-3.3.2-1"], Client, Made::Name, |text| {
            frame(0x30, &[&behind_u16(text), &[0]])
        }),
        field(&["v5 MQTT-3.8.3-1"], Client, Made::Filter, |text| {
            frame(0x82, &[&[0, 1, 0, 0, 1, b'a', 0], &behind_u16(text), &[0]])
        }),
        field(&["v5 MQTT-3.10.3-1"], Client, Made::Filter, |text| {
            frame(0xa2, &[&[0, 1, 0, 0, 1, b'a'], &behind_u16(text)])
        }),
        field(&["v5 MQTT-3.3.2-13"], Client, of(PropertyId::ResponseTopic, Publish), |text| {
            publish_with(0x08, &behind_u16(text))
        }),
        field(&["v5 MQTT-3.3.2-19"], Client, of(PropertyId::ContentType, Publish), |text| {
            publish_with(0x03, &behind_u16(text))
        }),
        field(&["v5 MQTT-1.5.7-1"], Client, Made::PairOf(true), |text| {
            publish_with(0x26, &[behind_u16(text), behind_u16(b"v")].concat())
        }),
        field(&["v5 MQTT-1.5.7-1"], Client, Made::PairOf(false), |text| {
            publish_with(0x26, &[behind_u16(b"n"), behind_u16(text)].concat())
        }),
        field(&[], Client, of_will(PropertyId::ContentType), |text| will_with(0x03, text)),
        field(&[], Client, of_will(PropertyId::ResponseTopic), |text| will_with(0x08, text)),
        field(&[], Client, of(PropertyId::AuthenticationMethod, Connect), |text| {
            let list = behind_varint(&[&[0x15], &behind_u16(text)[..]].concat());
            frame(0x10, &[b"\0\x04MQTT\x05\x02\0\x3c", &list, &[0, 0]])
        }),
        field(&[], Server, of(PropertyId::AssignedClientIdentifier, ConnAck), |text| {
            connack_with(0x12, text)
        }),
        field(&[], Server, of(PropertyId::ResponseInformation, ConnAck), |text| {
            connack_with(0x1a, text)
        }),
        field(&[], Server, of(PropertyId::ServerReference, ConnAck), |text| {
            connack_with(0x1c, text)
        }),
        field(&[], Server, of(PropertyId::ReasonString, ConnAck), |text| connack_with(0x1f, text)),
    ]
}

fn fields_of_v311() -> Vec<Field> {
    use Role::Client;
    vec![
        field(&["v3.1.1 MQTT-3.1.3-4"], Client, Made::Text, |text| {
            frame(0x10, &[b"\0\x04MQTT\x04\x02\0\x3c", &behind_u16(text)])
        }),
        field(&["v3.1.1 MQTT-3.1.3-10"], Client, Made::Name, |text| {
            let head = b"\0\x04MQTT\x04\x06\0\x3c\0\x01c";
            frame(0x10, &[head, &behind_u16(text), &[0, 0]])
        }),
        field(&["v3.1.1 MQTT-3.1.3-11"], Client, Made::Text, |text| {
            frame(0x10, &[b"\0\x04MQTT\x04\x82\0\x3c\0\x01c", &behind_u16(text)])
        }),
        field(&["v3.1.1 MQTT-3.3.2-1"], Client, Made::Name, |text| {
            frame(0x30, &[&behind_u16(text)])
        }),
        field(&["v3.1.1 MQTT-3.8.3-1"], Client, Made::Filter, |text| {
            frame(0x82, &[&[0, 1, 0, 1, b'a', 0], &behind_u16(text), &[0]])
        }),
        field(&["v3.1.1 MQTT-3.10.3-1"], Client, Made::Filter, |text| {
            frame(0xa2, &[&[0, 1, 0, 1, b'a'], &behind_u16(text)])
        }),
    ]
}

fn publish_with(id: u8, value: &[u8]) -> Vec<u8> {
    frame(0x30, &[&[0, 1, b'a'], &behind_varint(&[&[id], value].concat())])
}

fn will_with(id: u8, text: &[u8]) -> Vec<u8> {
    let list = behind_varint(&[&[id], &behind_u16(text)[..]].concat());
    frame(0x10, &[b"\0\x04MQTT\x05\x06\0\x3c\0\0\x01c", &list, b"\0\x01w\0\0"])
}

fn connack_with(id: u8, text: &[u8]) -> Vec<u8> {
    frame(0x20, &[&[0, 0], &behind_varint(&[&[id], &behind_u16(text)[..]].concat())])
}

/// Not UTF-8 or U+0000, alone and between other text, is read nowhere and made nowhere.
pub(crate) fn text_in_every_field(run: &mut Run) {
    for (fields, utf8, nul, topic_nul) in [
        (fields_of_v5(), "v5 MQTT-1.5.4-1", "v5 MQTT-1.5.4-2", "v5 MQTT-4.7.3-2"),
        (fields_of_v311(), "v3.1.1 MQTT-1.5.3-1", "v3.1.1 MQTT-1.5.3-2", "v3.1.1 MQTT-4.7.3-2"),
    ] {
        for field in fields {
            let is_topic = matches!(field.made, Made::Name | Made::Filter);
            let utf8 = [field.ids, &[utf8]].concat();
            let mut nul = [field.ids, &[nul]].concat();
            nul.extend(is_topic.then_some(topic_nul));
            for text in NOT_UTF8 {
                for text in [text.to_vec(), [b"ab", text, b"cd"].concat()] {
                    let kind = DecodeErrorKind::InvalidUtf8;
                    check::refuses(run, &utf8, field.from, &(field.packet)(&text), kind, MALFORMED);
                    let made = field.made.of_bytes(&text);
                    run.encoding(&utf8).equal(
                        made,
                        Err(Refused::Utf8),
                        format_args!("{text:02x?}"),
                    );
                }
            }
            for text in [&b"\0"[..], b"a\0b", b"abcdefgh\0", "\u{20ac}\0".as_bytes()] {
                let kind = DecodeErrorKind::NulCharacter;
                check::refuses(run, &nul, field.from, &(field.packet)(text), kind, MALFORMED);
                let made = field.made.of_bytes(text);
                run.encoding(&nul).equal(made, Err(Refused::Nul), format_args!("{text:02x?}"));
            }
            // Two-, three- and four-byte characters, and the neighbours of what is refused.
            for text in ["\u{fc}\u{20ac}\u{1f600}", "\u{1}", "\u{d7ff}\u{e000}", "\u{10ffff}"] {
                let bytes = (field.packet)(text.as_bytes());
                let packet = check::decode(check::version(&utf8), field.from, &bytes);
                run.decoding(&utf8).holds(packet.is_ok(), text);
                run.decoding(&nul).holds(packet.is_ok(), text);
                if let Ok(packet) = packet {
                    check::encodes(run, &utf8, &packet, &bytes);
                    check::encodes(run, &nul, &packet, &bytes);
                }
                run.encoding(&utf8).equal(field.made.of_bytes(text.as_bytes()), Ok(()), text);
            }
        }
    }
}

/// U+FEFF is a character like any other: kept where it is, never taken for a mark.
pub(crate) fn byte_order_marks(run: &mut Run) {
    for (fields, id) in
        [(fields_of_v5(), "v5 MQTT-1.5.4-3"), (fields_of_v311(), "v3.1.1 MQTT-1.5.3-3")]
    {
        for field in fields {
            for text in ["\u{feff}", "\u{feff}ab", "a\u{feff}b", "ab\u{feff}", "\u{feff}\u{feff}"] {
                let bytes = (field.packet)(text.as_bytes());
                let packet = check::decode(check::version(&[id]), field.from, &bytes);
                run.decoding(&[id]).holds(packet.is_ok(), text);
                if let Ok(packet) = packet {
                    let shown = format!("{packet:?}");
                    let kept = shown.contains('\u{feff}') || shown.contains("\\u{feff}");
                    run.decoding(&[id]).holds(kept, format_args!("{text:?} in {shown}"));
                    check::encodes(run, &[id], &packet, &bytes);
                }
            }
        }
    }
}

#[derive(Debug, PartialEq)]
enum Refused {
    Utf8,
    Nul,
    Else,
}

impl Made {
    /// Makes the value of a field from bytes, as far as they are text; a property also from `&str` where they are.
    fn of_bytes(&self, bytes: &[u8]) -> Result<(), Refused> {
        let of_text = |error| match error {
            StringError::InvalidUtf8 => Refused::Utf8,
            StringError::Nul => Refused::Nul,
            _ => Refused::Else,
        };
        let of_wire = |error| match error {
            DecodeErrorKind::InvalidUtf8 => Refused::Utf8,
            DecodeErrorKind::NulCharacter => Refused::Nul,
            _ => Refused::Else,
        };
        let listed = |id: PropertyId, value: &[u8], owner| {
            let list = Bytes::from([&[id as u8], value].concat());
            Properties::from_wire(list, owner).map(|_| ()).map_err(of_wire)
        };
        let publish = PropertyOwner::Packet(PacketType::Publish);
        let made = match self {
            Self::Text => Str::new(bytes).map(|_| ()).map_err(of_text),
            Self::Name => TopicName::new(bytes).map(|_| ()).map_err(of_text),
            Self::Filter => TopicFilter::new(bytes).map(|_| ()).map_err(of_text),
            Self::Property(id, owner) => listed(*id, &behind_u16(bytes), *owner),
            Self::PairOf(name) => {
                let [other, bytes] = [&b"x"[..], bytes].map(behind_u16);
                let pair = if *name { [bytes, other] } else { [other, bytes] };
                listed(PropertyId::UserProperty, &pair.concat(), publish)
            }
        };
        if let Ok(text) = std::str::from_utf8(bytes) {
            let built = self.of_str(text);
            assert_eq!(built.map_err(of_text), made, "{text:?} made in two ways");
        }
        made
    }

    fn of_str(&self, text: &str) -> Result<(), StringError> {
        let property = match self {
            Self::Text => return Str::<Bytes>::try_from(text).map(|_| ()),
            Self::Name => return TopicName::<Bytes>::try_from(text).map(|_| ()),
            Self::Filter => return TopicFilter::<Bytes>::try_from(text).map(|_| ()),
            Self::PairOf(true) => Property::UserProperty((text, "x")),
            Self::PairOf(false) => Property::UserProperty(("x", text)),
            Self::Property(id, _) => match id {
                PropertyId::ResponseTopic => Property::ResponseTopic(text),
                PropertyId::ContentType => Property::ContentType(text),
                PropertyId::AuthenticationMethod => Property::AuthenticationMethod(text),
                PropertyId::AssignedClientIdentifier => Property::AssignedClientIdentifier(text),
                PropertyId::ResponseInformation => Property::ResponseInformation(text),
                PropertyId::ServerReference => Property::ServerReference(text),
                PropertyId::ReasonString => Property::ReasonString(text),
                id => panic!("{id:?} is no text"),
            },
        };
        match Properties::new([property]) {
            Ok(_) => Ok(()),
            Err(PropertyError::Text(_, error)) => Err(error),
            Err(error) => panic!("{error}"),
        }
    }
}
