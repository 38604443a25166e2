//! A small, fast MQTT broker: a pure core, a thin server, and a broker for tests.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod retained;
pub mod subscriptions;
