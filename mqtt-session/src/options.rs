//! What a client wants of its session, shared by every adapter.

use alloc::{string::String, vec::Vec};
use core::{fmt, time::Duration};

use bytes::Bytes;
use mqtt_proto::{
    Connect, MAX_PACKET_SIZE, Properties, Property, PropertyError, ProtocolVersion, Publication,
    Str, StringError,
};

use crate::{Backoff, ServerAddress};

/// How a client connects and what it allows the server to do. Each method sets one thing and says its default.
#[derive(Clone)]
pub struct ClientOptions {
    pub(crate) version: ProtocolVersion,
    pub(crate) client_id: String,
    pub(crate) clean_start: bool,
    pub(crate) session_expiry: u32,
    pub(crate) keep_alive: u16,
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<Bytes>,
    pub(crate) will: Option<Publication<Bytes>>,
    pub(crate) authentication: Option<(String, Bytes)>,
    pub(crate) request_response_information: bool,
    pub(crate) request_problem_information: bool,
    pub(crate) user_properties: Vec<(String, String)>,
    pub(crate) receive_maximum: u16,
    pub(crate) max_packet_size: u32,
    pub(crate) topic_alias_maximum: u16,
    pub(crate) outbound_topic_aliases: u16,
    pub(crate) max_in_flight: u16,
    pub(crate) max_pending: u16,
    pub(crate) max_transmit: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) ping_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) max_undelivered: usize,
    pub(crate) reconnect: Option<Backoff>,
    pub(crate) resubscribe: Resubscribe,
    pub(crate) manual_acknowledgement: bool,
    pub(crate) ack_timeout: Option<Duration>,
    pub(crate) overflow: Overflow,
    pub(crate) journaled: bool,
}

/// What a [`ClientDriver`](crate::ClientDriver) does about its subscriptions when it has reconnected
/// and the server has lost the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resubscribe {
    /// Makes them again. If one is refused, the connection ends for good as
    /// [`CloseReason::SubscriptionLost`](crate::CloseReason::SubscriptionLost): nobody waits for
    /// messages that never come.
    #[default]
    OrClose,
    /// Makes them again, and says which were refused:
    /// [`DriverAction::SubscriptionLost`](crate::DriverAction::SubscriptionLost).
    OrReport,
    /// Forgets them, and says so for each:
    /// [`DriverAction::SubscriptionLost`](crate::DriverAction::SubscriptionLost).
    Never,
}

/// What becomes of a message of QoS 1 or 2 when
/// [`max_pending`](ClientOptions::max_pending) of them are open. What has expired goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overflow {
    /// [`Client::publish`](crate::Client::publish) returns
    /// [`PublishError::Full`](crate::PublishError::Full); a
    /// [`ClientDriver`](crate::ClientDriver) lets the call wait for room.
    #[default]
    Refuse,
    /// The oldest message that was never sent ends as
    /// [`Outcome::Dropped`](crate::Outcome::Dropped) and makes room; refused if all were sent, or all
    /// 65,535 identifiers are taken.
    DropOldest,
    /// The message itself ends as [`Outcome::Dropped`](crate::Outcome::Dropped) at once; refused only
    /// if all 65,535 identifiers are taken.
    DropNewest,
}

impl ClientOptions {
    /// MQTT 5.0, a clean start, a session that ends with its connection, a keep alive of 60
    /// seconds.
    ///
    /// An empty client identifier asks the server to choose one.
    #[must_use]
    pub fn new(client_id: impl Into<String>) -> Self {
        Self {
            version: ProtocolVersion::V5,
            client_id: client_id.into(),
            clean_start: true,
            session_expiry: 0,
            keep_alive: 60,
            user_name: None,
            password: None,
            will: None,
            authentication: None,
            request_response_information: false,
            request_problem_information: true,
            user_properties: Vec::new(),
            receive_maximum: 1024,
            max_packet_size: 16 * 1024 * 1024,
            topic_alias_maximum: 16,
            outbound_topic_aliases: 0,
            max_in_flight: 100,
            max_pending: 1000,
            max_transmit: 256 * 1024,
            connect_timeout: Duration::from_secs(10),
            ping_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            max_undelivered: 16 * 1024 * 1024,
            reconnect: None,
            resubscribe: Resubscribe::OrClose,
            manual_acknowledgement: false,
            ack_timeout: None,
            overflow: Overflow::Refuse,
            journaled: false,
        }
    }

    /// The protocol version; 5.0 by default.
    #[must_use]
    pub const fn version(mut self, version: ProtocolVersion) -> Self {
        self.version = version;
        self
    }

    /// Whether the first connection discards what the server knows of this client; `true` by
    /// default.
    ///
    /// In 5.0 the connections after the first one resume the session. In 3.1.1 this is Clean
    /// Session: with `true` every connection begins a session that ends with it, with `false` the
    /// session lasts.
    #[must_use]
    pub const fn clean_start(mut self, clean_start: bool) -> Self {
        self.clean_start = clean_start;
        self
    }

    /// For how many seconds the server keeps the session after the connection ended, `u32::MAX` for
    /// ever; 0 by default. 5.0 only.
    #[must_use]
    pub const fn session_expiry(mut self, seconds: u32) -> Self {
        self.session_expiry = seconds;
        self
    }

    /// The longest silence in seconds, 60 by default, 0 for no limit. The server may set another in
    /// 5.0.
    #[must_use]
    pub const fn keep_alive(mut self, seconds: u16) -> Self {
        self.keep_alive = seconds;
        self
    }

    /// Who this client is; none by default.
    #[must_use]
    pub fn user_name(mut self, user_name: impl Into<String>) -> Self {
        self.user_name = Some(user_name.into());
        self
    }

    /// What proves it, any bytes; none by default. In 3.1.1 only beside a user name.
    #[must_use]
    pub fn password(mut self, password: impl Into<Bytes>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// What the server publishes when this client is lost; nothing by default. Its properties may
    /// hold Will Delay Interval.
    #[must_use]
    pub fn will(mut self, will: Publication<Bytes>) -> Self {
        self.will = Some(will);
        self
    }

    /// Enhanced authentication by this method, with the data that CONNECT is to carry; none by
    /// default. 5.0 only. See [`ClientAction::Auth`](crate::ClientAction::Auth).
    #[must_use]
    pub fn authentication(mut self, method: impl Into<String>, data: impl Into<Bytes>) -> Self {
        self.authentication = Some((method.into(), data.into()));
        self
    }

    /// Whether CONNACK is asked for Response Information, a prefix for response topics; not by
    /// default. 5.0 only, and the server need not give it.
    #[must_use]
    pub const fn request_response_information(mut self, request: bool) -> Self {
        self.request_response_information = request;
        self
    }

    /// Whether the server may send Reason String and User Properties with packets other than
    /// CONNACK, PUBLISH and DISCONNECT; it may by default. 5.0 only.
    #[must_use]
    pub const fn request_problem_information(mut self, request: bool) -> Self {
        self.request_problem_information = request;
        self
    }

    /// One more User Property for CONNECT; none by default. 5.0 only.
    #[must_use]
    pub fn user_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.user_properties.push((name.into(), value.into()));
        self
    }

    /// How many messages of QoS 1 and 2 the server may send before one is acknowledged; 1,024 by
    /// default. 5.0 only. Costs nothing but the identifiers, at most 10 KiB.
    ///
    /// # Panics
    /// If it is 0.
    #[must_use]
    pub const fn receive_maximum(mut self, messages: u16) -> Self {
        assert!(messages > 0, "Receive Maximum is at least 1");
        self.receive_maximum = messages;
        self
    }

    /// The largest packet this client reads, in bytes; 16 MiB by default. The server is told in
    /// 5.0; in both versions a larger one ends the connection before it is buffered. A read buffer
    /// holds up to this much.
    ///
    /// # Panics
    /// If it is 0.
    #[must_use]
    pub const fn max_packet_size(mut self, bytes: u32) -> Self {
        assert!(bytes > 0, "Maximum Packet Size is at least 1");
        self.max_packet_size = if bytes > MAX_PACKET_SIZE { MAX_PACKET_SIZE } else { bytes };
        self
    }

    /// How many topic aliases the server may use; 16 by default. Each costs its topic name. 5.0
    /// only.
    #[must_use]
    pub const fn topic_alias_maximum(mut self, aliases: u16) -> Self {
        self.topic_alias_maximum = aliases;
        self
    }

    /// How many topic aliases this side uses for the messages it publishes, if the server takes as
    /// many; 0 by default, none. 5.0 only. They are given to the topics that come most, without
    /// anyone's help, and end with the network connection. Each costs about 100 bytes, and a topic
    /// name of more than 38 bytes itself.
    #[must_use]
    pub const fn outbound_topic_aliases(mut self, aliases: u16) -> Self {
        self.outbound_topic_aliases = aliases;
        self
    }

    /// How many messages of QoS 1 and 2 are sent before one is acknowledged, if the server allows
    /// as many; 100 by default. It is the only limit in 3.1.1.
    ///
    /// # Panics
    /// If it is 0.
    #[must_use]
    pub const fn max_in_flight(mut self, messages: u16) -> Self {
        assert!(messages > 0, "nothing could be sent");
        self.max_in_flight = messages;
        self
    }

    /// How many messages of QoS 1 and 2 wait or are in flight at the same time, with the requests;
    /// 1,000 by default. Each costs about 150 bytes and itself.
    #[must_use]
    pub const fn max_pending(mut self, messages: u16) -> Self {
        self.max_pending = messages;
        self
    }

    /// How many bytes wait for a server that does not read; 256 KiB by default. Above it QoS 0 is
    /// refused, and QoS 1 and 2 wait unencoded. One packet may exceed it, and the answers to what
    /// the server sends may take as much again, at least 16 KiB.
    #[must_use]
    pub const fn max_transmit(mut self, bytes: usize) -> Self {
        self.max_transmit = bytes;
        self
    }

    /// How long CONNACK may take, and for the adapters each attempt to open a network connection; 10
    /// seconds by default.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long PINGRESP may take; 10 seconds by default, never less than a millisecond.
    #[must_use]
    pub const fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.ping_timeout = long_enough(timeout);
        self
    }

    /// How long a call of the application waits for its answer, over reconnects too; one minute
    /// by default, `Duration::MAX` for ever. The call then fails; a message of QoS 1 or 2 stays
    /// in the session and may yet arrive.
    #[must_use]
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How many bytes of messages wait for the application to take them; 16 MiB by default. Each
    /// message costs its topic, payload and properties, and 256 bytes.
    ///
    /// Above it the client stops to read, so that the server feels it, but goes on to write and
    /// to ping. It reads on while a call awaits an answer, so that a task that publishes before
    /// it takes the next message gets on; above twice as much such calls fail rather than wait
    /// for ever.
    #[must_use]
    pub const fn max_undelivered(mut self, bytes: usize) -> Self {
        self.max_undelivered = bytes;
        self
    }

    /// Whether a connection that was lost is opened again, after which waits; not by default, so
    /// that the first failure is returned and not hidden.
    ///
    /// The wait grows from attempt to attempt, and begins anew once a connection has held for as long
    /// as the longest wait. The first connection is not tried again. A later one is, for as long as the failure may pass
    /// ([`CloseReason::may_pass`](crate::CloseReason::may_pass)). Messages of QoS 1 and 2 and
    /// requests wait for it; QoS 0 fails meanwhile, unless it is in line behind a request. Where
    /// the server has kept the session, open exchanges are completed. Where it has not, they fail,
    /// and the subscriptions are made again; if one of them is refused, the connection ends.
    #[must_use]
    pub const fn reconnect(mut self, backoff: Option<Backoff>) -> Self {
        self.reconnect = backoff;
        self
    }

    /// What becomes of the subscriptions when the server has lost the session; made again by default,
    /// and the connection ends if one is refused.
    #[must_use]
    pub const fn resubscribe(mut self, resubscribe: Resubscribe) -> Self {
        self.resubscribe = resubscribe;
        self
    }

    /// Whether the application acknowledges messages of QoS 1 and 2 by itself, see
    /// [`Client::acknowledge`](crate::Client::acknowledge); not by default: a message is
    /// acknowledged when it is given out. Each that waits for it costs 4 bytes, and counts for
    /// Receive Maximum.
    #[must_use]
    pub const fn manual_acknowledgement(mut self, manual: bool) -> Self {
        self.manual_acknowledgement = manual;
        self
    }

    /// How long the server may take to answer a PUBLISH of QoS 1 or 2, or a PUBREL; for ever by
    /// default, never less than a millisecond. After it, in 5.0 the connection is closed as
    /// [`CloseReason::AckTimeout`](crate::CloseReason::AckTimeout), to resume the session over
    /// another; in 3.1.1 everything that is open is sent again on the same connection, PUBLISH with
    /// DUP, which 5.0 forbids [MQTT-4.4.0-1]. An identifier that was sent again rests until the next
    /// connection; when as many rest as may be [pending](Self::max_pending), 3.1.1 does as 5.0.
    #[must_use]
    pub const fn ack_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.ack_timeout = match timeout {
            Some(timeout) => Some(long_enough(timeout)),
            None => None,
        };
        self
    }

    /// What becomes of a message when [`max_pending`](Self::max_pending) are open; refused by
    /// default.
    #[must_use]
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Whether the session says its changes as
    /// [`ClientAction::Journal`](crate::ClientAction::Journal), see
    /// [`Session`](crate::Session#surviving-a-crash); not by default. Needs a session that lasts and
    /// a client identifier that is not the server's choice.
    #[must_use]
    pub const fn journaled(mut self, journaled: bool) -> Self {
        self.journaled = journaled;
        self
    }

    /// The user name and password of an address, if it has a user name: then both are the
    /// address's.
    #[must_use]
    pub fn user_of(mut self, address: &ServerAddress) -> Self {
        if let Some(user_name) = address.user_name() {
            self.user_name = Some(String::from(user_name));
            self.password = address.password().map(Bytes::copy_from_slice);
        }
        self
    }

    /// That nothing is asked for that an adapter leaves to drivers of one's own: manual
    /// acknowledgement, a journal, enhanced authentication, a report of lost subscriptions. For
    /// adapters without those.
    ///
    /// # Errors
    /// [`OptionsError::NeedsDriver`].
    pub fn for_adapter(self) -> Result<Self, OptionsError> {
        if self.manual_acknowledgement {
            Err(OptionsError::NeedsDriver("manual acknowledgement"))
        } else if self.journaled {
            Err(OptionsError::NeedsDriver("a journal"))
        } else if self.authentication.is_some() {
            Err(OptionsError::NeedsDriver("enhanced authentication"))
        } else if self.resubscribe != Resubscribe::OrClose {
            Err(OptionsError::NeedsDriver("another policy for lost subscriptions"))
        } else {
            Ok(self)
        }
    }

    /// Whether the server keeps the session when the connection ends, as far as this side asked for
    /// it.
    pub(crate) const fn lasts(&self) -> bool {
        match self.version {
            ProtocolVersion::V311 => !self.clean_start,
            ProtocolVersion::V5 => self.session_expiry > 0,
        }
    }

    /// The CONNECT that says all this.
    pub(crate) fn connect(&self) -> Result<Connect<Bytes>, OptionsError> {
        let v5 = self.version == ProtocolVersion::V5;
        let text = |what, text: &str| Str::try_from(text).map_err(|e| OptionsError::Text(what, e));
        let connect = Connect {
            version: self.version,
            clean_start: self.clean_start,
            keep_alive: self.keep_alive,
            client_id: text("client identifier", &self.client_id)?,
            will: self.will.clone(),
            user_name: self.user_name.as_deref().map(|name| text("user name", name)).transpose()?,
            password: self.password.clone(),
            properties: if v5 { self.properties()? } else { Properties::EMPTY },
        };
        if let (false, Some(what)) = (v5, self.only_in_v5()) {
            return Err(OptionsError::NotInV311(what));
        }
        if self.client_id.is_empty() && (!v5 && !self.clean_start || self.journaled) {
            return Err(OptionsError::NoClientId);
        }
        if self.journaled && !self.lasts() {
            return Err(OptionsError::SessionDoesNotLast);
        }
        connect.encoded_len()?;
        Ok(connect)
    }

    fn properties(&self) -> Result<Properties<Bytes>, OptionsError> {
        let method = self.authentication.as_ref().map(|(method, _)| method.as_str());
        let data = self.authentication.as_ref().map(|(_, data)| data.as_ref());
        let properties = [
            (self.session_expiry > 0)
                .then_some(Property::SessionExpiryInterval(self.session_expiry)),
            Some(Property::ReceiveMaximum(self.receive_maximum)),
            Some(Property::MaximumPacketSize(self.max_packet_size)),
            Some(Property::TopicAliasMaximum(self.topic_alias_maximum)),
            self.request_response_information.then_some(Property::RequestResponseInformation(true)),
            (!self.request_problem_information)
                .then_some(Property::RequestProblemInformation(false)),
            method.map(Property::AuthenticationMethod),
            data.filter(|data| !data.is_empty()).map(Property::AuthenticationData),
        ];
        let users = self.user_properties.iter();
        let users = users.map(|(name, value)| Property::UserProperty((name, value)));
        Ok(Properties::new(properties.into_iter().flatten().chain(users))?)
    }

    /// What was asked for that only 5.0 has words for and that means something to this side.
    fn only_in_v5(&self) -> Option<&'static str> {
        if self.session_expiry > 0 {
            Some("a Session Expiry Interval")
        } else if self.authentication.is_some() {
            Some("enhanced authentication")
        } else if self.request_response_information {
            Some("Request Response Information")
        } else if !self.request_problem_information {
            Some("Request Problem Information")
        } else if !self.user_properties.is_empty() {
            Some("a User Property")
        } else {
            None
        }
    }
}

/// The time to answer in: with none at all it would be over before the peer could, and with it the
/// next, and the next.
pub(crate) const fn long_enough(timeout: Duration) -> Duration {
    const LEAST: Duration = Duration::from_millis(1);
    if timeout.as_nanos() < LEAST.as_nanos() { LEAST } else { timeout }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .field("clean_start", &self.clean_start)
            .field("session_expiry", &self.session_expiry)
            .field("keep_alive", &self.keep_alive)
            .field("user_name", &self.user_name)
            .field("password", &self.password.as_ref().map(|_| "(hidden)"))
            .field("reconnect", &self.reconnect)
            .finish_non_exhaustive()
    }
}

/// Options that make no legal CONNECT. The caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// A text that MQTT cannot carry.
    #[error("the {0} cannot be sent: {1}")]
    Text(&'static str, StringError),
    /// Something that only 5.0 has.
    #[error("{0} needs MQTT 5.0")]
    NotInV311(&'static str),
    /// A lasting session without a name [3.1.1 MQTT-3.1.3-7], or a journal of one.
    #[error("in 3.1.1 and with a journal a session that lasts needs a client identifier")]
    NoClientId,
    /// A session that is to survive the process ends with its connection: ask for another Session
    /// Expiry Interval, in 3.1.1 for no clean start.
    #[error("the session to be kept ends with its connection")]
    SessionDoesNotLast,
    /// Something that this adapter does not offer: drive a [`Client`](crate::Client) or a
    /// [`ClientDriver`](crate::ClientDriver).
    #[error("{0} is not offered by this client; it needs a driver of its own")]
    NeedsDriver(&'static str),
    /// A property that CONNECT cannot carry.
    #[error("{0}")]
    Property(#[from] PropertyError),
    /// Anything else that CONNECT cannot say.
    #[error("{0}")]
    Encode(#[from] mqtt_proto::EncodeError),
}
