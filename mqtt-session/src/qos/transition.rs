//! The whole of QoS 1 and 2 in three total functions over states of one byte. They know neither
//! role nor version.

use mqtt_proto::QoS;

/// What the sender of an open exchange waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendState {
    /// QoS 1, PUBLISH sent or to be sent; the message is held.
    AwaitPubAck,
    /// QoS 2, PUBLISH sent or to be sent; the message is held.
    AwaitPubRec,
    /// QoS 2, PUBREL sent or to be sent; only the packet identifier is held.
    AwaitPubComp,
}

impl SendState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::AwaitPubAck, Self::AwaitPubRec, Self::AwaitPubComp];
}

/// What the sender hears from the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AckInput {
    /// PUBACK with any reason code.
    PubAck,
    /// PUBREC with a reason code below 0x80.
    PubRec,
    /// PUBREC with a reason code of 0x80 or above.
    PubRecError,
    /// PUBCOMP with any reason code.
    PubComp,
}

impl AckInput {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::PubAck, Self::PubRec, Self::PubRecError, Self::PubComp];
}

/// What the sender does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendStep {
    /// Nothing: the exchange ended before, perhaps with an earlier connection.
    Ignore,
    /// The exchange is over; the packet identifier and the quota come back.
    Finish,
    /// Drop the message, send PUBREL and await PUBCOMP [MQTT-4.3.3-4] [MQTT-4.3.3-5].
    Release,
    /// Send PUBREL once more; the state stays.
    ReleaseAgain,
    /// Send PUBREL for an exchange that is not known; 5.0 says so with Packet Identifier not found.
    ReleaseUnknown,
    /// The peer broke the protocol.
    Violation,
}

/// The sender hears of an exchange in the given state, `None` if there is none of this identifier.
#[must_use]
pub const fn on_ack(state: Option<SendState>, input: AckInput) -> SendStep {
    use AckInput::{PubAck, PubComp, PubRec, PubRecError};
    use SendState::{AwaitPubAck, AwaitPubComp, AwaitPubRec};
    match (state, input) {
        (None, PubRec) => SendStep::ReleaseUnknown,
        (None, PubAck | PubRecError | PubComp) => SendStep::Ignore,
        (Some(AwaitPubAck), PubAck) => SendStep::Finish,
        (Some(AwaitPubAck), PubRec | PubRecError | PubComp) => SendStep::Violation,
        (Some(AwaitPubRec), PubRec) => SendStep::Release,
        // [MQTT-4.3.3-4] A failed PUBREC ends the exchange; no PUBREL follows.
        (Some(AwaitPubRec), PubRecError) => SendStep::Finish,
        (Some(AwaitPubRec), PubAck | PubComp) => SendStep::Violation,
        (Some(AwaitPubComp), PubRec) => SendStep::ReleaseAgain,
        (Some(AwaitPubComp), PubComp) => SendStep::Finish,
        (Some(AwaitPubComp), PubAck | PubRecError) => SendStep::Violation,
    }
}

/// What the receiver does with a PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PublishStep {
    /// Deliver it; no answer.
    Deliver,
    /// Deliver it and send PUBACK [MQTT-4.3.2-4].
    DeliverPubAck,
    /// Deliver it, hold its identifier and send PUBREC [MQTT-4.3.3-8].
    DeliverHoldPubRec,
    /// It was delivered before: send PUBREC only [MQTT-4.3.3-10].
    PubRecOnly,
}

/// The receiver gets a PUBLISH whose identifier it holds, or does not. DUP and content do not
/// matter: between PUBLISH and PUBREL the identifier alone says which message it is.
#[must_use]
pub const fn on_publish(held: bool, qos: QoS) -> PublishStep {
    match (qos, held) {
        (QoS::AtMostOnce, _) => PublishStep::Deliver,
        (QoS::AtLeastOnce, _) => PublishStep::DeliverPubAck,
        (QoS::ExactlyOnce, false) => PublishStep::DeliverHoldPubRec,
        (QoS::ExactlyOnce, true) => PublishStep::PubRecOnly,
    }
}

/// What the receiver does with a PUBREL; PUBCOMP is always sent [MQTT-4.3.3-11].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PubRelStep {
    /// Forget the identifier, then send PUBCOMP.
    ReleasePubComp,
    /// Send PUBCOMP; 5.0 says so with Packet Identifier not found.
    PubCompUnknown,
}

/// The receiver gets a PUBREL for an identifier it holds, or does not.
#[must_use]
pub const fn on_pubrel(held: bool) -> PubRelStep {
    if held { PubRelStep::ReleasePubComp } else { PubRelStep::PubCompUnknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written down from section 4.3 and table rows A10 to A14 of the decisions, not from the code
    /// above.
    #[test]
    fn every_cell_of_the_sender_is_as_section_4_3_says() {
        let table = [
            ("-            ", "ignore  ", "unknown  ", "ignore  ", "ignore  "),
            ("AwaitPubAck  ", "finish  ", "violation", "violation", "violation"),
            ("AwaitPubRec  ", "violation", "release  ", "finish  ", "violation"),
            ("AwaitPubComp ", "violation", "again    ", "violation", "finish  "),
        ];
        let states = core::iter::once(None).chain(SendState::ALL.map(Some));
        for (state, row) in states.zip(table) {
            for (input, expected) in AckInput::ALL.into_iter().zip([row.1, row.2, row.3, row.4]) {
                let step = match on_ack(state, input) {
                    SendStep::Ignore => "ignore",
                    SendStep::Finish => "finish",
                    SendStep::Release => "release",
                    SendStep::ReleaseAgain => "again",
                    SendStep::ReleaseUnknown => "unknown",
                    SendStep::Violation => "violation",
                };
                assert_eq!(step, expected.trim(), "{} on {input:?}", row.0);
            }
        }
    }

    #[test]
    fn every_cell_of_the_receiver_is_as_section_4_3_says() {
        let table = [
            (QoS::AtMostOnce, PublishStep::Deliver, PublishStep::Deliver),
            (QoS::AtLeastOnce, PublishStep::DeliverPubAck, PublishStep::DeliverPubAck),
            (QoS::ExactlyOnce, PublishStep::DeliverHoldPubRec, PublishStep::PubRecOnly),
        ];
        for (qos, new, held) in table {
            assert_eq!((on_publish(false, qos), on_publish(true, qos)), (new, held), "{qos:?}");
        }
        assert_eq!(on_pubrel(true), PubRelStep::ReleasePubComp);
        assert_eq!(on_pubrel(false), PubRelStep::PubCompUnknown);
    }
}
