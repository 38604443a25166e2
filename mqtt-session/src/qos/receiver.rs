//! The receiving half of the engine.

use mqtt_proto::{PacketId, QoS};

use super::{
    PacketIdSet,
    transition::{PubRelStep, PublishStep, on_publish, on_pubrel},
};

/// Which QoS 2 messages were delivered and not yet released: what makes exactly once out of at least once. Outlives the
/// network connection (section 4.1).
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    held: PacketIdSet,
}

impl Receiver {
    pub(crate) const fn new() -> Self {
        Self { held: PacketIdSet::new() }
    }

    pub(crate) fn on_publish(&mut self, qos: QoS, id: Option<PacketId>) -> PublishStep {
        let held = id.is_some_and(|id| self.held.contains(id));
        let step = on_publish(held, qos);
        if let (PublishStep::DeliverHoldPubRec, Some(id)) = (step, id) {
            self.held.insert(id);
        }
        step
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
