//! CONNECT, section 3.1.

use core::fmt;

#[cfg(feature = "bytes")]
use crate::{Decoder, Packet, Role, Status};
use crate::{
    EncodeError, PacketType, Properties, PropertyId, PropertyOwner, ProtocolVersion, Publication,
    Storage, Str,
    packet::{Body, check_v311_properties, fits, put_fixed_header, put_properties},
    wire::Put,
};

pub(super) const OWNER: PropertyOwner = PropertyOwner::Packet(PacketType::Connect);
pub(super) const NAME: &[u8; 4] = b"MQTT";

pub(super) const CLEAN_START: u8 = 0x02;
pub(super) const WILL: u8 = 0x04;
pub(super) const WILL_RETAIN: u8 = 0x20;
pub(super) const PASSWORD: u8 = 0x40;
pub(super) const USER_NAME: u8 = 0x80;

/// What a client says in CONNECT, its request for a session and the first packet of every connection
/// [MQTT-3.1.0-1]. A [`ConnectPacket`](crate::ConnectPacket) is the packet that says it.
///
/// ```
/// use mqtt_proto::{Connect, Properties, Property, ProtocolVersion, Publication, Str};
///
/// let connect = Connect::new(ProtocolVersion::V311, Str::borrowed("thermometer")?);
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
///     connect.to_packet()?.to_string(),
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

    /// The size of the packet on the wire.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encoded_len(&self) -> Result<u32, EncodeError> {
        Body::encoded_len(self, self.version)
    }

    /// As [`Packet::encode`](crate::Packet::encode), in its own version.
    ///
    /// # Errors
    /// As [`Packet::encode`](crate::Packet::encode).
    #[cfg(feature = "bytes")]
    pub fn encode(&self, dst: &mut impl bytes::BufMut) -> Result<(), EncodeError> {
        Body::encode(self, self.version, dst)
    }

    /// As [`Packet::encode_to_slice`](crate::Packet::encode_to_slice), in its own version.
    ///
    /// # Errors
    /// As [`Packet::encode_to_slice`](crate::Packet::encode_to_slice).
    pub fn encode_to_slice(&self, dst: &mut [u8]) -> Result<usize, EncodeError> {
        Body::encode_to_slice(self, self.version, dst)
    }

    /// The packet that says this, in one allocation: checked here, and cheap to send again.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    #[cfg(feature = "bytes")]
    pub fn to_packet(&self) -> Result<Packet<bytes::Bytes>, EncodeError> {
        let mut bytes = bytes::BytesMut::with_capacity(self.encoded_len()? as usize);
        self.encode(&mut bytes)?;
        match Decoder::new(Role::Client, self.version).decode_bytes(&mut bytes) {
            Ok(Status::Ready(packet)) => Ok(packet),
            other => unreachable!("a CONNECT that was encoded is read as {other:?}"),
        }
    }
}

impl<B: Storage> Body for Connect<B> {
    fn first_byte(&self) -> u8 {
        0x10
    }

    fn body_len(&self, version: ProtocolVersion) -> Result<u32, EncodeError> {
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
