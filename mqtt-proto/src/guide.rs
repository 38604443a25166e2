//! How to use this crate, task by task. There is no code in this module.
//!
//! * [Read packets from a socket](#read-packets-from-a-socket)
//! * [When the peer is wrong](#when-the-peer-is-wrong)
//! * [Read without an allocator](#read-without-an-allocator)
//! * [Write packets](#write-packets)
//! * [Send a large payload by reference](#send-a-large-payload-by-reference)
//! * [Build each packet](#build-each-packet)
//! * [Properties](#properties)
//! * [Topics](#topics)
//! * [Two versions, one set of types](#two-versions-one-set-of-types)
//! * [What is checked where](#what-is-checked-where)
//! * [Limits and memory](#limits-and-memory)
//! * [Errors, and whose fault they are](#errors-and-whose-fault-they-are)
//! * [Logs](#logs)
//!
//! # Read packets from a socket
//!
//! Ask the [`Decoder`] for a packet; if it needs more bytes, read some; go on. The buffer is yours,
//! and so is the socket: the same lines work over TCP, TLS, WebSocket or a serial line, blocking or
//! async.
//!
//! ```
//! use std::io::{self, Read};
//!
//! use bytes::BytesMut;
//! use mqtt_proto::{Decoder, Packet, Status};
//!
//! /// Hands each packet of a client to `handle` until the client hangs up.
//! fn serve(mut socket: impl Read, mut handle: impl FnMut(Packet<bytes::Bytes>)) -> io::Result<()> {
//!     // A server: the first packet must be CONNECT, and decides the version.
//!     let mut decoder = Decoder::awaiting_connect().with_max_packet_size(64 * 1024);
//!     let mut buffer = BytesMut::new();
//!     loop {
//!         match decoder.decode_bytes(&mut buffer) {
//!             Ok(Status::Ready(packet)) => handle(packet),
//!             Ok(Status::NeedMore(_)) => {
//!                 let len = buffer.len();
//!                 buffer.resize(len + 4096, 0);
//!                 let count = socket.read(&mut buffer[len..])?;
//!                 buffer.truncate(len + count);
//!                 if count == 0 {
//!                     // Nothing may be left over.
//!                     let clean = buffer.is_empty();
//!                     return if clean { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
//!                 }
//!             }
//!             // See the next section.
//!             Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
//!         }
//!     }
//! }
//!
//! // CONNECT and PINGREQ, as they came from a client of 5.0.
//! let stream = b"\x10\x0f\0\x04MQTT\x05\x02\0\x3c\0\0\x02c1\xc0\0";
//! let mut packets = Vec::new();
//! serve(&stream[..], |packet| packets.push(packet))?;
//! assert_eq!(packets.len(), 2);
//! # Ok::<_, io::Error>(())
//! ```
//!
//! A client reads what its server sends, of the version it put into CONNECT:
//! `Decoder::new(Role::Server, ProtocolVersion::V5)`. The [`Role`] is that of the sender, because
//! some packets, reason codes and properties may come from one side only.
//!
//! [`Status::NeedMore`] says how many bytes are missing, at least. Use it to size a read if you
//! like; do not reserve more than you want to spend on a peer that only said how much it will send.
//!
//! # When the peer is wrong
//!
//! After a [`DecodeError`] there is no packet boundary to trust, and the decoder says the same error
//! for ever. Tell the peer why where the version has a word for it, and close:
//!
//! ```
//! use bytes::BytesMut;
//! use mqtt_proto::*;
//!
//! /// What a server says before it closes the connection, once it has accepted it.
//! fn last_words(error: DecodeError, version: ProtocolVersion) -> Option<Disconnect<&'static [u8]>> {
//!     match version {
//!         // 3.1.1 servers have no DISCONNECT (section 4.8).
//!         ProtocolVersion::V311 => None,
//!         // Not every code may be in DISCONNECT; this gives the nearest that may.
//!         ProtocolVersion::V5 => {
//!             Some(Disconnect::new(error.reason_code().for_disconnect(Role::Server)))
//!         }
//!     }
//! }
//!
//! let mut decoder = Decoder::new(Role::Client, ProtocolVersion::V5);
//! // A PUBLISH of QoS 1 whose packet identifier is 0.
//! let error = decoder.decode(b"\x32\x06\0\x01a\0\0\0").unwrap_err();
//! assert_eq!(error.to_string(), "the packet identifier is 0 [MQTT-2.2.1-3] (byte 5 of the packet)");
//!
//! let mut answer = BytesMut::new();
//! if let Some(disconnect) = last_words(error, ProtocolVersion::V5) {
//!     Packet::Disconnect(disconnect).encode(ProtocolVersion::V5, &mut answer)?;
//! }
//! assert_eq!(answer[..], [0xe0, 1, 0x81]);
//! # Ok::<_, EncodeError>(())
//! ```
//!
//! Three cases differ:
//!
//! * A CONNECT of 5.0 that cannot be read is answered with CONNACK and the code
//!   ([`ConnAck::refused`]), a wrong one of 3.1.1 with silence.
//! * An unknown protocol level reaches you as [`DecodeErrorKind::UnsupportedProtocolLevel`]. It is
//!   owed return code 1 in the form of 3.1.1, or 0x84 in that of 5.0 [MQTT-3.1.2-2].
//! * A client says DISCONNECT with `for_disconnect(Role::Client)`, which has fewer codes.
//!
//! The crate `mqtt-session` does all of this. To see what is wrong with a capture, run the example
//! `dump`, which points at the byte:
//!
//! ```text
//! echo 100f00044d5154540502003c0000026331 | cargo run -q -p mqtt-proto --example dump
//! ```
//!
//! # Read without an allocator
//!
//! With `default-features = false` the crate needs `core` only. [`Decoder::decode`] borrows from any
//! slice, an array for example; the packet lives until the buffer is touched again.
//!
//! ```
//! use mqtt_proto::{DecodeError, Decoder, Packet, ProtocolVersion, Role, Status};
//!
//! /// A client on a board: `receive` fills a part of the buffer and says how much of it.
//! fn poll(
//!     mut receive: impl FnMut(&mut [u8]) -> usize,
//!     mut on_message: impl FnMut(&str, &[u8]),
//! ) -> Result<(), DecodeError> {
//!     let mut buffer = [0; 256];
//!     let mut len = 0;
//!     // What is refused is what would not fit, as soon as its length is known. Tell the server in
//!     // the property Maximum Packet Size of your CONNECT, and it will not send it.
//!     let mut decoder = Decoder::new(Role::Server, ProtocolVersion::V5)
//!         .with_max_packet_size(buffer.len() as u32);
//!     loop {
//!         match decoder.decode(&buffer[..len])? {
//!             Status::Ready((packet, used)) => {
//!                 if let Packet::Publish(publish) = packet {
//!                     on_message(publish.message.topic.as_str(), publish.message.payload);
//!                 }
//!                 buffer.copy_within(used..len, 0);
//!                 len -= used;
//!             }
//!             Status::NeedMore(_) => match receive(&mut buffer[len..]) {
//!                 0 => return Ok(()),
//!                 count => len += count,
//!             },
//!         }
//!     }
//! }
//!
//! // Two messages, and no more than 9 bytes at a time.
//! let mut line = &b"\x30\x0d\0\x06room/1\x0021.5\x30\x0b\0\x06room/2\x0019"[..];
//! let receive = |buffer: &mut [u8]| {
//!     let len = line.len().min(buffer.len()).min(9);
//!     let (now, later) = line.split_at(len);
//!     buffer[..len].copy_from_slice(now);
//!     line = later;
//!     len
//! };
//! let mut messages = vec![];
//! poll(receive, |topic, payload| messages.push((topic.to_owned(), payload.to_owned())))?;
//! assert_eq!(messages, [("room/1".into(), b"21.5".into()), ("room/2".into(), b"19".into())]);
//! # Ok::<_, DecodeError>(())
//! ```
//!
//! # Write packets
//!
//! [`Packet::encode`] appends to any [`BufMut`](bytes::BufMut), such as `BytesMut` or `Vec<u8>`;
//! [`Packet::encode_to_slice`] writes to the start of a slice and says how many bytes it took.
//! [`Packet::encoded_len`] tells before. All three take the version of the connection, check the
//! packet against it, and write nothing if they fail.
//!
//! ```
//! use bytes::BytesMut;
//! use mqtt_proto::{Ack, EncodeError, Packet, PacketId, PacketRef, ProtocolVersion};
//!
//! let version = ProtocolVersion::V311;
//! let puback: PacketRef<'_> = Packet::PubAck(Ack::success(PacketId::MIN));
//!
//! let mut buffer = BytesMut::new();
//! puback.encode(version, &mut buffer)?;
//! assert_eq!(buffer[..], [0x40, 2, 0, 1]);
//!
//! let mut slice = [0; 64];
//! let len = puback.encode_to_slice(version, &mut slice)?;
//! assert_eq!(slice[..len], buffer[..]);
//!
//! assert_eq!(puback.encode_to_slice(version, &mut [0; 3]), Err(EncodeError::BufferTooSmall));
//! # Ok::<_, EncodeError>(())
//! ```
//!
//! The peer may have said how much it takes, in the Maximum Packet Size of CONNECT or CONNACK.
//! [`Packet::encode_within`] takes that limit, leaves out the Reason String and User Properties that
//! must not make a packet larger, and writes nothing if it is too large all the same [MQTT-3.1.2-24].
//!
//! [`Publish::encode_with`] writes a PUBLISH as one connection needs it, with a Topic Alias or with what
//! is left of its Message Expiry Interval, and leaves the message as it is.
//!
//! # Send a large payload by reference
//!
//! [`Publish::encode_head`] writes all of a PUBLISH but the payload, its length included. Send the
//! payload after it, from where it is:
//!
//! ```
//! use std::io::{self, IoSlice, Write};
//!
//! use mqtt_proto::{ProtocolVersion, Publish, TopicName};
//!
//! let picture = vec![0xff; 1_000_000];
//! let publish = Publish::new(TopicName::borrowed("camera/1").unwrap(), &picture);
//!
//! let mut head = Vec::new();
//! publish.encode_head(ProtocolVersion::V5, &mut head).unwrap();
//! assert_eq!(head.len(), 15);
//!
//! // A vectored write sends both in one system call. It may stop early, as every write may.
//! let mut socket = Vec::new();
//! let sent = socket.write_vectored(&[IoSlice::new(&head), IoSlice::new(&picture)])?;
//! assert_eq!(sent, 1_000_015);
//! # Ok::<_, io::Error>(())
//! ```
//!
//! # Build each packet
//!
//! Each type shows how:
//!
//! | from the client | from the server | from either |
//! | --- | --- | --- |
//! | CONNECT: [`Connect`] | CONNACK: [`ConnAck`] | PUBLISH: [`Publish`] |
//! | SUBSCRIBE: [`Subscribe`] | SUBACK: [`SubAck`] | PUBACK, PUBREC, PUBREL, PUBCOMP: [`Ack`] |
//! | UNSUBSCRIBE: [`Unsubscribe`] | UNSUBACK: [`UnsubAck`] | DISCONNECT: [`Disconnect`] |
//! | PINGREQ: [`Packet::PingReq`] | PINGRESP: [`Packet::PingResp`] | AUTH: [`Auth`] |
//!
//! `Packet::Connect` holds a [`ConnectPacket`]: [`fields`](ConnectPacket::fields) is what it says,
//! [`Connect::to_packet`] makes one, and [`Connect::encode_to_slice`] writes one without an allocator.
//!
//! `B` in `Packet<B>` is where text and bytes live. [`PacketRef`], which is `Packet<&[u8]>`, borrows
//! them; `Packet<Bytes>` owns them and can be kept and sent elsewhere.
//! [`PacketRef::to_bytes`](crate::Packet::to_bytes) makes an owned packet of a borrowed one. Where the
//! compiler cannot tell which you mean, say `TopicName::borrowed("a")` for the first and
//! `TopicName::<Bytes>::try_from("a")` for the second, or name the type: `Packet::<Bytes>::PingReq`.
//! That is what the error "type annotations needed" asks for here.
//!
//! `Bytes` and `BytesMut` are those of the crate `bytes`, version 1: add it to your dependencies.
//!
//! Without an allocator the lists of SUBSCRIBE, UNSUBSCRIBE and SUBACK, and properties, are written
//! into a buffer of yours:
//!
//! ```
//! use mqtt_proto::*;
//!
//! let (mut list, mut block) = ([0; 32], [0; 8]);
//! let filters = [(TopicFilter::borrowed("room/+")?, QoS::AtLeastOnce)];
//! let filters = SubscribeFilters::in_buffer(&mut list, filters)?;
//! let properties = Properties::in_buffer(&mut block, [Property::SubscriptionIdentifier(7)])?;
//! let subscribe = Subscribe::new(PacketId::MIN, filters).with_properties(properties);
//!
//! let mut out = [0; 64];
//! let len = Packet::Subscribe(subscribe).encode_to_slice(ProtocolVersion::V5, &mut out)?;
//! assert_eq!(out[..len], *b"\x82\x0e\0\x01\x02\x0b\x07\0\x06room/+\x01");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Properties
//!
//! A [`Properties`] list stays what it is on the wire: one slice, checked once, walked on demand. There
//! is a getter for each of the 27 properties, and an iterator over all of them in their order:
//!
//! ```
//! use mqtt_proto::{Properties, PropertiesBuilder, Property, PropertyError};
//!
//! let properties = Properties::new([
//!     Property::ContentType("text/plain"),
//!     Property::MessageExpiryInterval(60),
//!     Property::UserProperty(("room", "kitchen")),
//!     Property::UserProperty(("floor", "1")),
//! ])?;
//!
//! assert_eq!(properties.content_type(), Some("text/plain"));
//! assert_eq!(properties.message_expiry_interval(), Some(60));
//! assert_eq!(properties.response_topic(), None);
//! // The two that may occur more than once.
//! assert_eq!(properties.user_properties().count(), 2);
//! assert_eq!(properties.subscription_identifiers().next(), None);
//!
//! for property in properties.iter() {
//!     match property {
//!         Property::UserProperty((name, value)) => println!("{name} = {value}"),
//!         other => println!("{other:?}"),
//!     }
//! }
//!
//! // One by one, where some depend on something.
//! let mut builder = PropertiesBuilder::new();
//! builder.push(Property::TopicAlias(3))?;
//! assert_eq!(
//!     builder.push(Property::TopicAlias(4)).unwrap_err(),
//!     PropertyError::Twice(mqtt_proto::PropertyId::TopicAlias)
//! );
//! let properties = builder.build();
//! # assert_eq!(properties.topic_alias(), Some(3));
//! # Ok::<_, PropertyError>(())
//! ```
//!
//! An absent property is `None`: what that means is in the standard (an absent Receive Maximum is
//! 65,535), and `mqtt-session` knows it. Whether a property may be in a packet at all is checked when
//! the packet is encoded.
//!
//! # Topics
//!
//! A [`TopicName`] has no wildcards, a [`TopicFilter`] may; both are checked when they are made, and
//! [`TopicFilter::matches`] cannot fail.
//!
//! ```
//! use mqtt_proto::{StringError, TopicFilter, TopicName};
//!
//! let name = TopicName::borrowed("room/1/light")?;
//! assert!(TopicFilter::borrowed("room/+/light")?.matches(&name));
//! assert!(TopicFilter::borrowed("room/#")?.matches(&name));
//! assert!(!TopicFilter::borrowed("room/+")?.matches(&name));
//!
//! // A wildcard at the start is not for names that begin with `$` [MQTT-4.7.2-1].
//! assert!(!TopicFilter::borrowed("#")?.matches(&TopicName::borrowed("$SYS/uptime")?));
//!
//! // A shared subscription matches by what is behind its share name (section 4.8.2).
//! let filter = TopicFilter::borrowed("$share/workers/room/#")?;
//! let shared = filter.shared().expect("it is one");
//! assert_eq!(shared.name(), "workers");
//! assert_eq!(shared.filter(), "room/#");
//! assert!(filter.matches(&name));
//!
//! assert_eq!(TopicName::borrowed("room/+"), Err(StringError::Wildcard));
//! assert_eq!(TopicFilter::borrowed("room/#/light"), Err(StringError::Wildcard));
//! assert_eq!(TopicFilter::borrowed("$share/workers"), Err(StringError::Share));
//! # Ok::<_, StringError>(())
//! ```
//!
//! Names and filters compare with `&str`; [`as_str`](TopicName::as_str) is the text and
//! [`as_bytes`](TopicName::as_bytes) the same without a second UTF-8 check.
//!
//! # Two versions, one set of types
//!
//! MQTT 3.1.1 is 5.0 with empty property lists and fewer reason codes. So there is one `Packet`, and
//! the version is an argument of decoder and encoder. What 3.1.1 has no bytes for is an error when it
//! is encoded, never dropped:
//!
//! ```
//! use mqtt_proto::*;
//!
//! let busy = Packet::<&[u8]>::Disconnect(Disconnect::new(ReasonCode::SERVER_BUSY));
//! assert!(busy.encoded_len(ProtocolVersion::V5).is_ok());
//! assert_eq!(
//!     busy.encoded_len(ProtocolVersion::V311).unwrap_err().to_string(),
//!     "a reason code in DISCONNECT is not part of MQTT 3.1.1"
//! );
//! ```
//!
//! | | in 5.0 | in 3.1.1 |
//! | --- | --- | --- |
//! | property lists | any that belong there | empty |
//! | [`Connect::clean_start`] | Clean Start | Clean Session |
//! | [`ConnAck::reason`] | 22 codes | 6, read and written as their codes of 5.0 |
//! | [`SubAck::codes`] | 12 codes | 0, 1, 2 and 0x80 |
//! | [`UnsubAck::codes`] | one for each filter | empty |
//! | [`Ack::reason`], [`Disconnect::reason`] | any that belong there | success |
//! | [`SubscriptionOptions`] | all four | QoS only |
//! | [`Auth`], DISCONNECT from a server | there | not there |
//!
//! [`ReasonCode::nearest_in`] gives the code that a 3.1.1 CONNACK or SUBACK has for a code of 5.0.
//!
//! # What is checked where
//!
//! * **A value that exists is legal.** [`PacketId`] is not 0, [`Str`] is UTF-8 without U+0000,
//!   [`TopicName`] has no wildcard, a list of filters has one at least, a [`Properties`] list has each
//!   property once and in range. What is made by your constructor call and what comes from a peer goes
//!   through the same checks, once.
//! * **The decoder** checks all that the bytes of one packet, their sender and the version decide:
//!   types, flags, lengths, text, reason codes, properties.
//! * **The encoder** checks what depends on the packet around a value, or on the version: whether a
//!   property or a reason code belongs there, whether a field fits its length. It does not know who you
//!   are: that a server sends no SUBSCRIBE is up to you.
//! * **The session** (`mqtt-session`) checks what depends on packets before: whether a packet identifier
//!   is known, a topic alias was told, a QoS was granted.
//!
//! Two things are left to you. A decoded PUBLISH of 5.0 may have an empty topic name beside a Topic
//! Alias: [`TopicName::is_empty`]. And nobody looks into a payload, even where Payload Format Indicator
//! says that it is UTF-8.
//!
//! # Limits and memory
//!
//! * The decoder allocates nothing and keeps no bytes. What a peer costs you is your buffer.
//! * The largest packet that the standard allows is [`MAX_PACKET_SIZE`], 256 MiB. Without
//!   [`with_max_packet_size`](Decoder::with_max_packet_size) that is how far a peer can make a buffer
//!   grow; with it, a packet that is too large is refused by its fixed header, in at most 5 bytes.
//! * Work is linear in the bytes of a packet. Asking again for a packet that is not all there costs its
//!   fixed header only.
//! * Packets of [`decode_bytes`](Decoder::decode_bytes) share the buffer they came in, but for topic
//!   names of up to 38 bytes, and keep all of it alive: a payload of 10 bytes may hold 64 KiB. Copy what
//!   you keep for long with [`Message::detach`] or [`Publication::detach`], in one allocation of no more
//!   than its size, beside a small one that counts its owners.
//! * Encoding allocates nothing but what your buffer grows by. Constructors of owned values allocate:
//!   one for each text, list or property list that is not empty.
//!
//! # Errors, and whose fault they are
//!
//! | error | from | whose fault | then |
//! | --- | --- | --- | --- |
//! | [`DecodeError`] | [`Decoder`] | the peer's | tell it, close the connection |
//! | [`EncodeError`] | `encode`, lists | yours | nothing was written, the connection goes on |
//! | [`StringError`] | text and topics | of who wrote the text | ask for another |
//! | [`PropertyError`] | property lists | yours | the list is as it was |
//!
//! All are small and `Copy`, implement `core::error::Error`, and name the section or the statement of
//! the standard in their text. [`DecodeError::kind`] is the rule as a value, [`DecodeError::offset`]
//! the byte of the packet where it was broken. That more bytes are needed is no error but
//! [`Status::NeedMore`].
//!
//! # Logs
//!
//! Every packet has a [`Display`](crate::Packet#impl-Display-for-Packet<B>) form of one line that is
//! safe to log, whatever is in it: escaped, cut, without passwords.
//!
//! ```
//! use mqtt_proto::{Packet, Publish, TopicName};
//!
//! let publish = Publish::new(TopicName::borrowed("a\nERROR all is lost")?, b"\x1b[2J");
//! assert_eq!(
//!     Packet::Publish(publish).to_string(),
//!     r#"PUBLISH topic="a\nERROR all is lost" qos=0 payload=0x1b5b324a"#
//! );
//! # Ok::<_, mqtt_proto::StringError>(())
//! ```
//!
//! `{:?}` shows every field in full, of any length, but secrets. [`Str`], [`TopicName`] and
//! [`TopicFilter`] on their own are shown by `{}` as they are, control characters included; in logs use
//! `{:?}` for them.

#[cfg(doc)]
use crate::*;
