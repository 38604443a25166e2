//! The mqtt-proto of crates.io, by akasa: `Packet::decode`, its asynchronous reader driven to the
//! end, and `decode_buffer`, the synchronous reader behind its poll interface.

use std::{fmt::Debug, hint::black_box};

use mqtt_proto_akasa::{Error, PollHeader, VarBytes, v3, v5};

use super::{decode_slice, encode_owned};
use crate::{Codec, Kind, Outcome, Peer, frame, frames};

pub(crate) fn peer() -> Peer {
    let codecs = vec![codec::<V4>(4), codec::<V5>(5)];
    Peer { name: "mqtt-proto", kind: Kind::Owned, codecs }
}

/// `decode_buffer` behind our framing.
pub(crate) fn buffer() -> Peer {
    let codecs = vec![buffer_codec::<V4>(4), buffer_codec::<V5>(5)];
    Peer { name: "mqtt-proto/buffer", kind: Kind::Owned, codecs }
}

trait Version: 'static {
    const PUBLISH_SIZE: usize;
    type Packet: Debug;
    type Error: Debug;
    type Header: PollHeader<Packet = Self::Packet, Error = Self::Error>;

    fn decode(bytes: &[u8]) -> Result<Option<Self::Packet>, Self::Error>;
    fn encoded_len(packet: &Self::Packet) -> Option<usize>;
    fn encode(packet: &Self::Packet) -> VarBytes;
}

struct V4;

impl Version for V4 {
    const PUBLISH_SIZE: usize = size_of::<v3::Publish>();
    type Packet = v3::Packet;
    type Error = Error;
    type Header = v3::Header;

    #[inline(always)]
    fn decode(bytes: &[u8]) -> Result<Option<Self::Packet>, Self::Error> {
        v3::Packet::decode(bytes)
    }

    fn encoded_len(packet: &Self::Packet) -> Option<usize> {
        packet.encode_len().ok()
    }

    #[inline(always)]
    fn encode(packet: &Self::Packet) -> VarBytes {
        packet.encode().unwrap()
    }
}

struct V5;

impl Version for V5 {
    const PUBLISH_SIZE: usize = size_of::<v5::Publish>();
    type Packet = v5::Packet;
    type Error = v5::ErrorV5;
    type Header = v5::Header;

    #[inline(always)]
    fn decode(bytes: &[u8]) -> Result<Option<Self::Packet>, Self::Error> {
        v5::Packet::decode(bytes)
    }

    fn encoded_len(packet: &Self::Packet) -> Option<usize> {
        packet.encode_len().ok()
    }

    #[inline(always)]
    fn encode(packet: &Self::Packet) -> VarBytes {
        packet.encode().unwrap()
    }
}

fn codec<V: Version>(level: u8) -> Codec {
    Codec {
        level,
        decode_one: Some(|bytes, _| match V::decode(bytes) {
            Ok(Some(packet)) => Outcome::Accepted(format!("{packet:?}"), V::encoded_len(&packet)),
            Ok(None) => Outcome::Incomplete,
            Err(error) => Outcome::Refused(format!("{error:?}")),
        }),
        decode: Some(|stream| decode_slice(stream, decode_all::<V>)),
        encode: Some(|stream| {
            let packets = frames(stream).map_while(|frame| V::decode(frame).ok()?).collect();
            let encode = |packet: &V::Packet| {
                black_box(V::encode(packet));
            };
            encode_owned(packets, encode, |packet| V::encode(packet).as_ref().to_vec())
        }),
        sizes: Some([size_of::<V::Packet>(), V::PUBLISH_SIZE]),
    }
}

fn decode_all<V: Version>(stream: &[u8]) -> usize {
    let (mut count, mut at) = (0, 0);
    while let Some((_, header, remaining)) = frame(&stream[at..]) {
        let Ok(Some(packet)) = V::decode(&stream[at..]) else { break };
        black_box(&packet);
        count += 1;
        at += header + remaining;
    }
    count
}

fn buffer_codec<V: Version>(level: u8) -> Codec {
    Codec {
        level,
        decode_one: Some(|bytes, _| match frame(bytes) {
            None if bytes.len() > 4 => Outcome::Refused("length".into()),
            None => Outcome::Incomplete,
            Some((_, header, remaining)) if bytes.len() < header + remaining => Outcome::Incomplete,
            Some((first, header, remaining)) => {
                let len = header + remaining;
                match decode_body::<V>(first, header, &bytes[header..len]) {
                    Ok(packet) => Outcome::Accepted(format!("{packet:?}"), Some(len)),
                    Err(error) => Outcome::Refused(error),
                }
            }
        }),
        decode: Some(|stream| decode_slice(stream, decode_all_buffer::<V>)),
        encode: None,
        sizes: None,
    }
}

fn decode_all_buffer<V: Version>(stream: &[u8]) -> usize {
    let (mut count, mut at) = (0, 0);
    while let Some((first, header, remaining)) = frame(&stream[at..]) {
        let body = &stream[at + header..at + header + remaining];
        let Ok(packet) = decode_body::<V>(first, header, body) else { break };
        black_box(&packet);
        count += 1;
        at += header + remaining;
    }
    count
}

#[inline(always)]
fn decode_body<V: Version>(first: u8, header: usize, body: &[u8]) -> Result<V::Packet, String> {
    let total = (header + body.len()) as u32;
    let header = V::Header::new_with(first, body.len() as u32, total);
    let header = header.map_err(|error| format!("{error:?}"))?;
    if let Some(packet) = header.build_empty_packet() {
        return Ok(packet);
    }
    if body.is_empty() {
        return Err("InvalidRemainingLength".into());
    }
    header.decode_buffer(body, &mut 0).map_err(|error| format!("{error:?}"))
}
