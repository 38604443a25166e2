//! An MQTT 3.1.1 and 5.0 client on tokio.
//!
//! ```no_run
//! use mqtt_tokio::{Client, ClientOptions, Error, QoS};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Error> {
//!     let options = ClientOptions::new("kitchen");
//!     let (client, mut messages) = Client::connect("mqtt://localhost", options).await?;
//!     client.subscribe("room/+/temperature", QoS::AtLeastOnce).await?;
//!     client.publish("room/1/temperature", "21.5").qos(QoS::AtLeastOnce).await?;
//!     while let Some(publish) = messages.recv().await? {
//!         println!("{}: {:?}", publish.message.topic, publish.message.payload);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! [`Client::connect`] spawns one task, which drives the session of [`mqtt_session`] over a TCP
//! connection. Every call returns when the server has answered, and says what it answered; every
//! wait ends, at the latest after [`request_timeout`](ClientOptions::request_timeout).
//!
//! A connection that is lost is lost, and everything says so, unless [`ClientOptions::reconnect`]
//! asks for another one.

mod client;
mod clock;
mod connect;
mod driver;
mod messages;
mod publish;

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
