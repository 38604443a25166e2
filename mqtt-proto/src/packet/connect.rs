//! CONNECT, section 3.1.

use core::fmt;

use crate::{
    DecodeError, DecodeErrorKind, EncodeError, Message, PacketType, Properties, PropertyId,
    PropertyOwner, ProtocolVersion, Publication, QoS, Role, Storage, Str, StringError, TopicName,
    packet::{Body, check_v311_properties, fits, put_fixed_header, put_properties},
    text::check_topic_name,
    wire::{Context, Cursor, PropertyList, Put, Span},
};

const OWNER: PropertyOwner = PropertyOwner::Packet(PacketType::Connect);
const NAME: &[u8; 4] = b"MQTT";

const CLEAN_START: u8 = 0x02;
const WILL: u8 = 0x04;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD: u8 = 0x40;
const USER_NAME: u8 = 0x80;

/// The client's request for a session, first packet of every connection [MQTT-3.1.0-1].
///
/// ```
/// use mqtt_proto::{Connect, Packet, Properties, Property, ProtocolVersion, Publication, Str};
///
/// let connect = Packet::Connect(Connect::new(ProtocolVersion::V311, Str::borrowed("thermometer")?));
/// assert_eq!(
///     connect.to_string(),
///     "CONNECT version=3.1.1 client_id=\"thermometer\" clean_start=true keep_alive=60"
/// );
///
/// // All there is; owned, as it takes a publication.
/// let offline = Publication::new("room/1/state".try_into()?, "offline").with_retain(true);
/// let mut connect = Connect::new(ProtocolVersion::V5, "thermometer".try_into()?);
/// connect.clean_start = false;
/// connect.user_name = Some("alice".try_into()?);
/// connect.password = Some("secret".into());
/// connect.will = Some(offline);
/// connect.properties = Properties::new([Property::SessionExpiryInterval(3600)])?;
/// assert_eq!(
///     Packet::Connect(connect).to_string(),
///     "CONNECT version=5.0 client_id=\"thermometer\" clean_start=false keep_alive=60 \
///      user_name=\"alice\" password=(hidden) \
///      will=(topic=\"room/1/state\" qos=0 retain payload=\"offline\") \
///      properties=[SessionExpiryInterval=3600]"
/// );
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// Neither its `Debug` form nor its `Display` form shows password or authentication data.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Connect<B: Storage> {
    /// What this connection speaks from here on.
    pub version: ProtocolVersion,
    /// Clean Start (Clean Session in 3.1.1): whether an existing session is discarded.
    pub clean_start: bool,
    /// The longest silence in seconds, 0 for no limit (section 3.1.2.10).
    pub keep_alive: u16,
    /// Names the session; empty asks the server for a name.
    pub client_id: Str<B>,
    /// What the server publishes when the connection is lost, with the Will Properties.
    pub will: Option<Publication<B>>,
    /// Who the client says it is.
    pub user_name: Option<Str<B>>,
    /// Any bytes; in 3.1.1 only beside a user name.
    pub password: Option<B>,
    /// Limits and wishes of the client, empty in 3.1.1.
    pub properties: Properties<B>,
}

impl<B: Storage> Connect<B> {
    /// A clean start with a keep alive of 60 seconds and nothing optional.
    #[must_use]
    pub fn new(version: ProtocolVersion, client_id: Str<B>) -> Self {
        Self {
            version,
            clean_start: true,
            keep_alive: 60,
            client_id,
            will: None,
            user_name: None,
            password: None,
            properties: Properties::default(),
        }
    }

    /// With these properties; 5.0 only.
    #[must_use]
    pub fn with_properties(self, properties: Properties<B>) -> Self {
        Self { properties, ..self }
    }

    fn flags(&self) -> u8 {
        let mut flags = 0;
        if self.clean_start {
            flags |= CLEAN_START;
        }
        if let Some(will) = &self.will {
            flags |= WILL | will.qos.bits() << 3;
            if will.retain {
                flags |= WILL_RETAIN;
            }
        }
        if self.password.is_some() {
            flags |= PASSWORD;
        }
        if self.user_name.is_some() {
            flags |= USER_NAME;
        }
        flags
    }

    pub(crate) fn map<C: Storage>(self, f: &mut impl FnMut(B) -> C) -> Connect<C> {
        Connect {
            version: self.version,
            clean_start: self.clean_start,
            keep_alive: self.keep_alive,
            client_id: self.client_id.map(f),
            will: self.will.map(|will| will.map(f)),
            user_name: self.user_name.map(|name| name.map(f)),
            password: self.password.map(&mut *f),
            properties: self.properties.map(f),
        }
    }
}

/// A CONNECT that was checked, by the places of its parts in the packet.
pub(crate) struct Layout {
    pub(crate) version: ProtocolVersion,
    flags: u8,
    keep_alive: u16,
    properties: PropertyList,
    client_id: Span,
    /// Will Properties, Will Topic and Will Payload.
    will: Option<(PropertyList, Span, Span)>,
    user_name: Option<Span>,
    password: Option<Span>,
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
        let client_id = cursor.text()?;
        let will = if flags & WILL != 0 { Some(read_will(&mut cursor, context)?) } else { None };
        let user_name = if flags & USER_NAME != 0 { Some(cursor.text()?) } else { None };
        let password = if flags & PASSWORD != 0 { Some(cursor.span(|_| Ok(()))?) } else { None };
        // [MQTT-3.1.4-1]
        cursor.end()?;
        Ok(Self { version, flags, keep_alive, properties, client_id, will, user_name, password })
    }

    /// The parts, out of the packet they were found in.
    #[inline(always)]
    pub(crate) fn of<B: Storage>(&self, packet: B) -> Connect<B> {
        Connect {
            version: self.version,
            clean_start: self.flags & CLEAN_START != 0,
            keep_alive: self.keep_alive,
            client_id: Str::new_unchecked(self.client_id.of(&packet)),
            will: self.will.as_ref().map(|(properties, topic, payload)| Publication {
                // That it is not 3 was checked with the flags.
                qos: QoS::from_bits(self.flags >> 3 & 3).unwrap_or_default(),
                retain: self.flags & WILL_RETAIN != 0,
                message: Message {
                    topic: TopicName::new_unchecked(packet.name(*topic)),
                    payload: payload.of(&packet),
                    properties: properties.of(&packet),
                },
            }),
            user_name: self.user_name.map(|name| Str::new_unchecked(name.of(&packet))),
            properties: self.properties.of(&packet),
            password: self.password.map(|password| packet.tail(password.start)),
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
fn read_will(
    cursor: &mut Cursor<'_>,
    context: Context,
) -> Result<(PropertyList, Span, Span), DecodeError> {
    let properties = cursor.properties(PropertyOwner::Will, context)?;
    let topic = cursor.span(|name| match name {
        [] => Err(DecodeErrorKind::TopicNameEmpty),
        name => check_topic_name(name).map_err(StringError::in_topic_name),
    })?;
    let payload = cursor.span(|_| Ok(()))?;
    Ok((properties, topic, payload))
}

impl<B: Storage> Body for Connect<B> {
    fn first_byte(&self) -> u8 {
        0x10
    }

    fn body_len(&self, version: ProtocolVersion) -> Result<u32, EncodeError> {
        if version != self.version {
            return Err(EncodeError::Version(self.version));
        }
        let v5 = version == ProtocolVersion::V5;
        if v5 {
            self.properties.check_owner(OWNER)?;
        } else {
            check_v311_properties(&self.properties)?;
            if self.password.is_some() && self.user_name.is_none() {
                return Err(EncodeError::PasswordWithoutUserName);
            }
        }
        let set = self.properties.set();
        if set.contains(PropertyId::AuthenticationData)
            && !set.contains(PropertyId::AuthenticationMethod)
        {
            return Err(EncodeError::NoAuthenticationMethod);
        }
        let properties_len = |properties: &Properties<B>| {
            if v5 { properties.encoded_len() } else { 0 }
        };
        let mut len = 2 + NAME.len() + 4;
        len += properties_len(&self.properties) + 2 + self.client_id.as_bytes().len();
        if let Some(Publication { message, .. }) = &self.will {
            if message.topic.is_empty() {
                return Err(EncodeError::TopicNameEmpty);
            }
            if v5 {
                message.properties.check_owner(PropertyOwner::Will)?;
            } else {
                check_v311_properties(&message.properties)?;
            }
            len += properties_len(&message.properties);
            len += 2 + message.topic.as_bytes().len() + binary_len(message.payload.as_ref())?;
        }
        if let Some(name) = &self.user_name {
            len += 2 + name.as_bytes().len();
        }
        if let Some(password) = &self.password {
            len += binary_len(password.as_ref())?;
        }
        fits(len)
    }

    fn put(&self, body: u32, version: ProtocolVersion, out: &mut impl Put) {
        put_fixed_header(self.first_byte(), body, out);
        let v5 = version == ProtocolVersion::V5;
        out.binary(NAME);
        out.u8(version.level());
        out.u8(self.flags());
        out.u16(self.keep_alive);
        if v5 {
            put_properties(&self.properties, out);
        }
        out.binary(self.client_id.as_bytes());
        if let Some(Publication { message, .. }) = &self.will {
            if v5 {
                put_properties(&message.properties, out);
            }
            out.binary(message.topic.as_bytes());
            out.binary(message.payload.as_ref());
        }
        if let Some(name) = &self.user_name {
            out.binary(name.as_bytes());
        }
        if let Some(password) = &self.password {
            out.binary(password.as_ref());
        }
    }
}

fn binary_len(bytes: &[u8]) -> Result<usize, EncodeError> {
    if bytes.len() > usize::from(u16::MAX) {
        Err(EncodeError::TooLong)
    } else {
        Ok(2 + bytes.len())
    }
}

impl<B: Storage> fmt::Debug for Connect<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("version", &self.version)
            .field("clean_start", &self.clean_start)
            .field("keep_alive", &self.keep_alive)
            .field("client_id", &self.client_id)
            .field("will", &self.will)
            .field("user_name", &self.user_name)
            .field("password", &self.password.as_ref().map(|_| "(hidden)"))
            .field("properties", &self.properties)
            .finish()
    }
}
