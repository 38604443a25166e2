//! The whole of QoS 1 and 2 in four total functions over states of one byte. They know neither
//! role nor version. Every cell is listed, with the statement it follows from, in
//! `docs/QOS-STATES.md`.

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

/// What the receiver of a message owes, or awaits, for its packet identifier.
///
/// The two QoS have an exchange of their own each: a function below is asked with the state of the
/// exchange of that QoS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReceiveState {
    /// QoS 1, delivered on this connection; PUBACK is owed.
    OwePubAck,
    /// QoS 2, delivered on this connection; PUBREC is owed.
    OwePubRec,
    /// QoS 2, PUBREC was sent; the identifier is held until PUBREL comes.
    AwaitPubRel,
}

impl ReceiveState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OwePubAck, Self::OwePubRec, Self::AwaitPubRel];
}

/// What the receiver does with a PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PublishStep {
    /// Deliver it; nothing is owed.
    Deliver,
    /// Deliver it and owe PUBACK.
    DeliverOwePubAck,
    /// Deliver it and owe PUBREC.
    DeliverOwePubRec,
    /// It was delivered, and the answer that is owed will answer both.
    Ignore,
    /// It was delivered and answered: send PUBREC again [MQTT-4.3.3-10].
    PubRecAgain,
}

/// The receiver gets a PUBLISH. DUP and content do not matter: between PUBLISH and its last answer
/// the identifier alone says which message it is.
#[must_use]
pub const fn on_publish(state: Option<ReceiveState>, qos: QoS) -> PublishStep {
    use ReceiveState::{AwaitPubRel, OwePubAck, OwePubRec};
    match (qos, state) {
        (QoS::AtMostOnce, _) => PublishStep::Deliver,
        (QoS::AtLeastOnce, Some(OwePubAck)) => PublishStep::Ignore,
        (QoS::AtLeastOnce, None | Some(OwePubRec | AwaitPubRel)) => PublishStep::DeliverOwePubAck,
        (QoS::ExactlyOnce, Some(OwePubRec)) => PublishStep::Ignore,
        (QoS::ExactlyOnce, Some(AwaitPubRel)) => PublishStep::PubRecAgain,
        (QoS::ExactlyOnce, None | Some(OwePubAck)) => PublishStep::DeliverOwePubRec,
    }
}

/// What the application says to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It has it: a reason code below 0x80.
    Accepted,
    /// It does not take it: a reason code of 0x80 or above.
    Refused,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Accepted, Self::Refused];
}

/// What the receiver does with a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VerdictStep {
    /// Nothing is owed: it was answered before, or never came.
    Ignore,
    /// Send PUBACK with the code; the exchange is over [MQTT-4.3.2-4].
    PubAck,
    /// Hold the identifier, then send PUBREC with the code [MQTT-4.3.3-8].
    HoldPubRec,
    /// Send PUBREC with the code; the exchange is over [MQTT-4.3.3-9].
    PubRec,
}

/// The application accepts or refuses a message that was delivered.
#[must_use]
pub const fn on_verdict(state: Option<ReceiveState>, verdict: Verdict) -> VerdictStep {
    use ReceiveState::{AwaitPubRel, OwePubAck, OwePubRec};
    match (state, verdict) {
        (None | Some(AwaitPubRel), _) => VerdictStep::Ignore,
        (Some(OwePubAck), _) => VerdictStep::PubAck,
        (Some(OwePubRec), Verdict::Accepted) => VerdictStep::HoldPubRec,
        (Some(OwePubRec), Verdict::Refused) => VerdictStep::PubRec,
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

/// The receiver gets a PUBREL.
#[must_use]
pub const fn on_pubrel(state: Option<ReceiveState>) -> PubRelStep {
    use ReceiveState::{AwaitPubRel, OwePubAck, OwePubRec};
    match state {
        Some(AwaitPubRel) => PubRelStep::ReleasePubComp,
        None | Some(OwePubAck | OwePubRec) => PubRelStep::PubCompUnknown,
    }
}
