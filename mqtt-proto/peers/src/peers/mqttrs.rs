//! mqttrs: 3.1.1 only. It borrows from the slice, and does not say how much of it a packet took.

use std::hint::black_box;

use mqttrs::{Packet, Publish, decode_slice};

use super::leak;
use crate::{Codec, Kind, Outcome, Peer, frame, frames};

pub(crate) fn peer() -> Peer {
    let codec = Codec {
        level: 4,
        decode_one: Some(|bytes, _| decode_one(bytes)),
        decode: Some(|stream| super::decode_slice(stream, decode_all)),
        encode: Some(|stream| {
            let packets = frames(leak(stream)).map_while(|frame| decode_slice(frame).ok()?);
            super::encode_slice(packets.collect(), stream.len(), |packet: &Packet<'static>, dst| {
                mqttrs::encode_slice(packet, dst).unwrap()
            })
        }),
        sizes: Some([size_of::<Packet<'_>>(), size_of::<Publish<'_>>()]),
    };
    Peer { name: "mqttrs", kind: Kind::Borrowing, codecs: vec![codec] }
}

fn decode_one(bytes: &[u8]) -> Outcome {
    match decode_slice(bytes) {
        Ok(Some(packet)) => Outcome::Accepted(format!("{packet:?}"), None),
        Ok(None) => Outcome::Incomplete,
        Err(error) => Outcome::Refused(format!("{error:?}")),
    }
}

fn decode_all(stream: &[u8]) -> usize {
    let (mut count, mut at) = (0, 0);
    while let Some((_, header, remaining)) = frame(&stream[at..]) {
        let Ok(Some(packet)) = decode_slice(&stream[at..]) else { break };
        black_box(&packet);
        count += 1;
        at += header + remaining;
    }
    count
}
