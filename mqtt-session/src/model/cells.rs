//! The tables of QoS 1 and 2 as the sessions under search ask them: each question is noted, and one
//! may get a wrong answer.

use alloc::vec::Vec;
use core::cell::{Cell as Slot, RefCell};
use std::thread_local;

use mqtt_proto::QoS;

use crate::qos::transition::{
    self, AckInput, PubRelStep, PublishStep, ReceiveState, SendState, SendStep, Verdict,
    VerdictStep,
};

/// A function, and what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Ack(Option<SendState>, AckInput),
    Publish(Option<ReceiveState>, QoS),
    Verdict(Option<ReceiveState>, Verdict),
    PubRel(Option<ReceiveState>),
}

/// What it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Ack(SendStep),
    Publish(PublishStep),
    Verdict(VerdictStep),
    PubRel(PubRelStep),
}

thread_local! {
    static ASKED: RefCell<Vec<Cell>> = const { RefCell::new(Vec::new()) };
    static WRONG: Slot<Option<(Cell, Answer)>> = const { Slot::new(None) };
}

/// The cells that were asked for in this thread since the last time, and from now on a wrong answer
/// in one of them, or in none.
pub(crate) fn begin(wrong: Option<(Cell, Answer)>) -> Vec<Cell> {
    WRONG.set(wrong);
    ASKED.take()
}

fn ask(cell: Cell) -> Option<Answer> {
    ASKED.with_borrow_mut(|asked| {
        if !asked.contains(&cell) {
            asked.push(cell);
        }
    });
    WRONG.get().filter(|(wrong, _)| *wrong == cell).map(|(_, answer)| answer)
}

pub(crate) fn on_ack(state: Option<SendState>, input: AckInput) -> SendStep {
    match ask(Cell::Ack(state, input)) {
        Some(Answer::Ack(step)) => step,
        _ => transition::on_ack(state, input),
    }
}

pub(crate) fn on_publish(state: Option<ReceiveState>, qos: QoS) -> PublishStep {
    match ask(Cell::Publish(state, qos)) {
        Some(Answer::Publish(step)) => step,
        _ => transition::on_publish(state, qos),
    }
}

pub(crate) fn on_verdict(state: Option<ReceiveState>, verdict: Verdict) -> VerdictStep {
    match ask(Cell::Verdict(state, verdict)) {
        Some(Answer::Verdict(step)) => step,
        _ => transition::on_verdict(state, verdict),
    }
}

pub(crate) fn on_pubrel(state: Option<ReceiveState>) -> PubRelStep {
    match ask(Cell::PubRel(state)) {
        Some(Answer::PubRel(step)) => step,
        _ => transition::on_pubrel(state),
    }
}

impl Cell {
    /// All of them.
    pub(crate) fn all() -> Vec<Self> {
        let senders = || [None].into_iter().chain(SendState::ALL.map(Some));
        let receivers = || [None].into_iter().chain(ReceiveState::ALL.map(Some));
        let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
        let acks = senders().flat_map(|state| AckInput::ALL.map(|input| Self::Ack(state, input)));
        let publishes = receivers().flat_map(|state| qos.map(|qos| Self::Publish(state, qos)));
        let verdicts =
            receivers().flat_map(|state| Verdict::ALL.map(|it| Self::Verdict(state, it)));
        acks.chain(publishes).chain(verdicts).chain(receivers().map(Self::PubRel)).collect()
    }

    /// Every other answer than the right one.
    pub(crate) fn wrong_answers(self) -> Vec<Answer> {
        use PublishStep::{Deliver, DeliverOwePubAck, DeliverOwePubRec, PubRecAgain};
        use SendStep::{Finish, Release, ReleaseAgain, ReleaseUnknown, Violation};
        let (right, all) = match self {
            Self::Ack(state, input) => (
                Answer::Ack(transition::on_ack(state, input)),
                [SendStep::Ignore, Finish, Release, ReleaseAgain, ReleaseUnknown, Violation]
                    .map(Answer::Ack)
                    .to_vec(),
            ),
            Self::Publish(state, qos) => (
                Answer::Publish(transition::on_publish(state, qos)),
                [Deliver, DeliverOwePubAck, DeliverOwePubRec, PublishStep::Ignore, PubRecAgain]
                    .map(Answer::Publish)
                    .to_vec(),
            ),
            Self::Verdict(state, verdict) => (
                Answer::Verdict(transition::on_verdict(state, verdict)),
                [
                    VerdictStep::Ignore,
                    VerdictStep::PubAck,
                    VerdictStep::HoldPubRec,
                    VerdictStep::PubRec,
                ]
                .map(Answer::Verdict)
                .to_vec(),
            ),
            Self::PubRel(state) => (
                Answer::PubRel(transition::on_pubrel(state)),
                [PubRelStep::ReleasePubComp, PubRelStep::PubCompUnknown]
                    .map(Answer::PubRel)
                    .to_vec(),
            ),
        };
        all.into_iter().filter(|answer| *answer != right).collect()
    }
}
