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
//! use mqtt_proto::{
//!     Decoder, Delivery, Packet, PacketId, ProtocolVersion, Publish, QoS, Role, Status, TopicName,
//! };
//!
//! // A client writes a packet,
//! let publish = Publish::new(TopicName::borrowed("room/1")?, b"21.5")
//!     .with_delivery(Delivery::first(QoS::AtLeastOnce, PacketId::MIN));
//! let mut wire = BytesMut::new();
//! Packet::Publish(publish).encode(ProtocolVersion::V5, &mut wire)?;
//!
//! // and a server reads it.
//! let mut decoder = Decoder::new(Role::Client, ProtocolVersion::V5);
//! let Status::Ready(packet) = decoder.decode_bytes(&mut wire)? else { panic!("not all there") };
//! assert_eq!(packet.to_string(), r#"PUBLISH topic="room/1" qos=1 id=1 payload="21.5""#);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to find what
//!
//! * **The [`guide`]** shows each task: read packets from a socket or on a board without an allocator,
//!   answer a peer that is wrong, write packets, send a large payload by reference, properties,
//!   topics, two versions with one set of types, what is checked where, limits and memory, errors,
//!   logs.
//! * **[`Decoder`]** is the way in, **[`Packet::encode`]** the way out.
//! * **Each packet type** shows how to build one: [`Connect`], [`ConnAck`], [`Publish`], [`Ack`] (PUBACK,
//!   PUBREC, PUBREL, PUBCOMP), [`Subscribe`], [`SubAck`], [`Unsubscribe`], [`UnsubAck`],
//!   [`Disconnect`], [`Auth`]; PINGREQ and PINGRESP have no fields.
//! * **Who answers what, and when**, is for `mqtt-session`: this crate has no memory of earlier packets.
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
mod display;
mod error;
mod frame;
#[cfg(all(feature = "bytes", any(test, feature = "fuzzing")))]
pub mod fuzzing;
pub mod guide;
mod id;
mod legal;
mod list;
mod message;
mod name;
mod options;
mod packet;
mod property;
mod reason;
mod source;
mod steps;
mod storage;
mod text;
mod topic;
mod version;
mod wire;

#[cfg(feature = "bytes")]
pub use property::PropertiesBuilder;
pub use {
    decoder::Decoder,
    display::MAX_DISPLAY_LEN,
    error::{DecodeError, DecodeErrorKind, EncodeError},
    frame::{FrameHeader, MAX_PACKET_SIZE, PacketType, Status},
    id::{InvalidQoS, PacketId, QoS},
    list::{ReasonCodes, SubscribeFilters, UnsubscribeFilters},
    message::{Message, Publication},
    options::{RetainHandling, SubscriptionOptions},
    packet::{
        Ack, Auth, ConnAck, Connect, ConnectPacket, Delivery, Disconnect, Packet, PacketRef,
        Publish, PublishOverrides, SubAck, Subscribe, TopicAlias, UnsubAck, Unsubscribe,
    },
    property::{Properties, Property, PropertyError, PropertyId, PropertyOwner, PropertySet},
    reason::ReasonCode,
    storage::Storage,
    text::{Str, StringError},
    topic::{SharedFilter, TopicFilter, TopicName},
    version::{ProtocolVersion, Role},
};
