//! MQTT sessions as pure state machines: QoS handshakes, flow control, keep-alive and resume, for
//! both roles and both versions.
//!
//! No input or output, no clock, no thread. [`Client`] and [`Server`] take bytes or packets,
//! commands and the time; they give ordered actions, bytes to transmit and one deadline. Everything
//! that moves bytes is an adapter of about a hundred lines, and every adapter runs the same tested
//! core.
//!
//! Where to start:
//!
//! * To publish and subscribe from a program, use `mqtt-tokio` or `mqtt-blocking`.
//! * To run a client under another runtime, drive a [`Client`]; or a [`ClientDriver`], which also
//!   reconnects, keeps time-outs and subscribes again. `docs/SANS-IO.md` has an adapter in full.
//! * To write a broker, have a [`Server`] for each connection and a [`Session`] for each client.
//! * For a session that survives the process, see [`Session`](Session#surviving-a-crash); with the
//!   feature `std` there is a file for it, `FileJournal`.
//!
//! A client and a server in one program, joined by two byte pipes; a socket is another pipe.
//!
//! ```
//! use bytes::{Buf, BytesMut};
//! use mqtt_session::{
//!     Accept, Client, ClientAction, ClientOptions, Instant, Server, ServerAction, ServerConfig,
//!     Session,
//!     proto::{Publication, QoS, ReasonCode, Status, TopicName},
//! };
//!
//! let now = Instant::ZERO; // nothing takes time here
//! let mut client = Client::new(ClientOptions::new("me"))?;
//! let mut server = Server::new(ServerConfig::default(), now);
//! client.handle_connected(now);
//!
//! let message = Publication::new(TopicName::try_from("room/1")?, "21.5");
//! let id = client.publish(now, message.with_qos(QoS::ExactlyOnce))?;
//! let (mut up, mut down) = (BytesMut::new(), BytesMut::new());
//! let mut received = 0;
//! let outcome = 'done: loop {
//!     // First what there is to do, then what there is to write.
//!     while let Some(action) = client.poll_action() {
//!         if let ClientAction::Finished { id: ended, outcome } = action {
//!             assert_eq!(Some(ended), id);
//!             break 'done outcome;
//!         }
//!     }
//!     up.extend_from_slice(client.transmit().chunk());
//!     let written = client.transmit().remaining();
//!     client.transmit().advance(written);
//!
//!     while let Status::Ready((packet, len)) = server.decode(now, &up)? {
//!         match server.handle_packet(now, packet) {
//!             Some(ServerAction::Connect(_)) => {
//!                 server.accept(now, Session::new(10), &Accept::default(), |_, _| {})?;
//!             }
//!             Some(ServerAction::Publish(inbound)) => {
//!                 assert_eq!(inbound.publication().message.payload, b"21.5");
//!                 received += 1;
//!                 let receipt = inbound.receipt().expect("QoS 2 is acknowledged");
//!                 server.acknowledge(now, receipt, ReasonCode::SUCCESS)?;
//!             }
//!             _ => {}
//!         }
//!         up.advance(len);
//!     }
//!     down.extend_from_slice(server.transmit().chunk());
//!     let written = server.transmit().remaining();
//!     server.transmit().advance(written);
//!     client.handle_input(now, &mut down);
//! };
//! assert_eq!((received, outcome), (1, mqtt_session::Outcome::Acknowledged(ReasonCode::SUCCESS)));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

/// The codec, so that users of a session need not name a second crate.
pub use mqtt_proto as proto;

mod accept;
mod address;
mod alias;
mod auth;
mod backoff;
mod client;
#[cfg(feature = "std")]
mod client_error;
mod config;
mod connection;
mod driver;
#[cfg(feature = "std")]
mod epoch;
mod error;
mod inbound;
mod journal;
mod limits;
#[cfg(test)]
mod model;
mod options;
mod payload;
pub mod qos;
mod receipt;
mod request;
mod request_response;
mod server;
mod session;
mod time;
mod transmit;

pub use accept::Accept;
pub use address::{AddressError, ServerAddress};
pub use backoff::Backoff;
pub use client::{Client, ClientAction, ClientState};
#[cfg(feature = "std")]
pub use client_error::{ClientError, ConnectError};
pub use config::ServerConfig;
pub use connection::remaining_expiry;
pub use driver::ClientDriver;
#[cfg(feature = "std")]
pub use epoch::Epoch;
pub use error::{CallError, CloseReason, CommandError, Outcome, PublishError, Violation};
pub use inbound::Inbound;
#[cfg(feature = "std")]
pub use journal::{
    Damage, DamageCause, FileJournal, FileJournalError, FileJournalOptions, Restored, SyncPolicy,
};
pub use journal::{EntryError, JournalEntry, RestoreError};
pub use options::{ClientOptions, OptionsError, Overflow, Resubscribe};
pub use payload::IntoPayload;
pub use receipt::Receipt;
pub use request::{Answer, ConnectionState, DriverAction, Request, undelivered_size};
pub use request_response::{
    RequestError, RequestId, RequestRefused, Requester, RequesterConfig, Response, reply,
};
pub use server::{Server, ServerAction};
pub use session::Session;
pub use time::Instant;
pub use transmit::Transmit;

/// The guide to adapters is code too.
#[cfg(doctest)]
#[doc = include_str!("../../docs/SANS-IO.md")]
mod guide {}
