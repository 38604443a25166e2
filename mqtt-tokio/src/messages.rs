//! Messages on their way to the application.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;
use mqtt_session::{CloseReason, proto::Publish, undelivered_size};
use tokio::sync::{Notify, mpsc};

use crate::{Client, Error};

/// The messages that the server sends, in its order. Also a [`Stream`] of them.
///
/// They are acknowledged when they arrive here, not when they are taken. How many wait is limited
/// by [`max_undelivered`](crate::ClientOptions::max_undelivered). Once this is dropped, messages
/// are received and forgotten.
pub struct Messages {
    queue: mpsc::UnboundedReceiver<Publish<Bytes>>,
    taken: Arc<Taken>,
    client: Client,
    ended: bool,
}

/// What the application took and the driver does not know of yet.
#[derive(Debug, Default)]
struct Taken {
    bytes: AtomicUsize,
    /// The driver waits for the application.
    paused: AtomicBool,
    resume: Notify,
}

impl Taken {
    fn add(&self, publish: &Publish<Bytes>) {
        self.bytes.fetch_add(undelivered_size(publish), SeqCst);
        if self.paused.load(SeqCst) {
            self.resume.notify_one();
        }
    }
}

impl Messages {
    /// The next message; `None` once the connection was ended by this side.
    ///
    /// # Errors
    /// [`Error::Closed`], once, after the last message, if the connection ended for any other
    /// reason.
    ///
    /// # Cancel safety
    /// No message is lost when it is dropped.
    pub async fn recv(&mut self) -> Result<Option<Publish<Bytes>>, Error> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`recv`](Self::recv), for those who write futures by hand.
    pub fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Publish<Bytes>>, Error>> {
        Poll::Ready(match ready!(self.queue.poll_recv(cx)) {
            Some(publish) => {
                self.taken.add(&publish);
                Ok(Some(publish))
            }
            None if self.ended => Ok(None),
            None => {
                self.ended = true;
                match self.client.ended() {
                    Error::Closed(CloseReason::Requested(_)) => Ok(None),
                    error => Err(error),
                }
            }
        })
    }
}

impl Stream for Messages {
    type Item = Result<Publish<Bytes>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx).map(Result::transpose)
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        self.queue.close();
        while let Ok(publish) = self.queue.try_recv() {
            self.taken.add(&publish);
        }
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").field("waiting", &self.queue.len()).finish_non_exhaustive()
    }
}

/// The driver's end.
#[derive(Debug)]
pub(crate) struct Queue {
    messages: mpsc::UnboundedSender<Publish<Bytes>>,
    taken: Arc<Taken>,
}

/// The client keeps the connection open for as long as there is somebody to take messages.
pub(crate) fn queue(client: Client) -> (Queue, Messages) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let taken = Arc::<Taken>::default();
    let queue = Queue { messages: sender, taken: taken.clone() };
    (queue, Messages { queue: receiver, taken, client, ended: false })
}

impl Queue {
    pub(crate) fn push(&self, publish: Publish<Bytes>) {
        if let Err(mpsc::error::SendError(publish)) = self.messages.send(publish) {
            self.taken.add(&publish);
        }
    }

    /// How many bytes were taken since the last call.
    pub(crate) fn taken(&self) -> usize {
        self.taken.bytes.swap(0, SeqCst)
    }

    /// Whether to be [woken](Self::resume) when more are taken.
    pub(crate) fn set_paused(&self, paused: bool) {
        self.taken.paused.store(paused, SeqCst);
    }

    pub(crate) async fn resume(&self) {
        self.taken.resume.notified().await;
    }
}
