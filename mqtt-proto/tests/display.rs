//! Packets as lines of a log: a packet on the wire and its exact line, what may never be in one,
//! and how long one may get.
#![cfg(feature = "bytes")]

mod common;

use bytes::{Bytes, BytesMut};
use common::rows;
use mqtt_proto::{
    Ack, Auth, ConnAck, Connect, Decoder, Delivery, Disconnect, MAX_DISPLAY_LEN, Message, Packet,
    PacketId, PacketType, Properties, PropertiesBuilder, Property, PropertyOwner, ProtocolVersion,
    Publication, Publish, QoS, ReasonCode, ReasonCodes, Role, Status, Str, SubAck, Subscribe,
    SubscribeFilters, SubscriptionOptions, TopicFilter, TopicName, UnsubAck, Unsubscribe,
    UnsubscribeFilters,
};

const SECRET: &str = "open sesame";
const ROLES: [Role; 2] = [Role::Client, Role::Server];
const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::V311, ProtocolVersion::V5];

fn topic(name: &str) -> TopicName<Bytes> {
    TopicName::try_from(name).unwrap()
}

fn properties<'a>(list: impl IntoIterator<Item = Property<'a>>) -> Properties<Bytes> {
    Properties::new(list).unwrap()
}

fn publish(name: &str, payload: impl AsRef<[u8]>) -> Packet<Bytes> {
    Packet::Publish(Publish::new(topic(name), Bytes::copy_from_slice(payload.as_ref())))
}

/// The line of a packet, owned and as it comes off the wire, borrowed.
fn check(packet: Packet<Bytes>, line: &str) {
    assert_eq!(packet.to_string(), line);
    for version in VERSIONS {
        let mut wire = BytesMut::new();
        if packet.encode(version, &mut wire).is_err() {
            continue;
        }
        for sender in ROLES {
            if let Ok(status) = Decoder::new(sender, version).decode(&wire) {
                let Status::Ready((packet, _)) = status else { panic!("{line}: not all there") };
                assert_eq!(packet.to_string(), line, "{sender:?} {version}");
                // Width and precision are not for packets.
                assert_eq!(format!("{packet:>9000.3}"), line);
                assert_eq!(format!("{packet:#}"), line);
            }
        }
    }
}

#[test]
fn each_packet_has_a_line() {
    let id = PacketId::new(10).unwrap();
    let text = |text| Str::try_from(text).unwrap();

    check(
        Packet::Connect(Connect::new(ProtocolVersion::V311, text("c1"))),
        r#"CONNECT version=3.1.1 client_id="c1" clean_start=true keep_alive=60"#,
    );
    let will = Publication::new(topic("w/t"), "bye")
        .with_qos(QoS::AtLeastOnce)
        .with_retain(true)
        .with_properties(properties([Property::WillDelayInterval(5)]));
    let everything = Connect {
        clean_start: false,
        keep_alive: 0,
        will: Some(will),
        user_name: Some(text("alice")),
        password: Some(SECRET.into()),
        ..Connect::new(ProtocolVersion::V5, text(""))
    };
    check(
        Packet::Connect(everything.with_properties(properties([Property::ReceiveMaximum(9)]))),
        "CONNECT version=5.0 client_id=\"\" clean_start=false keep_alive=0 user_name=\"alice\" \
         password=(hidden) \
         will=(topic=\"w/t\" qos=1 retain payload=\"bye\" properties=[WillDelayInterval=5]) \
         properties=[ReceiveMaximum=9]",
    );

    check(
        Packet::ConnAck(ConnAck::accepted(true)),
        "CONNACK session_present=true reason=0x00 (Success)",
    );
    check(
        Packet::ConnAck(ConnAck::refused(ReasonCode::NOT_AUTHORIZED)),
        "CONNACK session_present=false reason=0x87 (Not authorized)",
    );

    check(publish("a/b", "hello"), r#"PUBLISH topic="a/b" qos=0 payload="hello""#);
    let again = Publish::new(topic("a/b"), Bytes::new())
        .with_delivery(Delivery::ExactlyOnce { id, dup: true })
        .with_retain(true)
        .with_properties(properties([Property::PayloadFormatIndicator(true)]));
    check(
        Packet::Publish(again),
        "PUBLISH topic=\"a/b\" qos=2 id=10 dup retain payload=\"\" \
         properties=[PayloadFormatIndicator=1]",
    );

    check(Packet::PubAck(Ack::success(id)), "PUBACK id=10");
    check(
        Packet::PubRec(Ack::new(id, ReasonCode::QUOTA_EXCEEDED)),
        "PUBREC id=10 reason=0x97 (Quota exceeded)",
    );
    check(Packet::PubRel(Ack::success(id)), "PUBREL id=10");
    let why = properties([Property::ReasonString("which?")]);
    check(
        Packet::PubComp(Ack::new(id, ReasonCode::PACKET_IDENTIFIER_NOT_FOUND).with_properties(why)),
        "PUBCOMP id=10 reason=0x92 (Packet Identifier not found) properties=[ReasonString=\"which?\"]",
    );

    let options = SubscriptionOptions {
        no_local: true,
        retain_as_published: true,
        retain_handling: mqtt_proto::RetainHandling::DoNotSend,
        ..QoS::ExactlyOnce.into()
    };
    let filters = [
        (TopicFilter::borrowed("a/+").unwrap(), QoS::AtMostOnce.into()),
        (TopicFilter::borrowed("#").unwrap(), options),
    ];
    check(
        Packet::Subscribe(
            Subscribe::new(id, SubscribeFilters::new(filters).unwrap())
                .with_properties(properties([Property::SubscriptionIdentifier(7)])),
        ),
        "SUBSCRIBE id=10 filters=[\"a/+\" qos=0, \
         \"#\" qos=2 no_local retain_as_published retain_handling=2] \
         properties=[SubscriptionIdentifier=7]",
    );
    let codes = [ReasonCode::GRANTED_QOS_0, ReasonCode::UNSPECIFIED_ERROR];
    check(
        Packet::SubAck(SubAck::new(id, ReasonCodes::from_iter(codes))),
        "SUBACK id=10 codes=[0x00 (Granted QoS 0), 0x80 (Unspecified error)]",
    );
    check(
        Packet::Unsubscribe(Unsubscribe::new(
            id,
            UnsubscribeFilters::new(filters.map(|(filter, _)| filter)).unwrap(),
        )),
        r##"UNSUBSCRIBE id=10 filters=["a/+", "#"]"##,
    );
    check(Packet::UnsubAck(UnsubAck::new(id, ReasonCodes::default())), "UNSUBACK id=10");
    let codes = [ReasonCode::SUCCESS, ReasonCode::NO_SUBSCRIPTION_EXISTED];
    check(
        Packet::UnsubAck(UnsubAck::new(id, ReasonCodes::from_iter(codes))),
        "UNSUBACK id=10 codes=[0x00 (Success), 0x11 (No subscription existed)]",
    );

    check(Packet::PingReq, "PINGREQ");
    check(Packet::PingResp, "PINGRESP");
    check(
        Packet::Disconnect(Disconnect::new(ReasonCode::NORMAL_DISCONNECTION)),
        "DISCONNECT reason=0x00 (Normal disconnection)",
    );
    // A code without a name; no decoder lets it in.
    check(Packet::Disconnect(Disconnect::new(ReasonCode::new(0xff))), "DISCONNECT reason=0xff");
    let method = properties([Property::AuthenticationMethod("m")]);
    check(
        Packet::Auth(Auth::new(ReasonCode::RE_AUTHENTICATE, method)),
        "AUTH reason=0x19 (Re-authenticate) properties=[AuthenticationMethod=\"m\"]",
    );
}

#[test]
fn each_property_has_a_name_and_a_value() {
    let list = [
        (Property::MaximumQoS(false), "MaximumQoS=0"),
        (Property::ServerKeepAlive(65_535), "ServerKeepAlive=65535"),
        (Property::SessionExpiryInterval(u32::MAX), "SessionExpiryInterval=4294967295"),
        (Property::ContentType("text/plain"), "ContentType=\"text/plain\""),
        (Property::CorrelationData(b"7"), "CorrelationData=\"7\""),
        (Property::CorrelationData(&[0, 255]), "CorrelationData=0x00ff"),
        (Property::AuthenticationData(SECRET.as_bytes()), "AuthenticationData=(hidden)"),
        (Property::UserProperty(("a:\"b", "")), r#"UserProperty="a:\"b":"""#),
    ];
    for (property, line) in list {
        assert_eq!(property.to_string(), line);
        assert_eq!(format!("{property:>99}"), line);
        assert_eq!(Properties::new([property]).unwrap().to_string(), format!("[{line}]"));
    }
}

#[test]
fn a_payload_is_text_where_it_reads_as_text_and_hexadecimal_where_not() {
    let cases: [(&[u8], &str); 12] = [
        (b"", r#""""#),
        (b"21.5 \xc2\xb0C, it's \"warm\"", r#""21.5 °C, it's \"warm\"""#),
        (b"{\r\n\t\"a\": 1\n}", r#""{\r\n\t\"a\": 1\n}""#),
        (b"\\", r#""\\""#),
        (b"\0", "0x00"),
        (b"\xff\xfe", "0xfffe"),
        // Control sequences of terminals, the C1 controls among them.
        (b"\x1b[2J", "0x1b5b324a"),
        (b"\xc2\x9b2J", "0xc29b324a"),
        (b"a\x7f", "0x617f"),
        // Text of right-to-left override and of zero width is text, but does not work.
        ("\u{202e}\u{200b}\u{2028}".as_bytes(), r#""\u{202e}\u{200b}\u{2028}""#),
        // A character that ends too early.
        (b"ab\xe2\x82", "0x6162e282"),
        // What looks like hexadecimal digits is in quotes.
        (b"0x00", r#""0x00""#),
    ];
    for (payload, shown) in cases {
        check(publish("t", payload), &format!(r#"PUBLISH topic="t" qos=0 payload={shown}"#));
    }
}

#[test]
fn a_peer_cannot_write_lines_of_its_own_or_steer_a_terminal() {
    let hostile = [
        ("a\nPUBACK id=1", r"a\nPUBACK id=1"),
        ("a\r\u{1b}[31m", r"a\r\u{1b}[31m"),
        ("\u{9b}31m\u{7f}", r"\u{9b}31m\u{7f}"),
        ("\u{202e}\u{2066}\u{200f}", r"\u{202e}\u{2066}\u{200f}"),
        ("\u{2028}\u{2029}\u{85}", r"\u{2028}\u{2029}\u{85}"),
        (r#"" qos=2 id=7 payload=""#, r#"\" qos=2 id=7 payload=\""#),
        (r#"\"#, r"\\"),
        ("Wärme/日本/🌡", "Wärme/日本/🌡"),
        // What would be written over the character before it.
        ("e\u{301}", r"e\u{301}"),
    ];
    for (text, shown) in hostile {
        check(publish(text, ""), &format!(r#"PUBLISH topic="{shown}" qos=0 payload="""#));
        let id = PacketId::MIN;
        let filters = UnsubscribeFilters::new([TopicFilter::borrowed(text).unwrap()]).unwrap();
        check(
            Packet::Unsubscribe(Unsubscribe::new(id, filters)),
            &format!(r#"UNSUBSCRIBE id=1 filters=["{shown}"]"#),
        );
        let list = properties([Property::UserProperty((text, text))]);
        check(
            Packet::PubAck(Ack::success(id).with_properties(list)),
            &format!(r#"PUBACK id=1 properties=[UserProperty="{shown}":"{shown}"]"#),
        );
        let connect = Connect {
            user_name: Some(text.try_into().unwrap()),
            will: Some(Publication::new(topic(text), "")),
            ..Connect::new(ProtocolVersion::V311, text.try_into().unwrap())
        };
        check(
            Packet::Connect(connect),
            &format!(
                r#"CONNECT version=3.1.1 client_id="{shown}" clean_start=true keep_alive=60 user_name="{shown}" will=(topic="{shown}" qos=0 payload="")"#
            ),
        );
    }
}

#[test]
fn what_is_long_is_cut_at_a_character_and_says_how_long_it_is() {
    let topic_of = |name: String, shown: &str| {
        check(publish(&name, ""), &format!(r#"PUBLISH topic={shown} qos=0 payload="""#));
    };
    let x = |count| "x".repeat(count);
    topic_of(x(128), &format!("\"{}\"", x(128)));
    topic_of(x(129), &format!("\"{}\"...(129 bytes)", x(128)));
    topic_of(x(65_535), &format!("\"{}\"...(65535 bytes)", x(128)));
    // 3 bytes each, and 128 is no multiple of 3.
    topic_of("€".repeat(43), &format!("\"{}\"...(129 bytes)", "€".repeat(42)));
    // Escaped it counts as what it takes: 10 of `\u{202e}` are 80 bytes.
    topic_of("\u{202e}".repeat(17), &format!("\"{}\"...(51 bytes)", r"\u{202e}".repeat(16)));

    let payload_of = |payload: Vec<u8>, shown: &str| {
        check(publish("t", payload), &format!(r#"PUBLISH topic="t" qos=0 payload={shown}"#));
    };
    payload_of(vec![b'x'; 64], &format!("\"{}\"", x(64)));
    payload_of(vec![b'x'; 65], &format!("\"{}\"...(65 bytes)", x(64)));
    payload_of(vec![b'x'; 70_000], &format!("\"{}\"...(70000 bytes)", x(64)));
    payload_of(vec![b'\n'; 64], &format!("\"{}\"...(64 bytes)", r"\n".repeat(32)));
    payload_of("€".repeat(22).into_bytes(), &format!("\"{}\"...(66 bytes)", "€".repeat(21)));
    payload_of(vec![0xff; 32], &format!("0x{}", "ff".repeat(32)));
    payload_of(vec![0xff; 33], &format!("0x{}...(33 bytes)", "ff".repeat(32)));
    // Beyond what is shown nobody looks.
    let mut mixed = vec![b'x'; 64];
    mixed.push(0);
    payload_of(mixed, &format!("\"{}\"...(65 bytes)", x(64)));

    let long = x(65);
    let list = properties([Property::ReasonString(&long)]);
    assert_eq!(list.to_string(), format!("[ReasonString=\"{}\"...(65 bytes)]", x(64)));
}

#[test]
fn of_a_long_list_the_first_entries_are_shown_and_the_others_counted() {
    let id = PacketId::MIN;
    let filter = |_| TopicFilter::borrowed("f").unwrap();
    for (count, rest) in [(8, ""), (9, ", ...1 more"), (65_536, ", ...65528 more")] {
        let list = |entry: &str| format!("[{}{rest}]", [entry; 8].join(", "));
        let filters = UnsubscribeFilters::new((0..count).map(filter)).unwrap();
        check(
            Packet::Unsubscribe(Unsubscribe::new(id, filters)),
            &format!("UNSUBSCRIBE id=1 filters={}", list(r#""f""#)),
        );
        let filters = (0..count).map(|at| (filter(at), QoS::AtLeastOnce));
        check(
            Packet::Subscribe(Subscribe::new(id, SubscribeFilters::new(filters).unwrap())),
            &format!("SUBSCRIBE id=1 filters={}", list(r#""f" qos=1"#)),
        );
        let codes = ReasonCodes::from_iter((0..count).map(|_| ReasonCode::GRANTED_QOS_1));
        check(
            Packet::SubAck(SubAck::new(id, codes)),
            &format!("SUBACK id=1 codes={}", list("0x01 (Granted QoS 1)")),
        );
        let many = properties((0..count).map(|_| Property::UserProperty(("n", "v"))));
        check(
            Packet::PubAck(Ack::success(id).with_properties(many)),
            &format!("PUBACK id=1 properties={}", list(r#"UserProperty="n":"v""#)),
        );
    }
}

/// Every packet that can be long, filled with one character wherever it is the peer's to choose.
fn longest(letter: char) -> Vec<Packet<Bytes>> {
    let text: String = std::iter::repeat_n(letter, 65_535 / letter.len_utf8()).collect();
    let user = || (0..20).map(|_| Property::UserProperty((&text, &text)));
    let (list, will_list) = (properties(user()), properties(user()));
    let id = PacketId::MAX;
    let options = SubscriptionOptions::from_byte(0b10_1110, ProtocolVersion::V5).unwrap();
    let filter = || TopicFilter::borrowed(&text).unwrap();
    let payload = Bytes::from(text.clone());
    let delivery = Delivery::ExactlyOnce { id, dup: true };
    let message = Message { topic: topic(&text), payload, properties: will_list };
    let publish = Publish { delivery, retain: true, message: message.clone() };
    let connect = Connect {
        keep_alive: u16::MAX,
        will: Some(Publication { qos: QoS::ExactlyOnce, retain: true, message }),
        user_name: Some(text.as_str().try_into().unwrap()),
        password: Some(Bytes::from(text.clone())),
        ..Connect::new(ProtocolVersion::V311, text.as_str().try_into().unwrap())
    };
    let filters = SubscribeFilters::new((0..20).map(|_| (filter(), options))).unwrap();
    let names = UnsubscribeFilters::new((0..20).map(|_| filter())).unwrap();
    let code = ReasonCode::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED;
    let codes = ReasonCodes::from_iter([code; 20]);
    vec![
        Packet::Connect(connect.with_properties(list.clone())),
        Packet::ConnAck(ConnAck::refused(code).with_properties(list.clone())),
        Packet::Publish(publish),
        Packet::PubComp(Ack::new(id, code).with_properties(list.clone())),
        Packet::Subscribe(Subscribe::new(id, filters).with_properties(list.clone())),
        Packet::SubAck(SubAck::new(id, codes.clone()).with_properties(list.clone())),
        Packet::Unsubscribe(Unsubscribe::new(id, names).with_properties(list.clone())),
        Packet::UnsubAck(UnsubAck::new(id, codes).with_properties(list.clone())),
        Packet::Disconnect(Disconnect::new(code).with_properties(list.clone())),
        Packet::Auth(Auth::new(code, list)),
    ]
}

#[test]
fn no_line_is_longer_than_it_may_be() {
    let mut longest_line = 0;
    for letter in ['x', '"', '\u{1}', '\u{7f}', '\u{9f}', '€', '\u{202e}', '\u{10ffff}', '🌡'] {
        for packet in longest(letter) {
            let line = packet.to_string();
            assert!(line.len() <= MAX_DISPLAY_LEN, "{}: {line}", line.len());
            assert!(!line.chars().any(char::is_control), "{line}");
            longest_line = longest_line.max(line.len());
        }
    }
    // The bound is one: it is nearly reached.
    assert!(longest_line > MAX_DISPLAY_LEN * 8 / 10, "{longest_line}");
}

#[test]
fn secrets_are_shown_in_no_form() {
    fn check(value: impl std::fmt::Debug) {
        for shown in [format!("{value:?}"), format!("{value:#?}")] {
            assert!(!reveals(&shown), "{shown}");
        }
    }
    /// Whether the secret is in it, as text or as the numbers or digits of its bytes.
    fn reveals(shown: &str) -> bool {
        let dense: String = shown.split_whitespace().collect();
        let numbers: Vec<_> = SECRET.bytes().map(|byte| byte.to_string()).collect();
        let digits: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
        shown.contains(SECRET) || dense.contains(&numbers.join(",")) || dense.contains(&digits)
    }
    assert!(reveals(SECRET) && reveals(&format!("{:#?}", SECRET.as_bytes())));

    let secret = Property::AuthenticationData(SECRET.as_bytes());
    let list = properties([Property::AuthenticationMethod("m"), secret]);
    let connect = Connect {
        password: Some(SECRET.into()),
        ..Connect::new(ProtocolVersion::V5, "c1".try_into().unwrap())
    };
    let connect = connect.with_properties(list.clone());
    let connack = ConnAck::accepted(false).with_properties(list.clone());
    let auth = Auth::new(ReasonCode::CONTINUE_AUTHENTICATION, list.clone());
    let mut builder = PropertiesBuilder::new();
    builder.push(secret).unwrap();

    let packets = [
        Packet::Connect(connect.clone()),
        Packet::ConnAck(connack.clone()),
        Packet::Auth(auth.clone()),
    ];
    for packet in packets {
        assert!(!reveals(&packet.to_string()), "{packet}");
        check(&packet);
        let mut wire = BytesMut::new();
        packet.encode(ProtocolVersion::V5, &mut wire).unwrap();
        assert!(wire.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
        for sender in ROLES {
            let mut decoder = Decoder::new(sender, ProtocolVersion::V5);
            if let Ok(status) = decoder.decode(&wire) {
                check(status);
                check(decoder);
            }
        }
    }
    check(connect);
    check(connack);
    check(auth);
    check(&list);
    check(list.iter().collect::<Vec<_>>());
    check(builder);
    check(secret);
    for kind in PacketType::ALL {
        let owner = PropertyOwner::Packet(kind);
        check(Properties::from_wire(list.as_bytes(), owner));
    }
}

#[test]
fn every_vector_has_one_line_of_printable_text() {
    for [id, level, hex, ..] in rows::<5>(include_str!("data/wellformed.tsv")) {
        let version = ProtocolVersion::from_level(level.parse().unwrap()).unwrap();
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        for sender in ROLES {
            let Ok(status) = Decoder::new(sender, version).decode(&bytes) else { continue };
            let (packet, _) = status.ready().unwrap();
            let line = packet.to_string();
            assert!(line.starts_with(packet.packet_type().name()), "{id}: {line}");
            assert!(!line.chars().any(char::is_control), "{id}: {line}");
            assert!(line.len() <= MAX_DISPLAY_LEN, "{id}: {line}");
            assert_eq!(packet.to_bytes().to_string(), line, "{id}");
        }
    }
}
