//! Requests and responses, section 4.10: pure, beside any client.

use alloc::collections::BTreeMap;
use core::time::Duration;

use bytes::Bytes;
use mqtt_proto::{Message, Properties, Property, PropertyError, Publication, Storage, TopicName};

use crate::{Instant, IntoPayload, backoff::scramble};

/// Makes requests of publications, and finds out which request a message answers.
///
/// A request is a message with a Response Topic (section 3.3.2.3.5), which has no wildcards
/// [MQTT-3.3.2-14] and reaches the responder as it was sent [MQTT-3.3.2-15]. With it goes Correlation
/// Data (section 3.3.2.3.6), which the responder gives back and no server alters [MQTT-3.3.2-16]: 8
/// bytes that this requester uses for no other request. They are no secret; who may publish to the
/// Response Topic is for the server to say.
///
/// The requester sends and subscribes nothing. A client subscribes to the
/// [response topic](Self::response_topic) once, and again when the server has lost the session;
/// publishes what [`request`](Self::request) gives; and shows what it receives to
/// [`handle_message`](Self::handle_message). A `W` is whatever waits for a response: every `W` that
/// comes in goes out once, with the response, when its time is over, or when it is
/// [cancelled](Self::cancel).
///
/// 5.0 only. In 3.1.1 there are no properties: a client refuses to publish a request, and
/// [`reply`] finds none.
///
/// ```
/// use mqtt_session::{
///     Instant, Requester, RequesterConfig, Response, reply,
///     proto::{Publication, TopicName},
/// };
///
/// let now = Instant::ZERO;
/// let response_topic = TopicName::try_from("clients/thermostat/responses")?;
/// let mut requester = Requester::new(response_topic, 0x5eed, RequesterConfig::default());
///
/// // One side asks. Who waits is a text here, and would be a channel or a callback elsewhere.
/// let question = Publication::new(TopicName::try_from("room/1/temperature/get")?, "");
/// let (_, request) = requester.request(now, question, "the display")?;
///
/// // The other side gets the message and answers it.
/// let response = reply(&request.message, "21.5").expect("it has a Response Topic");
/// assert_eq!(response.message.topic, "clients/thermostat/responses");
///
/// // The answer finds who waits for it, once.
/// let Response::Answers { waiter, .. } = requester.handle_message(&response.message) else {
///     panic!("nobody waits for it")
/// };
/// assert_eq!(waiter, "the display");
/// assert!(matches!(requester.handle_message(&response.message), Response::Late(_)));
/// # Ok::<_, Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Requester<W> {
    config: RequesterConfig,
    response_topic: TopicName<Bytes>,
    /// The Correlation Data of the first request; it counts up from there.
    first: u64,
    /// How many requests were made.
    made: u64,
    /// In the order they were made, which is that of their deadlines.
    open: BTreeMap<RequestId, Open<W>>,
    now: Instant,
}

#[derive(Clone, Debug)]
struct Open<W> {
    /// `None` if it may take for ever.
    deadline: Option<Instant>,
    waiter: W,
}

/// The limits of a [`Requester`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequesterConfig {
    /// How many requests wait for their response at the same time; 1,000 by default. Each costs about
    /// 50 bytes and its `W`.
    pub max_open: usize,
    /// How long each waits; one minute by default, `Duration::MAX` for ever. A responder is not told:
    /// a Message Expiry Interval of the request is for the caller to set.
    pub timeout: Duration,
}

impl Default for RequesterConfig {
    fn default() -> Self {
        Self { max_open: 1000, timeout: Duration::from_secs(60) }
    }
}

/// Names a request of one [`Requester`], for as long as that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

/// What a message is to a [`Requester`].
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response<W> {
    /// The response to this request, which is over with it.
    Answers {
        /// Which request.
        id: RequestId,
        /// Who waited for it.
        waiter: W,
    },
    /// A response to a request that is over: the second one, or one after its time.
    Late(RequestId),
    /// It is on the response topic, but has no Correlation Data or such as this requester never
    /// sent. Another one may have, on the same topic or with another seed.
    Unknown,
    /// It is on another topic.
    Unrelated,
}

/// Why a request could not be made. The caller's fault or the moment's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// As many requests wait for their response as may.
    #[error("{limit} requests wait for their response, which is the limit")]
    Full {
        /// [`RequesterConfig::max_open`].
        limit: usize,
    },
    /// The publication has a Response Topic or Correlation Data, or there is no room for them.
    #[error(transparent)]
    Property(#[from] PropertyError),
}

/// A request that was not made. Nothing changed, and the waiter comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct RequestRefused<W> {
    /// Who would have waited.
    pub waiter: W,
    /// Why.
    pub error: RequestError,
}

impl<W> Requester<W> {
    /// Responses are asked for on `response_topic`. It should be this client's alone: below the
    /// Response Information of CONNACK, where the server has some (section 4.10.2), or with the client
    /// identifier in it.
    ///
    /// `seed` is any number, another one for each requester that has used this topic or will: it sets
    /// responses to one apart from responses to others.
    #[must_use]
    pub const fn new(response_topic: TopicName<Bytes>, seed: u64, config: RequesterConfig) -> Self {
        Self {
            config,
            response_topic,
            first: scramble(seed),
            made: 0,
            open: BTreeMap::new(),
            now: Instant::ZERO,
        }
    }

    /// Makes a request of a publication: the same with a Response Topic and Correlation Data behind
    /// its other properties. From here on somebody waits; if it cannot be published, or nobody got
    /// it, [`cancel`](Self::cancel) it.
    ///
    /// # Errors
    /// [`RequestRefused`], with the waiter.
    pub fn request(
        &mut self,
        now: Instant,
        mut publication: Publication<Bytes>,
        waiter: W,
    ) -> Result<(RequestId, Publication<Bytes>), RequestRefused<W>> {
        self.now = self.now.max(now);
        let id = RequestId(self.made);
        match self.properties(&publication.message, id) {
            Ok(properties) => publication.message.properties = properties,
            Err(error) => return Err(RequestRefused { waiter, error }),
        }
        let timeout = self.config.timeout;
        let deadline = (timeout < Duration::MAX).then(|| self.now + timeout);
        self.made += 1;
        self.open.insert(id, Open { deadline, waiter });
        Ok((id, publication))
    }

    /// Whether a message answers a request. Ask for every message that comes on the response topic; one
    /// on another costs a comparison.
    pub fn handle_message<B: Storage>(&mut self, message: &Message<B>) -> Response<W> {
        if message.topic.as_bytes() != self.response_topic.as_bytes() {
            return Response::Unrelated;
        }
        let data = message.properties.correlation_data();
        let Some(data) = data.and_then(|data| data.try_into().ok()) else {
            return Response::Unknown;
        };
        let id = RequestId(u64::from_be_bytes(data).wrapping_sub(self.first));
        match self.cancel(id) {
            Some(waiter) => Response::Answers { id, waiter },
            None if id.0 < self.made => Response::Late(id),
            None => Response::Unknown,
        }
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) came, or any other: ends the requests whose
    /// time is over, in the order they were made. A response that comes now is [`Response::Late`].
    pub fn handle_timeout(&mut self, now: Instant, mut ended: impl FnMut(RequestId, W)) {
        self.now = self.now.max(now);
        while self.poll_timeout().is_some_and(|deadline| deadline <= self.now) {
            if let Some((id, open)) = self.open.pop_first() {
                ended(id, open.waiter);
            }
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.open.first_key_value()?.1.deadline
    }

    /// Ends a request without a response; `None` if it is over already.
    pub fn cancel(&mut self, id: RequestId) -> Option<W> {
        self.open.remove(&id).map(|open| open.waiter)
    }

    /// Ends all requests without a response, in the order they were made.
    pub fn cancel_all(&mut self, mut ended: impl FnMut(RequestId, W)) {
        while let Some((id, open)) = self.open.pop_first() {
            ended(id, open.waiter);
        }
    }

    /// What the client is to subscribe to.
    #[must_use]
    pub const fn response_topic(&self) -> &TopicName<Bytes> {
        &self.response_topic
    }

    /// How many requests wait for their response.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Those of the message, and those that make it a request.
    fn properties(
        &self,
        message: &Message<Bytes>,
        id: RequestId,
    ) -> Result<Properties<Bytes>, RequestError> {
        let limit = self.config.max_open;
        if self.open.len() >= limit {
            return Err(RequestError::Full { limit });
        }
        let data = self.first.wrapping_add(id.0).to_be_bytes();
        let request = [
            Property::ResponseTopic(self.response_topic.as_str()),
            Property::CorrelationData(&data),
        ];
        Ok(Properties::new(message.properties.iter().chain(request))?)
    }
}

/// The response to a request: to its Response Topic, with its Correlation Data if it has some, at QoS 0
/// and not retained. `None` if the message has no Response Topic, and so is no request (section
/// 3.3.2.3.5).
///
/// The requester chose the topic, but it is the responder who publishes to it: where those who send
/// requests are not trusted, look at the topic of the response before it is published.
///
/// ```
/// use mqtt_session::{
///     proto::{Properties, Property, Publication, QoS, TopicName},
///     reply,
/// };
///
/// let request = Publication::new(TopicName::try_from("time")?, "");
/// assert_eq!(reply(&request.message, "12:00"), None);
///
/// let request = request.with_properties(Properties::new([Property::ResponseTopic("answers")])?);
/// let response = reply(&request.message, "12:00").expect("a request").with_qos(QoS::AtLeastOnce);
/// assert_eq!(response.message.topic, "answers");
/// assert!(response.message.properties.is_empty());
/// # Ok::<_, Box<dyn core::error::Error>>(())
/// ```
#[must_use]
pub fn reply<B: Storage>(
    request: &Message<B>,
    payload: impl IntoPayload,
) -> Option<Publication<Bytes>> {
    // A list has no Response Topic that is no topic name, nor Correlation Data that is too long.
    let topic = TopicName::borrowed(request.properties.response_topic()?).ok()?.to_bytes();
    let data = request.properties.correlation_data().map(Property::CorrelationData);
    let properties = Properties::new(data).ok()?;
    Some(Publication::new(topic, payload.into_payload()).with_properties(properties))
}

#[cfg(test)]
mod tests;
