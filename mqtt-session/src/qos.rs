//! The QoS engine (section 4.3). It does not know which role it plays.
//!
//! # Theory of operation
//!
//! Each direction of a session has a sender and a receiver. At QoS 1 the sender keeps the message
//! until PUBACK. At QoS 2 it keeps the message until PUBREC, and the packet identifier until
//! PUBCOMP; the receiver keeps the identifier from PUBLISH to PUBREL, and so knows a repetition
//! when it sees one:
//!
//! ```text
//! sender                            receiver
//!   | -- PUBLISH 7 ------------------> |  deliver, hold 7
//!   | <------------------ PUBREC 7 --- |
//!   |  drop the message                |
//!   | -- PUBREL 7 -------------------> |  release 7
//!   | <----------------- PUBCOMP 7 --- |
//!   |  7 is free                       |
//! ```
//!
//! What to do at each step is decided by the total functions in [`transition`] and nowhere else.
//! A sender and a receiver keep the state those functions are asked about.

mod id_set;
mod owed;
mod receiver;
mod sender;
pub mod transition;

pub use id_set::PacketIdSet;
pub(crate) use owed::{Owed, Place};
pub(crate) use receiver::Receiver;
pub(crate) use sender::{Next, Sender};
