//! A blocking MQTT 3.1.1 and 5.0 client over `std::net`, without an async runtime.
//!
//! ```no_run
//! use mqtt_blocking::{Client, ClientOptions, Error, QoS};
//!
//! fn main() -> Result<(), Error> {
//!     let options = ClientOptions::new("kitchen");
//!     let (client, messages) = Client::connect("mqtt://localhost", options)?;
//!     client.subscribe("room/+/temperature", QoS::AtLeastOnce)?;
//!     client.publish("room/1/temperature", "21.5").qos(QoS::AtLeastOnce).send()?;
//!     for publish in messages {
//!         println!("{:?}", publish?.message);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! [`Client::connect`] starts two threads, which drive the session of [`mqtt_session`] over a TCP
//! connection. Every call returns when the server has answered, and says what it answered; every
//! wait ends, at the latest after [`request_timeout`](ClientOptions::request_timeout).
//!
//! A connection that is lost is lost, and everything says so, unless [`ClientOptions::reconnect`]
//! asks for another one.

mod client;
mod clock;
mod connect;
mod connection;
mod messages;
mod publish;
mod shared;

pub use bytes::Bytes;
/// The session below, and through it the codec.
pub use mqtt_session as session;
#[doc(no_inline)]
pub use mqtt_session::{
    AddressError, Backoff, ClientOptions, CloseReason, CommandError, ConnectionState, IntoPayload,
    OptionsError, PublishError, ServerAddress,
    proto::{
        ConnAck, Delivery, Message, Properties, Property, ProtocolVersion, Publication, Publish,
        QoS, ReasonCode, RetainHandling, StringError, SubscriptionOptions, TopicFilter, TopicName,
    },
};

pub use mqtt_session::{ClientError as Error, ConnectError};

pub use self::{
    client::Client,
    messages::Messages,
    publish::{Acknowledgement, PublishBuilder},
};
