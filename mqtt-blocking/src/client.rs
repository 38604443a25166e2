//! The application's end of a connection.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    thread,
    time::Duration,
};

use bytes::Bytes;
use mqtt_session::{
    Answer, ClientDriver, ClientOptions, CloseReason, ConnectionState, IntoPayload, Request,
    ServerAddress,
    proto::{
        Properties, QoS, ReasonCode, StringError, SubscribeFilters, SubscriptionOptions,
        TopicFilter, TopicName, UnsubscribeFilters,
    },
};

use crate::{ConnectError, Error, Messages, PublishBuilder, connect, connection, shared::Shared};

/// How long dropping a client may take, if the server reads nothing.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// One connection to a server, over as many network connections as it takes.
///
/// Cheap to clone; all clones are the same connection, and may be used from any thread. It ends
/// with [`disconnect`](Self::disconnect), or with DISCONNECT when the last clone, the
/// [`Messages`] and every [`Acknowledgement`](crate::Acknowledgement) are dropped. That takes
/// until what was sent before is on its way, but no longer than a second.
#[derive(Clone)]
pub struct Client {
    handle: Arc<Handle>,
}

/// Whoever has one wants the connection.
struct Handle {
    shared: Arc<Shared>,
}

impl Client {
    /// Connects to `address`: `mqtt://[user[:password]@]host[:port]`, `host[:port]`, a `(host,
    /// port)`, a [`SocketAddr`](std::net::SocketAddr) or a [`ServerAddress`]. The port is 1883
    /// unless given; a user name in the address is used instead of that of the options.
    ///
    /// Returns when the server has accepted. Every address that the host name stands for is
    /// tried, each for at most [`connect_timeout`](ClientOptions::connect_timeout); CONNACK may
    /// take as long again. The resolver of the operating system has its own limits.
    ///
    /// Starts two threads, which end with the connection.
    ///
    /// # Errors
    /// [`Error::Address`], [`Error::Options`], [`Error::Connect`], and [`Error::Closed`] with the
    /// server's reason if it refused.
    pub fn connect<A>(address: A, options: ClientOptions) -> Result<(Self, Messages), Error>
    where
        A: TryInto<ServerAddress>,
        Error: From<A::Error>,
    {
        let server = address.try_into()?;
        let options = options.user_of(&server).for_adapter()?;
        // What is wrong with the options is said before anything is sent.
        let seed = RandomState::new().hash_one(&server);
        let driver = ClientDriver::new(options, seed)?;
        let stream = connect::connect(&server, driver.connect_timeout())?;

        let shared = Arc::new(Shared::new(driver));
        let thread = thread::Builder::new().name("mqtt reader".to_owned());
        let of_thread = (shared.clone(), server.clone());
        thread
            .spawn(move || connection::run(&of_thread.0, &of_thread.1, stream))
            .map_err(|error| ConnectError::new(server, [(None, error)]))?;

        let client = Self { handle: Arc::new(Handle { shared }) };
        client.shared().wait_accepted()?;
        Ok((client.clone(), Messages::new(client)))
    }

    /// Publishes a message: QoS 0, not retained and without properties unless the
    /// [`PublishBuilder`] is told otherwise. Nothing happens before that is
    /// [sent](PublishBuilder::send).
    ///
    /// ```no_run
    /// # fn f(client: mqtt_blocking::Client) -> Result<(), mqtt_blocking::Error> {
    /// use mqtt_blocking::QoS;
    /// client.publish("room/1/temperature", "21.5").qos(QoS::AtLeastOnce).retain(true).send()?;
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
    pub fn subscribe(&self, filter: &str, qos: QoS) -> Result<QoS, Error> {
        let codes = self.subscribe_with([(filter, qos)], Properties::EMPTY)?;
        let code = codes.first().copied().unwrap_or(ReasonCode::UNSPECIFIED_ERROR);
        code.granted_qos().ok_or(Error::Refused(code))
    }

    /// Subscribes to several filters at once, with options and properties. Returns the server's
    /// answer to each, in their order: a granted QoS ([`ReasonCode::granted_qos`]) or a refusal.
    ///
    /// # Errors
    /// [`Error::Topic`] and the others of [`Error`], but not [`Error::Refused`].
    pub fn subscribe_with<F, O>(
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
        self.codes(Request::Subscribe { filters, properties })
    }

    /// Asks for no more of the messages that a subscription to `filter` brings. Returns
    /// [`ReasonCode::NO_SUBSCRIPTION_EXISTED`] where a 5.0 server says so.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe).
    pub fn unsubscribe(&self, filter: &str) -> Result<ReasonCode, Error> {
        let filters = UnsubscribeFilters::new([topic_filter(filter)?])?;
        let request = Request::Unsubscribe { filters, properties: Properties::EMPTY };
        // 3.1.1 has no codes, and no refusals.
        let code = self.codes(request)?.first().copied().unwrap_or(ReasonCode::SUCCESS);
        if code.is_error() { Err(Error::Refused(code)) } else { Ok(code) }
    }

    /// Says DISCONNECT and ends the connection. Every other call that is pending fails with
    /// [`Error::Closed`]; messages that were received can still be taken. Returns when what was
    /// sent before is on its way, or after [`ping_timeout`](ClientOptions::ping_timeout) if the
    /// server takes nothing.
    ///
    /// # Errors
    /// [`Error::Closed`] if the connection had ended for another reason.
    pub fn disconnect(&self) -> Result<(), Error> {
        self.shared().disconnect();
        match self.closed() {
            CloseReason::Requested(_) => Ok(()),
            reason => Err(Error::Closed(reason)),
        }
    }

    /// Where the connection is at this moment.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        self.shared().lock().driver.state().clone()
    }

    /// Waits until the state is another one than `seen`, and returns it. States that lasted
    /// shorter than it took to look may be missed.
    #[must_use]
    pub fn state_changed(&self, seen: &ConnectionState) -> ConnectionState {
        let changed = self.shared().wait_state(None, |state| state != seen);
        changed.unwrap_or(ConnectionState::Closed(CloseReason::Lost))
    }

    /// As [`state_changed`](Self::state_changed), for at most this long; `None` if it did not
    /// change.
    #[must_use]
    pub fn state_changed_timeout(
        &self,
        seen: &ConnectionState,
        timeout: Duration,
    ) -> Option<ConnectionState> {
        let deadline = self.shared().clock.now() + timeout;
        self.shared().wait_state(Some(deadline), |state| state != seen)
    }

    /// Waits until the connection has ended for good, and says why.
    #[must_use]
    pub fn closed(&self) -> CloseReason {
        let closed = |state: &_| matches!(state, ConnectionState::Closed(_));
        match self.shared().wait_state(None, closed) {
            Some(ConnectionState::Closed(reason)) => reason,
            _ => CloseReason::Lost,
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    fn codes(&self, request: Request) -> Result<Vec<ReasonCode>, Error> {
        match self.shared().request(request).recv() {
            Ok(Ok(Answer::Codes(codes))) => Ok(codes.iter().collect()),
            Ok(Ok(Answer::Acknowledged(code))) => Ok(vec![code]),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(self.shared().lock().ended()),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Drop for Handle {
    /// Waits a moment, because the program may end next, and what it published last would be lost.
    fn drop(&mut self) {
        self.shared.disconnect();
        let closed = |state: &_| matches!(state, ConnectionState::Closed(_));
        let _ = self.shared.wait_state(Some(self.shared.clock.now() + LAST_WORDS), closed);
    }
}

fn topic_filter(filter: &str) -> Result<TopicFilter<Bytes>, Error> {
    TopicFilter::try_from(filter).map_err(|error| topic_error(filter, error))
}

fn topic_error(topic: &str, error: StringError) -> Error {
    Error::Topic { topic: topic.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next statement may be the end of the program.
    #[test]
    fn dropping_waits_until_all_is_said() {
        let broker = mqtt_broker_lite::TestBroker::start();
        let (client, messages) =
            Client::connect(broker.addr(), ClientOptions::new("c")).expect("a connection");
        let shared = client.handle.shared.clone();
        drop(messages);
        assert!(matches!(shared.lock().driver.state(), ConnectionState::Connected(_)));
        drop(client);
        assert!(matches!(shared.lock().driver.state(), ConnectionState::Closed(_)));
    }
}
