//! What can go wrong for a client on a network, and whose fault it is. Shared by the adapters that
//! have `std`.

use alloc::{string::String, sync::Arc};
use core::{convert::Infallible, fmt, net::SocketAddr};
use std::io;

use mqtt_proto::{EncodeError, ReasonCode, StringError};

use crate::{
    AddressError, CallError, CloseReason, CommandError, OptionsError, PublishError, ServerAddress,
};

/// Why a call of a client failed. The adapters call it `Error`.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The caller's fault: this is no address of a server.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The caller's fault: the options make no legal CONNECT.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The caller's fault: this is no topic name or topic filter.
    #[error("{topic:?} cannot be used: {error}")]
    Topic {
        /// What was to be one.
        topic: String,
        /// What is wrong with it.
        error: StringError,
    },
    /// The network's fault: no address of the server could be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The caller's fault or the moment's: the message was not accepted, and nothing was sent.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The caller's fault or the moment's: the request was not accepted, and nothing was sent.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The server's decision about this message, subscription or end of a subscription.
    #[error("the server refused: {0}")]
    Refused(ReasonCode),
    /// The Message Expiry Interval passed before the message could be sent.
    #[error("the Message Expiry Interval passed before the message could be sent")]
    Expired,
    /// The server of a later connection takes no packet as large as this message.
    #[error("the message is larger than the server now takes")]
    TooLarge,
    /// As many messages as allowed were waiting, and it was dropped: see
    /// [`Overflow`](crate::Overflow).
    #[error("as many messages as allowed were waiting, and this one was dropped")]
    Dropped,
    /// The session is gone, and with it the exchange. The message may have arrived.
    #[error("the session was lost before an answer came; the message may have arrived")]
    SessionLost,
    /// [`request_timeout`](crate::ClientOptions::request_timeout) passed. A message of QoS 1 or 2
    /// is still in the session and may yet arrive.
    #[error("no answer in time")]
    TimedOut,
    /// The application takes no messages, and twice
    /// [`max_undelivered`](crate::ClientOptions::max_undelivered) bytes of them are waiting:
    /// nothing more is read, so no answer can be. A message of QoS 1 or 2 is still in the session
    /// and may yet arrive.
    #[error("too many messages received and not taken; no answer can be read behind them")]
    MessagesNotTaken,
    /// The connection is over for good; the reason says by whose doing.
    #[error("the connection has ended: {0}")]
    Closed(CloseReason),
}

impl From<CallError> for ClientError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Publish(error) => Self::Publish(error),
            CallError::Command(error) => Self::Command(error),
            CallError::Refused(reason) => Self::Refused(reason),
            CallError::Expired => Self::Expired,
            CallError::TooLarge => Self::TooLarge,
            CallError::Dropped => Self::Dropped,
            CallError::SessionLost => Self::SessionLost,
            CallError::TimedOut => Self::TimedOut,
            CallError::MessagesNotTaken => Self::MessagesNotTaken,
            CallError::Closed(reason) => Self::Closed(reason),
        }
    }
}

impl From<EncodeError> for ClientError {
    fn from(error: EncodeError) -> Self {
        Self::Command(CommandError::Encode(error))
    }
}

/// For addresses that need no reading.
impl From<Infallible> for ClientError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// What was tried to reach a server, and how each attempt failed.
#[derive(Clone, Debug)]
pub struct ConnectError {
    address: ServerAddress,
    attempts: Arc<[(Option<SocketAddr>, io::Error)]>,
}

impl ConnectError {
    /// For adapters: what was tried, in order, and how it failed.
    pub fn new(
        address: ServerAddress,
        attempts: impl Into<Arc<[(Option<SocketAddr>, io::Error)]>>,
    ) -> Self {
        Self { address, attempts: attempts.into() }
    }

    /// Every address that was tried, in order, and why it failed; without an address where the
    /// name could not be resolved.
    pub fn attempts(&self) -> impl Iterator<Item = (Option<SocketAddr>, &io::Error)> {
        self.attempts.iter().map(|(address, error)| (*address, error))
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot connect to {}", self.address)?;
        for (at, (address, error)) in self.attempts.iter().enumerate() {
            f.write_str(if at == 0 { ": " } else { "; " })?;
            match address {
                Some(address) => write!(f, "{address}: {error}")?,
                None => write!(f, "{error}")?,
            }
        }
        Ok(())
    }
}

impl core::error::Error for ConnectError {
    /// The last attempt's.
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.attempts.last().map(|(_, error)| error as _)
    }
}
