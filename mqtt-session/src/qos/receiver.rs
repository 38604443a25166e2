//! The receiving half of the engine.

use mqtt_proto::PacketId;

use super::PacketIdSet;

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

    /// The message of this identifier was delivered, and is not to be again.
    pub(crate) fn hold(&mut self, id: PacketId) {
        self.held.insert(id);
    }

    /// The next PUBLISH of this identifier is a new message.
    pub(crate) fn release(&mut self, id: PacketId) {
        self.held.remove(id);
    }

    pub(crate) const fn held(&self) -> &PacketIdSet {
        &self.held
    }

    pub(crate) fn clear(&mut self) {
        self.held.clear();
    }
}
