//! CONNACK, section 3.2.

use crate::{
    DecodeError, DecodeErrorKind, EncodeError, PacketType, Properties, PropertyOwner,
    ProtocolVersion, ReasonCode, Role, Storage,
    packet::{Body, check_v311_properties, fits, put_fixed_header, put_properties},
    wire::{Context, Cursor, Put},
};

const OWNER: PropertyOwner = PropertyOwner::Packet(PacketType::ConnAck);

/// The server's answer to CONNECT, first packet it sends [MQTT-3.2.0-1].
///
/// ```
/// use mqtt_proto::{ConnAck, Packet, PacketType, Properties, Property, ProtocolVersion, ReasonCode};
///
/// let limits = Properties::new([Property::ReceiveMaximum(10)])?;
/// let connack = Packet::ConnAck(ConnAck::accepted(true).with_properties(limits));
/// assert_eq!(
///     connack.to_string(),
///     "CONNACK session_present=true reason=0x00 (Success) properties=[ReceiveMaximum=10]"
/// );
///
/// // 3.1.1 has five refusals, and none of them is Server busy.
/// let reason = ReasonCode::SERVER_BUSY.nearest_in(ProtocolVersion::V311, PacketType::ConnAck);
/// let connack = Packet::<&[u8]>::ConnAck(ConnAck::refused(reason));
/// assert_eq!(
///     connack.to_string(),
///     "CONNACK session_present=false reason=0x88 (Server unavailable)"
/// );
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnAck<B: Storage> {
    /// Whether the server goes on with a session it had; never in a refusal [MQTT-3.2.2-6].
    pub session_present: bool,
    /// Whether the connection is accepted. Return codes of 3.1.1 appear as the 5.0 codes of the
    /// same meaning.
    pub reason: ReasonCode,
    /// Limits and abilities of the server, empty in 3.1.1.
    pub properties: Properties<B>,
}

impl<B: Storage> ConnAck<B> {
    /// The connection is accepted.
    #[must_use]
    pub fn accepted(session_present: bool) -> Self {
        Self { session_present, reason: ReasonCode::SUCCESS, properties: Properties::default() }
    }

    /// The connection is refused, for this reason. 3.1.1 has five of them, see
    /// [`ReasonCode::nearest_in`].
    #[must_use]
    pub fn refused(reason: ReasonCode) -> Self {
        Self { session_present: false, reason, properties: Properties::default() }
    }

    /// With these properties; 5.0 only.
    #[must_use]
    pub fn with_properties(self, properties: Properties<B>) -> Self {
        Self { properties, ..self }
    }

    pub(crate) fn decode(packet: B, start: usize, context: Context) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::after(packet.as_ref(), start);
        let start = cursor;
        let flags = cursor.u8()?;
        if flags > 1 {
            return Err(start.fault(DecodeErrorKind::ConnAckFlags));
        }
        let reason = match context.version {
            ProtocolVersion::V311 => {
                let at = cursor;
                let code = cursor.u8()?;
                match ReasonCode::from_connect_return_code(code) {
                    Some(reason) => reason,
                    None => return Err(at.fault(DecodeErrorKind::ReasonCode(code))),
                }
            }
            ProtocolVersion::V5 => cursor.reason(PacketType::ConnAck, context)?,
        };
        let session_present = flags == 1;
        if session_present && reason != ReasonCode::SUCCESS {
            return Err(start.fault(DecodeErrorKind::SessionPresentInRefusal));
        }
        let properties = cursor.properties(OWNER, context)?;
        cursor.end()?;
        Ok(Self { session_present, reason, properties: properties.last_of(packet) })
    }

    /// All that 3.1.1 says, where it can say it.
    #[inline(always)]
    pub(crate) fn bare(&self) -> Option<[u8; 2]> {
        let code = self.reason.connect_return_code()?;
        if !self.properties.is_empty() || self.session_present && code != 0 {
            return None;
        }
        Some([self.session_present.into(), code])
    }

    pub(crate) fn map<C: Storage>(self, f: &mut impl FnMut(B) -> C) -> ConnAck<C> {
        ConnAck {
            session_present: self.session_present,
            reason: self.reason,
            properties: self.properties.map(f),
        }
    }
}

impl<B: Storage> Body for ConnAck<B> {
    fn first_byte(&self) -> u8 {
        0x20
    }

    fn body_len(&self, version: ProtocolVersion) -> Result<u32, EncodeError> {
        if self.session_present && self.reason != ReasonCode::SUCCESS {
            return Err(EncodeError::SessionPresentInRefusal);
        }
        match version {
            ProtocolVersion::V311 => {
                check_v311_properties(&self.properties)?;
                match self.reason.connect_return_code() {
                    Some(_) => Ok(2),
                    None => Err(EncodeError::NotInV311("this CONNACK reason code")),
                }
            }
            ProtocolVersion::V5 => {
                if !self.reason.is_legal_in(PacketType::ConnAck, Role::Server) {
                    return Err(EncodeError::ReasonCode(self.reason));
                }
                self.properties.check_owner(OWNER)?;
                fits(2 + self.properties.encoded_len())
            }
        }
    }

    fn put(&self, body: u32, version: ProtocolVersion, out: &mut impl Put) {
        put_fixed_header(self.first_byte(), body, out);
        out.u8(self.session_present.into());
        match version {
            ProtocolVersion::V311 => out.u8(self.reason.connect_return_code().unwrap_or_default()),
            ProtocolVersion::V5 => {
                out.u8(self.reason.get());
                put_properties(&self.properties, out);
            }
        }
    }
}
