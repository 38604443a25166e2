//! rmqtt-codec: a tokio codec for each version. Its encoder takes packets by value.

use std::{fmt::Debug, hint::black_box};

use bytes::BytesMut;
use rmqtt_codec::{types::Publish, v3, v5};
use tokio_util::codec::{Decoder, Encoder};

use super::{decode_bytes_mut, spare};
use crate::{Bench, Codec, Kind, Outcome, Peer};

pub(crate) fn peer() -> Peer {
    let codecs = vec![codec::<V4>(4), codec::<V5>(5)];
    Peer { name: "rmqtt-codec", kind: Kind::Owned, codecs }
}

trait Version: 'static {
    type Packet: Clone + Debug;
    type Codec: Decoder<Item = (Self::Packet, u32), Error: Debug>
        + Encoder<Self::Packet, Error: Debug>;

    fn new() -> Self::Codec;
}

struct V4;

impl Version for V4 {
    type Packet = v3::Packet;
    type Codec = v3::Codec;

    fn new() -> Self::Codec {
        v3::Codec::new(0)
    }
}

struct V5;

impl Version for V5 {
    type Packet = v5::Packet;
    type Codec = v5::Codec;

    fn new() -> Self::Codec {
        v5::Codec::new(0, 0)
    }
}

fn codec<V: Version>(level: u8) -> Codec {
    Codec {
        level,
        decode_one: Some(|bytes, _| decode_one::<V>(bytes)),
        decode: Some(|stream| decode_bytes_mut(stream, decode_all::<V>)),
        encode: Some(|stream| {
            let (mut codec, mut src) = (V::new(), spare(stream));
            let decode = || codec.decode(&mut src).ok().flatten();
            let packets = std::iter::from_fn(decode).map(|(packet, _)| packet).collect();
            let dst = BytesMut::with_capacity(stream.len() + 256);
            Box::new(Encode::<V> { codec: V::new(), packets, given: Vec::new(), dst })
        }),
        sizes: Some([size_of::<V::Packet>(), size_of::<Publish>()]),
    }
}

fn decode_one<V: Version>(bytes: &[u8]) -> Outcome {
    let mut src = BytesMut::from(bytes);
    match V::new().decode(&mut src) {
        Ok(Some((packet, _))) => {
            Outcome::Accepted(format!("{packet:?}"), Some(bytes.len() - src.len()))
        }
        Ok(None) => Outcome::Incomplete,
        Err(error) => Outcome::Refused(format!("{error:?}")),
    }
}

fn decode_all<V: Version>(src: &mut BytesMut) -> usize {
    let mut codec = V::new();
    let mut count = 0;
    while let Ok(Some(packet)) = codec.decode(src) {
        black_box(&packet);
        count += 1;
    }
    count
}

struct Encode<V: Version> {
    codec: V::Codec,
    packets: Vec<V::Packet>,
    /// The clones that are given away in the next run.
    given: Vec<V::Packet>,
    dst: BytesMut,
}

impl<V: Version> Bench for Encode<V> {
    fn prepare(&mut self) {
        self.given.clone_from(&self.packets);
        self.dst.clear();
    }

    fn run(&mut self) -> usize {
        for packet in self.given.drain(..) {
            self.codec.encode(packet, &mut self.dst).unwrap();
        }
        black_box(self.dst.len());
        self.packets.len()
    }

    fn output(&self) -> Option<Vec<u8>> {
        Some(self.dst.to_vec())
    }
}
