//! Packets as hexadecimal text and what they mean: `data/wellformed.tsv`, `data/malformed.tsv`,
//! `data/contested.tsv`.
#![cfg(feature = "bytes")]

mod common;
mod describe;

use bytes::BytesMut;
use common::{ROLES, rows, wire::unhex};
use describe::describe;
use mqtt_proto::{
    DecodeErrorKind, Decoder, Packet, PacketRef, PropertyId, ProtocolVersion, Role, Status,
};
use serde_json::{Value, json};

const WELLFORMED: &str = include_str!("data/wellformed.tsv");
const MALFORMED: &str = include_str!("data/malformed.tsv");
const CONTESTED: &str = include_str!("data/contested.tsv");

/// What a client's PUBLISH with a Subscription Identifier is refused for [MQTT-3.3.4-6].
const SUBSCRIPTION_IDENTIFIER_NOT_ALLOWED: DecodeErrorKind =
    DecodeErrorKind::PropertyNotAllowed(PropertyId::SubscriptionIdentifier);

/// Rows that say in more bytes what the encoder says in fewer.
fn is_longer_than_needed(id: &str) -> bool {
    id.ends_with("-zero-props")
}

fn decode(
    sender: Role,
    version: ProtocolVersion,
    bytes: &[u8],
) -> Result<PacketRef<'_>, DecodeErrorKind> {
    match Decoder::new(sender, version).decode(bytes) {
        Ok(Status::Ready((packet, len))) => {
            assert_eq!(len, bytes.len());
            Ok(packet)
        }
        Ok(Status::NeedMore(missing)) => panic!("{missing} bytes missing of {bytes:02x?}"),
        Err(error) => Err(error.kind()),
    }
}

/// The packet, from whichever side may send it.
fn decode_from_either(version: ProtocolVersion, bytes: &[u8]) -> PacketRef<'_> {
    let packets = ROLES.map(|sender| decode(sender, version, bytes));
    match packets {
        [Ok(packet), Ok(same)] => {
            assert_eq!(packet, same);
            packet
        }
        [Ok(packet), Err(_)] | [Err(_), Ok(packet)] => packet,
        [Err(client), Err(server)] => panic!("from a client: {client}, from a server: {server}"),
    }
}

#[test]
fn every_wellformed_packet_decodes_to_the_values_of_its_row() {
    let mut count = 0;
    for [id, level, hex, _, expected] in rows(WELLFORMED) {
        let (version, bytes) = (version(level), unhex(hex));
        let packet = decode_from_either(version, &bytes);
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(describe(&packet, version), expected, "{id}");
        count += 1;
    }
    assert_eq!(count, 101);
}

#[test]
fn every_wellformed_packet_decodes_owned_as_it_does_borrowed() {
    for [id, level, hex, ..] in rows::<5>(WELLFORMED) {
        let (version, bytes) = (version(level), unhex(hex));
        let borrowed = decode_from_either(version, &bytes);
        let mut owned = 0;
        for sender in ROLES {
            let mut src = BytesMut::from(&bytes[..]);
            src.extend_from_slice(b"next");
            if let Ok(status) = Decoder::new(sender, version).decode_bytes(&mut src) {
                assert_eq!(status.ready(), Some(borrowed.to_bytes()), "{id}");
                assert_eq!(src, b"next"[..], "{id}");
                owned += 1;
            }
        }
        assert_ne!(owned, 0, "{id}");
    }
}

#[test]
fn every_wellformed_packet_encodes_to_its_row_or_to_a_shorter_form_of_it() {
    for [id, level, hex, ..] in rows::<5>(WELLFORMED) {
        let (version, bytes) = (version(level), unhex(hex));
        let packet = decode_from_either(version, &bytes);
        let mut encoded = BytesMut::new();
        packet.encode(version, &mut encoded).unwrap();
        assert_eq!(packet.encoded_len(version), Ok(encoded.len() as u32), "{id}");
        if is_longer_than_needed(id) {
            // Without the reason code, if it is 0, and without the empty property list.
            let kept = bytes.len() - 2;
            assert_eq!(encoded[2..], bytes[2..kept], "{id}");
            assert_eq!(decode_from_either(version, &encoded), packet, "{id}");
        } else {
            assert_eq!(encoded, bytes, "{id}");
        }
    }
}

#[test]
fn every_prefix_of_a_wellformed_packet_asks_for_no_more_than_is_missing() {
    for [id, level, hex, ..] in rows::<5>(WELLFORMED) {
        let (version, bytes) = (version(level), unhex(hex));
        let sender = *ROLES.iter().find(|&&role| decode(role, version, &bytes).is_ok()).unwrap();
        let header_len = 2 + bytes[1..].iter().take_while(|&&byte| byte >= 0x80).count();
        for len in 0..bytes.len() {
            let prefix = &bytes[..len];
            let missing = match Decoder::new(sender, version).decode(prefix) {
                Ok(Status::NeedMore(missing)) => missing.get() as usize,
                other => panic!("{id}: {other:?} after {len} bytes"),
            };
            assert!(len + missing <= bytes.len(), "{id}: {missing} more after {len} bytes");
            if len >= header_len {
                assert_eq!(len + missing, bytes.len(), "{id}");
            }
            // What is missing of a long payload is the same everywhere in it.
            if len < 256 {
                let mut src = BytesMut::from(prefix);
                let status = Decoder::new(sender, version).decode_bytes(&mut src).unwrap();
                assert!(matches!(status, Status::NeedMore(n) if n.get() as usize == missing));
                assert_eq!(src, *prefix, "{id}: bytes were taken");
            }
        }
    }
}

#[test]
fn every_malformed_packet_is_refused_for_the_rule_it_breaks() {
    let mut count = 0;
    for [id, level, hex, _, _, from, kind, offset, reason] in rows(MALFORMED) {
        let (version, bytes) = (version(level), unhex(hex));
        let decoders = ROLES.map(|sender| (sender, Decoder::new(sender, version)));
        let listening = (bytes[0] >> 4 == 1).then(Decoder::awaiting_connect);
        let listening = listening.map(|decoder| (Role::Client, decoder));
        for (sender, mut decoder) in decoders.into_iter().chain(listening) {
            let owned = decoder.clone().decode_bytes(&mut BytesMut::from(&bytes[..]));
            let error = match decoder.decode(&bytes) {
                Err(error) => error,
                Ok(status) => panic!("{id} from a {sender:?}: {status:?}"),
            };
            assert_eq!(owned, Err(error), "{id}");
            assert_eq!(decoder.decode(&[0xc0, 0]), Err(error), "{id}: an error is final");
            if from == "both" || from == format!("{sender:?}").to_lowercase() {
                let what = (format!("{:?}", error.kind()), error.offset().to_string());
                assert_eq!(what, (kind.into(), offset.into()), "{id} from a {sender:?}");
                if version == ProtocolVersion::V5 {
                    assert_eq!(format!("0x{:02X}", error.reason_code().get()), reason, "{id}");
                }
            } else {
                // The other side may not send this packet, or not this part of it, at all.
                let kind = error.kind();
                assert!(
                    matches!(kind, DecodeErrorKind::WrongSender(_))
                        || kind == SUBSCRIPTION_IDENTIFIER_NOT_ALLOWED,
                    "{id} from a {sender:?}: {kind}"
                );
            }
        }
        count += 1;
    }
    assert_eq!(count, 215);
}

/// The answers are explained in `docs/DECISIONS.md`, section "Codec".
#[test]
fn every_contested_packet_has_the_answer_we_decided_on() {
    use DecodeErrorKind::*;

    let mut count = 0;
    for [id, level, hex, ..] in rows::<5>(CONTESTED) {
        let (version, bytes) = (version(level), unhex(hex));
        let [client, server] = ROLES.map(|sender| decode(sender, version, &bytes));
        let text = |result: Result<_, _>| describe(&result.expect(id), version);
        match id {
            "c-len-nonminimal-v4" => assert_eq!(client, Ok(Packet::PingReq)),
            "c-connect-empty-id-no-clean" => {
                let connect = text(client);
                assert_eq!(connect["client_id"], "");
                assert_eq!(connect["clean_session"], false);
            }
            "c-control-chars" => assert_eq!(text(client)["topic"], "a\u{1}b"),
            "c-nonchar-v5" => assert_eq!(text(client)["topic"], "a\u{ffff}"),
            "c-pub-pfi-1-not-utf8" => assert_eq!(text(client)["payload"], "ff"),
            "c-connect-mqisdp" => assert_eq!(client, Err(UnsupportedProtocolLevel(3))),
            "c-connect-level-5-as-v4" => assert_eq!(client, Err(UnsupportedProtocolLevel(5))),
            "c-pub-subid-from-client" => {
                assert_eq!(client, Err(SUBSCRIPTION_IDENTIFIER_NOT_ALLOWED));
                assert_eq!(text(server)["properties"]["subscription_identifier"], json!([1]));
            }
            "c-disconnect-expiry-server" => {
                let id = PropertyId::SessionExpiryInterval;
                assert_eq!(text(client)["properties"]["session_expiry_interval"], 1);
                assert_eq!(server, Err(PropertyNotAllowed(id)));
            }
            "c-puback-reason-success-4" => {
                assert_eq!(client, server);
                assert_encodes(client, version, "40020001");
            }
            "c-auth-success-no-method" => {
                // A client never says success.
                assert_eq!(client, Err(ReasonCode(0)));
                assert_encodes(server, version, "f000");
            }
            _ => panic!("{id} is not decided"),
        }
        count += 1;
    }
    assert_eq!(count, 11);
}

fn assert_encodes(
    packet: Result<PacketRef<'_>, DecodeErrorKind>,
    version: ProtocolVersion,
    hex: &str,
) {
    let mut encoded = BytesMut::new();
    packet.unwrap().encode(version, &mut encoded).unwrap();
    assert_eq!(encoded, unhex(hex));
}

fn version(level: &str) -> ProtocolVersion {
    level.parse().ok().and_then(ProtocolVersion::from_level).expect("4 or 5")
}
