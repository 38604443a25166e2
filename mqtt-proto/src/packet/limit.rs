//! Packets no larger than the peer takes: its Maximum Packet Size (sections 3.1.2.11.4 and
//! 3.2.2.3.6), and what may be left out to stay within it.

use crate::{
    Auth, Disconnect, EncodeError, Packet, PacketType, Properties, PropertyId, PropertySet,
    ProtocolVersion, ReasonCode, Storage, SubAck, UnsubAck,
    packet::{Body, fits, put_fixed_header},
    wire::{self, Put},
};

/// What may be left out, in two steps: what the application added, then the text for people as
/// well.
const STEPS: [PropertySet; 2] = {
    let user_properties = PropertySet::EMPTY.with(PropertyId::UserProperty);
    [user_properties, user_properties.with(PropertyId::ReasonString)]
};

/// Packets for a peer that takes none of more than `limit` bytes [MQTT-3.1.2-24] [MQTT-3.2.2-15].
///
/// Where a packet is larger, the standard says which properties must not be sent: the Reason String
/// and User Properties of CONNACK [MQTT-3.2.2-19] [MQTT-3.2.2-20], PUBACK [MQTT-3.4.2-2]
/// [MQTT-3.4.2-3], PUBREC [MQTT-3.5.2-2] [MQTT-3.5.2-3], PUBREL [MQTT-3.6.2-2] [MQTT-3.6.2-3],
/// PUBCOMP [MQTT-3.7.2-2] [MQTT-3.7.2-3], SUBACK [MQTT-3.9.2-1] [MQTT-3.9.2-2], UNSUBACK
/// [MQTT-3.11.2-1] [MQTT-3.11.2-2], DISCONNECT [MQTT-3.14.2-3] [MQTT-3.14.2-4] and AUTH
/// [MQTT-3.15.2-2] [MQTT-3.15.2-3].
///
/// The rule: a packet that fits is written as it is. Of one that does not, all User Properties are
/// left out; if that is not enough, the Reason String too. Nothing else is ever left out, and
/// nothing at all of any other packet.
impl<B: Storage> Packet<B> {
    /// The size of what [`encode_within`](Self::encode_within) writes, in bytes.
    ///
    /// # Errors
    /// As [`encode_within`](Self::encode_within).
    pub fn encoded_len_within(
        &self,
        version: ProtocolVersion,
        limit: u32,
    ) -> Result<u32, EncodeError> {
        match self.within(version, limit)? {
            Within::Whole(len) => Ok(len),
            Within::Shortened(packet) => packet.encoded_len(version),
        }
    }

    /// Appends the packet to `dst`, without what must be left out for it to take at most `limit`
    /// bytes.
    ///
    /// ```
    /// # use mqtt_proto::*;
    /// let mut disconnect = Disconnect::new(ReasonCode::SERVER_SHUTTING_DOWN);
    /// disconnect.properties = Properties::new([Property::ReasonString("back at nine")])?;
    /// let disconnect = Packet::Disconnect(disconnect);
    ///
    /// let mut sent = Vec::new();
    /// disconnect.encode_within(ProtocolVersion::V5, 10, &mut sent)?;
    /// assert_eq!(sent, [0xe0, 1, 0x8b]);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`encode`](Self::encode), and [`EncodeError::PacketTooLarge`] if it is still too large;
    /// nothing is written then.
    #[cfg(feature = "bytes")]
    pub fn encode_within(
        &self,
        version: ProtocolVersion,
        limit: u32,
        dst: &mut impl bytes::BufMut,
    ) -> Result<(), EncodeError> {
        match self.within(version, limit)? {
            Within::Whole(_) => self.encode(version, dst),
            Within::Shortened(packet) => packet.encode(version, dst),
        }
    }

    /// As [`encode_within`](Self::encode_within), to the start of `dst`; returns the size.
    ///
    /// # Errors
    /// As [`encode_within`](Self::encode_within), and [`EncodeError::BufferTooSmall`].
    pub fn encode_to_slice_within(
        &self,
        version: ProtocolVersion,
        limit: u32,
        dst: &mut [u8],
    ) -> Result<usize, EncodeError> {
        match self.within(version, limit)? {
            Within::Whole(_) => self.encode_to_slice(version, dst),
            Within::Shortened(packet) => packet.encode_to_slice(version, dst),
        }
    }

    fn within(&self, version: ProtocolVersion, limit: u32) -> Result<Within<'_, B>, EncodeError> {
        // This also makes every check there is, so that what is shortened is legal.
        let mut size = self.encoded_len(version)?;
        if size <= limit {
            return Ok(Within::Whole(size));
        }
        if version == ProtocolVersion::V5 {
            for left_out in STEPS {
                let Some(packet) = Shortened::new(self, left_out) else { break };
                size = packet.encoded_len(version)?;
                if size <= limit {
                    return Ok(Within::Shortened(packet));
                }
            }
        }
        Err(EncodeError::PacketTooLarge { size, limit })
    }
}

enum Within<'a, B: Storage> {
    /// All of it fits; its size.
    Whole(u32),
    Shortened(Shortened<'a, B>),
}

/// A packet that may go without its Reason String and User Properties: some bytes, a property list,
/// some bytes.
struct Shortened<'a, B> {
    packet: PacketType,
    /// What stands before the list, and how much of it counts.
    head: [u8; 3],
    head_len: usize,
    properties: &'a Properties<B>,
    left_out: PropertySet,
    /// The size of what is left of the list, `None` where an empty one goes without saying.
    list_len: Option<usize>,
    tail: &'a [u8],
}

impl<'a, B: Storage> Shortened<'a, B> {
    /// `None` if there is nothing in the packet that may be left out.
    fn new(packet: &'a Packet<B>, left_out: PropertySet) -> Option<Self> {
        let properties = packet.properties()?;
        let (head, head_len, reason, tail): (_, _, _, &[u8]) = match packet {
            Packet::ConnAck(connack) => {
                ([connack.session_present.into(), connack.reason.get(), 0], 2, None, &[])
            }
            Packet::PubAck(ack)
            | Packet::PubRec(ack)
            | Packet::PubRel(ack)
            | Packet::PubComp(ack) => {
                let [high, low] = ack.id.get().to_be_bytes();
                ([high, low, ack.reason.get()], 3, Some(ack.reason), &[])
            }
            Packet::SubAck(SubAck { id, codes, .. })
            | Packet::UnsubAck(UnsubAck { id, codes, .. }) => {
                let [high, low] = id.get().to_be_bytes();
                ([high, low, 0], 2, None, codes.as_bytes())
            }
            Packet::Disconnect(Disconnect { reason, .. }) | Packet::Auth(Auth { reason, .. }) => {
                ([reason.get(), 0, 0], 1, Some(*reason), &[])
            }
            Packet::Connect(_)
            | Packet::Publish(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::PingReq
            | Packet::PingResp => return None,
        };
        let list_len = properties.without(left_out).map(<[u8]>::len).sum();
        // Where the reason code stands last, an empty list goes without saying, and then success
        // does too (sections 3.4.2.1, 3.14.2.1 and 3.15.2.1).
        let (head_len, list_len) = match reason {
            Some(ReasonCode::SUCCESS) if list_len == 0 => (head_len - 1, None),
            Some(_) if list_len == 0 => (head_len, None),
            _ => (head_len, Some(list_len)),
        };
        let packet = packet.packet_type();
        Some(Self { packet, head, head_len, properties, left_out, list_len, tail })
    }
}

impl<B: Storage> Body for Shortened<'_, B> {
    fn first_byte(&self) -> u8 {
        (self.packet as u8) << 4 | self.packet.flags()
    }

    fn body_len(&self, _: ProtocolVersion) -> Result<u32, EncodeError> {
        let list = self.list_len.map_or(0, |len| wire::varint_len(len as u32) as usize + len);
        fits(self.head_len + list + self.tail.len())
    }

    fn put(&self, body: u32, _: ProtocolVersion, out: &mut impl Put) {
        put_fixed_header(self.first_byte(), body, out);
        out.slice(&self.head[..self.head_len]);
        if let Some(len) = self.list_len {
            out.varint(len as u32);
            for property in self.properties.without(self.left_out) {
                out.slice(property);
            }
        }
        out.slice(self.tail);
    }
}
