//! PUBLISH, section 3.3.

#[cfg(feature = "bytes")]
use crate::wire::BufWriter;
use crate::{
    DecodeError, DecodeErrorKind, EncodeError, Message, PacketId, PacketType, Properties,
    PropertyId, PropertyOwner, ProtocolVersion, QoS, Storage, StringError, TopicName,
    name::Name,
    packet::{check_v311_properties, fits},
    text::check_topic_name,
    wire::{self, Context, Cursor, PropertyList, Put, SliceWriter, Span, put_header_and_u16},
};

const OWNER: PropertyOwner = PropertyOwner::Packet(PacketType::Publish);

/// How this delivery is acknowledged: the QoS, and what only QoS 1 and 2 have [MQTT-2.2.1-2].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// QoS 0.
    AtMostOnce,
    /// QoS 1, ended by PUBACK.
    AtLeastOnce {
        /// Names the exchange.
        id: PacketId,
        /// Whether it may have been sent before.
        dup: bool,
    },
    /// QoS 2, answered by PUBREC.
    ExactlyOnce {
        /// Names the exchange.
        id: PacketId,
        /// Whether it may have been sent before.
        dup: bool,
    },
}

impl Delivery {
    /// The first delivery at this QoS: with DUP not set. QoS 0 has no packet identifier, and `id` is
    /// not used then.
    #[must_use]
    pub const fn first(qos: QoS, id: PacketId) -> Self {
        match qos {
            QoS::AtMostOnce => Self::AtMostOnce,
            QoS::AtLeastOnce => Self::AtLeastOnce { id, dup: false },
            QoS::ExactlyOnce => Self::ExactlyOnce { id, dup: false },
        }
    }

    /// 0, 1 or 2.
    #[must_use]
    #[inline]
    pub const fn qos(self) -> QoS {
        match self {
            Self::AtMostOnce => QoS::AtMostOnce,
            Self::AtLeastOnce { .. } => QoS::AtLeastOnce,
            Self::ExactlyOnce { .. } => QoS::ExactlyOnce,
        }
    }

    /// The packet identifier of QoS 1 and 2.
    #[must_use]
    #[inline]
    pub const fn id(self) -> Option<PacketId> {
        match self {
            Self::AtMostOnce => None,
            Self::AtLeastOnce { id, .. } | Self::ExactlyOnce { id, .. } => Some(id),
        }
    }

    /// The DUP flag; never set at QoS 0 [MQTT-3.3.1-2].
    #[must_use]
    pub const fn dup(self) -> bool {
        match self {
            Self::AtMostOnce => false,
            Self::AtLeastOnce { dup, .. } | Self::ExactlyOnce { dup, .. } => dup,
        }
    }
}

/// A message on its way over one connection.
///
/// ```
/// use mqtt_proto::{Delivery, Packet, PacketId, Publication, Publish, QoS, TopicName};
///
/// let publish = Publish::new(TopicName::borrowed("room/1")?, b"21.5");
/// let line = Packet::Publish(publish).to_string();
/// assert_eq!(line, r#"PUBLISH topic="room/1" qos=0 payload="21.5""#);
///
/// let publish = publish.with_delivery(Delivery::first(QoS::AtLeastOnce, PacketId::MIN));
/// let line = Packet::Publish(publish.with_retain(true)).to_string();
/// assert_eq!(line, r#"PUBLISH topic="room/1" qos=1 id=1 retain payload="21.5""#);
///
/// // What an application handed in, a will or a retained message:
/// let publication = Publication::new(TopicName::try_from("room/1")?, "21.5").with_qos(QoS::ExactlyOnce);
/// let publish = publication.into_publish(PacketId::MIN);
/// assert_eq!(publish.to_string(), r#"PUBLISH topic="room/1" qos=2 id=1 payload="21.5""#);
/// # Ok::<_, mqtt_proto::StringError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Publish<B: Storage> {
    /// How it is acknowledged.
    pub delivery: Delivery,
    /// To a server: keep it. From a server: it was kept, or the subscription asked for the flag
    /// (section 3.3.1.3).
    pub retain: bool,
    /// What is said.
    pub message: Message<B>,
}

/// That there is a topic alias to stand for an empty topic name.
#[cold]
#[inline(never)]
fn check_alias(properties: PropertyList, start: Cursor<'_>) -> Result<(), DecodeError> {
    if properties.set().contains(PropertyId::TopicAlias) {
        Ok(())
    } else {
        Err(start.fault(DecodeErrorKind::TopicNameEmpty))
    }
}

/// A PUBLISH that was checked, by the places of its parts in the packet. It is the same for every
/// storage, and nothing is taken out of a buffer before all of it is known to be good.
pub(crate) struct Layout {
    delivery: Delivery,
    retain: bool,
    topic: Span,
    properties: PropertyList,
    payload: usize,
}

impl Layout {
    #[inline(always)]
    pub(crate) fn read(
        first: u8,
        mut cursor: Cursor<'_>,
        context: Context,
    ) -> Result<Self, DecodeError> {
        let start = cursor;
        let topic =
            cursor.span(|name| check_topic_name(name).map_err(StringError::in_topic_name))?;
        let dup = first & 8 != 0;
        let delivery = match first >> 1 & 3 {
            0 => Delivery::AtMostOnce,
            1 => Delivery::AtLeastOnce { id: cursor.packet_id()?, dup },
            _ => Delivery::ExactlyOnce { id: cursor.packet_id()?, dup },
        };
        let properties = cursor.properties(OWNER, context)?;
        if topic.len() == 0 {
            check_alias(properties, start)?;
        }
        let retain = first & 1 != 0;
        Ok(Self { delivery, retain, topic, properties, payload: cursor.position() })
    }

    /// The place of the topic name.
    #[cfg(feature = "bytes")]
    #[inline(always)]
    pub(crate) const fn topic(&self) -> Span {
        self.topic
    }

    /// The parts, out of the packet they were found in.
    #[inline(always)]
    pub(crate) fn of<B: Storage>(self, packet: B) -> Publish<B> {
        let topic = packet.name(self.topic);
        self.with_topic(topic, packet)
    }

    /// As [`of`](Self::of), but for the topic name.
    #[inline(always)]
    pub(crate) fn with_topic<B: Storage>(self, topic: Name<B>, packet: B) -> Publish<B> {
        let topic = TopicName::new_unchecked(topic);
        let properties = self.properties.of(&packet);
        let payload = packet.tail(self.payload);
        let message = Message { topic, payload, properties };
        Publish { delivery: self.delivery, retain: self.retain, message }
    }
}

impl<B: Storage> Publish<B> {
    /// At QoS 0, not retained and without properties.
    #[must_use]
    pub fn new(topic: TopicName<B>, payload: B) -> Self {
        Self {
            delivery: Delivery::AtMostOnce,
            retain: false,
            message: Message::new(topic, payload),
        }
    }

    /// Delivered like this.
    #[must_use]
    pub fn with_delivery(self, delivery: Delivery) -> Self {
        Self { delivery, ..self }
    }

    /// With this RETAIN flag.
    #[must_use]
    pub fn with_retain(self, retain: bool) -> Self {
        Self { retain, ..self }
    }

    /// With these properties; 5.0 only.
    #[must_use]
    pub fn with_properties(self, properties: Properties<B>) -> Self {
        Self { message: Message { properties, ..self.message }, ..self }
    }

    /// The same packet, borrowed.
    #[must_use]
    #[inline]
    pub fn as_ref(&self) -> Publish<&[u8]> {
        Publish { delivery: self.delivery, retain: self.retain, message: self.message.as_ref() }
    }

    /// As [`Packet::encoded_len`](crate::Packet::encoded_len).
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    #[inline]
    pub fn encoded_len(&self, version: ProtocolVersion) -> Result<u32, EncodeError> {
        Ok(Head::of(self, version)?.packet_len())
    }

    /// As [`Packet::encode`](crate::Packet::encode).
    ///
    /// # Errors
    /// As [`Packet::encode`](crate::Packet::encode).
    #[cfg(feature = "bytes")]
    #[inline(always)]
    pub fn encode(
        &self,
        version: ProtocolVersion,
        dst: &mut impl bytes::BufMut,
    ) -> Result<(), EncodeError> {
        let head = Head::of(self, version)?;
        if dst.remaining_mut() < head.packet_len() as usize {
            return Err(EncodeError::BufferTooSmall);
        }
        head.put(&mut BufWriter(dst));
        dst.put_slice(self.message.payload.as_ref());
        Ok(())
    }

    /// As [`Packet::encode_to_slice`](crate::Packet::encode_to_slice).
    ///
    /// # Errors
    /// As [`Packet::encode_to_slice`](crate::Packet::encode_to_slice).
    #[inline(always)]
    pub fn encode_to_slice(
        &self,
        version: ProtocolVersion,
        dst: &mut [u8],
    ) -> Result<usize, EncodeError> {
        let head = Head::of(self, version)?;
        let len = head.packet_len() as usize;
        let mut out = SliceWriter::new(dst.get_mut(..len).ok_or(EncodeError::BufferTooSmall)?);
        head.put(&mut out);
        out.slice(self.message.payload.as_ref());
        Ok(len)
    }

    /// How many bytes [`encode_head`](Self::encode_head) writes.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    #[inline]
    pub fn head_len(&self, version: ProtocolVersion) -> Result<u32, EncodeError> {
        let payload = self.message.payload.as_ref().len() as u32;
        Ok(Head::of(self, version)?.packet_len() - payload)
    }

    /// As [`encode_head`](Self::encode_head), to the start of `dst`; returns the size.
    ///
    /// # Errors
    /// As [`encode_to_slice`](Self::encode_to_slice).
    #[inline]
    pub fn encode_head_to_slice(
        &self,
        version: ProtocolVersion,
        dst: &mut [u8],
    ) -> Result<usize, EncodeError> {
        let head = Head::of(self, version)?;
        let len = head.packet_len() as usize - self.message.payload.as_ref().len();
        head.put(&mut SliceWriter::new(dst.get_mut(..len).ok_or(EncodeError::BufferTooSmall)?));
        Ok(len)
    }

    /// Writes everything before the payload, for those who send the payload by reference.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    #[cfg(feature = "bytes")]
    #[inline]
    pub fn encode_head(
        &self,
        version: ProtocolVersion,
        dst: &mut impl bytes::BufMut,
    ) -> Result<(), EncodeError> {
        let head = Head::of(self, version)?;
        let payload = self.message.payload.as_ref().len();
        if dst.remaining_mut() < head.packet_len() as usize - payload {
            return Err(EncodeError::BufferTooSmall);
        }
        head.put(&mut BufWriter(dst));
        Ok(())
    }

    pub(crate) fn map<C: Storage>(self, f: &mut impl FnMut(B) -> C) -> Publish<C> {
        Publish { delivery: self.delivery, retain: self.retain, message: self.message.map(f) }
    }
}

/// Everything before the payload of a PUBLISH, checked and measured.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) first: u8,
    pub(super) topic: &'a [u8],
    pub(super) id: Option<PacketId>,
    /// The property list of 5.0.
    pub(super) properties: Option<&'a [u8]>,
    /// The remaining length.
    pub(super) body: u32,
}

impl<'a> Head<'a> {
    #[inline(always)]
    fn of<B: Storage>(
        publish: &'a Publish<B>,
        version: ProtocolVersion,
    ) -> Result<Self, EncodeError> {
        Self::measure(publish, version, publish.message.topic.as_bytes(), 0)
    }

    /// With this topic name, and so many bytes to be added to the property list.
    #[inline(always)]
    pub(super) fn measure<B: Storage>(
        publish: &'a Publish<B>,
        version: ProtocolVersion,
        topic: &'a [u8],
        added: usize,
    ) -> Result<Self, EncodeError> {
        let Message { topic: name, payload, properties } = &publish.message;
        if name.is_empty() && !properties.set().contains(PropertyId::TopicAlias) {
            return Err(EncodeError::TopicNameEmpty);
        }
        let (id, dup_and_qos) = match publish.delivery {
            Delivery::AtMostOnce => (None, 0),
            Delivery::AtLeastOnce { id, dup } => (Some(id), u8::from(dup) << 3 | 2),
            Delivery::ExactlyOnce { id, dup } => (Some(id), u8::from(dup) << 3 | 4),
        };
        let mut len = 2 + topic.len() + payload.as_ref().len();
        if id.is_some() {
            len += 2;
        }
        let properties = match version {
            ProtocolVersion::V311 => {
                check_v311_properties(properties)?;
                if added > 0 {
                    return Err(EncodeError::NotInV311("a property"));
                }
                None
            }
            ProtocolVersion::V5 if properties.is_empty() => {
                len += 1 + added;
                Some(&[][..])
            }
            ProtocolVersion::V5 => {
                properties.check_owner(OWNER)?;
                len += properties.encoded_len_with(added);
                Some(properties.as_bytes())
            }
        };
        let first = 0x30 | dup_and_qos | u8::from(publish.retain);
        Ok(Self { first, topic, id, properties, body: fits(len)? })
    }

    /// The size of the packet.
    #[inline(always)]
    pub(super) const fn packet_len(&self) -> u32 {
        1 + wire::varint_len(self.body) + self.body
    }

    #[inline(always)]
    fn put(&self, out: &mut impl Put) {
        put_header_and_u16(self.first, self.body, self.topic.len() as u16, out);
        out.slice(self.topic);
        // What has a fixed size is one write.
        let id = self.id.map(|id| id.get().to_be_bytes());
        match (id, self.properties) {
            (None, None) => {}
            (Some(id), None) => out.slice(&id),
            (None, Some([])) => out.u8(0),
            (Some([high, low]), Some([])) => out.slice(&[high, low, 0]),
            (id, Some(list)) => {
                if let Some(id) = id {
                    out.slice(&id);
                }
                out.varint(list.len() as u32);
                out.slice(list);
            }
        }
    }
}
