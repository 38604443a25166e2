//! The server's part, in a few lines: one client, every subscription is granted, and every message
//! belongs to whoever counts them.

use mqtt_session::{
    Accept, CommandError, Receipt, ServerAction, Session,
    proto::{PacketId, PacketRef, ReasonCode, TopicFilter},
};

use super::{Ending, Forget, Link, Step, Way, World};
use crate::{
    common::Q0,
    scenario::{Answers, REFUSED},
};

impl World<'_> {
    pub(super) fn serve(&mut self, link: &mut Link, packet: PacketRef<'_>) {
        match link.server.handle_packet(self.now, packet) {
            None => {}
            Some(ServerAction::Connect(connect)) => {
                self.accept(link, connect.fields().clean_start);
            }
            Some(ServerAction::Publish(inbound)) => {
                let index = self.index(&inbound.publish().message);
                match inbound.receipt() {
                    Some(receipt) if self.scenario.settings.answers != Answers::AtOnce => {
                        self.unanswered.push_back((Way::Up, receipt, index));
                    }
                    receipt => self.own(link, receipt, index),
                }
            }
            Some(ServerAction::Finished { id, outcome }) => {
                self.note(|| format!("server: {id} is {outcome:?}"));
                self.ledgers[Way::Down.index()].finished(id.get(), outcome);
            }
            Some(ServerAction::Subscribe(subscribe)) => {
                let known = subscribe.filters.iter().map(|(filter, _)| self.known(&filter));
                let known: Vec<_> = known.collect();
                let codes = known.iter().map(|_| ReasonCode::GRANTED_QOS_2);
                self.subscribed.extend(known.clone());
                link.server.suback(self.now, subscribe.id, codes).expect("connected");
            }
            Some(ServerAction::Unsubscribe(unsubscribe)) => {
                let known = unsubscribe.filters.iter().map(|filter| self.known(&filter));
                let known: Vec<_> = known.collect();
                let codes = known.iter().map(|_| ReasonCode::SUCCESS);
                self.subscribed.retain(|topic| !known.contains(topic));
                link.server.unsuback(self.now, unsubscribe.id, codes).expect("connected");
            }
            Some(ServerAction::Disconnect(_)) if self.client_closed => {}
            Some(action) => panic!("the server wants {action:?}"),
        }
    }

    /// The topic of the scenario that this filter names.
    fn known(&self, filter: &TopicFilter<&[u8]>) -> &'static str {
        let topics = self.scenario.script.iter().filter_map(|step| match step {
            Step::Subscribe(topic) | Step::Unsubscribe(topic) => Some(*topic),
            _ => None,
        });
        topics.into_iter().find(|topic| *topic == filter.as_str()).expect("a topic of the scenario")
    }

    fn accept(&mut self, link: &mut Link, clean: bool) {
        if let Some(mut old) = self.old.take() {
            if self.scenario.settings.ending == Ending::TakenOverLate {
                old.up.limit = usize::MAX;
                while self.feed_server(&mut old) {}
            }
            old.server.close(self.now, ReasonCode::SESSION_TAKEN_OVER);
            self.end_server(&mut old);
        }
        if clean && self.kept.take().is_some() {
            self.ledgers[Way::Down.index()].forget();
        }
        let session_present = self.kept.is_some();
        let limit = self.scenario.settings.max_pending;
        let session = self.kept.take().unwrap_or_else(|| {
            self.journals[Way::Down.index()].clear();
            self.journaled(Session::new(limit))
        });
        let accept = Accept { session_present, ..Accept::default() };
        let [_, ledger] = &mut self.ledgers;
        let ended = |id: PacketId, how| ledger.finished(id.get(), how);
        link.server.accept(self.now, session, &accept, ended).expect("a CONNECT awaits it");
        for receipt in self.stale[Way::Up.index()].drain(..) {
            let answered = link.server.acknowledge(self.now, receipt, ReasonCode::SUCCESS);
            assert_eq!(answered, Err(CommandError::NothingToAnswer), "on another connection");
        }
    }

    /// What the broker does with a message: it belongs to the application, and to those who asked.
    pub(super) fn own(&mut self, link: &mut Link, receipt: Option<Receipt>, index: usize) {
        let message = &self.scenario.messages[index];
        let refused = message.topic == REFUSED;
        let reason = if refused { ReasonCode::NOT_AUTHORIZED } else { ReasonCode::SUCCESS };
        if !refused {
            self.note(|| format!("server: has '{}'", message.text));
            self.ledgers[Way::Up.index()].delivered(index);
            if self.subscribed.contains(&message.topic) {
                self.server_plans.push_back(index);
            }
        }
        if let Some(receipt) = receipt {
            link.server.acknowledge(self.now, receipt, reason).expect("it is owed");
        }
    }

    pub(super) fn proceed_server(&mut self) -> bool {
        let mut moved = false;
        while let Some(&message) = self.server_plans.front()
            && self.publish_down(message)
        {
            self.server_plans.pop_front();
            moved = true;
        }
        moved
    }

    /// Publishes where the session is: with the connection, with the one before it, or in the
    /// server's keeping.
    fn publish_down(&mut self, index: usize) -> bool {
        let message = &self.scenario.messages[index];
        let publication = message.publication.clone();
        let links = [self.link.as_mut(), self.old.as_mut()].into_iter().flatten();
        let server = links.map(|link| &mut link.server).find(|server| server.is_connected());
        let published = match (server, &mut self.kept) {
            (Some(server), _) => server.publish(self.now, publication),
            (None, Some(session)) => session.publish(self.now, publication).map(Some),
            // Nobody knows this client, or not any more.
            (None, None) => return message.qos == Q0,
        };
        self.published(Way::Down, index, published)
    }

    /// The server notices the end, and keeps the session if it is to last.
    pub(super) fn end_server(&mut self, link: &mut Link) {
        self.take_down(link);
        let lasts = link.server.session_expiry() > 0;
        let Some(session) = link.server.take_session() else { return };
        if lasts {
            self.kept = Some(session);
            self.crash_server();
        } else {
            self.ledgers[Way::Down.index()].forget();
        }
    }

    /// What the server keeps from here on is what its journal says.
    fn crash_server(&mut self) {
        if let Some(session) = self.kept.take_if(|_| self.scenario.settings.crash) {
            let limit = self.scenario.settings.max_pending;
            let journal = self.journals[Way::Down.index()].clone();
            let restored = Session::restore(limit, journal).expect("a journal of a session");
            assert!(restored.snapshot().eq(session.snapshot()), "another session was restored");
            self.kept = Some(restored.journaled());
        }
    }

    pub(super) fn lose_session(&mut self, first: bool) {
        let loses = match self.scenario.settings.forget {
            Forget::Never => false,
            Forget::Once => first,
            Forget::Always => true,
        };
        if loses && self.kept.take().is_some() {
            self.ledgers[Way::Up.index()].lose();
            self.ledgers[Way::Down.index()].forget();
            self.hidden_loss = true;
        }
    }
}
