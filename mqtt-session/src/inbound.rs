//! A message as it comes in.

use bytes::Bytes;
use mqtt_proto::{Publication, Publish, Storage, TopicName};

use crate::Receipt;

/// A PUBLISH that is new, with the topic name that its topic alias stands for. Borrowed or owned, as
/// the packet was that it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inbound<B: Storage> {
    publish: Publish<B>,
    /// What the alias stands for, where the packet had no name.
    topic: Option<TopicName<Bytes>>,
    receipt: Option<Receipt>,
}

impl<B: Storage> Inbound<B> {
    pub(crate) const fn new(
        publish: Publish<B>,
        topic: Option<TopicName<Bytes>>,
        receipt: Option<Receipt>,
    ) -> Self {
        Self { publish, topic, receipt }
    }

    /// The packet, with its topic name.
    pub fn publish(&self) -> Publish<&[u8]> {
        let mut publish = Publish {
            delivery: self.publish.delivery,
            retain: self.publish.retain,
            message: self.publish.message.as_ref(),
        };
        if let Some(topic) = &self.topic {
            publish.message.topic = topic.as_ref();
        }
        publish
    }

    /// What was published: the packet without its identifier.
    pub fn publication(&self) -> Publication<&[u8]> {
        let Publish { delivery, retain, message } = self.publish();
        Publication { qos: delivery.qos(), retain, message }
    }

    /// What to name in its acknowledgement; `None` if it needs none.
    pub const fn receipt(&self) -> Option<Receipt> {
        self.receipt
    }
}

impl Inbound<Bytes> {
    /// The packet, with its topic name; shares the buffer it was read from.
    #[must_use]
    pub fn into_publish(self) -> Publish<Bytes> {
        let Self { mut publish, topic, .. } = self;
        if let Some(topic) = topic {
            publish.message.topic = topic;
        }
        publish
    }

    /// What was published: the packet without its identifier; shares the buffer it was read from.
    #[must_use]
    pub fn into_publication(self) -> Publication<Bytes> {
        let Publish { delivery, retain, message } = self.into_publish();
        Publication { qos: delivery.qos(), retain, message }
    }
}
