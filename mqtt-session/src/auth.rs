//! Enhanced authentication (section 4.12) on one network connection; 5.0 only.

use alloc::boxed::Box;

use bytes::Bytes;
use mqtt_proto::{Auth, Packet, PacketType, Properties, Property, ReasonCode, Storage, Str};

use crate::{CommandError, Violation};

/// The method that CONNECT named, and whose turn it is to speak.
#[derive(Clone, Debug)]
pub(crate) struct Authentication {
    method: Str<Bytes>,
    turn: Turn,
}

/// Who is to send the next packet of the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Turn {
    /// No exchange is under way.
    Nobody,
    Client,
    Server,
}

impl Authentication {
    /// For a connection whose CONNECT names this method: the server is to answer.
    pub(crate) fn begin(method: &str) -> Option<Box<Self>> {
        // It comes out of a checked property list.
        let method = Str::try_from(method).ok()?;
        Some(Box::new(Self { method, turn: Turn::Server }))
    }

    pub(crate) const fn turn(&self) -> Turn {
        self.turn
    }

    pub(crate) const fn pass_to(&mut self, turn: Turn) {
        self.turn = turn;
    }

    /// That a packet names the method of CONNECT [MQTT-4.12.0-5] [MQTT-4.12.1-1]; a bare success of
    /// AUTH need not.
    pub(crate) fn check_method(&self, method: Option<&str>) -> Result<(), Violation> {
        if method == Some(self.method.as_str()) {
            Ok(())
        } else {
            Err(Violation::AuthenticationMethod)
        }
    }

    /// An AUTH came from the side whose turn it was; legal if it says one of `expected`.
    pub(crate) fn handle<B: Storage>(
        &self,
        auth: &Auth<B>,
        expected: &[(Turn, ReasonCode)],
    ) -> Result<(), Violation> {
        if !expected.contains(&(self.turn, auth.reason)) {
            return Err(Violation::UnexpectedPacket(PacketType::Auth));
        }
        match auth.properties.authentication_method() {
            None if auth.reason == ReasonCode::SUCCESS => Ok(()),
            method => self.check_method(method),
        }
    }

    /// The AUTH that says this; no data if there are none.
    pub(crate) fn packet(
        &self,
        reason: ReasonCode,
        data: &[u8],
    ) -> Result<Packet<Bytes>, CommandError> {
        let properties = Properties::new(self.properties(data))
            .map_err(|_| CommandError::AuthenticationData { size: data.len() })?;
        Ok(Packet::Auth(Auth::new(reason, properties)))
    }

    /// Method and data, for AUTH and CONNACK.
    pub(crate) fn properties<'a>(&'a self, data: &'a [u8]) -> impl Iterator<Item = Property<'a>> {
        let data = (!data.is_empty()).then_some(Property::AuthenticationData(data));
        [Property::AuthenticationMethod(self.method.as_str())].into_iter().chain(data)
    }
}
