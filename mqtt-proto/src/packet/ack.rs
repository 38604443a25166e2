//! PUBACK, PUBREC, PUBREL and PUBCOMP: one shape, sections 3.4 to 3.7.

use crate::{
    DecodeError, DecodeErrorKind, EncodeError, PacketId, PacketType, Properties, PropertyOwner,
    ProtocolVersion, ReasonCode, Role, Storage,
    packet::{Body, check_v311_properties, fits, put_properties},
    wire::{Context, Cursor, PropertyList, Put, put_header_and_u16},
};

/// One step of a QoS 1 or QoS 2 exchange: PUBACK, PUBREC, PUBREL or PUBCOMP. Which of the four it is
/// says the [`Packet`](crate::Packet) around it.
///
/// ```
/// use mqtt_proto::{Ack, Packet, PacketId, Properties, Property, ReasonCode};
///
/// let id = PacketId::MIN;
/// let puback: Packet<&[u8]> = Packet::PubAck(Ack::success(id));
/// let pubrel: Packet<&[u8]> = Packet::PubRel(Ack::success(id));
/// let pubcomp: Packet<&[u8]> = Packet::PubComp(Ack::new(id, ReasonCode::PACKET_IDENTIFIER_NOT_FOUND));
/// assert_eq!(puback.to_string(), "PUBACK id=1");
/// assert_eq!(pubrel.to_string(), "PUBREL id=1");
/// assert_eq!(pubcomp.to_string(), "PUBCOMP id=1 reason=0x92 (Packet Identifier not found)");
///
/// let why = Properties::new([Property::ReasonString("come back tomorrow")])?;
/// let pubrec = Packet::PubRec(Ack::new(id, ReasonCode::QUOTA_EXCEEDED).with_properties(why));
/// assert_eq!(
///     pubrec.to_string(),
///     r#"PUBREC id=1 reason=0x97 (Quota exceeded) properties=[ReasonString="come back tomorrow"]"#
/// );
/// # Ok::<_, mqtt_proto::PropertyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ack<B: Storage> {
    /// The exchange.
    pub id: PacketId,
    /// How it went; always success in 3.1.1.
    pub reason: ReasonCode,
    /// Reason String and User Properties in 5.0.
    pub properties: Properties<B>,
}

impl<B: Storage> Ack<B> {
    /// That all is well, in the shortest form.
    #[must_use]
    pub fn success(id: PacketId) -> Self {
        Self::new(id, ReasonCode::SUCCESS)
    }

    /// With this code and no properties.
    #[must_use]
    pub fn new(id: PacketId, reason: ReasonCode) -> Self {
        Self { id, reason, properties: Properties::default() }
    }

    /// With these properties; 5.0 only.
    #[must_use]
    pub fn with_properties(self, properties: Properties<B>) -> Self {
        Self { properties, ..self }
    }

    pub(crate) fn map<C: Storage>(self, f: &mut impl FnMut(B) -> C) -> Ack<C> {
        Ack { id: self.id, reason: self.reason, properties: self.properties.map(f) }
    }
}

/// An acknowledgement that was checked, with the place of its properties in the packet.
pub(crate) struct Layout {
    id: PacketId,
    reason: ReasonCode,
    properties: PropertyList,
}

impl Layout {
    #[inline(always)]
    pub(crate) fn read(
        number: u8,
        mut cursor: Cursor<'_>,
        context: Context,
    ) -> Result<Self, DecodeError> {
        let id = cursor.packet_id()?;
        if cursor.is_empty() {
            return Ok(Self { id, reason: ReasonCode::SUCCESS, properties: PropertyList::EMPTY });
        }
        Self::read_long(id, cursor, number, context)
    }

    /// Of 5.0, with a reason code.
    #[inline(never)]
    fn read_long(
        id: PacketId,
        mut cursor: Cursor<'_>,
        number: u8,
        context: Context,
    ) -> Result<Self, DecodeError> {
        let packet = PacketType::new(number).unwrap_or(PacketType::PubAck);
        if context.version == ProtocolVersion::V311 {
            return Err(cursor.fault(DecodeErrorKind::TrailingBytes));
        }
        let reason = cursor.reason(packet, context)?;
        if cursor.is_empty() {
            return Ok(Self { id, reason, properties: PropertyList::EMPTY });
        }
        let properties = cursor.properties(PropertyOwner::Packet(packet), context)?;
        cursor.end()?;
        Ok(Self { id, reason, properties })
    }

    /// Whether there is nothing in it that has to be kept in the packet's storage.
    #[inline(always)]
    pub(crate) const fn is_plain(&self) -> bool {
        self.properties.set().is_empty()
    }

    /// The parts, out of the packet they were found in.
    #[inline(always)]
    pub(crate) fn of<B: Storage>(self, packet: &B) -> Ack<B> {
        Ack { id: self.id, reason: self.reason, properties: self.properties.of(packet) }
    }
}

/// An [`Ack`] and which of the four packets it is.
pub(crate) struct TypedAck<'a, B: Storage>(pub(crate) PacketType, pub(crate) &'a Ack<B>);

impl<B: Storage> Body for TypedAck<'_, B> {
    #[inline]
    fn first_byte(&self) -> u8 {
        (self.0 as u8) << 4 | self.0.flags()
    }

    #[inline]
    fn body_len(&self, version: ProtocolVersion) -> Result<u32, EncodeError> {
        let Self(packet, Ack { reason, properties, .. }) = self;
        if version == ProtocolVersion::V311 {
            check_v311_properties(properties)?;
            return match *reason {
                ReasonCode::SUCCESS => Ok(2),
                _ => Err(EncodeError::NotInV311("a reason code in an acknowledgement")),
            };
        }
        if !reason.is_legal_in(*packet, Role::Server) {
            return Err(EncodeError::ReasonCode(*reason));
        }
        properties.check_owner(PropertyOwner::Packet(*packet))?;
        if !properties.is_empty() {
            return fits(3 + properties.encoded_len());
        }
        // [section 3.4.2.1] Success and nothing to add goes without saying.
        Ok(if *reason == ReasonCode::SUCCESS { 2 } else { 3 })
    }

    #[inline]
    fn put(&self, body: u32, version: ProtocolVersion, out: &mut impl Put) {
        let Self(_, Ack { id, reason, properties }) = self;
        put_header_and_u16(self.first_byte(), body, id.get(), out);
        if version == ProtocolVersion::V311 {
            return;
        }
        if !properties.is_empty() || *reason != ReasonCode::SUCCESS {
            out.u8(reason.get());
        }
        if !properties.is_empty() {
            put_properties(properties, out);
        }
    }
}
