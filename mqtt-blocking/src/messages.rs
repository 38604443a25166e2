//! Messages on their way to the application.

use std::{fmt, time::Duration};

use bytes::Bytes;
use mqtt_session::{CloseReason, ConnectionState, Instant, proto::Publish, undelivered_size};

use crate::{Client, Error};

/// The messages that the server sends, in its order. Also an [`Iterator`] over them, which waits
/// for each.
///
/// They are acknowledged when they arrive here, not when they are taken. How many wait is limited
/// by [`max_undelivered`](crate::ClientOptions::max_undelivered). Once this is dropped, messages
/// are received and forgotten.
pub struct Messages {
    client: Client,
    ended: bool,
}

impl Messages {
    pub(crate) const fn new(client: Client) -> Self {
        Self { client, ended: false }
    }

    /// Waits for the next message; `None` once the connection was ended by this side.
    ///
    /// # Errors
    /// [`Error::Closed`], once, after the last message, if the connection ended for any other
    /// reason.
    pub fn recv(&mut self) -> Result<Option<Publish<Bytes>>, Error> {
        self.recv_until(None)
    }

    /// As [`recv`](Self::recv), for at most this long.
    ///
    /// # Errors
    /// [`Error::TimedOut`] if no message came. As [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Publish<Bytes>>, Error> {
        self.recv_until(Some(self.client.shared().clock.now() + timeout))
    }

    fn recv_until(&mut self, deadline: Option<Instant>) -> Result<Option<Publish<Bytes>>, Error> {
        let shared = self.client.shared();
        let mut core = shared.lock();
        loop {
            if let Some(publish) = core.messages.pop_front() {
                core.driver.handle_taken(undelivered_size(&publish));
                shared.act(&mut core);
                return Ok(Some(publish));
            }
            if self.ended {
                return Ok(None);
            }
            if matches!(core.driver.state(), ConnectionState::Closed(_)) {
                self.ended = true;
                return match core.ended() {
                    Error::Closed(CloseReason::Requested(_)) => Ok(None),
                    error => Err(error),
                };
            }
            let limit = shared.clock.until(deadline);
            if limit.is_zero() {
                return Err(Error::TimedOut);
            }
            core = shared.wait(&shared.message, core, limit);
        }
    }
}

impl Iterator for Messages {
    type Item = Result<Publish<Bytes>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.recv().transpose()
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        let shared = self.client.shared();
        let mut core = shared.lock();
        core.receiving = false;
        for publish in std::mem::take(&mut core.messages) {
            core.driver.handle_taken(undelivered_size(&publish));
        }
        shared.act(&mut core);
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.client.shared().lock().messages.len();
        f.debug_struct("Messages").field("waiting", &waiting).finish_non_exhaustive()
    }
}
