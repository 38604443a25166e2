//! CONNACK, section 3.2.

use crate::{
    DecodeError, DecodeErrorKind, EncodeError, PacketType, Properties, PropertyOwner,
    ProtocolVersion, ReasonCode, Role, Storage,
    packet::{Body, check_v311_properties, fits, put_fixed_header, put_properties},
    wire::{Context, Put, Reader},
};

const OWNER: PropertyOwner = PropertyOwner::Packet(PacketType::ConnAck);

/// The server's answer to CONNECT, first packet it sends [MQTT-3.2.0-1].
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
    pub(crate) fn decode(
        reader: &mut Reader<'_, B>,
        context: Context,
    ) -> Result<Self, DecodeError> {
        let start = reader.cursor;
        let flags = reader.cursor.u8()?;
        if flags > 1 {
            return Err(start.fault(DecodeErrorKind::ConnAckFlags));
        }
        let reason = match context.version {
            ProtocolVersion::V311 => {
                let at = reader.cursor;
                let code = reader.cursor.u8()?;
                match ReasonCode::from_connect_return_code(code) {
                    Some(reason) => reason,
                    None => return Err(at.fault(DecodeErrorKind::ReasonCode(code))),
                }
            }
            ProtocolVersion::V5 => reader.cursor.reason(PacketType::ConnAck, context)?,
        };
        let session_present = flags == 1;
        if session_present && reason != ReasonCode::SUCCESS {
            return Err(start.fault(DecodeErrorKind::SessionPresentInRefusal));
        }
        let properties = reader.properties(OWNER, context)?;
        Ok(Self { session_present, reason, properties })
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
