//! What no codec can do without: copying the bytes, and finding where packets end.

use std::hint::black_box;

use super::{decode_slice, encode_bytes_mut, touch};
use crate::{Bench, Codec, Kind, MakeBench, Peer, frame, frames};

/// Decoding: one copy of the whole stream. Encoding: the ready-made packets appended one by one.
pub(crate) fn memcpy() -> Peer {
    let encode: MakeBench = |stream| {
        let packets = frames(stream).map(<[u8]>::to_vec).collect();
        encode_bytes_mut(packets, stream.len(), |packet: &Vec<u8>, dst| {
            dst.extend_from_slice(packet);
        })
    };
    let decode: MakeBench = |stream| {
        let (count, dst) = (frames(stream).count(), vec![0; stream.len()]);
        Box::new(Memcpy { stream: stream.to_vec(), dst, count })
    };
    peer("floor:memcpy", decode, Some(encode))
}

/// The fixed headers and nothing else.
pub(crate) fn split() -> Peer {
    let decode: MakeBench = |stream| {
        decode_slice(stream, |stream| {
            let (mut count, mut at) = (0, 0);
            while let Some((first, header, remaining)) = frame(&stream[at..]) {
                black_box((first, remaining));
                at += header + remaining;
                count += 1;
            }
            count
        })
    };
    peer("floor:split", decode, None)
}

fn peer(name: &'static str, decode: MakeBench, encode: Option<MakeBench>) -> Peer {
    let codec =
        |level| Codec { level, decode_one: None, decode: Some(decode), encode, sizes: None };
    Peer { name, kind: Kind::Floor, codecs: vec![codec(4), codec(5)] }
}

struct Memcpy {
    stream: Vec<u8>,
    dst: Vec<u8>,
    count: usize,
}

impl Bench for Memcpy {
    fn prepare(&mut self) {
        touch(&self.stream);
    }

    fn run(&mut self) -> usize {
        black_box(&mut self.dst).copy_from_slice(black_box(&self.stream));
        black_box(&self.dst);
        self.count
    }
}
