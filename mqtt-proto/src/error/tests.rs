//! Every kind of error, the reason code it means on the wire, and the text that names its rule.

use std::{collections::BTreeSet, format, println};

use super::DecodeErrorKind::{self, *};
use crate::{DecodeError, EncodeError, PacketType, PropertyId, Role};

/// The number of a kind in [`KINDS`]; no other match in the tests has to know them all.
const fn number(kind: DecodeErrorKind) -> usize {
    match kind {
        ReservedPacketType(_) => 0,
        FixedHeaderFlags => 1,
        QoS3 => 2,
        DupOnQoS0 => 3,
        VarIntTooLong => 4,
        VarIntNotMinimal => 5,
        PacketTooLarge => 6,
        UnexpectedEnd => 7,
        TrailingBytes => 8,
        PacketIdZero => 9,
        InvalidUtf8 => 10,
        NulCharacter => 11,
        TopicNameEmpty => 12,
        TopicNameWildcard => 13,
        TopicFilterEmpty => 14,
        TopicFilterWildcard => 15,
        SharedFilter => 16,
        ProtocolName => 17,
        UnsupportedProtocolLevel(_) => 18,
        ConnectFlags => 19,
        WillFlags => 20,
        PasswordWithoutUserName => 21,
        ConnAckFlags => 22,
        SessionPresentInRefusal => 23,
        ReasonCode(_) => 24,
        NoTopicFilter => 25,
        NoReasonCode => 26,
        RequestedQoS3 => 27,
        SubscriptionOptions => 28,
        RetainHandling => 29,
        NoLocalShared => 30,
        PropertyUnknown(_) => 31,
        PropertyNotAllowed(_) => 32,
        PropertyTwice(_) => 33,
        PropertyValue(_) => 34,
        PropertyLength => 35,
        NoAuthenticationMethod => 36,
        WrongSender(_) => 37,
        ConnectExpected => 38,
    }
}

const COUNT: usize = 39;

const MALFORMED: u8 = 0x81;
const PROTOCOL: u8 = 0x82;
const ID: PropertyId = PropertyId::ReceiveMaximum;

/// Section 4.13 and the rules that name a code of their own.
const KINDS: [(DecodeErrorKind, u8); COUNT + 1] = [
    (ReservedPacketType(0), MALFORMED),
    (FixedHeaderFlags, MALFORMED),
    (QoS3, MALFORMED),
    (DupOnQoS0, MALFORMED),
    (VarIntTooLong, MALFORMED),
    (VarIntNotMinimal, MALFORMED),
    (PacketTooLarge, 0x95),
    (UnexpectedEnd, MALFORMED),
    (TrailingBytes, MALFORMED),
    (PacketIdZero, MALFORMED),
    (InvalidUtf8, MALFORMED),
    (NulCharacter, MALFORMED),
    (TopicNameEmpty, PROTOCOL),
    (TopicNameWildcard, 0x90),
    (TopicFilterEmpty, 0x8f),
    (TopicFilterWildcard, 0x8f),
    (SharedFilter, 0x8f),
    (ProtocolName, 0x84),
    (UnsupportedProtocolLevel(6), 0x84),
    (ConnectFlags, MALFORMED),
    (WillFlags, MALFORMED),
    (PasswordWithoutUserName, MALFORMED),
    (ConnAckFlags, MALFORMED),
    (SessionPresentInRefusal, MALFORMED),
    (ReasonCode(3), MALFORMED),
    (NoTopicFilter, PROTOCOL),
    (NoReasonCode, PROTOCOL),
    (RequestedQoS3, PROTOCOL),
    (SubscriptionOptions, MALFORMED),
    (RetainHandling, PROTOCOL),
    (NoLocalShared, PROTOCOL),
    (PropertyUnknown(0), MALFORMED),
    (PropertyNotAllowed(ID), MALFORMED),
    (PropertyTwice(ID), PROTOCOL),
    (PropertyValue(ID), PROTOCOL),
    (PropertyLength, MALFORMED),
    (NoAuthenticationMethod, PROTOCOL),
    (WrongSender(PacketType::ConnAck), PROTOCOL),
    (ConnectExpected, PROTOCOL),
    (PropertyValue(PropertyId::TopicAlias), 0x94),
];

#[test]
fn every_kind_means_its_reason_code_on_the_wire() {
    let mut seen = BTreeSet::new();
    for (kind, code) in KINDS {
        seen.insert(number(kind));
        assert_eq!(kind.reason_code().get(), code, "{kind}");
        let error = DecodeError::new(kind, 7);
        assert_eq!((error.kind(), error.offset()), (kind, 7));
        assert_eq!(error.reason_code().get(), code, "{kind}");
        for sender in [Role::Client, Role::Server] {
            let said = error.reason_code().for_disconnect(sender);
            assert!(said.is_legal_in(PacketType::Disconnect, sender), "{kind}: {said}");
            assert!(said.is_error(), "{kind}: {said}");
        }
    }
    assert!(seen.into_iter().eq(0..COUNT), "a kind is missing");
    println!("kinds of errors: {COUNT}");
}

/// Only a value of Topic Alias has a code of its own [section 3.3.2.3.4].
#[test]
fn whatever_a_kind_carries_its_reason_code_is_the_same() {
    for id in PropertyId::ALL {
        let code = if id == PropertyId::TopicAlias { 0x94 } else { PROTOCOL };
        assert_eq!(PropertyValue(id).reason_code().get(), code, "{id:?}");
        assert_eq!(PropertyTwice(id).reason_code(), crate::ReasonCode::PROTOCOL_ERROR, "{id:?}");
        assert_eq!(
            PropertyNotAllowed(id).reason_code(),
            crate::ReasonCode::MALFORMED_PACKET,
            "{id:?}"
        );
    }
    for byte in 0..=255 {
        for (kind, code) in [
            (ReservedPacketType(byte), MALFORMED),
            (UnsupportedProtocolLevel(byte), 0x84),
            (ReasonCode(byte), MALFORMED),
            (PropertyUnknown(byte), MALFORMED),
        ] {
            assert_eq!(kind.reason_code().get(), code, "{kind}");
        }
    }
}

#[test]
fn every_kind_names_its_rule_in_a_text_of_its_own() {
    let mut texts = BTreeSet::new();
    for (kind, _) in KINDS {
        let text = format!("{kind}");
        let rule = text.rsplit_once('[').and_then(|(_, rule)| rule.strip_suffix(']'));
        let known = |rule: &str| {
            ["MQTT-", "section ", "3.1.1 MQTT-"].iter().any(|start| rule.starts_with(start))
        };
        assert!(rule.is_some_and(known), "{text}");
        let error = format!("{}", DecodeError::new(kind, 7));
        assert_eq!(error, format!("{text} (byte 7 of the packet)"));
        assert!(texts.insert(text), "{kind} reads like another");
    }
}

#[test]
fn errors_are_small_and_copied() {
    const fn copied<T: Copy + Send + Sync + core::error::Error + 'static>() -> usize {
        size_of::<T>()
    }
    assert_eq!([copied::<DecodeErrorKind>(), copied::<DecodeError>()], [2, 8]);
    assert!(copied::<EncodeError>() <= 24);
}
