//! A message on its way to being published.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use mqtt_session::{
    Answer, CallError, Request,
    proto::{Message, Properties, Publication, QoS, ReasonCode, TopicName},
};
use tokio::sync::oneshot;

use crate::{Client, Error};

/// A message to be published, from [`Client::publish`]. Await it, or call [`send`](Self::send),
/// which is the same.
#[derive(Debug)]
#[must_use = "nothing is published before this is awaited"]
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
    ///
    /// # Cancel safety
    /// Dropped before it returns, the message may have been published or not. Once the session
    /// has it, it will be.
    pub async fn send(self) -> Result<ReasonCode, Error> {
        self.start().await?.await
    }

    /// Puts the message in line and returns before the server has answered, so that the next one
    /// may follow at once; the [`Acknowledgement`] is the answer. Waits while the line is full.
    ///
    /// Messages go out in the order of these calls.
    ///
    /// # Errors
    /// [`Error::Topic`], or [`Error::Closed`].
    ///
    /// # Cancel safety
    /// Dropped before it returns, nothing is published.
    pub async fn start(self) -> Result<Acknowledgement, Error> {
        let Self { client, topic, payload, qos, retain, properties } = self;
        let message = Message { topic: topic?, payload, properties };
        let request = Request::Publish(Publication { qos, retain, message });
        let answer = client.request(request).await?;
        Ok(Acknowledgement { client, answer })
    }
}

impl IntoFuture for PublishBuilder {
    type Output = Result<ReasonCode, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// The answer to a message that was put in line, from [`PublishBuilder::start`]: a future of what
/// [`send`](PublishBuilder::send) returns. Dropping it changes nothing for the message, but the
/// connection lasts as long as one of these is waited for.
#[must_use = "without it nobody knows whether the message arrived"]
pub struct Acknowledgement {
    client: Client,
    answer: oneshot::Receiver<Result<Answer, CallError>>,
}

impl Future for Acknowledgement {
    type Output = Result<ReasonCode, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(Pin::new(&mut self.answer).poll(cx)) {
            Ok(Ok(Answer::Acknowledged(reason))) => Ok(reason),
            Ok(Ok(Answer::Codes(_))) => Ok(ReasonCode::SUCCESS),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(self.client.ended()),
        })
    }
}

impl fmt::Debug for Acknowledgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acknowledgement").finish_non_exhaustive()
    }
}
