//! MQTT 3.1.1 and 5.0 packets: bytes to values and back, and nothing else.
//!
//! No input or output, no clock, no thread, no unsafe code. A [`Decoder`] reads packets that borrow
//! from the bytes they came in ([`PacketRef`]) or share them (`Packet<Bytes>`), by the same code.
//! [`Packet::encode`] writes them. One set of packets serves both versions: 3.1.1 is 5.0 with empty
//! property lists and fewer reason codes.
//!
//! Every value is checked when it is made, and relied on from then on: a [`TopicName`] has no
//! wildcard, a [`PacketId`] is not 0, a [`Properties`] list holds what it may. Bytes from a peer
//! never panic, never loop, and never make this crate allocate.
//!
//! ```
//! use bytes::BytesMut;
//! use mqtt_proto::*;
//!
//! let publication = Publication::new(TopicName::try_from("room/1")?, "21.5");
//! let publish = Publish { delivery: Delivery::AtMostOnce, retain: false, message: publication.message };
//!
//! let mut buffer = BytesMut::new();
//! Packet::Publish(publish.clone()).encode(ProtocolVersion::V5, &mut buffer)?;
//!
//! let mut decoder = Decoder::new(Role::Client, ProtocolVersion::V5);
//! let Status::Ready(packet) = decoder.decode_bytes(&mut buffer)? else { panic!("not all there") };
//! assert_eq!(packet, Packet::Publish(publish));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! * `bytes` (default): owned packets, and encoding into any `BufMut`; needs an allocator. Without
//!   it the borrowed decoder and the slice encoder remain, and the crate needs neither `std` nor
//!   `alloc`.

#![no_std]

#[cfg(feature = "bytes")]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod decoder;
mod error;
mod frame;
#[cfg(all(feature = "bytes", any(test, feature = "fuzzing")))]
pub mod fuzzing;
mod id;
mod list;
mod message;
mod options;
mod packet;
mod property;
mod reason;
mod steps;
mod storage;
mod text;
mod topic;
mod version;
mod wire;

#[cfg(feature = "bytes")]
pub use property::{PropertiesBuilder, PropertyError};
pub use {
    decoder::Decoder,
    error::{DecodeError, DecodeErrorKind, EncodeError},
    frame::{FrameHeader, MAX_PACKET_SIZE, PacketType, Status},
    id::{InvalidQoS, PacketId, QoS},
    list::{ReasonCodes, SubscribeFilters, UnsubscribeFilters},
    message::{Message, Publication},
    options::{RetainHandling, SubscriptionOptions},
    packet::{
        Ack, Auth, ConnAck, Connect, Delivery, Disconnect, Packet, PacketRef, Publish, SubAck,
        Subscribe, UnsubAck, Unsubscribe,
    },
    property::{Properties, Property, PropertyId, PropertyOwner, PropertySet},
    reason::ReasonCode,
    storage::Storage,
    text::{Str, StringError},
    topic::{SharedFilter, TopicFilter, TopicName},
    version::{ProtocolVersion, Role},
};
