//! What stands for a message that awaits its acknowledgement.

use crate::qos::Place;

/// A message of QoS 1 or 2 that was given out: what to name when it is acknowledged.
///
/// A receipt is good once, and only on the network connection its message came on: the peer of the
/// next connection sends again what was not acknowledged, with a receipt of its own (table row A45
/// of the decisions).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Receipt {
    pub(crate) connection: u32,
    pub(crate) place: Place,
}
