//! SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK, sections 3.8 to 3.11: a packet identifier,
//! properties and a list.

use crate::{
    DecodeError, EncodeError, PacketId, PacketType, Properties, PropertyOwner, ProtocolVersion,
    ReasonCodes, Storage, SubscribeFilters, UnsubscribeFilters,
    packet::{Body, check_v311_properties, fits, put_properties},
    wire::{Context, Cursor, Put, put_header_and_u16},
};

/// A client's request for messages.
///
/// ```
/// use mqtt_proto::{Packet, PacketId, QoS, Subscribe, SubscribeFilters, TopicFilter};
///
/// let filters = SubscribeFilters::new([
///     (TopicFilter::borrowed("room/+")?, QoS::AtLeastOnce),
///     (TopicFilter::borrowed("$share/workers/jobs/#")?, QoS::ExactlyOnce),
/// ])?;
/// let subscribe = Packet::Subscribe(Subscribe::new(PacketId::MIN, filters));
/// assert_eq!(
///     subscribe.to_string(),
///     r#"SUBSCRIBE id=1 filters=["room/+" qos=1, "$share/workers/jobs/#" qos=2]"#
/// );
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// With the options of 5.0 (section 3.8.3.1) and a Subscription Identifier:
///
/// ```
/// # use mqtt_proto::*;
/// let options = SubscriptionOptions { no_local: true, ..QoS::AtLeastOnce.into() };
/// let filters = SubscribeFilters::new([(TopicFilter::borrowed("chat/#")?, options)])?;
/// let subscribe = Subscribe::new(PacketId::MIN, filters)
///     .with_properties(Properties::new([Property::SubscriptionIdentifier(7)])?);
/// # assert!(Packet::Subscribe(subscribe).encoded_len(ProtocolVersion::V5).is_ok());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// Without an allocator the list lives in a buffer of yours, see
/// [`SubscribeFilters::in_buffer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subscribe<B: Storage> {
    /// Names the request until its SUBACK.
    pub id: PacketId,
    /// Subscription Identifier and User Properties in 5.0.
    pub properties: Properties<B>,
    /// What for; at least one [MQTT-3.8.3-2].
    pub filters: SubscribeFilters<B>,
}

/// The server's answer to SUBSCRIBE.
///
/// ```
/// use mqtt_proto::{Packet, PacketId, QoS, ReasonCode, ReasonCodes, SubAck};
///
/// let codes = [ReasonCode::granted(QoS::AtLeastOnce), ReasonCode::NOT_AUTHORIZED];
/// let suback = Packet::SubAck(SubAck::new(PacketId::MIN, ReasonCodes::from_iter(codes)));
/// assert_eq!(suback.to_string(), "SUBACK id=1 codes=[0x01 (Granted QoS 1), 0x87 (Not authorized)]");
/// ```
///
/// 3.1.1 knows one failure, 0x80; [`ReasonCode::nearest_in`](crate::ReasonCode::nearest_in) turns
/// any other into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubAck<B: Storage> {
    /// Of the SUBSCRIBE [MQTT-3.8.4-2].
    pub id: PacketId,
    /// Reason String and User Properties in 5.0.
    pub properties: Properties<B>,
    /// The granted QoS or the failure of each filter, in their order [MQTT-3.8.4-6].
    pub codes: ReasonCodes<B>,
}

/// A client's request to get no more of them.
///
/// ```
/// use mqtt_proto::{Packet, PacketId, TopicFilter, Unsubscribe, UnsubscribeFilters};
///
/// let filters = UnsubscribeFilters::new([TopicFilter::borrowed("room/+")?])?;
/// let unsubscribe = Packet::Unsubscribe(Unsubscribe::new(PacketId::MIN, filters));
/// assert_eq!(unsubscribe.to_string(), r#"UNSUBSCRIBE id=1 filters=["room/+"]"#);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Unsubscribe<B: Storage> {
    /// Names the request until its UNSUBACK.
    pub id: PacketId,
    /// User Properties in 5.0.
    pub properties: Properties<B>,
    /// Which subscriptions; at least one [MQTT-3.10.3-2].
    pub filters: UnsubscribeFilters<B>,
}

/// The server's answer to UNSUBSCRIBE.
///
/// ```
/// use mqtt_proto::{Packet, PacketId, ReasonCode, ReasonCodes, UnsubAck};
///
/// let codes = ReasonCodes::from_iter([ReasonCode::SUCCESS]);
/// let unsuback = Packet::UnsubAck(UnsubAck::new(PacketId::MIN, codes));
/// assert_eq!(unsuback.to_string(), "UNSUBACK id=1 codes=[0x00 (Success)]");
///
/// // In 3.1.1 it has no codes.
/// let unsuback = Packet::UnsubAck(UnsubAck::<&[u8]>::new(PacketId::MIN, ReasonCodes::default()));
/// assert_eq!(unsuback.to_string(), "UNSUBACK id=1");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnsubAck<B: Storage> {
    /// Of the UNSUBSCRIBE [MQTT-3.10.4-4].
    pub id: PacketId,
    /// Reason String and User Properties in 5.0.
    pub properties: Properties<B>,
    /// How it went for each filter, in their order; empty in 3.1.1, which has none.
    pub codes: ReasonCodes<B>,
}

macro_rules! constructors {
    ($($name:ident $list:ident $type:ident;)*) => {$(
        impl<B: Storage> $name<B> {
            /// With this list and no properties.
            #[must_use]
            pub fn new(id: PacketId, $list: $type<B>) -> Self {
                Self { id, properties: Properties::default(), $list }
            }

            /// With these properties; 5.0 only.
            #[must_use]
            pub fn with_properties(self, properties: Properties<B>) -> Self {
                Self { properties, ..self }
            }
        }
    )*};
}

constructors! {
    Subscribe filters SubscribeFilters;
    SubAck codes ReasonCodes;
    Unsubscribe filters UnsubscribeFilters;
    UnsubAck codes ReasonCodes;
}

impl<B: Storage> UnsubAck<B> {
    /// Whether there is nothing to say beyond its identifier, as in 3.1.1.
    #[inline(always)]
    pub(crate) fn is_bare(&self) -> bool {
        self.codes.as_bytes().is_empty() && self.properties.is_empty()
    }
}

macro_rules! id_properties_list {
    ($($name:ident $first:literal $list:ident $list_type:ident
        decode($cursor:ident, $context:ident) $decode:expr,
        check($self:ident, $version:ident) $check:expr;)*) => {$(
        impl<B: Storage> $name<B> {
            pub(crate) fn decode(
                packet: B,
                start: usize,
                $context: Context,
            ) -> Result<Self, DecodeError> {
                let mut cursor = Cursor::after(packet.as_ref(), start);
                let id = cursor.packet_id()?;
                let owner = PropertyOwner::Packet(PacketType::$name);
                let properties = cursor.properties(owner, $context)?;
                let $cursor = cursor;
                $decode?;
                let list = cursor.position();
                let properties = properties.of(&packet);
                Ok(Self { id, properties, $list: $list_type::new_unchecked(packet.tail(list)) })
            }

            pub(crate) fn map<C: Storage>(self, f: &mut impl FnMut(B) -> C) -> $name<C> {
                $name {
                    id: self.id,
                    properties: self.properties.map(f),
                    $list: self.$list.map(f),
                }
            }
        }

        impl<B: Storage> Body for $name<B> {
            fn first_byte(&self) -> u8 {
                $first
            }

            fn body_len(&$self, $version: ProtocolVersion) -> Result<u32, EncodeError> {
                $check?;
                let mut len = 2 + $self.$list.as_bytes().len();
                match $version {
                    ProtocolVersion::V311 => check_v311_properties(&$self.properties)?,
                    ProtocolVersion::V5 => {
                        let owner = PropertyOwner::Packet(PacketType::$name);
                        $self.properties.check_owner(owner)?;
                        len += $self.properties.encoded_len();
                    }
                }
                fits(len)
            }

            fn put(&self, body: u32, version: ProtocolVersion, out: &mut impl Put) {
                put_header_and_u16(self.first_byte(), body, self.id.get(), out);
                if version == ProtocolVersion::V5 {
                    put_properties(&self.properties, out);
                }
                out.slice(self.$list.as_bytes());
            }
        }
    )*};
}

id_properties_list! {
    Subscribe 0x82 filters SubscribeFilters
        decode(cursor, context) SubscribeFilters::<B>::check_wire(cursor, context),
        check(self, version) self.filters.check(version);
    SubAck 0x90 codes ReasonCodes
        decode(cursor, context) ReasonCodes::<B>::check_wire(cursor, PacketType::SubAck, context),
        check(self, version) self.codes.check(PacketType::SubAck, version);
    Unsubscribe 0xa2 filters UnsubscribeFilters
        decode(cursor, context) UnsubscribeFilters::<B>::check_wire(cursor, context),
        check(self, version) self.filters.check(version);
    UnsubAck 0xb0 codes ReasonCodes
        decode(cursor, context) match context.version {
            ProtocolVersion::V311 => cursor.end(),
            ProtocolVersion::V5 => {
                ReasonCodes::<B>::check_wire(cursor, PacketType::UnsubAck, context)
            }
        },
        check(self, version) match version {
            ProtocolVersion::V5 => self.codes.check(PacketType::UnsubAck, version),
            ProtocolVersion::V311 if self.codes.iter().len() == 0 => Ok(()),
            ProtocolVersion::V311 => Err(EncodeError::NotInV311("a reason code in UNSUBACK")),
        };
}
