//! The client's application: it publishes, and asks again for what was lost with a connection.

use bytes::Bytes;
use mqtt_session::{
    ClientAction, ClientState, CloseReason, CommandError, Outcome, PublishError, Receipt,
    proto::{
        ConnAck, PacketId, Properties, ReasonCode, SubscribeFilters, TopicFilter,
        UnsubscribeFilters,
    },
};

use super::{Ending, OpenRequest, Step, Way, World};
use crate::{
    common::{Q0, Q1, Q2},
    scenario::REFUSED,
};

impl World<'_> {
    pub(super) fn poll_client(&mut self) {
        while let Some(action) = self.client.poll_action() {
            match action {
                ClientAction::Connected(connack) => self.connected(&connack),
                ClientAction::Journal(entry) => self.journals[Way::Up.index()].push(entry),
                ClientAction::Deliver { publish, receipt } => {
                    let index = self.index(&publish.message.as_ref());
                    match receipt {
                        Some(receipt) => self.unanswered.push_back((Way::Down, receipt, index)),
                        None => self.receive(None, index),
                    }
                }
                ClientAction::Finished { id, outcome } => self.finished(id, outcome),
                ClientAction::Subscribed(suback) => self.answered(suback.id),
                ClientAction::Unsubscribed(unsuback) => self.answered(unsuback.id),
                ClientAction::Close(reason) => {
                    let silent = self.scenario.settings.ending == Ending::Silent;
                    let expected = match reason {
                        CloseReason::Requested(_) => true,
                        CloseReason::KeepAliveTimeout | CloseReason::ConnectTimeout => silent,
                        _ => false,
                    };
                    assert!(expected, "the client closes: {reason}");
                    self.client_closed = true;
                }
                action => panic!("the client wants {action:?}"),
            }
        }
    }

    fn connected(&mut self, connack: &ConnAck<Bytes>) {
        if let Some(maximum) = connack.properties.maximum_qos() {
            let maximum = if maximum { Q1 } else { Q0 };
            self.ledgers[Way::Up.index()].rule_out(maximum);
        }
        for receipt in self.stale[Way::Down.index()].drain(..) {
            let answered = self.client.acknowledge(self.now, receipt, ReasonCode::SUCCESS);
            assert_eq!(answered, Err(CommandError::NothingToAnswer), "on another connection");
        }
    }

    /// The message belongs to the application.
    pub(super) fn receive(&mut self, receipt: Option<Receipt>, index: usize) {
        let message = &self.scenario.messages[index];
        let refused = message.topic == REFUSED;
        let reason = if refused { ReasonCode::NOT_AUTHORIZED } else { ReasonCode::SUCCESS };
        if !refused {
            self.note(|| format!("client: has '{}'", message.text));
            self.ledgers[Way::Down.index()].delivered(index);
        }
        if let Some(receipt) = receipt {
            self.client.acknowledge(self.now, receipt, reason).expect("it is owed");
        }
    }

    fn finished(&mut self, id: PacketId, outcome: Outcome) {
        self.note(|| format!("client: {id} is {outcome:?}"));
        let request = self.requests.iter_mut().find(|request| request.id == Some(id));
        if let Some(request) = request {
            assert_eq!(outcome, Outcome::Lost, "of {:?}", request.step);
            request.id = None;
        } else {
            self.ledgers[Way::Up.index()].finished(id.get(), outcome);
        }
    }

    fn answered(&mut self, id: PacketId) {
        let at = self.requests.iter().position(|request| request.id == Some(id));
        self.requests.remove(at.expect("an answer to an open request"));
    }

    /// Requests do not outlive their connection: they are made again on the next one.
    pub(super) fn ask_again(&mut self) {
        for request in self.requests.drain(..).rev() {
            assert_eq!(request.id, None, "was not told that {:?} is lost", request.step);
            self.client_plans.push_front(request.step);
        }
    }

    /// The client's application does what it can; whether that was anything.
    pub(super) fn proceed_client(&mut self) -> bool {
        let mut moved = false;
        while let Some(&step) = self.client_plans.front() {
            let done = match step {
                Step::Up(message) => self.publish_up(message),
                step => self.request(step),
            };
            if !done {
                break;
            }
            self.client_plans.pop_front();
            moved = true;
        }
        moved
    }

    fn publish_up(&mut self, index: usize) -> bool {
        let publication = self.scenario.messages[index].publication.clone();
        let published = self.client.publish(self.now, publication);
        self.published(Way::Up, index, published)
    }

    /// What became of an attempt to publish; whether there is no need for another one.
    pub(super) fn published(
        &mut self,
        way: Way,
        index: usize,
        published: Result<Option<PacketId>, PublishError>,
    ) -> bool {
        let message = &self.scenario.messages[index];
        let ledger = &mut self.ledgers[way.index()];
        match published {
            Ok(id) => {
                let id = id.map_or(0, PacketId::get);
                ledger.accepted(id, index, message.qos, self.now);
                self.note(|| format!("'{}' {way:?} is accepted as {id}", message.text));
            }
            Err(PublishError::Full { .. }) => return false,
            Err(PublishError::NotConnected | PublishError::TransmitFull) if message.qos == Q0 => {}
            Err(PublishError::PacketTooLarge { .. } | PublishError::QoSNotSupported(_)) => {
                ledger.declined(index);
            }
            Err(error) => panic!("'{}': {error}", message.text),
        }
        true
    }

    fn request(&mut self, step: Step) -> bool {
        if self.client.state() != ClientState::Connected {
            return false;
        }
        let filter = |topic| TopicFilter::<Bytes>::try_from(topic).expect("a topic filter");
        let id = match step {
            Step::Subscribe(topic) => {
                let filters = SubscribeFilters::new([(filter(topic), Q2)]);
                let filters = filters.expect("a filter");
                self.client.subscribe(self.now, filters, Properties::EMPTY)
            }
            Step::Unsubscribe(topic) => {
                let filters = UnsubscribeFilters::new([filter(topic)]).expect("a filter");
                self.client.unsubscribe(self.now, filters, Properties::EMPTY)
            }
            step => panic!("{step:?} is no request"),
        };
        self.requests.push(OpenRequest { id: Some(id.expect("an identifier")), step });
        true
    }
}
