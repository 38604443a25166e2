//! The published MQTT codecs, and ours, behind one interface, so that they can be measured on the
//! same bytes; and the sessions, on the same messages.

pub mod command;
pub mod figures;
pub mod inputs;
pub mod peers;
pub mod sessions;

use mqtt_proto::Role;

/// One thing that can be measured.
pub trait Bench {
    /// What must be done before each run, outside of the measurement.
    fn prepare(&mut self);

    /// What is measured. Gives the number of packets, or messages, it handled.
    fn run(&mut self) -> usize;

    /// What an encoder wrote in its last run.
    fn output(&self) -> Option<Vec<u8>> {
        None
    }
}

/// Makes a bench for the packets of a stream.
pub type MakeBench = fn(&[u8]) -> Box<dyn Bench>;

/// With whom a codec is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A part of the work only; not compared with.
    Floor,
    /// Its packets borrow from the bytes they were read from.
    Borrowing,
    /// Its packets own or share their bytes.
    Owned,
}

/// A codec, or one of several ways to use it.
pub struct Peer {
    pub name: &'static str,
    pub kind: Kind,
    pub codecs: Vec<Codec>,
}

impl Peer {
    /// Whether it is the codec that this package is about.
    pub fn is_ours(&self) -> bool {
        self.name.starts_with("ours:")
    }

    /// What it has for a protocol level, 4 or 5.
    pub fn codec(&self, level: u8) -> Option<&Codec> {
        self.codecs.iter().find(|codec| codec.level == level)
    }
}

/// What a peer does for one version of the protocol.
pub struct Codec {
    /// 4 is MQTT 3.1.1, 5 is MQTT 5.0.
    pub level: u8,
    /// Decodes the one packet in the bytes, as sent by this side (of which only ours takes notice).
    pub decode_one: Option<fn(&[u8], Role) -> Outcome>,
    /// Decodes all of a stream.
    pub decode: Option<MakeBench>,
    /// Encodes all packets of a stream.
    pub encode: Option<MakeBench>,
    /// The size in memory of any packet, and of a PUBLISH.
    pub sizes: Option<[usize; 2]>,
}

/// What a decoder says of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// They are a packet: what it holds, and how many bytes it took, of decoders that say.
    Accepted(String, Option<usize>),
    /// They are the beginning of a packet.
    Incomplete,
    /// They are no packet.
    Refused(String),
}

/// A fixed header taken apart: the first byte, the length of the header, the remaining length.
#[inline(always)]
pub fn frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let first = *bytes.first()?;
    let mut remaining = 0;
    for at in 0..4 {
        let byte = *bytes.get(1 + at)?;
        remaining |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((first, 2 + at, remaining));
        }
    }
    None
}

/// The frames of a stream.
pub fn frames(mut stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (_, header, remaining) = frame(stream)?;
        let (frame, rest) = stream.split_at_checked(header + remaining)?;
        stream = rest;
        Some(frame)
    })
}
