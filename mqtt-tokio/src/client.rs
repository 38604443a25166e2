//! The application's end of a connection.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use bytes::Bytes;
use mqtt_session::{
    Answer, CallError, ClientDriver, ClientOptions, CloseReason, ConnectionState, IntoPayload,
    Request, ServerAddress,
    proto::{
        Properties, QoS, ReasonCode, StringError, SubscribeFilters, SubscriptionOptions,
        TopicFilter, TopicName, UnsubscribeFilters,
    },
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{Error, Messages, PublishBuilder, clock::Clock, connect, driver, messages};

/// How many requests wait between the application and the driver. Each costs about 200 bytes and
/// its message.
const REQUESTS: usize = 64;

/// One connection to a server, over as many network connections as it takes.
///
/// Cheap to clone; all clones are the same connection. It ends with
/// [`disconnect`](Self::disconnect), or with DISCONNECT when the last clone, the [`Messages`] and
/// every [`Acknowledgement`](crate::Acknowledgement) are dropped. When the tokio runtime it was
/// made in ends, it ends without a word, and what was published last may be lost: `disconnect`
/// first.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    requests: mpsc::Sender<(Request, Waiter)>,
    /// Not behind the requests, so that a full queue does not hold it up.
    disconnect: mpsc::Sender<ReasonCode>,
    state: watch::Receiver<ConnectionState>,
}

/// Who waits for the end of a call.
pub(crate) type Waiter = oneshot::Sender<Result<Answer, CallError>>;

impl Client {
    /// Connects to `address`: `mqtt://[user[:password]@]host[:port]`, `host[:port]`, a `(host,
    /// port)`, a [`SocketAddr`](std::net::SocketAddr) or a [`ServerAddress`]. The port is 1883
    /// unless given; a user name in the address is used instead of that of the options.
    ///
    /// Returns when the server has accepted. Every address that the host name stands for is
    /// tried, each for at most [`connect_timeout`](ClientOptions::connect_timeout); CONNACK may
    /// take as long again.
    ///
    /// Needs a tokio runtime with I/O and time enabled, and spawns one task in it.
    ///
    /// # Errors
    /// [`Error::Address`], [`Error::Options`], [`Error::Connect`], and [`Error::Closed`] with the
    /// server's reason if it refused.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it leaves no connection behind.
    pub async fn connect<A>(address: A, options: ClientOptions) -> Result<(Self, Messages), Error>
    where
        A: TryInto<ServerAddress>,
        Error: From<A::Error>,
    {
        let server = address.try_into()?;
        let options = options.user_of(&server).for_adapter()?;
        // What is wrong with the options is said before anything is sent.
        let seed = RandomState::new().hash_one(&server);
        let client_driver = ClientDriver::new(options, seed)?;
        let stream = connect::connect(&server, client_driver.connect_timeout()).await?;

        let (requests, requests_end) = mpsc::channel(REQUESTS);
        let (disconnect, disconnect_end) = mpsc::channel(1);
        let (accepted_end, accepted) = oneshot::channel();
        let (state_end, state) = watch::channel(ConnectionState::Connecting);
        let client = Self { shared: Arc::new(Shared { requests, disconnect, state }) };
        let (queue, messages) = messages::queue(client.clone());
        let driver = driver::Driver {
            driver: client_driver,
            clock: Clock::new(),
            server,
            requests: requests_end,
            disconnect: disconnect_end,
            accepted: Some(accepted_end),
            state: state_end,
            messages: queue,
        };
        tokio::spawn(driver.run(stream));

        accepted.await.map_err(|_| client.ended())?;
        Ok((client, messages))
    }

    /// Publishes a message: QoS 0, not retained and without properties unless the
    /// [`PublishBuilder`] is told otherwise. Nothing happens before that is awaited or
    /// [sent](PublishBuilder::send).
    ///
    /// ```no_run
    /// # async fn f(client: mqtt_tokio::Client) -> Result<(), mqtt_tokio::Error> {
    /// use mqtt_tokio::QoS;
    /// client.publish("room/1/temperature", "21.5").qos(QoS::AtLeastOnce).retain(true).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish(&self, topic: &str, payload: impl IntoPayload) -> PublishBuilder {
        let checked = TopicName::try_from(topic).map_err(|error| topic_error(topic, error));
        PublishBuilder::new(self.clone(), checked, payload.into_payload())
    }

    /// Asks for the messages that `filter` matches, with at most this QoS. Returns the QoS that
    /// the server granted, which may be lower.
    ///
    /// # Errors
    /// [`Error::Refused`] with the server's reason; [`Error::Topic`]; the others of [`Error`].
    ///
    /// # Cancel safety
    /// Dropped before it returns, the subscription may have been made or not.
    pub async fn subscribe(&self, filter: &str, qos: QoS) -> Result<QoS, Error> {
        let codes = self.subscribe_with([(filter, qos)], Properties::EMPTY).await?;
        let code = codes.first().copied().unwrap_or(ReasonCode::UNSPECIFIED_ERROR);
        code.granted_qos().ok_or(Error::Refused(code))
    }

    /// Subscribes to several filters at once, with options and properties. Returns the server's
    /// answer to each, in their order: a granted QoS ([`ReasonCode::granted_qos`]) or a refusal.
    ///
    /// # Errors
    /// [`Error::Topic`] and the others of [`Error`], but not [`Error::Refused`].
    ///
    /// # Cancel safety
    /// As [`subscribe`](Self::subscribe).
    pub async fn subscribe_with<F, O>(
        &self,
        filters: impl IntoIterator<Item = (F, O)>,
        properties: Properties<Bytes>,
    ) -> Result<Vec<ReasonCode>, Error>
    where
        F: AsRef<str>,
        O: Into<SubscriptionOptions>,
    {
        let filters = filters
            .into_iter()
            .map(|(filter, options)| Ok((topic_filter(filter.as_ref())?, options.into())))
            .collect::<Result<Vec<(TopicFilter<Bytes>, SubscriptionOptions)>, Error>>()?;
        let filters = SubscribeFilters::new(filters)?;
        self.codes(Request::Subscribe { filters, properties }).await
    }

    /// Asks for no more of the messages that a subscription to `filter` brings. Returns
    /// [`ReasonCode::NO_SUBSCRIPTION_EXISTED`] where a 5.0 server says so.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    ///
    /// # Cancel safety
    /// Dropped before it returns, the subscription may have ended or not.
    pub async fn unsubscribe(&self, filter: &str) -> Result<ReasonCode, Error> {
        let filters = UnsubscribeFilters::new([topic_filter(filter)?])?;
        let request = Request::Unsubscribe { filters, properties: Properties::EMPTY };
        // 3.1.1 has no codes, and no refusals.
        let code = self.codes(request).await?.first().copied().unwrap_or(ReasonCode::SUCCESS);
        if code.is_error() { Err(Error::Refused(code)) } else { Ok(code) }
    }

    /// Says DISCONNECT and ends the connection. Every other call that is pending fails with
    /// [`Error::Closed`]; messages that were received can still be taken. Returns when what was
    /// sent before is on its way, or after [`ping_timeout`](ClientOptions::ping_timeout) if the
    /// server takes nothing.
    ///
    /// # Errors
    /// [`Error::Closed`] if the connection had ended for another reason.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it ends the connection all the same.
    pub async fn disconnect(&self) -> Result<(), Error> {
        // One is enough, and it fails only where there is nothing left to end.
        let _ = self.shared.disconnect.try_send(ReasonCode::NORMAL_DISCONNECTION);
        match self.closed().await {
            CloseReason::Requested(_) => Ok(()),
            reason => Err(Error::Closed(reason)),
        }
    }

    /// Where the connection is at this moment.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        self.shared.state.borrow().clone()
    }

    /// Waits until the state is another one than `seen`, and returns it. States that lasted
    /// shorter than it took to look may be missed.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped.
    pub async fn state_changed(&self, seen: &ConnectionState) -> ConnectionState {
        let mut state = self.shared.state.clone();
        let changed = state.wait_for(|state| state != seen).await.map(|state| state.clone());
        changed.unwrap_or(ConnectionState::Closed(CloseReason::Lost))
    }

    /// Waits until the connection has ended for good, and says why.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped.
    pub async fn closed(&self) -> CloseReason {
        let mut state = self.shared.state.clone();
        let closed = state.wait_for(|state| matches!(state, ConnectionState::Closed(_))).await;
        match closed.as_deref() {
            Ok(ConnectionState::Closed(reason)) => reason.clone(),
            // The runtime ended, and the driver with it.
            _ => CloseReason::Lost,
        }
    }

    /// Hands a request to the driver.
    pub(crate) async fn request(
        &self,
        request: Request,
    ) -> Result<oneshot::Receiver<Result<Answer, CallError>>, Error> {
        let (waiter, answer) = oneshot::channel();
        match self.shared.requests.send((request, waiter)).await {
            Ok(()) => Ok(answer),
            Err(_) => Err(self.ended()),
        }
    }

    /// Why there is no driver to answer.
    pub(crate) fn ended(&self) -> Error {
        match &*self.shared.state.borrow() {
            ConnectionState::Closed(reason) => Error::Closed(reason.clone()),
            _ => Error::Closed(CloseReason::Lost),
        }
    }

    async fn codes(&self, request: Request) -> Result<Vec<ReasonCode>, Error> {
        match self.request(request).await?.await {
            Ok(Ok(Answer::Codes(codes))) => Ok(codes.iter().collect()),
            Ok(Ok(Answer::Acknowledged(code))) => Ok(vec![code]),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(self.ended()),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("state", &*self.shared.state.borrow())
            .finish_non_exhaustive()
    }
}

fn topic_filter(filter: &str) -> Result<TopicFilter<Bytes>, Error> {
    TopicFilter::try_from(filter).map_err(|error| topic_error(filter, error))
}

fn topic_error(topic: &str, error: StringError) -> Error {
    Error::Topic { topic: topic.to_owned(), error }
}
