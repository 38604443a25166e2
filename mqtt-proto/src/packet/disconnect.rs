//! DISCONNECT and AUTH: a reason code and properties, either of which may go without saying
//! (sections 3.14 and 3.15).

use crate::{
    DecodeError, DecodeErrorKind, EncodeError, PacketType, Properties, PropertyId, PropertyOwner,
    PropertySet, ProtocolVersion, ReasonCode, Role, Storage,
    packet::{Body, check_v311_properties, fits, put_fixed_header, put_properties},
    wire::{Context, Cursor, PropertyList, Put},
};

/// The last packet of a connection, from either side in 5.0 and from the client in 3.1.1.
///
/// ```
/// use mqtt_proto::{Disconnect, Packet, Properties, Property, ReasonCode};
///
/// let goodbye: Packet<&[u8]> = Packet::Disconnect(Disconnect::new(ReasonCode::NORMAL_DISCONNECTION));
/// assert_eq!(goodbye.to_string(), "DISCONNECT reason=0x00 (Normal disconnection)");
///
/// let to = Properties::new([Property::ServerReference("other.example")])?;
/// let moved = Packet::Disconnect(Disconnect::new(ReasonCode::SERVER_MOVED).with_properties(to));
/// assert_eq!(
///     moved.to_string(),
///     r#"DISCONNECT reason=0x9d (Server moved) properties=[ServerReference="other.example"]"#
/// );
/// # Ok::<_, mqtt_proto::PropertyError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Disconnect<B: Storage> {
    /// Why; always Normal disconnection in 3.1.1.
    pub reason: ReasonCode,
    /// Session Expiry Interval, Reason String, Server Reference, User Properties.
    pub properties: Properties<B>,
}

/// A step of an enhanced authentication, 5.0 only (section 4.12).
///
/// ```
/// use mqtt_proto::{Auth, Packet, Properties, Property, ReasonCode};
///
/// let step = Properties::new([
///     Property::AuthenticationMethod("SCRAM-SHA-256"),
///     Property::AuthenticationData(b"n,,n=alice,r=nonce"),
/// ])?;
/// let auth = Packet::Auth(Auth::new(ReasonCode::CONTINUE_AUTHENTICATION, step));
/// assert_eq!(
///     auth.to_string(),
///     "AUTH reason=0x18 (Continue authentication) \
///      properties=[AuthenticationMethod=\"SCRAM-SHA-256\", AuthenticationData=(hidden)]"
/// );
/// # Ok::<_, mqtt_proto::PropertyError>(())
/// ```
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

    /// With these properties; 5.0 only.
    #[must_use]
    pub fn with_properties(self, properties: Properties<B>) -> Self {
        Self { properties, ..self }
    }

    pub(crate) fn decode(packet: B, start: usize, context: Context) -> Result<Self, DecodeError> {
        let cursor = Cursor::after(packet.as_ref(), start);
        let (reason, properties) = decode(PacketType::Disconnect, cursor, context)?;
        let properties = properties.last_of(packet);
        Ok(Self { reason, properties })
    }

    /// Whether there is nothing to say beyond its type.
    #[inline(always)]
    pub(crate) fn is_bare(&self) -> bool {
        self.reason == ReasonCode::NORMAL_DISCONNECTION && self.properties.is_empty()
    }

    pub(crate) fn map<C: Storage>(self, f: &mut impl FnMut(B) -> C) -> Disconnect<C> {
        Disconnect { reason: self.reason, properties: self.properties.map(f) }
    }
}

impl<B: Storage> Auth<B> {
    /// With this code and these properties, which must have an Authentication Method in all but a
    /// server's bare success.
    #[must_use]
    pub const fn new(reason: ReasonCode, properties: Properties<B>) -> Self {
        Self { reason, properties }
    }

    pub(crate) fn decode(packet: B, start: usize, context: Context) -> Result<Self, DecodeError> {
        let cursor = Cursor::after(packet.as_ref(), start);
        let (reason, properties) = decode(PacketType::Auth, cursor, context)?;
        if lacks_method(reason, properties.set()) {
            let end = Cursor::after(packet.as_ref(), packet.as_ref().len());
            return Err(end.fault(DecodeErrorKind::NoAuthenticationMethod));
        }
        let properties = properties.last_of(packet);
        Ok(Self { reason, properties })
    }

    pub(crate) fn map<C: Storage>(self, f: &mut impl FnMut(B) -> C) -> Auth<C> {
        Auth { reason: self.reason, properties: self.properties.map(f) }
    }
}

/// A success without any property may be sent in two bytes, so the same in four is legal as well.
fn lacks_method(reason: ReasonCode, properties: PropertySet) -> bool {
    let bare_success = reason == ReasonCode::SUCCESS && properties.is_empty();
    !bare_success && !properties.contains(PropertyId::AuthenticationMethod)
}

fn decode(
    packet: PacketType,
    mut cursor: Cursor<'_>,
    context: Context,
) -> Result<(ReasonCode, PropertyList), DecodeError> {
    if context.version == ProtocolVersion::V311 {
        cursor.end()?;
        return Ok((ReasonCode::SUCCESS, PropertyList::EMPTY));
    }
    if cursor.is_empty() {
        // Success goes without saying, but a client may not say it in AUTH at all [MQTT-3.15.2-1].
        return if ReasonCode::SUCCESS.is_legal_in(packet, context.sender) {
            Ok((ReasonCode::SUCCESS, PropertyList::EMPTY))
        } else {
            Err(cursor.fault(DecodeErrorKind::ReasonCode(ReasonCode::SUCCESS.get())))
        };
    }
    let reason = cursor.reason(packet, context)?;
    if cursor.is_empty() {
        return Ok((reason, PropertyList::EMPTY));
    }
    let properties = cursor.properties(PropertyOwner::Packet(packet), context)?;
    cursor.end()?;
    Ok((reason, properties))
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
        if lacks_method(self.reason, self.properties.set()) {
            return Err(EncodeError::NoAuthenticationMethod);
        }
        body_len(PacketType::Auth, self.reason, &self.properties)
    }

    fn put(&self, body: u32, _: ProtocolVersion, out: &mut impl Put) {
        put_fixed_header(self.first_byte(), body, out);
        put_body(self.reason, &self.properties, out);
    }
}
