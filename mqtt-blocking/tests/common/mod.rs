//! What both clients must do, whichever of them is tested: one list of tests over one face.

use std::{fmt, time::Duration};

use bytes::Bytes;
use mqtt_session::{
    ClientOptions, CloseReason, ConnectionState,
    proto::{Properties, Publish, QoS, ReasonCode},
};

pub(crate) mod hostile;
pub(crate) mod peer;
pub(crate) mod proxy;
pub(crate) mod suite;

/// A client crate, with the names of its own.
pub(crate) trait Adapter: 'static {
    type Client: Clone + Send + Sync;
    type Messages: Send;
    type Acknowledgement: Send;

    fn connect(url: &str, options: ClientOptions) -> Made<(Self::Client, Self::Messages)>;
    fn start(client: &Self::Client, message: &Outgoing<'_>) -> Made<Self::Acknowledgement>;
    fn wait(acknowledgement: Self::Acknowledgement) -> Made<ReasonCode>;
    fn send(client: &Self::Client, message: &Outgoing<'_>) -> Made<ReasonCode>;
    fn subscribe(client: &Self::Client, filter: &str, qos: QoS) -> Made<QoS>;
    fn subscribe_with(client: &Self::Client, filters: &[(&str, QoS)]) -> Made<Vec<ReasonCode>>;
    fn unsubscribe(client: &Self::Client, filter: &str) -> Made<ReasonCode>;
    fn disconnect(client: &Self::Client) -> Made<()>;
    fn state(client: &Self::Client) -> ConnectionState;
    fn state_changed(client: &Self::Client, seen: &ConnectionState) -> ConnectionState;
    fn closed(client: &Self::Client) -> CloseReason;
    /// Within the time, or `Failure { debug: "TimedOut", .. }`.
    fn recv(messages: &mut Self::Messages, timeout: Duration) -> Made<Option<Publish<Bytes>>>;
}

pub(crate) type Made<T> = Result<T, Failure>;

/// An error of either crate, as it shows itself.
#[derive(PartialEq)]
pub(crate) struct Failure {
    pub(crate) debug: String,
    pub(crate) display: String,
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { debug: format!("{error:?}"), display: error.to_string() }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.debug, self.display)
    }
}

/// What is published.
#[derive(Clone)]
pub(crate) struct Outgoing<'a> {
    pub(crate) topic: &'a str,
    pub(crate) payload: String,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) properties: Properties<Bytes>,
}

impl<'a> Outgoing<'a> {
    pub(crate) fn new(topic: &'a str, payload: impl ToString, qos: QoS) -> Self {
        let (payload, properties) = (payload.to_string(), Properties::EMPTY);
        Self { topic, payload, qos, retain: false, properties }
    }
}

/// The tests of [`suite`] and [`hostile`], for an [`Adapter`].
#[macro_export]
macro_rules! client_tests {
    ($adapter:ty) => {
        $crate::client_tests! { $adapter, suite:
            round_trip retained several_filters pipelined_in_order
            refused_requests wrong_topics wrong_addresses nobody_listens localhost user_of_the_url
            disconnect_ends_everything dropped_with_disconnect last_words will
            publisher_resumes subscriber_resumes messages_not_taken
        }
        $crate::client_tests! { $adapter, hostile:
            refused_connection silent_server garbage half_a_connack session_present_lie
            not_acknowledged silent_later lost_connection slow_application
            session_lost subscription_lost no_way_back server_comes_back
            requests_wait_for_a_connection
        }
    };
    ($adapter:ty, $module:ident: $($name:ident)*) => {$(
        #[test]
        fn $name() {
            common::$module::$name::<$adapter>();
        }
    )*};
}
