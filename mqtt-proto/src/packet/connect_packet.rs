//! CONNECT as it is read and sent, section 3.1.

use core::fmt;

use crate::{
    Connect, DecodeError, DecodeErrorKind, EncodeError, Message, Properties, PropertyId,
    PropertyOwner, PropertySet, ProtocolVersion, Publication, QoS, Role, Storage, Str, StringError,
    TopicName,
    name::Name,
    packet::{
        Body,
        connect::{CLEAN_START, NAME, OWNER, PASSWORD, USER_NAME, WILL, WILL_RETAIN},
        fits, put_fixed_header, put_properties,
    },
    text::check_topic_name,
    wire::{Context, Cursor, PropertyList, Put},
};

/// A CONNECT that was read, or is to be sent: checked once, and its payload kept as it is on the
/// wire. [`fields`](Self::fields) has what it says; [`Connect::to_packet`] makes one.
///
/// Neither its `Debug` form nor its `Display` form shows password or authentication data.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectPacket<B: Storage> {
    version: ProtocolVersion,
    /// The connect flags, section 3.1.2.3.
    flags: u8,
    keep_alive: u16,
    /// Which properties there are in the Will Properties.
    will_properties: PropertySet,
    pub(super) properties: Properties<B>,
    /// From the client identifier on, section 3.1.3.
    payload: B,
}

impl<B: Storage> ConnectPacket<B> {
    /// What the connection speaks from here on.
    #[must_use]
    pub const fn version(&self) -> ProtocolVersion {
        self.version
    }

    /// What it says, borrowed.
    #[must_use]
    pub fn fields(&self) -> Connect<&[u8]> {
        let mut rest = Cursor::over(self.payload.as_ref());
        // It was checked when the packet was made.
        let mut binary = || rest.binary().unwrap_or_default();
        let client_id = Str::new_unchecked(binary());
        let will = (self.flags & WILL != 0).then(|| self.will(&mut rest));
        let mut binary = |flag| (self.flags & flag != 0).then(|| rest.binary().unwrap_or_default());
        Connect {
            version: self.version,
            clean_start: self.flags & CLEAN_START != 0,
            keep_alive: self.keep_alive,
            client_id,
            will,
            user_name: binary(USER_NAME).map(Str::new_unchecked),
            password: binary(PASSWORD),
            properties: self.properties.as_ref(),
        }
    }

    fn will<'a>(&self, rest: &mut Cursor<'a>) -> Publication<&'a [u8]> {
        let list = match self.version {
            ProtocolVersion::V311 => &[],
            ProtocolVersion::V5 => rest.varint().and_then(|len| rest.take(len)).unwrap_or_default(),
        };
        let topic = rest.binary().unwrap_or_default();
        Publication {
            qos: QoS::from_bits(self.flags >> 3 & 3).unwrap_or_default(),
            retain: self.flags & WILL_RETAIN != 0,
            message: Message {
                topic: TopicName::new_unchecked(Name::Kept(topic)),
                payload: rest.binary().unwrap_or_default(),
                properties: Properties::new_unchecked(list, self.will_properties),
            },
        }
    }

    pub(super) fn map<C: Storage>(self, f: &mut impl FnMut(B) -> C) -> ConnectPacket<C> {
        ConnectPacket {
            version: self.version,
            flags: self.flags,
            keep_alive: self.keep_alive,
            will_properties: self.will_properties,
            properties: self.properties.map(f),
            payload: f(self.payload),
        }
    }
}

impl<B: Storage> Body for ConnectPacket<B> {
    fn first_byte(&self) -> u8 {
        0x10
    }

    fn body_len(&self, version: ProtocolVersion) -> Result<u32, EncodeError> {
        let properties = match version {
            _ if version != self.version => return Err(EncodeError::Version(self.version)),
            ProtocolVersion::V311 => 0,
            ProtocolVersion::V5 => self.properties.encoded_len(),
        };
        fits(2 + NAME.len() + 4 + properties + self.payload.as_ref().len())
    }

    fn put(&self, body: u32, version: ProtocolVersion, out: &mut impl Put) {
        put_fixed_header(self.first_byte(), body, out);
        let [m, q, t, t2] = *NAME;
        let [high, low] = self.keep_alive.to_be_bytes();
        out.slice(&[0, 4, m, q, t, t2, version.level(), self.flags, high, low]);
        if version == ProtocolVersion::V5 {
            put_properties(&self.properties, out);
        }
        out.slice(self.payload.as_ref());
    }
}

impl<B: Storage> fmt::Debug for ConnectPacket<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fields().fmt(f)
    }
}

/// A CONNECT that was checked, by the places of its parts in the packet.
pub(crate) struct Layout {
    pub(crate) version: ProtocolVersion,
    flags: u8,
    keep_alive: u16,
    properties: PropertyList,
    will_properties: PropertySet,
    payload: usize,
}

impl Layout {
    /// Reads a CONNECT of whatever version it says it has; `expected` is the only one the caller
    /// accepts.
    pub(crate) fn read(
        mut cursor: Cursor<'_>,
        expected: Option<ProtocolVersion>,
    ) -> Result<Self, DecodeError> {
        let version = read_version(&mut cursor, expected)?;
        let context = Context { version, sender: Role::Client };
        let at = cursor;
        let flags = cursor.u8()?;
        check_flags(flags, version).map_err(|kind| at.fault(kind))?;
        let keep_alive = cursor.u16()?;
        let properties = cursor.properties(OWNER, context)?;
        // [section 3.1.2.11.10]
        if properties.set().contains(PropertyId::AuthenticationData)
            && !properties.set().contains(PropertyId::AuthenticationMethod)
        {
            return Err(cursor.fault(DecodeErrorKind::NoAuthenticationMethod));
        }
        let payload = cursor.position();
        cursor.text()?;
        let mut will_properties = PropertySet::EMPTY;
        if flags & WILL != 0 {
            will_properties = read_will(&mut cursor, context)?;
        }
        if flags & USER_NAME != 0 {
            cursor.text()?;
        }
        if flags & PASSWORD != 0 {
            cursor.binary()?;
        }
        // [MQTT-3.1.4-1]
        cursor.end()?;
        Ok(Self { version, flags, keep_alive, properties, will_properties, payload })
    }

    /// The packet, out of the one they were found in.
    #[inline(always)]
    pub(crate) fn of<B: Storage>(&self, packet: B) -> ConnectPacket<B> {
        ConnectPacket {
            version: self.version,
            flags: self.flags,
            keep_alive: self.keep_alive,
            will_properties: self.will_properties,
            properties: self.properties.of(&packet),
            payload: packet.tail(self.payload),
        }
    }
}

/// The protocol name and level. The level of an unsupported version reaches the caller, who owes
/// the peer an answer [MQTT-3.1.2-2]; that of 3.1, whose name is `MQIsdp`, too.
#[inline]
fn read_version(
    cursor: &mut Cursor<'_>,
    expected: Option<ProtocolVersion>,
) -> Result<ProtocolVersion, DecodeError> {
    let start = *cursor;
    let name = cursor.binary()?;
    // Written so that the length is compared first, and then four bytes at once.
    let ours = <[u8; 4]>::try_from(name).is_ok_and(|name| name == *NAME);
    if !ours && name != b"MQIsdp" {
        return Err(start.fault(DecodeErrorKind::ProtocolName));
    }
    let at = *cursor;
    let level = cursor.u8()?;
    match ProtocolVersion::from_level(level) {
        Some(version) if ours && expected.is_none_or(|expected| expected == version) => Ok(version),
        _ => Err(at.fault(DecodeErrorKind::UnsupportedProtocolLevel(level))),
    }
}

const fn check_flags(flags: u8, version: ProtocolVersion) -> Result<(), DecodeErrorKind> {
    if flags & 1 != 0 {
        return Err(DecodeErrorKind::ConnectFlags);
    }
    if flags >> 3 & 3 == 3 {
        return Err(DecodeErrorKind::QoS3);
    }
    // [MQTT-3.1.2-11] [MQTT-3.1.2-13]
    if flags & WILL == 0 && flags & (WILL_RETAIN | 0x18) != 0 {
        return Err(DecodeErrorKind::WillFlags);
    }
    // [3.1.1 MQTT-3.1.2-22]
    if flags & (PASSWORD | USER_NAME) == PASSWORD && matches!(version, ProtocolVersion::V311) {
        return Err(DecodeErrorKind::PasswordWithoutUserName);
    }
    Ok(())
}

/// Will Properties, Will Topic and Will Payload [MQTT-3.1.2-9].
#[inline]
fn read_will(cursor: &mut Cursor<'_>, context: Context) -> Result<PropertySet, DecodeError> {
    let properties = cursor.properties(PropertyOwner::Will, context)?;
    cursor.checked(|name| match name {
        [] => Err(DecodeErrorKind::TopicNameEmpty),
        name => check_topic_name(name).map_err(StringError::in_topic_name),
    })?;
    cursor.binary()?;
    Ok(properties.set())
}
