//! The receiving half of the engine.

use mqtt_proto::{PacketId, QoS};

use super::{
    PacketIdSet,
    transition::{PubRelStep, PublishStep, on_publish, on_pubrel},
};

/// Which QoS 2 messages were delivered and not yet released: what makes exactly once out of at
/// least once. Outlives the network connection (section 4.1).
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    held: PacketIdSet,
}

impl Receiver {
    pub(crate) const fn new() -> Self {
        Self { held: PacketIdSet::new() }
    }

    pub(crate) fn on_publish(&self, qos: QoS, id: PacketId) -> PublishStep {
        on_publish(self.held.contains(id), qos)
    }

    /// The message of this identifier was delivered, and is not to be again.
    pub(crate) fn hold(&mut self, id: PacketId) {
        self.held.insert(id);
    }

    pub(crate) fn on_pubrel(&mut self, id: PacketId) -> PubRelStep {
        let step = on_pubrel(self.held.contains(id));
        if step == PubRelStep::ReleasePubComp {
            self.held.remove(id);
        }
        step
    }

    pub(crate) const fn held(&self) -> &PacketIdSet {
        &self.held
    }

    pub(crate) fn clear(&mut self) {
        self.held.clear();
    }
}
