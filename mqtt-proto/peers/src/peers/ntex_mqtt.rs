//! ntex-mqtt: a codec for each version, over buffers of its own. Its encoder takes packets by value
//! and appends a payload of more than 4 KiB by reference.

use std::{fmt::Debug, hint::black_box};

use ntex_bytes::{BytePages, Bytes, BytesMut};
use ntex_codec::{Decoder, Encoder};
use ntex_mqtt::{v3::codec as v3, v5::codec as v5};

use crate::{Bench, Codec, Kind, Outcome, Peer};

pub(crate) fn peer() -> Peer {
    let codecs = vec![codec::<V4>(4), codec::<V5>(5)];
    Peer { name: "ntex-mqtt", kind: Kind::Owned, codecs }
}

type Decoded<V> = <<V as Version>::Codec as Decoder>::Item;
type Encoded<V> = <<V as Version>::Codec as Encoder>::Item;

trait Version: 'static {
    const PUBLISH_SIZE: usize;
    type Codec: Decoder<Item: Debug, Error: Debug> + Encoder<Item: Clone, Error: Debug>;

    fn new() -> Self::Codec;

    /// The payload is a copy that is not shared, as an application would have it.
    fn encodable(decoded: Decoded<Self>) -> Option<Encoded<Self>>;
}

struct V4;

impl Version for V4 {
    const PUBLISH_SIZE: usize = size_of::<v3::Publish>();
    type Codec = v3::Codec;

    fn new() -> Self::Codec {
        v3::Codec::new()
    }

    fn encodable(decoded: v3::Decoded) -> Option<v3::Encoded> {
        match decoded {
            v3::Decoded::Publish(publish, payload, _) => {
                Some(v3::Encoded::Publish(publish, Some(Bytes::copy_from_slice(&payload))))
            }
            v3::Decoded::Packet(packet, _) => Some(v3::Encoded::Packet(packet)),
            _ => None,
        }
    }
}

struct V5;

impl Version for V5 {
    const PUBLISH_SIZE: usize = size_of::<v5::Publish>();
    type Codec = v5::Codec;

    fn new() -> Self::Codec {
        v5::Codec::new()
    }

    fn encodable(decoded: v5::Decoded) -> Option<v5::Encoded> {
        match decoded {
            v5::Decoded::Publish(publish, payload, _) => {
                Some(v5::Encoded::Publish(publish, Some(Bytes::copy_from_slice(&payload))))
            }
            v5::Decoded::Packet(packet, _) => Some(v5::Encoded::Packet(packet)),
            _ => None,
        }
    }
}

fn codec<V: Version>(level: u8) -> Codec {
    Codec {
        level,
        decode_one: Some(|bytes, _| decode_one::<V>(bytes)),
        decode: Some(|stream| {
            Box::new(Decode::<V> { stream: stream.to_vec(), src: BytesMut::new(), codec: V::new() })
        }),
        encode: Some(|stream| {
            let (codec, mut src) = (V::new(), spare(stream));
            let decode = || V::encodable(codec.decode(&mut src).ok().flatten()?);
            let packets = std::iter::from_fn(decode).collect();
            let dst = BytePages::default();
            Box::new(Encode::<V> { codec: V::new(), packets, given: Vec::new(), dst })
        }),
        sizes: Some([size_of::<Decoded<V>>(), V::PUBLISH_SIZE]),
    }
}

fn decode_one<V: Version>(bytes: &[u8]) -> Outcome {
    let mut src = spare(bytes);
    match V::new().decode(&mut src) {
        Ok(Some(packet)) => Outcome::Accepted(format!("{packet:?}"), Some(bytes.len() - src.len())),
        Ok(None) => Outcome::Incomplete,
        Err(error) => Outcome::Refused(format!("{error:?}")),
    }
}

/// With room at the end, as [`super::spare`].
fn spare(stream: &[u8]) -> BytesMut {
    let mut src = BytesMut::with_capacity(stream.len() + 256);
    src.extend_from_slice(stream);
    src
}

struct Decode<V: Version> {
    stream: Vec<u8>,
    src: BytesMut,
    codec: V::Codec,
}

impl<V: Version> Bench for Decode<V> {
    fn prepare(&mut self) {
        self.src = spare(&self.stream);
        self.codec = V::new();
    }

    fn run(&mut self) -> usize {
        let mut count = 0;
        while let Ok(Some(packet)) = self.codec.decode(&mut self.src) {
            black_box(&packet);
            count += 1;
        }
        count
    }
}

struct Encode<V: Version> {
    codec: V::Codec,
    packets: Vec<Encoded<V>>,
    /// The clones that are given away in the next run.
    given: Vec<Encoded<V>>,
    dst: BytePages,
}

impl<V: Version> Bench for Encode<V> {
    fn prepare(&mut self) {
        self.given.clone_from(&self.packets);
        self.dst = BytePages::default();
    }

    fn run(&mut self) -> usize {
        for packet in self.given.drain(..) {
            self.codec.encode(packet, &mut self.dst).unwrap();
        }
        black_box(self.dst.len());
        self.packets.len()
    }

    fn output(&self) -> Option<Vec<u8>> {
        Some(self.dst.iter().flat_map(|page| page.to_vec()).collect())
    }
}
