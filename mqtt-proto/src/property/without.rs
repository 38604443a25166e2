//! A list without some of its properties, as it goes on the wire: nothing is copied for it.

use super::{Properties, PropertyId, PropertySet, value::Value};
use crate::{Storage, wire::Cursor};

impl<B: Storage> Properties<B> {
    /// The properties that are not in `left_out`, each as it is on the wire, in their order.
    pub(crate) fn without(&self, left_out: PropertySet) -> impl Iterator<Item = &[u8]> {
        let block = self.as_bytes();
        let mut cursor = Cursor::over(block);
        core::iter::from_fn(move || {
            loop {
                let start = cursor.position();
                let id = PropertyId::new(cursor.u8().ok()?)?;
                Value::read(id.kind(), &mut cursor).ok()?;
                if !left_out.contains(id) {
                    return block.get(start..cursor.position());
                }
            }
        })
    }
}
