//! A message on its way to being published.

use std::{fmt, sync::mpsc, time::Duration};

use bytes::Bytes;
use mqtt_session::{
    Answer, CallError, Request,
    proto::{Message, Properties, Publication, QoS, ReasonCode, TopicName},
};

use crate::{Client, Error};

/// A message to be published, from [`Client::publish`].
#[derive(Debug)]
#[must_use = "nothing is published before this is sent"]
pub struct PublishBuilder {
    client: Client,
    topic: Result<TopicName<Bytes>, Error>,
    payload: Bytes,
    qos: QoS,
    retain: bool,
    properties: Properties<Bytes>,
}

impl PublishBuilder {
    pub(crate) fn new(
        client: Client,
        topic: Result<TopicName<Bytes>, Error>,
        payload: Bytes,
    ) -> Self {
        let (qos, retain, properties) = (QoS::AtMostOnce, false, Properties::EMPTY);
        Self { client, topic, payload, qos, retain, properties }
    }

    /// How hard the message is delivered; QoS 0 by default.
    pub const fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// Whether the server keeps it for those who subscribe later; not by default.
    pub const fn retain(mut self, retain: bool) -> Self {
        self.retain = retain;
        self
    }

    /// Its properties, in 5.0; none by default.
    pub fn properties(mut self, properties: Properties<Bytes>) -> Self {
        self.properties = properties;
        self
    }

    /// Publishes the message, and returns when the handshake of its QoS is complete: PUBACK at
    /// QoS 1, PUBCOMP at QoS 2, and at QoS 0 when it was handed to the connection. The code is
    /// not always Success: [`ReasonCode::NO_MATCHING_SUBSCRIBERS`] is none of the errors.
    ///
    /// # Errors
    /// [`Error::Refused`] with the server's reason; [`Error::Topic`]; the others of [`Error`].
    pub fn send(self) -> Result<ReasonCode, Error> {
        self.start()?.wait()
    }

    /// Puts the message in line and returns before the server has answered, so that the next one
    /// may follow at once; the [`Acknowledgement`] is the answer. Waits while the line is full.
    ///
    /// Messages go out in the order of these calls.
    ///
    /// # Errors
    /// [`Error::Topic`].
    pub fn start(self) -> Result<Acknowledgement, Error> {
        let Self { client, topic, payload, qos, retain, properties } = self;
        let message = Message { topic: topic?, payload, properties };
        let request = Request::Publish(Publication { qos, retain, message });
        let answer = client.shared().request_in_line(request);
        Ok(Acknowledgement { client, answer })
    }
}

/// The answer to a message that was put in line, from [`PublishBuilder::start`]. Dropping it
/// changes nothing for the message, but the connection lasts as long as one of these is kept.
#[must_use = "without it nobody knows whether the message arrived"]
pub struct Acknowledgement {
    client: Client,
    answer: mpsc::Receiver<Result<Answer, CallError>>,
}

impl Acknowledgement {
    /// Waits for what [`send`](PublishBuilder::send) returns.
    ///
    /// # Errors
    /// As [`send`](PublishBuilder::send).
    pub fn wait(self) -> Result<ReasonCode, Error> {
        self.result(self.answer.recv().ok())
    }

    /// Waits for at most this long; gives itself back if there was no answer.
    ///
    /// # Errors
    /// The acknowledgement, to be waited for again. Inside the `Ok`, as
    /// [`send`](PublishBuilder::send).
    pub fn wait_timeout(self, timeout: Duration) -> Result<Result<ReasonCode, Error>, Self> {
        match self.answer.recv_timeout(timeout) {
            Ok(answer) => Ok(self.result(Some(answer))),
            Err(mpsc::RecvTimeoutError::Disconnected) => Ok(self.result(None)),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(self),
        }
    }

    fn result(&self, answer: Option<Result<Answer, CallError>>) -> Result<ReasonCode, Error> {
        match answer {
            Some(Ok(Answer::Acknowledged(reason))) => Ok(reason),
            Some(Ok(Answer::Codes(_))) => Ok(ReasonCode::SUCCESS),
            Some(Err(error)) => Err(error.into()),
            None => Err(self.client.shared().lock().ended()),
        }
    }
}

impl fmt::Debug for Acknowledgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acknowledgement").finish_non_exhaustive()
    }
}
