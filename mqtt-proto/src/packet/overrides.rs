//! What one delivery of a message says otherwise than the message, without a copy of its property
//! list: each network connection has topic aliases of its own (section 3.3.2.3.4), and each delivery
//! its own rest of the Message Expiry Interval (section 3.3.2.3.3).

use core::num::NonZeroU16;

#[cfg(feature = "bytes")]
use crate::wire::BufWriter;
use crate::{
    EncodeError, PropertyId, ProtocolVersion, Publish, Storage,
    packet::publish::Head,
    wire::{Put, SliceWriter, put_header_and_u16},
};

/// What a PUBLISH says otherwise than its [`Message`](crate::Message); by default nothing.
///
/// ```
/// use core::num::NonZeroU16;
/// use mqtt_proto::{ProtocolVersion, Publish, PublishOverrides, TopicAlias, TopicName};
///
/// let publish = Publish::new(TopicName::borrowed("room/1")?, b"21.5");
/// let alias = NonZeroU16::MIN;
///
/// let first = PublishOverrides { topic_alias: Some(TopicAlias::Set(alias)), ..Default::default() };
/// let mut wire = Vec::new();
/// publish.encode_with(ProtocolVersion::V5, first, &mut wire)?;
/// assert_eq!(wire, b"\x30\x10\0\x06room/1\x03\x23\0\x0121.5");
///
/// let next = PublishOverrides { topic_alias: Some(TopicAlias::Use(alias)), ..Default::default() };
/// wire.clear();
/// publish.encode_with(ProtocolVersion::V5, next, &mut wire)?;
/// assert_eq!(wire, b"\x30\x0a\0\0\x03\x23\0\x0121.5");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PublishOverrides {
    /// In the place of the Message Expiry Interval, in seconds, if the message has one: what is left
    /// of it [MQTT-3.3.2-6]. A message without one gets none.
    pub message_expiry_interval: Option<u32>,
    /// The Topic Alias, behind the other properties; 5.0 only.
    pub topic_alias: Option<TopicAlias>,
}

/// A Topic Alias and what it does, section 3.3.2.3.4. Never 0 [MQTT-3.3.2-8].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TopicAlias {
    /// Goes beside the topic name: from here on it stands for that name on this connection.
    Set(NonZeroU16),
    /// Goes in the place of the topic name that it was set for.
    Use(NonZeroU16),
}

impl TopicAlias {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        match self {
            Self::Set(alias) | Self::Use(alias) => alias.get(),
        }
    }
}

/// The size of a Topic Alias with its identifier.
const ALIAS_LEN: usize = 3;

/// A PUBLISH that says otherwise than its message.
///
/// What is written are the bytes of the same PUBLISH with a list made anew: the Message Expiry
/// Interval replaced in its place, the Topic Alias appended, the topic name empty where the alias
/// stands for it.
impl<B: Storage> Publish<B> {
    /// The size of what [`encode_with`](Self::encode_with) writes, in bytes.
    ///
    /// # Errors
    /// As [`encode_with`](Self::encode_with).
    #[inline]
    pub fn encoded_len_with(
        &self,
        version: ProtocolVersion,
        overrides: PublishOverrides,
    ) -> Result<u32, EncodeError> {
        Ok(OverriddenHead::of(self, version, overrides)?.head.packet_len())
    }

    /// As [`encode`](Self::encode), but for what `overrides` says.
    ///
    /// # Errors
    /// As [`encode`](Self::encode). A Topic Alias is [`EncodeError::PropertyTwice`] if the message has
    /// one, [`EncodeError::TopicNameEmpty`] if it has no topic name, and
    /// [`EncodeError::NotInV311`] in 3.1.1.
    #[cfg(feature = "bytes")]
    pub fn encode_with(
        &self,
        version: ProtocolVersion,
        overrides: PublishOverrides,
        dst: &mut impl bytes::BufMut,
    ) -> Result<(), EncodeError> {
        let head = OverriddenHead::of(self, version, overrides)?;
        if dst.remaining_mut() < head.head.packet_len() as usize {
            return Err(EncodeError::BufferTooSmall);
        }
        head.put(self, &mut BufWriter(dst));
        dst.put_slice(self.message.payload.as_ref());
        Ok(())
    }

    /// As [`encode_with`](Self::encode_with), to the start of `dst`; returns the size.
    ///
    /// # Errors
    /// As [`encode_with`](Self::encode_with), and [`EncodeError::BufferTooSmall`].
    pub fn encode_to_slice_with(
        &self,
        version: ProtocolVersion,
        overrides: PublishOverrides,
        dst: &mut [u8],
    ) -> Result<usize, EncodeError> {
        let head = OverriddenHead::of(self, version, overrides)?;
        let len = head.head.packet_len() as usize;
        let mut out = SliceWriter::new(dst.get_mut(..len).ok_or(EncodeError::BufferTooSmall)?);
        head.put(self, &mut out);
        out.slice(self.message.payload.as_ref());
        Ok(len)
    }
}

/// Everything before the payload, checked and measured.
struct OverriddenHead<'a> {
    /// Its list is that of the message.
    head: Head<'a>,
    overrides: PublishOverrides,
}

impl<'a> OverriddenHead<'a> {
    fn of<B: Storage>(
        publish: &'a Publish<B>,
        version: ProtocolVersion,
        overrides: PublishOverrides,
    ) -> Result<Self, EncodeError> {
        let message = &publish.message;
        let (topic, added) = match overrides.topic_alias {
            None => (message.topic.as_bytes(), 0),
            Some(_) if message.properties.set().contains(PropertyId::TopicAlias) => {
                return Err(EncodeError::PropertyTwice(PropertyId::TopicAlias));
            }
            Some(TopicAlias::Set(_)) => (message.topic.as_bytes(), ALIAS_LEN),
            Some(TopicAlias::Use(_)) => (&[][..], ALIAS_LEN),
        };
        let head = Head::measure(publish, version, topic, added)?;
        Ok(Self { head, overrides })
    }

    fn put<B: Storage>(&self, publish: &Publish<B>, out: &mut impl Put) {
        let Head { first, topic, id, properties, body } = self.head;
        put_header_and_u16(first, body, topic.len() as u16, out);
        out.slice(topic);
        if let Some(id) = id {
            out.u16(id.get());
        }
        let Some(list) = properties else { return };
        let alias = self.overrides.topic_alias.map(TopicAlias::get);
        out.varint((list.len() + alias.map_or(0, |_| ALIAS_LEN)) as u32);
        let expiry = self.overrides.message_expiry_interval;
        let around = publish.message.properties.around(PropertyId::MessageExpiryInterval);
        match (expiry, around) {
            (Some(seconds), Some((before, behind))) => {
                out.slice(before);
                out.slice(&seconds.to_be_bytes());
                out.slice(behind);
            }
            _ => out.slice(list),
        }
        if let Some(alias) = alias {
            let [high, low] = alias.to_be_bytes();
            out.slice(&[PropertyId::TopicAlias as u8, high, low]);
        }
    }
}
