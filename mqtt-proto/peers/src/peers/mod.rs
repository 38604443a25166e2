//! One file for each peer.

mod floor;
mod mqtt5_protocol;
mod mqtt_proto_akasa;
mod mqtt_protocol_core;
mod mqttbytes;
mod mqttrs;
mod ntex_mqtt;
mod ours;
mod rmqtt_codec;
mod rumqttc;
mod rumqttc_next;

use std::{fmt::Debug, hint::black_box};

use bytes::BytesMut;

use crate::{Bench, Codec, Outcome, Peer};

/// All that can be measured, in the order of the tables.
pub fn peers() -> Vec<Peer> {
    vec![
        floor::memcpy(),
        floor::split(),
        ours::borrowed(),
        ours::owned(),
        ours::head(),
        mqttrs::peer(),
        rumqttc::peer(),
        rumqttc_next::peer(),
        mqttbytes::peer(),
        mqtt_protocol_core::peer(),
        mqtt_protocol_core::parse_and_vectored(),
        ntex_mqtt::peer(),
        rmqtt_codec::peer(),
        mqtt5_protocol::peer(),
        mqtt_proto_akasa::peer(),
        mqtt_proto_akasa::buffer(),
    ]
}

/// What is not measured, by peer and case: it also writes to standard error.
pub const LEFT_OUT: [(&str, &str); 1] = [("mqttbytes", "v5_unsub5")];

/// A codec that takes packets out of a `BytesMut` and writes them into one.
trait BytesMutCodec: 'static {
    const LEVEL: u8;
    const SIZES: [usize; 2];
    type Packet: Debug;
    type Error: Debug;

    fn read(src: &mut BytesMut) -> Result<Self::Packet, Self::Error>;

    /// Whether the error says that bytes are missing.
    fn is_incomplete(error: &Self::Error) -> bool;

    fn write(packet: &Self::Packet, dst: &mut BytesMut);

    fn codec() -> Codec {
        Codec {
            level: Self::LEVEL,
            decode_one: Some(|bytes, _| Self::decode_one(bytes)),
            decode: Some(|stream| decode_bytes_mut(stream, Self::decode_all)),
            encode: Some(|stream| {
                let mut src = spare(stream);
                let mut packets = Vec::new();
                while !src.is_empty()
                    && let Ok(packet) = Self::read(&mut src)
                {
                    packets.push(packet);
                }
                encode_bytes_mut(packets, stream.len(), Self::write)
            }),
            sizes: Some(Self::SIZES),
        }
    }

    fn decode_one(bytes: &[u8]) -> Outcome {
        let mut src = BytesMut::from(bytes);
        match Self::read(&mut src) {
            Ok(packet) => Outcome::Accepted(format!("{packet:?}"), Some(bytes.len() - src.len())),
            Err(error) if Self::is_incomplete(&error) => Outcome::Incomplete,
            Err(error) => Outcome::Refused(format!("{error:?}")),
        }
    }

    fn decode_all(src: &mut BytesMut) -> usize {
        let mut count = 0;
        while !src.is_empty() {
            match Self::read(src) {
                Ok(packet) => {
                    black_box(&packet);
                    count += 1;
                }
                Err(_) => break,
            }
        }
        count
    }
}

/// A buffer that is warm, as after the first packet of a connection, and has room at its end: some
/// peers reserve a few bytes after each packet, and would otherwise copy the rest of the stream.
fn spare(stream: &[u8]) -> BytesMut {
    let mut src = BytesMut::with_capacity(1 + stream.len() + 256);
    src.extend_from_slice(&[0]);
    src.extend_from_slice(stream);
    // From here on it is shared, which is the one allocation that taking packets out of it costs.
    drop(src.split_to(1));
    src
}

/// A decoder that takes its packets out of a `BytesMut`.
struct DecodeBytesMut<F> {
    stream: Vec<u8>,
    src: BytesMut,
    decode: F,
}

fn decode_bytes_mut(
    stream: &[u8],
    decode: impl FnMut(&mut BytesMut) -> usize + 'static,
) -> Box<dyn Bench> {
    Box::new(DecodeBytesMut { stream: stream.to_vec(), src: BytesMut::new(), decode })
}

impl<F: FnMut(&mut BytesMut) -> usize> Bench for DecodeBytesMut<F> {
    fn prepare(&mut self) {
        self.src = spare(&self.stream);
    }

    fn run(&mut self) -> usize {
        (self.decode)(&mut self.src)
    }
}

/// A decoder that reads a slice.
struct DecodeSlice<F> {
    stream: Vec<u8>,
    decode: F,
}

fn decode_slice(stream: &[u8], decode: impl FnMut(&[u8]) -> usize + 'static) -> Box<dyn Bench> {
    Box::new(DecodeSlice { stream: stream.to_vec(), decode })
}

impl<F: FnMut(&[u8]) -> usize> Bench for DecodeSlice<F> {
    /// Reads all bytes, as filling a buffer would have brought them near.
    fn prepare(&mut self) {
        touch(&self.stream);
    }

    fn run(&mut self) -> usize {
        (self.decode)(&self.stream)
    }
}

fn touch(bytes: &[u8]) {
    black_box(bytes.iter().fold(0, |sum, byte| sum ^ byte));
}

/// An encoder that appends packets to a `BytesMut` that is used again and again.
struct EncodeBytesMut<P, F> {
    packets: Vec<P>,
    dst: BytesMut,
    encode: F,
}

fn encode_bytes_mut<P: 'static>(
    packets: Vec<P>,
    len: usize,
    encode: impl FnMut(&P, &mut BytesMut) + 'static,
) -> Box<dyn Bench> {
    Box::new(EncodeBytesMut { packets, dst: BytesMut::with_capacity(len + 256), encode })
}

impl<P, F: FnMut(&P, &mut BytesMut)> Bench for EncodeBytesMut<P, F> {
    fn prepare(&mut self) {
        self.dst.clear();
    }

    fn run(&mut self) -> usize {
        for packet in &self.packets {
            (self.encode)(packet, &mut self.dst);
        }
        black_box(self.dst.len());
        self.packets.len()
    }

    fn output(&self) -> Option<Vec<u8>> {
        Some(self.dst.to_vec())
    }
}

/// An encoder that writes packets to a slice.
struct EncodeSlice<P, F> {
    packets: Vec<P>,
    dst: Vec<u8>,
    len: usize,
    encode: F,
}

fn encode_slice<P: 'static>(
    packets: Vec<P>,
    len: usize,
    encode: impl FnMut(&P, &mut [u8]) -> usize + 'static,
) -> Box<dyn Bench> {
    Box::new(EncodeSlice { packets, dst: vec![0; len + 1024], len: 0, encode })
}

impl<P, F: FnMut(&P, &mut [u8]) -> usize> Bench for EncodeSlice<P, F> {
    fn prepare(&mut self) {}

    fn run(&mut self) -> usize {
        let mut len = 0;
        for packet in &self.packets {
            len += (self.encode)(packet, &mut self.dst[len..]);
        }
        self.len = black_box(len);
        self.packets.len()
    }

    fn output(&self) -> Option<Vec<u8>> {
        Some(self.dst[..self.len].to_vec())
    }
}

/// An encoder that gives each packet a buffer of its own.
struct EncodeOwned<P, F> {
    packets: Vec<P>,
    encode: F,
    show: fn(&P) -> Vec<u8>,
}

fn encode_owned<P: 'static>(
    packets: Vec<P>,
    encode: impl FnMut(&P) + 'static,
    show: fn(&P) -> Vec<u8>,
) -> Box<dyn Bench> {
    Box::new(EncodeOwned { packets, encode, show })
}

impl<P, F: FnMut(&P)> Bench for EncodeOwned<P, F> {
    fn prepare(&mut self) {}

    fn run(&mut self) -> usize {
        for packet in &self.packets {
            (self.encode)(packet);
        }
        self.packets.len()
    }

    fn output(&self) -> Option<Vec<u8>> {
        Some(self.packets.iter().flat_map(self.show).collect())
    }
}

/// A stream that lives as long as the process, for packets that borrow from it.
fn leak(stream: &[u8]) -> &'static [u8] {
    Box::leak(stream.to_vec().into_boxed_slice())
}
