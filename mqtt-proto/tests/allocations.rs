//! What is allocated, and how much is held: nothing for borrowed packets and for encoding, nothing
//! for an owned packet out of a warm buffer, and for a receiver never more than twice what came.
#![cfg(feature = "bytes")]

mod common;

use std::fmt::Write;

use allocation_counter::{AllocationInfo, measure, opt_out};
use bytes::{Bytes, BytesMut};
use common::{rows, wire::unhex};
use mqtt_proto::*;

const ROLES: [Role; 2] = [Role::Client, Role::Server];
const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::V311, ProtocolVersion::V5];

/// Every vector, well-formed and malformed.
fn vectors() -> Vec<(&'static str, ProtocolVersion, Vec<u8>)> {
    let well =
        rows::<5>(include_str!("data/wellformed.tsv")).map(|[id, level, hex, ..]| (id, level, hex));
    let bad =
        rows::<9>(include_str!("data/malformed.tsv")).map(|[id, level, hex, ..]| (id, level, hex));
    let version = |level: &str| level.parse().ok().and_then(ProtocolVersion::from_level).unwrap();
    let vectors = well.chain(bad).map(|(id, level, hex)| (id, version(level), unhex(hex)));
    vectors.collect()
}

/// A text that goes nowhere.
struct Nowhere;

impl Write for Nowhere {
    fn write_str(&mut self, _: &str) -> std::fmt::Result {
        Ok(())
    }
}

/// Everything there is to read in a packet.
fn read<B: Storage>(packet: &Packet<B>) {
    write!(Nowhere, "{packet:?}").unwrap();
    if let Some(properties) = packet.properties() {
        let ids = properties.iter().map(|property| property.id());
        assert!(ids.into_iter().all(|id| properties.set().contains(id)));
        let _ = properties.reason_string();
        assert!(properties.user_properties().all(|(name, _)| name.len() <= 65_535));
        assert!(properties.subscription_identifiers().all(|id| id > 0));
    }
    let name: TopicName<&[u8]> = TopicName::try_from("a/b").unwrap();
    match packet {
        Packet::Subscribe(packet) => {
            let matching = packet.filters.iter().filter(|(filter, _)| filter.matches(&name));
            assert!(matching.count() <= packet.filters.iter().count());
        }
        Packet::Unsubscribe(packet) => assert!(packet.filters.iter().count() > 0),
        Packet::SubAck(packet) => assert!(packet.codes.iter().len() > 0),
        Packet::Publish(packet) => assert!(packet.message.topic.levels().count() > 0),
        _ => {}
    }
}

fn decode_and_encode(version: ProtocolVersion, bytes: &[u8], out: &mut [u8]) -> u64 {
    let mut count = 0;
    for sender in ROLES {
        let mut decoder = Decoder::new(sender, version);
        let Ok(Status::Ready((packet, _))) = decoder.decode(bytes) else {
            assert_eq!(decoder.decode(bytes).map(drop), decoder.header(bytes).map(drop));
            continue;
        };
        read(&packet);
        let len = packet.encoded_len(version).unwrap();
        assert_eq!(packet.encode_to_slice(version, out), Ok(len as usize));
        packet.encode(version, &mut &mut *out).unwrap();
        for limit in [2, 20, len - 1] {
            let _ = packet.encoded_len_within(version, limit);
            let _ = packet.encode_to_slice_within(version, limit, out);
        }
        count += 1;
    }
    count
}

#[test]
fn borrowed_packets_and_encoding_allocate_nothing() {
    let mut out = vec![0; 20_000];
    let (mut vectors_seen, mut packets) = (0, 0);
    for (id, version, bytes) in vectors() {
        let info = measure(|| packets += decode_and_encode(version, &bytes, &mut out));
        assert_eq!(info, AllocationInfo::default(), "{id}");
        vectors_seen += 1;
    }
    println!("vectors without an allocation: {vectors_seen}, packets: {packets}");
    assert_eq!(vectors_seen, 101 + 215);
    assert!(packets > 101);
}

/// Also where the buffer comes to its end and begins again.
#[test]
fn owned_packets_out_of_a_warm_buffer_allocate_nothing() {
    const ROUNDS: usize = 50;
    let mut buffer = BytesMut::with_capacity(64 * 1024);
    let mut out = Vec::with_capacity(20_000);
    // Now the buffer is shared once, and knows how to be.
    buffer.extend_from_slice(b"x");
    drop(buffer.split_to(1).freeze());

    let (mut packets, mut bytes_seen) = (0, 0);
    for _ in 0..ROUNDS {
        for (id, version, bytes) in vectors() {
            for sender in ROLES {
                let mut decoder = Decoder::new(sender, version);
                let info = measure(|| {
                    buffer.clear();
                    buffer.extend_from_slice(&bytes);
                    if let Ok(Status::Ready(packet)) = decoder.decode_bytes(&mut buffer) {
                        read(&packet);
                        out.clear();
                        packet.encode(version, &mut out).unwrap();
                        packets += 1;
                        bytes_seen += bytes.len();
                    }
                });
                assert_eq!(info.count_total, 0, "{id}");
            }
        }
    }
    println!("owned packets without an allocation: {packets}, bytes: {bytes_seen}");
    assert!(bytes_seen > 10 * 64 * 1024);
    assert!(packets > ROUNDS * 101);
}

/// What a receiver does with the packets it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Receiver {
    Drops,
    /// As they are: they share the buffer they were read from.
    Keeps,
    /// Detached: messages in allocations of their own.
    Detaches,
}

/// A packet kept is a value of a known size, and its list is the receiver's: not counted.
enum Kept {
    Packet(#[allow(dead_code, reason = "only held")] Packet<Bytes>),
    Message(Message<Bytes>),
}

impl Kept {
    fn copied(&self) -> i64 {
        match self {
            Self::Packet(_) => 0,
            Self::Message(Message { topic, payload, properties }) => {
                let fields = [topic.as_bytes(), payload, properties.as_bytes()];
                fields.map(<[u8]>::len).iter().sum::<usize>() as i64 + PER_COPY
            }
        }
    }
}

struct Held {
    received: i64,
    /// The most that was held between two reads, beyond twice what was received until then and
    /// copied.
    excess: i64,
    packets: i64,
    /// The bytes of detached messages, which the receiver asked to have twice, and a few more for
    /// each: what counts its owners, twice where it has several fields.
    copies: i64,
}

const PER_COPY: i64 = 64;

/// What a receiver makes room for when there is none: a buffer for every few bytes that arrive
/// would cost more than they do.
const BLOCK: usize = 4096;

/// A connection that is fed a stream in pieces of this size.
fn receive(mut decoder: Decoder, stream: &[u8], chunk: usize, receiver: Receiver) -> Held {
    let mut kept = Vec::new();
    let mut buffer = BytesMut::new();
    let mut held = Held { received: 0, excess: i64::MIN, packets: 0, copies: 0 };
    let mut now = 0;
    let mut stream = stream;
    while !stream.is_empty() {
        let (mut result, before) = (Ok(0), kept.len());
        let info = measure(|| {
            if buffer.len() == buffer.capacity() {
                buffer.reserve(BLOCK);
            }
            let len = chunk.min(stream.len()).min(buffer.capacity() - buffer.len());
            buffer.extend_from_slice(&stream[..len]);
            stream = &stream[len..];
            held.received += len as i64;
            result = take_packets(&mut decoder, &mut buffer, receiver, &mut kept);
        });
        now += info.bytes_current;
        match result {
            Ok(packets) => held.packets += packets,
            Err(_) => break,
        }
        held.copies += kept[before..].iter().map(Kept::copied).sum::<i64>();
        held.excess = held.excess.max(now - 2 * held.received - held.copies);
    }
    held
}

/// How many packets there were.
fn take_packets(
    decoder: &mut Decoder,
    buffer: &mut BytesMut,
    receiver: Receiver,
    kept: &mut Vec<Kept>,
) -> Result<i64, DecodeError> {
    let mut packets = 0;
    while let Status::Ready(packet) = decoder.decode_bytes(buffer)? {
        packets += 1;
        let packet = match (receiver, packet) {
            (Receiver::Drops, _) => continue,
            (Receiver::Detaches, Packet::Publish(publish)) => {
                Kept::Message(publish.message.detach())
            }
            (_, packet) => Kept::Packet(packet),
        };
        opt_out(|| kept.push(packet));
    }
    Ok(packets)
}

fn with_header(first: u8, body: &[u8], declared: u32) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut rest = declared;
    while rest > 0x7f {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes.extend(body);
    bytes
}

fn whole(first: u8, body: &[u8]) -> Vec<u8> {
    with_header(first, body, body.len() as u32)
}

/// A property list behind its length.
fn list(properties: &[u8]) -> Vec<u8> {
    whole(0, properties)[1..].to_vec()
}

/// Streams that ask for more than they pay for.
fn hostile_streams() -> Vec<(&'static str, ProtocolVersion, Vec<u8>)> {
    use ProtocolVersion::{V5, V311};
    const LARGEST: u32 = 268_435_455;
    let megabyte = vec![b'x'; 1 << 20];
    let pair = b"\x26\0\x01a\0\x01b";
    let user_properties = [b"\0\x01t".to_vec(), list(&pair.repeat(1 << 16))].concat();
    let claimed_list = [&b"\0\x01t"[..], b"\xff\xff\xff\x7f", &pair.repeat(1 << 12)].concat();
    let many_filters = [&b"\0\x01\0"[..], &b"\0\x01a\0".repeat(1 << 16)].concat();
    let claimed_text = [&b"\0\x01\0\xff\xff"[..], &[b'a'; 300]].concat();
    vec![
        ("a payload that never ends", V311, with_header(0x30, &megabyte, LARGEST)),
        ("a payload that never ends, 5.0", V5, with_header(0x30, &megabyte, LARGEST)),
        ("a CONNECT that never ends", V5, with_header(0x10, b"\0\x04MQTT\x05", LARGEST)),
        ("a SUBSCRIBE that never ends", V5, with_header(0x82, &b"\0\x01a\0".repeat(9000), LARGEST)),
        ("a list longer than its packet", V5, whole(0x30, &claimed_list)),
        ("a list longer than what came", V5, with_header(0x30, &claimed_list, LARGEST)),
        ("a filter longer than its packet", V5, whole(0x82, &claimed_text)),
        ("many user properties", V5, whole(0x30, &user_properties)),
        ("many packets of many user properties", V5, {
            let body = [&b"\0\x01t"[..], &list(&pair.repeat(500))].concat();
            whole(0x30, &body).repeat(100)
        }),
        ("many filters", V5, whole(0x82, &many_filters)),
        ("many tiny packets", V311, b"\xc0\0".repeat(20_000)),
        ("many tiny acknowledgements", V5, b"\x40\x02\0\x01".repeat(20_000)),
        ("many tiny messages", V311, b"\x30\x03\0\x01a".repeat(20_000)),
        ("many small messages", V5, b"\x30\x0b\0\x01a\0payload".repeat(20_000)),
        ("messages and a length that is a lie", V311, {
            let lie = with_header(0x30, &megabyte[..1 << 16], LARGEST);
            [b"\x30\x0a\0\x01apayload".repeat(5000), lie].concat()
        }),
        (
            "large messages",
            V311,
            whole(0x30, &[b"\0\x01a", &megabyte[..50_000]].concat()).repeat(20),
        ),
    ]
}

#[test]
fn a_receiver_holds_at_most_twice_what_it_received_whatever_was_declared() {
    const CONSTANT: i64 = 2 * BLOCK as i64;
    let mut count = 0;
    for (what, version, stream) in hostile_streams() {
        for chunk in [1, 7, 4096] {
            for receiver in [Receiver::Drops, Receiver::Keeps, Receiver::Detaches] {
                let decoder = Decoder::new(Role::Client, version);
                let held = receive(decoder, &stream, chunk, receiver);
                println!(
                    "{what}, {chunk} bytes at a time, {receiver:?}: {} received, {} packets, {} copied, {} beyond twice that",
                    held.received, held.packets, held.copies, held.excess
                );
                assert!(held.excess <= CONSTANT, "{what} by {chunk}, {receiver:?}");
                count += 1;
            }
        }
    }
    println!("hostile connections: {count}");
    assert_eq!(count, 16 * 3 * 3);
}

/// The decoder itself holds nothing, so this is the least a receiver can do with: a buffer of its
/// own size.
#[test]
fn a_declared_length_allocates_nothing() {
    for version in VERSIONS {
        for declared in [127, 128, 16_384, 2_097_152, 268_435_455] {
            let bytes = with_header(0x30, b"\0\x01a", declared);
            let mut buffer = BytesMut::from(&bytes[..]);
            let info = measure(|| {
                let mut decoder = Decoder::new(Role::Client, version);
                assert!(decoder.decode(&bytes).unwrap().ready().is_none());
                assert!(decoder.header(&bytes).unwrap().ready().is_some());
                assert!(decoder.decode_bytes(&mut buffer).unwrap().ready().is_none());
            });
            assert_eq!(info, AllocationInfo::default(), "{declared}");
        }
    }
}

/// What counts the owners of the copy may be an allocation of its own, and a short topic name needs
/// none.
#[test]
fn a_detached_message_takes_its_size_and_a_little_more() {
    let bytes = unhex("300a0001617061796c6f6164");
    let mut decoder = Decoder::new(Role::Client, ProtocolVersion::V311);
    let Ok(Status::Ready((Packet::Publish(publish), _))) = decoder.decode(&bytes) else {
        panic!("{bytes:02x?}")
    };
    let size = 1 + publish.message.payload.len() as u64;
    let mut detached = None;
    let info = measure(|| detached = Some(publish.message.detach()));
    assert_eq!(detached.as_ref().map(Message::as_ref), Some(publish.message));
    assert!(info.count_total <= 2, "{info:?}");
    assert!((size - 1..=size + 32).contains(&info.bytes_total), "{info:?}");
}

#[test]
fn a_copy_of_a_topic_name_takes_an_allocation_only_if_it_is_long() {
    for len in [1, 2, 37, 38, 39, 40, 1000] {
        let name = "t".repeat(len);
        let name = TopicName::borrowed(&name).unwrap();
        let mut copy = None;
        let info = measure(|| copy = Some(name.to_bytes()));
        assert_eq!(info.count_total, u64::from(len > 38), "{len}");
        assert_eq!(copy.as_ref().map(TopicName::as_ref), Some(name));
        assert_eq!(copy.unwrap().into_inner(), name.as_bytes());
    }
}
