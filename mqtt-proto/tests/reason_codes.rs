//! Which reason code is legal where, against `data/reason-codes-5.0.tsv` and section 3.2.2.3 and
//! 3.9.3 of 3.1.1.
#![cfg(feature = "bytes")]

mod common;

use bytes::BytesMut;
use common::{
    ROLES,
    codes::{CARRIERS, CODES, encoded, is_listed, value, wire},
    number, rows,
};
use mqtt_proto::*;

#[test]
fn a_code_is_accepted_from_whom_the_table_says_and_refused_from_all_others() {
    assert_eq!(rows::<4>(CODES).count(), 95);
    let mut cells = 0;
    for packet in CARRIERS {
        for code in 0..=255 {
            for sender in ROLES {
                let legal = is_listed(packet, code, sender);
                assert_eq!(ReasonCode::new(code).is_legal_in(packet, sender), legal);
                let bytes = wire(packet, code);
                let mut decoder = Decoder::new(sender, ProtocolVersion::V5);
                let decoded = decoder.decode(&bytes).map_err(DecodeError::kind);
                let text = format!("{packet:?} {code:#04x} from {sender:?}");
                if legal {
                    let Ok(Status::Ready((packet, _))) = decoded else { panic!("{text}") };
                    assert!(format!("{packet:?}").contains(&format!("{code:#04x}")), "{text}");
                } else if packet.may_be_sent_by(sender) {
                    assert_eq!(decoded, Err(DecodeErrorKind::ReasonCode(code)), "{text}");
                } else {
                    assert_eq!(decoded, Err(DecodeErrorKind::WrongSender(packet)), "{text}");
                }
                cells += 1;
            }
        }
    }
    println!("{cells} cells of packet, code and sender, decoded");
    assert_eq!(cells, 9 * 256 * 2);
}

#[test]
fn a_code_is_encoded_if_either_side_may_send_it() {
    let mut cells = 0;
    for packet in CARRIERS {
        for code in 0..=255 {
            let legal = ROLES.iter().any(|&sender| is_listed(packet, code, sender));
            let mut out = BytesMut::new();
            let value = value(packet, ReasonCode::new(code));
            let result = value.encode(ProtocolVersion::V5, &mut out);
            if legal {
                assert_eq!(result, Ok(()), "{packet:?} {code:#04x}");
                assert_eq!(out, encoded(packet, code), "{packet:?} {code:#04x}");
            } else {
                let error = EncodeError::ReasonCode(ReasonCode::new(code));
                assert_eq!(result, Err(error), "{packet:?} {code:#04x}");
                assert!(out.is_empty(), "{packet:?} {code:#04x}");
            }
            cells += 1;
        }
    }
    println!("{cells} cells of packet and code, encoded");
    assert_eq!(cells, 9 * 256);
}

/// SUBACK and UNSUBACK have a list of codes, and each of them is looked at.
#[test]
fn a_code_is_legal_at_every_place_of_a_list_or_at_none() {
    for packet in [PacketType::SubAck, PacketType::UnsubAck] {
        for code in 0..=255 {
            let legal = is_listed(packet, code, Role::Server);
            for codes in [[0, code, 0], [0, 0, code]] {
                let first = (packet as u8) << 4;
                let bytes = [&[first, 6, 0, 1, 0][..], &codes].concat();
                let decoded = Decoder::new(Role::Server, ProtocolVersion::V5).decode(&bytes);
                let error = decoded.map(|_| ()).map_err(DecodeError::kind);
                let expected = if legal { Ok(()) } else { Err(DecodeErrorKind::ReasonCode(code)) };
                assert_eq!(error, expected, "{packet:?} {codes:?}");
            }
        }
    }
}

#[test]
fn every_listed_code_has_the_name_of_the_table() {
    for [packet, code, name, _] in rows(CODES) {
        let plain = ["Granted QoS 0", "Normal disconnection"];
        let name = if plain.contains(&name) { "Success" } else { name.trim_end_matches('.') };
        let ours = ReasonCode::new(number(code)).name();
        assert!(ours.eq_ignore_ascii_case(name), "{packet} {code}: {ours}");
    }
}

#[test]
fn the_older_version_has_six_connect_return_codes() {
    for code in 0..=255 {
        let bytes = [0x20, 2, 0, code];
        let decoded = Decoder::new(Role::Server, ProtocolVersion::V311).decode(&bytes);
        assert_eq!(decoded.is_ok(), code <= 5);
        let reason = ReasonCode::from_connect_return_code(code);
        assert_eq!(reason.is_some(), code <= 5);
        if let Some(reason) = reason {
            assert_eq!(reason.connect_return_code(), Some(code));
            let mut out = BytesMut::new();
            value(PacketType::ConnAck, reason).encode(ProtocolVersion::V311, &mut out).unwrap();
            assert_eq!(out, bytes[..]);
        }
    }
}

#[test]
fn the_older_version_has_four_subscribe_return_codes() {
    for code in 0..=255 {
        let bytes = [0x90, 3, 0, 1, code];
        let legal = matches!(code, 0..=2 | 0x80);
        let decoded = Decoder::new(Role::Server, ProtocolVersion::V311).decode(&bytes);
        assert_eq!(decoded.is_ok(), legal, "{code:#04x}");
        let mut out = BytesMut::new();
        let encoded = value(PacketType::SubAck, ReasonCode::new(code))
            .encode(ProtocolVersion::V311, &mut out);
        assert_eq!(encoded.is_ok(), legal, "{code:#04x}");
    }
}

#[test]
fn every_code_has_a_nearest_one_that_the_older_version_can_say() {
    for packet in [PacketType::ConnAck, PacketType::SubAck] {
        for code in (0..=255).map(ReasonCode::new) {
            if code.is_legal_in(packet, Role::Server) {
                let nearest = code.nearest_in(ProtocolVersion::V311, packet);
                assert_eq!(nearest.is_error(), code.is_error(), "{packet:?} {code}");
                let packet = value(packet, nearest);
                assert!(packet.encoded_len(ProtocolVersion::V311).is_ok(), "{packet:?}");
            }
        }
    }
}

#[test]
fn every_error_has_a_code_that_either_side_may_say_goodbye_with() {
    for code in (0..=255).map(ReasonCode::new) {
        for sender in ROLES {
            let said = code.for_disconnect(sender);
            assert!(said.is_legal_in(PacketType::Disconnect, sender), "{code} from {sender:?}");
            if code.is_legal_in(PacketType::Disconnect, sender) {
                assert_eq!(said, code);
            }
        }
    }
}
