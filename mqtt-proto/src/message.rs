//! What is said, how hard it is delivered, and one delivery of it.
//!
//! A [`Message`] is what is said: topic, payload, properties. A [`Publication`] is a message with
//! the QoS and RETAIN flag it is published with: what an application hands in, what a will is, what
//! a server retains. A [`Publish`](crate::Publish) is a publication on its way over one connection.
//! Each adds one thing.

use core::fmt;

use crate::{Delivery, PacketId, Properties, Publish, QoS, Storage, TopicName};

/// An Application Message: what is said. Its `Debug` form shows the payload as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Message<B: Storage> {
    /// Where it is published.
    pub topic: TopicName<B>,
    /// What the application made of it; MQTT does not look inside.
    pub payload: B,
    /// Its properties in 5.0, empty in 3.1.1.
    pub properties: Properties<B>,
}

/// A message and how it is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Publication<B: Storage> {
    /// How hard it is delivered.
    pub qos: QoS,
    /// Whether the server keeps it for those who subscribe later (section 3.3.1.3).
    pub retain: bool,
    /// What is said.
    pub message: Message<B>,
}

impl<B: Storage> Message<B> {
    /// Without properties.
    #[must_use]
    pub fn new(topic: TopicName<B>, payload: B) -> Self {
        Self { topic, payload, properties: Properties::default() }
    }

    /// The same message, borrowed.
    #[must_use]
    #[inline]
    pub fn as_ref(&self) -> Message<&[u8]> {
        Message {
            topic: self.topic.as_ref(),
            payload: self.payload.as_ref(),
            properties: self.properties.as_ref(),
        }
    }

    pub(crate) fn map<C: Storage>(self, f: &mut impl FnMut(B) -> C) -> Message<C> {
        Message {
            topic: self.topic.map(f),
            payload: f(self.payload),
            properties: self.properties.map(f),
        }
    }
}

impl<B: Storage> fmt::Debug for Message<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic)
            .field("payload", &format_args!("b\"{}\"", self.payload.as_ref().escape_ascii()))
            .field("properties", &self.properties)
            .finish()
    }
}

impl<B: Storage> Publication<B> {
    /// The same publication, borrowed.
    #[must_use]
    #[inline]
    pub fn as_ref(&self) -> Publication<&[u8]> {
        Publication { qos: self.qos, retain: self.retain, message: self.message.as_ref() }
    }

    /// The first delivery of it over a connection. QoS 0 has no packet identifier, and `id` is not
    /// used then.
    #[must_use]
    pub fn into_publish(self, id: PacketId) -> Publish<B> {
        let delivery = Delivery::first(self.qos, id);
        Publish { delivery, retain: self.retain, message: self.message }
    }
}

#[cfg(feature = "bytes")]
mod owned {
    use alloc::vec::Vec;

    use bytes::Bytes;

    use super::*;
    use crate::name::Name;

    impl<B: Storage> Message<B> {
        /// A copy in one allocation of no more than its size, beside a small one that counts its owners.
        ///
        /// A decoded message is a view into the buffer it was read from, and keeps all of that
        /// buffer alive. What is kept for long (retained, queued, awaiting an
        /// acknowledgement) is detached first.
        #[must_use]
        pub fn detach(&self) -> Message<Bytes> {
            let topic = self.topic.as_bytes();
            let short = Name::short(topic);
            let topic = if short.is_some() { &[] } else { topic };
            let fields = [topic, self.properties.as_bytes(), self.payload.as_ref()];
            let mut copy = Vec::with_capacity(fields.iter().map(|field| field.len()).sum());
            for field in fields {
                copy.extend_from_slice(field);
            }
            let mut copy = Bytes::from(copy);
            let topic = copy.split_to(topic.len());
            let topic = TopicName::new_unchecked(short.unwrap_or(Name::Kept(topic)));
            let properties =
                Properties::new_unchecked(copy.split_to(fields[1].len()), self.properties.set());
            Message { topic, payload: copy, properties }
        }
    }

    impl<B: Storage> Publication<B> {
        /// A copy of its own, see [`Message::detach`].
        #[must_use]
        pub fn detach(&self) -> Publication<Bytes> {
            Publication { qos: self.qos, retain: self.retain, message: self.message.detach() }
        }
    }

    impl Publication<Bytes> {
        /// A publication with QoS 0, not retained and without properties; the methods below change
        /// that.
        ///
        /// ```
        /// # use mqtt_proto::{Publication, QoS, TopicName};
        /// let publication = Publication::new(TopicName::try_from("room/1")?, "21.5").with_qos(QoS::AtLeastOnce);
        /// # Ok::<_, mqtt_proto::StringError>(())
        /// ```
        #[must_use]
        pub fn new(topic: TopicName<Bytes>, payload: impl Into<Bytes>) -> Self {
            let message = Message::new(topic, payload.into());
            Self { qos: QoS::AtMostOnce, retain: false, message }
        }

        /// With this QoS.
        #[must_use]
        pub const fn with_qos(mut self, qos: QoS) -> Self {
            self.qos = qos;
            self
        }

        /// With this RETAIN flag.
        #[must_use]
        pub const fn with_retain(mut self, retain: bool) -> Self {
            self.retain = retain;
            self
        }

        /// With these properties; 5.0 only.
        #[must_use]
        pub fn with_properties(mut self, properties: Properties<Bytes>) -> Self {
            self.message.properties = properties;
            self
        }
    }
}
