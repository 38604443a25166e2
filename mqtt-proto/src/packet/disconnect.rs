//! DISCONNECT and AUTH: a reason code and properties, either of which may go without saying
//! (sections 3.14 and 3.15).

use crate::{
    DecodeError, DecodeErrorKind, EncodeError, PacketType, Properties, PropertyId, PropertyOwner,
    ProtocolVersion, ReasonCode, Role, Storage,
    packet::{Body, check_v311_properties, fits, put_fixed_header, put_properties},
    wire::{Context, Put, Reader},
};

/// The last packet of a connection, from either side in 5.0 and from the client in 3.1.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Disconnect<B: Storage> {
    /// Why; always Normal disconnection in 3.1.1.
    pub reason: ReasonCode,
    /// Session Expiry Interval, Reason String, Server Reference, User Properties.
    pub properties: Properties<B>,
}

/// A step of an enhanced authentication, 5.0 only (section 4.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Auth<B: Storage> {
    /// Success, Continue authentication or Re-authenticate.
    pub reason: ReasonCode,
    /// Authentication Method, which all but a bare success must have, and Authentication Data.
    pub properties: Properties<B>,
}

impl<B: Storage> Disconnect<B> {
    /// With this code and no properties.
    #[must_use]
    pub fn new(reason: ReasonCode) -> Self {
        Self { reason, properties: Properties::default() }
    }

    pub(crate) fn decode(
        reader: &mut Reader<'_, B>,
        context: Context,
    ) -> Result<Self, DecodeError> {
        let (reason, properties) = decode(PacketType::Disconnect, reader, context)?;
        Ok(Self { reason, properties })
    }

    pub(crate) fn map<C: Storage>(self, f: &mut impl FnMut(B) -> C) -> Disconnect<C> {
        Disconnect { reason: self.reason, properties: self.properties.map(f) }
    }
}

impl<B: Storage> Auth<B> {
    pub(crate) fn decode(
        reader: &mut Reader<'_, B>,
        context: Context,
    ) -> Result<Self, DecodeError> {
        let (reason, properties) = decode(PacketType::Auth, reader, context)?;
        if lacks_method(reason, &properties) {
            return Err(reader.cursor.fault(DecodeErrorKind::NoAuthenticationMethod));
        }
        Ok(Self { reason, properties })
    }

    pub(crate) fn map<C: Storage>(self, f: &mut impl FnMut(B) -> C) -> Auth<C> {
        Auth { reason: self.reason, properties: self.properties.map(f) }
    }
}

/// A success without any property may be sent in two bytes, so the same in four is legal as well.
fn lacks_method<B: Storage>(reason: ReasonCode, properties: &Properties<B>) -> bool {
    let bare_success = reason == ReasonCode::SUCCESS && properties.is_empty();
    !bare_success && !properties.set().contains(PropertyId::AuthenticationMethod)
}

fn decode<B: Storage>(
    packet: PacketType,
    reader: &mut Reader<'_, B>,
    context: Context,
) -> Result<(ReasonCode, Properties<B>), DecodeError> {
    if context.version == ProtocolVersion::V311 {
        return Ok((ReasonCode::SUCCESS, Properties::default()));
    }
    if reader.cursor.is_empty() {
        // Success goes without saying, but a client may not say it in AUTH at all [MQTT-3.15.2-1].
        return if ReasonCode::SUCCESS.is_legal_in(packet, context.sender) {
            Ok((ReasonCode::SUCCESS, Properties::default()))
        } else {
            Err(reader.cursor.fault(DecodeErrorKind::ReasonCode(ReasonCode::SUCCESS.get())))
        };
    }
    let reason = reader.cursor.reason(packet, context)?;
    if reader.cursor.is_empty() {
        return Ok((reason, Properties::default()));
    }
    Ok((reason, reader.properties(PropertyOwner::Packet(packet), context)?))
}

fn body_len<B: Storage>(
    packet: PacketType,
    reason: ReasonCode,
    properties: &Properties<B>,
) -> Result<u32, EncodeError> {
    let legal =
        reason.is_legal_in(packet, Role::Client) || reason.is_legal_in(packet, Role::Server);
    if !legal {
        return Err(EncodeError::ReasonCode(reason));
    }
    properties.check_owner(PropertyOwner::Packet(packet))?;
    if !properties.is_empty() {
        return fits(1 + properties.encoded_len());
    }
    Ok(if reason == ReasonCode::SUCCESS { 0 } else { 1 })
}

fn put_body<B: Storage>(reason: ReasonCode, properties: &Properties<B>, out: &mut impl Put) {
    if !properties.is_empty() || reason != ReasonCode::SUCCESS {
        out.u8(reason.get());
    }
    if !properties.is_empty() {
        put_properties(properties, out);
    }
}

impl<B: Storage> Body for Disconnect<B> {
    fn first_byte(&self) -> u8 {
        0xe0
    }

    fn body_len(&self, version: ProtocolVersion) -> Result<u32, EncodeError> {
        if version == ProtocolVersion::V311 {
            check_v311_properties(&self.properties)?;
            return match self.reason {
                ReasonCode::NORMAL_DISCONNECTION => Ok(0),
                _ => Err(EncodeError::NotInV311("a reason code in DISCONNECT")),
            };
        }
        body_len(PacketType::Disconnect, self.reason, &self.properties)
    }

    fn put(&self, body: u32, _: ProtocolVersion, out: &mut impl Put) {
        put_fixed_header(self.first_byte(), body, out);
        put_body(self.reason, &self.properties, out);
    }
}

impl<B: Storage> Body for Auth<B> {
    fn first_byte(&self) -> u8 {
        0xf0
    }

    fn body_len(&self, version: ProtocolVersion) -> Result<u32, EncodeError> {
        if version == ProtocolVersion::V311 {
            return Err(EncodeError::NotInV311("AUTH"));
        }
        if lacks_method(self.reason, &self.properties) {
            return Err(EncodeError::NoAuthenticationMethod);
        }
        body_len(PacketType::Auth, self.reason, &self.properties)
    }

    fn put(&self, body: u32, _: ProtocolVersion, out: &mut impl Put) {
        put_fixed_header(self.first_byte(), body, out);
        put_body(self.reason, &self.properties, out);
    }
}
