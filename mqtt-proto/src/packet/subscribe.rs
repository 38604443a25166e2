//! SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK, sections 3.8 to 3.11: a packet identifier,
//! properties and a list.

use crate::{
    DecodeError, EncodeError, PacketId, PacketType, Properties, PropertyOwner, ProtocolVersion,
    ReasonCodes, Storage, SubscribeFilters, UnsubscribeFilters,
    packet::{Body, check_v311_properties, fits, put_properties},
    wire::{Context, Put, Reader, put_header_and_u16},
};

/// A client's request for messages.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnsubAck<B: Storage> {
    /// Of the UNSUBSCRIBE [MQTT-3.10.4-4].
    pub id: PacketId,
    /// Reason String and User Properties in 5.0.
    pub properties: Properties<B>,
    /// How it went for each filter, in their order; empty in 3.1.1, which has none.
    pub codes: ReasonCodes<B>,
}

macro_rules! id_properties_list {
    ($($name:ident $first:literal $list:ident
        decode($reader:ident, $context:ident) $decode:expr,
        check($self:ident, $version:ident) $check:expr;)*) => {$(
        impl<B: Storage> $name<B> {
            pub(crate) fn decode(
                $reader: &mut Reader<'_, B>,
                $context: Context,
            ) -> Result<Self, DecodeError> {
                let id = $reader.cursor.packet_id()?;
                let owner = PropertyOwner::Packet(PacketType::$name);
                let properties = $reader.properties(owner, $context)?;
                Ok(Self { id, properties, $list: $decode })
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
    Subscribe 0x82 filters
        decode(reader, context) SubscribeFilters::decode(reader, context)?,
        check(self, version) self.filters.check(version);
    SubAck 0x90 codes
        decode(reader, context) ReasonCodes::decode(reader, PacketType::SubAck, context)?,
        check(self, version) self.codes.check(PacketType::SubAck, version);
    Unsubscribe 0xa2 filters
        decode(reader, context) UnsubscribeFilters::decode(reader, context)?,
        check(self, version) self.filters.check(version);
    UnsubAck 0xb0 codes
        decode(reader, context) match context.version {
            ProtocolVersion::V311 => ReasonCodes::default(),
            ProtocolVersion::V5 => ReasonCodes::decode(reader, PacketType::UnsubAck, context)?,
        },
        check(self, version) match version {
            ProtocolVersion::V5 => self.codes.check(PacketType::UnsubAck, version),
            ProtocolVersion::V311 if self.codes.iter().len() == 0 => Ok(()),
            ProtocolVersion::V311 => Err(EncodeError::NotInV311("a reason code in UNSUBACK")),
        };
}
