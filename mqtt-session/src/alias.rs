//! Topic aliases (section 3.3.2.3.4): numbers that stand for topic names, for as long as a network
//! connection lasts.

mod outbound;

use alloc::collections::BTreeMap;

use bytes::Bytes;
use mqtt_proto::{Storage, TopicName};

use crate::Violation;

pub(crate) use outbound::OutboundAliases;

/// The topic aliases of the peer's messages. Costs about 60 bytes for each alias in use, and a topic
/// name of more than 38 bytes itself; at most as many as were announced.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, Hash))]
pub(crate) struct InboundAliases {
    names: BTreeMap<u16, TopicName<Bytes>>,
    maximum: u16,
}

impl InboundAliases {
    /// `maximum` is the Topic Alias Maximum that this side announced; with 0 there are none.
    pub(crate) const fn new(maximum: u16) -> Self {
        Self { names: BTreeMap::new(), maximum }
    }

    /// The name that the alias of a PUBLISH stands for, and learns it if the packet says both
    /// [MQTT-3.3.2-7]. `None` if `name`, the topic of the packet, is that name already.
    pub(crate) fn resolve<B: Storage>(
        &mut self,
        alias: u16,
        name: &TopicName<B>,
    ) -> Result<Option<TopicName<Bytes>>, Violation> {
        if alias == 0 || alias > self.maximum {
            return Err(Violation::TopicAliasInvalid(alias));
        }
        if name.is_empty() {
            let name = self.names.get(&alias).cloned();
            return name.map(Some).ok_or(Violation::TopicAliasUnknown(alias));
        }
        self.names.insert(alias, name.as_ref().to_bytes());
        Ok(None)
    }
}
