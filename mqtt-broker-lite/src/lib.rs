//! A small, fast MQTT 3.1.1 and 5.0 broker.
//!
//! [`Broker`] is the whole of it as a value: bytes and the time in, actions and bytes out, no input
//! or output of its own. State is in memory and ends with the value.
//!
//! With the feature `server`, which is on by default, there is more around it: `server::serve` puts
//! it on TCP, the binary `mqtt-broker-lite` is that with a command line, and `TestBroker` is one
//! inside a test, on a free port and gone when it is dropped.

#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "server"))]
extern crate std;

mod action;
mod broker;
mod check;
mod config;
mod connections;
mod lifecycle;
pub mod retained;
mod routing;
#[cfg(feature = "server")]
pub mod server;
mod sessions;
mod subscribing;
pub mod subscriptions;
#[cfg(feature = "server")]
mod testing;

pub use action::{BrokerAction, BrokerStats};
pub use broker::Broker;
pub use config::BrokerConfig;
pub use connections::ConnectionId;
pub use mqtt_session::{self as session, ServerConfig};
#[cfg(feature = "server")]
pub use testing::TestBroker;

/// The programs in the README are code too.
#[cfg(all(doctest, feature = "server"))]
#[doc = include_str!("../../README.md")]
mod readme {}
