//! CONNECT, section 3.1.

use bytes::Bytes;
use conformance::Run;
use mqtt_proto::*;

use crate::{
    check::{self, Ids, MALFORMED, VERSIONS},
    common::wire::{behind_u16, frame, unhex},
    samples::{name, text},
};

const CLIENT: Role = Role::Client;

/// The payload fields in their order: the flag that announces each (0 for the one that is always there), and the
/// statements that say it is there when the flag is, and not when it is not.
struct Field {
    flag: u8,
    there: [&'static str; 2],
    not_there: [&'static str; 2],
}

const FIELDS: [Field; 4] = [
    Field { flag: 0, there: ["v3.1.1 MQTT-3.1.3-3", "v5 MQTT-3.1.3-3"], not_there: ["", ""] },
    Field {
        flag: 0x04,
        there: ["v3.1.1 MQTT-3.1.2-9", "v5 MQTT-3.1.2-9"],
        not_there: ["v3.1.1 MQTT-3.1.2-11", ""],
    },
    Field {
        flag: 0x80,
        there: ["v3.1.1 MQTT-3.1.2-19", "v5 MQTT-3.1.2-17"],
        not_there: ["v3.1.1 MQTT-3.1.2-18", "v5 MQTT-3.1.2-16"],
    },
    Field {
        flag: 0x40,
        there: ["v3.1.1 MQTT-3.1.2-21", "v5 MQTT-3.1.2-19"],
        not_there: ["v3.1.1 MQTT-3.1.2-20", "v5 MQTT-3.1.2-18"],
    },
];

fn head(version: ProtocolVersion, flags: u8) -> Vec<u8> {
    let v5 = version == ProtocolVersion::V5;
    let mut head = b"\0\x04MQTT".to_vec();
    head.extend([if v5 { 5 } else { 4 }, flags, 0, 60]);
    head.extend(v5.then_some(0));
    head
}

/// The bytes of each field that these flags announce, nothing for the others.
fn payload(version: ProtocolVersion, flags: u8) -> [Vec<u8>; 4] {
    let will = [if version == ProtocolVersion::V5 { &[0][..] } else { &[] }, b"\0\x01w\0\x02hi"];
    let there = |flag: u8, bytes: Vec<u8>| if flags & flag != 0 { bytes } else { Vec::new() };
    [
        behind_u16(b"c1"),
        there(0x04, will.concat()),
        there(0x80, behind_u16(b"user")),
        there(0x40, behind_u16(&[0xff, 0])),
    ]
}

fn connect(version: ProtocolVersion, flags: u8, payload: &[u8]) -> Vec<u8> {
    frame(0x10, &[&head(version, flags), payload])
}

/// The value that flags and [`payload`] stand for.
fn value(version: ProtocolVersion, flags: u8) -> Connect<Bytes> {
    let mut connect = Connect::new(version, text("c1"));
    connect.clean_start = flags & 0x02 != 0;
    connect.will = (flags & 0x04 != 0).then(|| {
        let qos =
            [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(flags >> 3 & 3)];
        Publication::new(name("w"), "hi").with_qos(qos).with_retain(flags & 0x20 != 0)
    });
    connect.user_name = (flags & 0x80 != 0).then(|| text("user"));
    connect.password = (flags & 0x40 != 0).then(|| Bytes::from_static(&[0xff, 0]));
    connect
}

/// Whether a CONNECT may have these flags.
fn are_legal(version: ProtocolVersion, flags: u8) -> bool {
    let without_will = flags & 0x04 != 0 || flags & 0x38 == 0;
    let password = flags & 0xc0 != 0x40 || version == ProtocolVersion::V5;
    flags & 0x01 == 0 && flags & 0x18 != 0x18 && without_will && password
}

fn legal_flags(version: ProtocolVersion) -> impl Iterator<Item = u8> {
    (0..=255).filter(move |&flags| are_legal(version, flags))
}

/// Every field in its place.
pub(crate) fn golden_bytes(run: &mut Run) {
    let mut connect = Connect::new(ProtocolVersion::V5, text("c"));
    connect.properties = Properties::new([Property::ReceiveMaximum(7)]).unwrap();
    let will = Publication::new(name("w/t"), "hi").with_qos(QoS::AtLeastOnce).with_retain(true);
    let flagged = Properties::new([Property::PayloadFormatIndicator(true)]).unwrap();
    connect.will = Some(will.clone().with_properties(flagged));
    connect.user_name = Some(text("u"));
    connect.password = Some(Bytes::from_static(&[0xff, 0]));
    let bytes = unhex(
        "1024 0004 4d515454 05 ee 003c 03 210007 \
         0001 63 02 0101 0003 772f74 0002 6869 0001 75 0002 ff00",
    );
    let ids = &["v5 MQTT-3.1.3-1", "v5 MQTT-3.1.3-3", "v5 MQTT-3.1.2-9"];
    check::both_ways(run, ids, CLIENT, &bytes, &Packet::Connect(connect.clone()));

    connect.version = ProtocolVersion::V311;
    connect.properties = Properties::EMPTY;
    connect.will = Some(will);
    let bytes =
        unhex("101d 0004 4d515454 04 ee 003c 0001 63 0003 772f74 0002 6869 0001 75 0002 ff00");
    let ids = &["v3.1.1 MQTT-3.1.3-1", "v3.1.1 MQTT-3.1.3-3", "v3.1.1 MQTT-3.1.2-9"];
    check::both_ways(run, ids, CLIENT, &bytes, &Packet::Connect(connect));
}

/// Names that are none, among them each that differs in one byte; what is written is always the same.
pub(crate) fn protocol_names(run: &mut Run) {
    let mut names: Vec<Vec<u8>> =
        ["", "M", "MQT", "mqtt", "Mqtt", "MQTX", "MQTTT", "MQTT\0", " MQTT", "MQIsdP", "MQISDP"]
            .map(|name| name.as_bytes().to_vec())
            .into();
    for at in 0..4 {
        for byte in (0..=255).filter(|&byte| byte != b"MQTT"[at]) {
            let mut name = b"MQTT".to_vec();
            name[at] = byte;
            names.push(name);
        }
    }
    for (version, id) in VERSIONS.into_iter().zip(["v3.1.1 MQTT-3.1.2-1", "v5 MQTT-3.1.2-1"]) {
        let rest =
            |level| [&[level, 2, 0, 60][..], &head(version, 0)[10..], &[0, 1, b'c']].concat();
        for name in &names {
            let bytes = frame(0x10, &[&behind_u16(name), &rest(version.level())]);
            check::refuses(run, &[id], CLIENT, &bytes, DecodeErrorKind::ProtocolName, 0x84);
            let listening = Decoder::awaiting_connect().decode(&bytes).map_err(DecodeError::kind);
            let refused = listening.map(|_| ()) == Err(DecodeErrorKind::ProtocolName);
            run.decoding(&[id]).holds(refused, format_args!("{name:02x?} before the version"));
        }
        // The name of 3.1, whose level reaches the caller, who may want to answer.
        for level in [3, 4, 5] {
            let bytes = frame(0x10, &[&behind_u16(b"MQIsdp"), &rest(level)]);
            let kind = DecodeErrorKind::UnsupportedProtocolLevel(level);
            check::refuses(run, &[id], CLIENT, &bytes, kind, 0x84);
        }
        for flags in legal_flags(version) {
            let bytes = connect(version, flags, &payload(version, flags).concat());
            let start = [&bytes[..2], b"\0\x04MQTT", &[version.level()]].concat();
            let packet = Packet::Connect(value(version, flags));
            check::both_ways(run, &[id], CLIENT, &bytes, &packet);
            run.encoding(&[id]).holds(bytes.starts_with(&start), flags);
        }
    }
}

/// A rule about the flags: whether they break it, what they are refused for, and its statements in either version.
struct Rule {
    is_broken: bool,
    kind: DecodeErrorKind,
    ids: [&'static [&'static str]; 2],
}

/// In the order in which they are looked at.
fn rules(version: ProtocolVersion, flags: u8) -> [Rule; 6] {
    let (qos, will) = (flags >> 3 & 3, flags & 0x04 != 0);
    let rule = |is_broken, kind, ids| Rule { is_broken, kind, ids };
    [
        rule(
            flags & 0x01 != 0,
            DecodeErrorKind::ConnectFlags,
            [&["v3.1.1 MQTT-3.1.2-3"], &["v5 MQTT-3.1.2-3", "v5 U5-3.1.2.3-1"]],
        ),
        rule(
            will && qos == 3,
            DecodeErrorKind::QoS3,
            [&["v3.1.1 MQTT-3.1.2-14"], &["v5 MQTT-3.1.2-12", "v5 U5-3.1.2.6-1"]],
        ),
        rule(
            !will && qos == 3,
            DecodeErrorKind::QoS3,
            [&["v3.1.1 MQTT-3.1.2-13", "v3.1.1 MQTT-3.1.2-11"], &["v5 MQTT-3.1.2-11"]],
        ),
        rule(
            !will && qos != 0,
            DecodeErrorKind::WillFlags,
            [&["v3.1.1 MQTT-3.1.2-13", "v3.1.1 MQTT-3.1.2-11"], &["v5 MQTT-3.1.2-11"]],
        ),
        rule(
            !will && flags & 0x20 != 0,
            DecodeErrorKind::WillFlags,
            [&["v3.1.1 MQTT-3.1.2-15", "v3.1.1 MQTT-3.1.2-11"], &["v5 MQTT-3.1.2-13"]],
        ),
        rule(
            version == ProtocolVersion::V311 && flags & 0xc0 == 0x40,
            DecodeErrorKind::PasswordWithoutUserName,
            [&["v3.1.1 MQTT-3.1.2-22"], &[]],
        ),
    ]
}

/// All 256, each with the fields it announces.
pub(crate) fn all_connect_flags(run: &mut Run) {
    for (at, version) in VERSIONS.into_iter().enumerate() {
        for flags in 0..=255u8 {
            let bytes = connect(version, flags, &payload(version, flags).concat());
            let rules = rules(version, flags);
            let ids = |of: &dyn Fn(&&Rule) -> bool| {
                rules.iter().filter(of).flat_map(|rule| rule.ids[at]).copied().collect::<Vec<_>>()
            };
            if let Some(Rule { kind, .. }) = rules.iter().find(|rule| rule.is_broken) {
                let ids = ids(&|rule| rule.is_broken && rule.kind == *kind);
                check::refuses(run, &ids, CLIENT, &bytes, *kind, MALFORMED);
                continue;
            }
            let packet = Packet::Connect(value(version, flags));
            let mut ids = ids(&|_| true);
            check::decodes(run, &ids, CLIENT, &bytes, &packet);
            // Those without a number bind the reader.
            ids.retain(|id| !id.starts_with("v5 U5-"));
            check::encodes(run, &ids, &packet, &bytes);
        }
    }
    for ids in [["v3.1.1 MQTT-3.1.2-14"], ["v5 MQTT-3.1.2-12"]] {
        for bits in 3..=255 {
            run.encoding(&ids).equal(QoS::from_bits(bits), None, bits);
        }
    }
    for flags in (0..=255).filter(|&flags| !are_legal(ProtocolVersion::V5, flags)) {
        let broken = rules(ProtocolVersion::V5, flags).iter().any(|rule| rule.is_broken);
        assert!(broken, "two ways to say what is legal: {flags:08b}");
    }
}

/// A field that the flags announce has to be there, all of it.
pub(crate) fn payloads_cut_anywhere(run: &mut Run) {
    for (at, version) in VERSIONS.into_iter().enumerate() {
        for flags in legal_flags(version) {
            let fields = payload(version, flags);
            let mut start = 0;
            for (field, bytes) in FIELDS.iter().zip(&fields) {
                let ids = &[field.there[at]];
                for len in start..start + bytes.len() {
                    let cut = connect(version, flags, &fields.concat()[..len]);
                    let kind = DecodeErrorKind::UnexpectedEnd;
                    check::refuses(run, ids, CLIENT, &cut, kind, MALFORMED);
                }
                start += bytes.len();
                if !bytes.is_empty() {
                    let whole = connect(version, flags, &fields.concat());
                    check::both_ways(
                        run,
                        ids,
                        CLIENT,
                        &whole,
                        &Packet::Connect(value(version, flags)),
                    );
                }
            }
        }
    }
}

/// A field that the flags do not announce may not be there: its bytes are left over.
pub(crate) fn payloads_with_more_than_the_flags_say(run: &mut Run) {
    for (at, version) in VERSIONS.into_iter().enumerate() {
        for flags in legal_flags(version) {
            let fields = payload(version, flags).concat();
            let packet = Packet::Connect(value(version, flags));
            for (field, more) in FIELDS.iter().zip(payload(version, 0xff)) {
                let ids = &[field.not_there[at]];
                if field.flag != 0 && flags & field.flag == 0 && !ids[0].is_empty() {
                    let bytes = connect(version, flags, &[&fields[..], &more].concat());
                    let kind = DecodeErrorKind::TrailingBytes;
                    check::refuses(run, ids, CLIENT, &bytes, kind, MALFORMED);
                    let bytes = connect(version, flags, &fields);
                    check::both_ways(run, ids, CLIENT, &bytes, &packet);
                }
            }
        }
    }
}

/// Legal in 5.0 alone.
pub(crate) fn passwords_alone(run: &mut Run) {
    let mut alone = value(ProtocolVersion::V311, 0x02);
    alone.password = Some(Bytes::from_static(b"p"));
    let ids = &["v3.1.1 MQTT-3.1.2-22"];
    let error = EncodeError::PasswordWithoutUserName;
    check::does_not_encode(run, ids, &Packet::Connect(alone), error);
    let bytes = unhex("1010 0004 4d515454 04 42 003c 0001 63 0001 70");
    let kind = DecodeErrorKind::PasswordWithoutUserName;
    check::refuses(run, ids, CLIENT, &bytes, kind, MALFORMED);

    let mut alone = value(ProtocolVersion::V5, 0x02);
    alone.password = Some(Bytes::from_static(b"p"));
    let bytes = unhex("1012 0004 4d515454 05 42 003c 00 0002 6331 0001 70");
    check::both_ways(run, &["v5 MQTT-3.1.2-19"], CLIENT, &bytes, &Packet::Connect(alone));
}

/// The first field, even when it is empty.
pub(crate) fn client_identifiers(run: &mut Run) {
    let ids: [Ids<'_>; 2] = [&["v3.1.1 MQTT-3.1.3-3"], &["v5 MQTT-3.1.3-3"]];
    for (version, ids) in VERSIONS.into_iter().zip(ids) {
        let bytes = connect(version, 2, &[]);
        check::refuses(run, ids, CLIENT, &bytes, DecodeErrorKind::UnexpectedEnd, MALFORMED);
        for client_id in ["", "c", &"c".repeat(65_535)] {
            let bytes = connect(version, 2, &behind_u16(client_id.as_bytes()));
            let packet = Packet::Connect(Connect::new(version, text(client_id)));
            check::both_ways(run, ids, CLIENT, &bytes, &packet);
        }
    }
}

/// The codec does not look into payloads: whoever wants to check what the indicator promises has both, untouched.
pub(crate) fn will_payloads_flagged_as_text(run: &mut Run) {
    let ids = &["v5 U5-3.1.3.2.3-2"];
    for payload in [&b"text"[..], "\u{20ac}".as_bytes(), &[0xff, 0xc0]] {
        let flagged = Properties::new([Property::PayloadFormatIndicator(true)]).unwrap();
        let mut connect = Connect::new(ProtocolVersion::V5, text("c"));
        let will = Publication::new(name("w"), payload.to_vec()).with_properties(flagged);
        connect.will = Some(will);
        let head = unhex("0004 4d515454 05 06 003c 00 0001 63 02 0101 0001 77");
        let bytes = frame(0x10, &[&head, &behind_u16(payload)]);
        check::both_ways(run, ids, CLIENT, &bytes, &Packet::Connect(connect));
    }
}
