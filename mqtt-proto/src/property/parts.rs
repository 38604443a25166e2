//! Parts of a list, as they go on the wire: nothing is copied for them.

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

    /// What is before the value of a property, its identifier included, and what is behind it; of
    /// the first one where there are several.
    pub(crate) fn around(&self, wanted: PropertyId) -> Option<(&[u8], &[u8])> {
        if !self.set.contains(wanted) {
            return None;
        }
        let block = self.as_bytes();
        let mut cursor = Cursor::over(block);
        loop {
            let id = PropertyId::new(cursor.u8().ok()?)?;
            let value = cursor.position();
            Value::read(id.kind(), &mut cursor).ok()?;
            if id == wanted {
                return Some((block.get(..value)?, block.get(cursor.position()..)?));
            }
        }
    }
}
