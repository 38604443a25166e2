//! MQTT sessions as pure state machines: QoS handshakes, flow control, keep-alive and resume, for
//! both roles and both versions.
//!
//! No input or output, no clock, no thread. [`Client`] and [`Server`] take bytes or packets,
//! commands and the time; they give ordered actions, bytes to transmit and one deadline. Everything
//! that moves bytes is an adapter of about a hundred lines, and every adapter runs the same tested
//! core.

#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

/// The codec, so that users of a session need not name a second crate.
pub use mqtt_proto as proto;

mod accept;
mod address;
mod backoff;
mod client;
#[cfg(feature = "std")]
mod client_error;
mod config;
mod connection;
mod driver;
mod error;
mod limits;
mod options;
mod payload;
pub mod qos;
mod request;
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
pub use error::{CallError, CloseReason, CommandError, Outcome, PublishError, Violation};
pub use options::{ClientOptions, OptionsError};
pub use payload::IntoPayload;
pub use request::{Answer, ConnectionState, DriverAction, Request, undelivered_size};
pub use server::{Server, ServerAction};
pub use session::Session;
pub use time::Instant;
pub use transmit::Transmit;

/// The guide to adapters is code too.
#[cfg(doctest)]
#[doc = include_str!("../../docs/SANS-IO.md")]
mod guide {}
