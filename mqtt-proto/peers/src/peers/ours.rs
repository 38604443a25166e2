//! The codec that this package is about, in the ways it can be used.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use mqtt_proto::{Decoder, Packet, PacketRef, ProtocolVersion, Publish, Role, Status};

use super::{decode_bytes_mut, decode_slice, encode_bytes_mut, encode_slice, leak, spare};
use crate::{Bench, Codec, Kind, Outcome, Peer, frames};

/// `Decoder::decode` over the slice; `Packet::encode_to_slice`.
pub(crate) fn borrowed() -> Peer {
    let codec = |level, decode, encode| Codec {
        level,
        decode_one: Some(if level == 4 { decode_one::<4> } else { decode_one::<5> }),
        decode: Some(decode),
        encode: Some(encode),
        sizes: Some([size_of::<PacketRef<'_>>(), size_of::<Publish<&[u8]>>()]),
    };
    let codecs = vec![
        codec(4, decode_borrowed::<4>, encode_borrowed::<4>),
        codec(5, decode_borrowed::<5>, encode_borrowed::<5>),
    ];
    Peer { name: "ours:borrowed", kind: Kind::Borrowing, codecs }
}

/// `Decoder::decode_bytes` out of a `BytesMut` with the whole stream; `Packet::encode` into one.
pub(crate) fn owned() -> Peer {
    let codec = |level, decode, encode| Codec {
        level,
        decode_one: Some(if level == 4 { decode_one_owned::<4> } else { decode_one_owned::<5> }),
        decode: Some(decode),
        encode: Some(encode),
        sizes: Some([size_of::<Packet<Bytes>>(), size_of::<Publish<Bytes>>()]),
    };
    let codecs = vec![
        codec(4, decode_owned::<4>, encode_owned::<4>),
        codec(5, decode_owned::<5>, encode_owned::<5>),
    ];
    Peer { name: "ours:owned", kind: Kind::Owned, codecs }
}

/// `Publish::encode_head` into a `BytesMut`, and the payload by reference.
pub(crate) fn head() -> Peer {
    let codec = |level, encode| Codec {
        level,
        decode_one: None,
        decode: None,
        encode: Some(encode),
        sizes: None,
    };
    let codecs = vec![codec(4, encode_head::<4>), codec(5, encode_head::<5>)];
    Peer { name: "ours:head", kind: Kind::Owned, codecs }
}

const fn version(level: u8) -> ProtocolVersion {
    if level == 4 { ProtocolVersion::V311 } else { ProtocolVersion::V5 }
}

fn decode_one<const LEVEL: u8>(bytes: &[u8], sender: Role) -> Outcome {
    match Decoder::new(sender, version(LEVEL)).decode(bytes) {
        Ok(Status::Ready((packet, len))) => Outcome::Accepted(format!("{packet:?}"), Some(len)),
        Ok(Status::NeedMore(_)) => Outcome::Incomplete,
        Err(error) => Outcome::Refused(error.to_string()),
    }
}

fn decode_one_owned<const LEVEL: u8>(bytes: &[u8], sender: Role) -> Outcome {
    let mut src = BytesMut::from(bytes);
    match Decoder::new(sender, version(LEVEL)).decode_bytes(&mut src) {
        Ok(Status::Ready(packet)) => {
            Outcome::Accepted(format!("{packet:?}"), Some(bytes.len() - src.len()))
        }
        Ok(Status::NeedMore(_)) => Outcome::Incomplete,
        Err(error) => Outcome::Refused(error.to_string()),
    }
}

/// The packet types that only a server sends, as bits: CONNACK, SUBACK, UNSUBACK, PINGRESP.
const SERVER_ONLY: u16 = 1 << 2 | 1 << 9 | 1 << 11 | 1 << 13;

fn is_from_server(first: u8) -> bool {
    SERVER_ONLY >> (first >> 4) & 1 == 1
}

/// The side that sends all packets of a stream. The mixed streams have none: their packets are from
/// both sides of a connection, which are two decoders of ours.
fn sender(stream: &[u8]) -> Option<Role> {
    let from_server = frames(stream).filter(|frame| is_from_server(frame[0])).count();
    match from_server {
        0 => Some(Role::Client),
        count if count == frames(stream).count() => Some(Role::Server),
        _ => None,
    }
}

fn decode_borrowed<const LEVEL: u8>(stream: &[u8]) -> Box<dyn Bench> {
    match sender(stream) {
        Some(sender) => decode_slice(stream, move |stream| {
            one_side(stream, Decoder::new(sender, version(LEVEL)))
        }),
        None => decode_slice(stream, both_sides::<LEVEL>),
    }
}

fn one_side(stream: &[u8], mut decoder: Decoder) -> usize {
    let (mut count, mut at) = (0, 0);
    while let Ok(Status::Ready((packet, len))) = &decoder.decode(&stream[at..]) {
        black_box(packet);
        count += 1;
        at += len;
    }
    count
}

fn both_sides<const LEVEL: u8>(stream: &[u8]) -> usize {
    let mut client = Decoder::new(Role::Client, version(LEVEL));
    let mut server = Decoder::new(Role::Server, version(LEVEL));
    let (mut count, mut at) = (0, 0);
    while let Some(&first) = stream.get(at) {
        let decoder = if is_from_server(first) { &mut server } else { &mut client };
        let Ok(Status::Ready((packet, len))) = &decoder.decode(&stream[at..]) else { break };
        black_box(packet);
        count += 1;
        at += len;
    }
    count
}

fn decode_owned<const LEVEL: u8>(stream: &[u8]) -> Box<dyn Bench> {
    match sender(stream) {
        Some(sender) => decode_bytes_mut(stream, move |src| {
            one_side_owned(src, Decoder::new(sender, version(LEVEL)))
        }),
        None => decode_bytes_mut(stream, both_sides_owned::<LEVEL>),
    }
}

fn one_side_owned(src: &mut BytesMut, mut decoder: Decoder) -> usize {
    let mut count = 0;
    while let Ok(Status::Ready(packet)) = &decoder.decode_bytes(src) {
        black_box(packet);
        count += 1;
    }
    count
}

fn both_sides_owned<const LEVEL: u8>(src: &mut BytesMut) -> usize {
    let mut client = Decoder::new(Role::Client, version(LEVEL));
    let mut server = Decoder::new(Role::Server, version(LEVEL));
    let mut count = 0;
    while let Some(&first) = src.first() {
        let decoder = if is_from_server(first) { &mut server } else { &mut client };
        let Ok(Status::Ready(packet)) = &decoder.decode_bytes(src) else { break };
        black_box(packet);
        count += 1;
    }
    count
}

/// The packets of a stream, each from the side that may send it.
fn packets<const LEVEL: u8>(stream: &[u8]) -> Vec<PacketRef<'_>> {
    let decode = |frame| {
        [Role::Client, Role::Server].into_iter().find_map(|sender| {
            let status = Decoder::new(sender, version(LEVEL)).decode(frame).ok()?;
            status.ready().map(|(packet, _)| packet)
        })
    };
    frames(stream).map_while(decode).collect()
}

/// The same as the decoder gives them out of a buffer.
fn owned_packets<const LEVEL: u8>(stream: &[u8]) -> Vec<Packet<Bytes>> {
    let mut src = spare(stream);
    let mut decoders =
        [Role::Client, Role::Server].map(|sender| Decoder::new(sender, version(LEVEL)));
    let decode = || {
        let decoder = &mut decoders[usize::from(is_from_server(*src.first()?))];
        decoder.decode_bytes(&mut src).ok()?.ready()
    };
    std::iter::from_fn(decode).collect()
}

fn encode_borrowed<const LEVEL: u8>(stream: &[u8]) -> Box<dyn Bench> {
    let packets = packets::<LEVEL>(leak(stream));
    encode_slice(packets, stream.len(), |packet: &PacketRef<'static>, dst| {
        packet.encode_to_slice(version(LEVEL), dst).expect("it was decoded")
    })
}

fn encode_owned<const LEVEL: u8>(stream: &[u8]) -> Box<dyn Bench> {
    encode_bytes_mut(owned_packets::<LEVEL>(stream), stream.len(), |packet, dst| {
        packet.encode(version(LEVEL), dst).expect("it was decoded");
    })
}

fn encode_head<const LEVEL: u8>(stream: &[u8]) -> Box<dyn Bench> {
    let publishes = owned_packets::<LEVEL>(stream).into_iter().map_while(|packet| match packet {
        Packet::Publish(publish) => Some(publish),
        _ => None,
    });
    let publishes: Vec<_> = publishes.collect();
    let dst = BytesMut::with_capacity(stream.len() + 256);
    Box::new(EncodeHead::<LEVEL> { publishes, dst })
}

struct EncodeHead<const LEVEL: u8> {
    publishes: Vec<Publish<Bytes>>,
    dst: BytesMut,
}

impl<const LEVEL: u8> Bench for EncodeHead<LEVEL> {
    fn prepare(&mut self) {
        self.dst.clear();
    }

    fn run(&mut self) -> usize {
        for publish in &self.publishes {
            publish.encode_head(version(LEVEL), &mut self.dst).expect("it was decoded");
            black_box(&publish.message.payload);
        }
        black_box(self.dst.len());
        self.publishes.len()
    }

    fn output(&self) -> Option<Vec<u8>> {
        let mut heads = self.dst.clone();
        let mut out = Vec::new();
        for publish in &self.publishes {
            let head = publish.head_len(version(LEVEL)).expect("it was decoded");
            out.extend_from_slice(&heads.split_to(head as usize));
            out.extend_from_slice(&publish.message.payload);
        }
        Some(out)
    }
}
