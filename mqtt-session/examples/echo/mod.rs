//! What every adapter example does with its client: subscribe, publish to itself, print,
//! disconnect.

use std::{
    error::Error,
    time::{Duration, Instant as Time},
};

use mqtt_session::{
    Client, ClientAction, ClientOptions, CloseReason, Instant,
    proto::{Properties, Publication, QoS, ReasonCode, SubscribeFilters, TopicFilter, TopicName},
};

pub type AnyError = Box<dyn Error + Send + Sync>;

/// The only clock there is; the session is told what it says.
pub struct Clock(Time);

#[allow(clippy::disallowed_methods, reason = "reading the clock is an adapter's work")]
impl Clock {
    pub fn start() -> Self {
        Self(Time::now())
    }

    pub fn now(&self) -> Instant {
        Instant::ZERO + self.0.elapsed()
    }

    /// How long to wait for a deadline; without one, as long as it takes.
    pub fn until(&self, deadline: Option<Instant>) -> Duration {
        deadline.map_or(Duration::MAX, |deadline| deadline.since(self.now()))
    }
}

/// One message of each QoS, sent to oneself.
pub struct Echo {
    topic: String,
    /// Messages that have not come back, and publishes that were not acknowledged.
    open: usize,
    pub heard: Vec<String>,
}

impl Echo {
    /// `name` is the client identifier and part of the topic, so that two of them do not meet.
    pub fn new(name: &str) -> Result<(Self, Client), AnyError> {
        let echo = Self { topic: format!("echo/{name}"), open: 5, heard: Vec::new() };
        Ok((echo, Client::new(ClientOptions::new(name))?))
    }

    /// What an application does when the session gives it something.
    pub fn react(
        &mut self,
        client: &mut Client,
        now: Instant,
        action: ClientAction,
    ) -> Result<(), AnyError> {
        match action {
            ClientAction::Connected(_) => {
                let filter = TopicFilter::<&[u8]>::try_from(self.topic.as_str())?;
                let filters = SubscribeFilters::new([(filter, QoS::ExactlyOnce)])?;
                client.subscribe(now, filters, Properties::EMPTY)?;
            }
            ClientAction::Subscribed(_) => {
                for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
                    let topic = TopicName::try_from(self.topic.as_str())?;
                    let text = format!("hello at QoS {}", qos.bits());
                    client.publish(now, Publication::new(topic, text).with_qos(qos))?;
                }
            }
            ClientAction::Deliver { publish, .. } => {
                let text = String::from_utf8_lossy(&publish.message.payload).into_owned();
                println!("{}: {text}", publish.message.topic);
                self.heard.push(text);
                self.open -= 1;
            }
            ClientAction::Finished { .. } => self.open -= 1,
            _ => {}
        }
        if self.open == 0 {
            client.disconnect(now, ReasonCode::NORMAL_DISCONNECTION);
        }
        Ok(())
    }

    /// What was heard, if the end was the one that was asked for.
    pub fn end(self, reason: CloseReason) -> Result<Vec<String>, AnyError> {
        match reason {
            CloseReason::Requested(_) => Ok(self.heard),
            reason => Err(reason.into()),
        }
    }
}
