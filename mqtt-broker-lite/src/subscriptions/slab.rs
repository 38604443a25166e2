//! Values at small numbers that stay theirs: what a tree of boxes would be, without its recursion
//! on drop.

use alloc::vec::Vec;
use core::{
    fmt,
    marker::PhantomData,
    num::NonZeroU32,
    ops::{Index, IndexMut},
};

/// Where a `T` is in its [`Slab`]. An `Option` of it is no larger.
pub(super) struct Id<T>(NonZeroU32, PhantomData<fn() -> T>);

/// Up to 2^32 - 1 values. A freed slot is the next to be used; the memory is returned when the last
/// value goes.
#[derive(Debug)]
pub(super) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Option<Id<T>>,
    len: usize,
}

#[derive(Debug)]
enum Slot<T> {
    Used(T),
    /// The next free slot.
    Free(Option<Id<T>>),
}

impl<T> Slab<T> {
    #[cfg(test)]
    pub(super) const SLOT: usize = size_of::<Slot<T>>();

    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), free: None, len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn insert(&mut self, value: T) -> Id<T> {
        self.insert_with(|_| value)
    }

    /// Inserts a value that knows where it is.
    pub(super) fn insert_with(&mut self, make: impl FnOnce(Id<T>) -> T) -> Id<T> {
        self.len += 1;
        let Some(id) = self.free else {
            let id = Id::new(self.slots.len() + 1);
            self.slots.push(Slot::Used(make(id)));
            return id;
        };
        if let Slot::Free(next) = self.slots[id.index()] {
            self.free = next;
        }
        self.slots[id.index()] = Slot::Used(make(id));
        id
    }

    #[cfg(test)]
    pub(super) const fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// Takes the value out; `None` if there is none.
    pub(super) fn remove(&mut self, id: Id<T>) -> Option<T> {
        let slot = self.slots.get_mut(id.index())?;
        if matches!(slot, Slot::Free(_)) {
            return None;
        }
        let Slot::Used(value) = core::mem::replace(slot, Slot::Free(self.free)) else {
            return None;
        };
        self.free = Some(id);
        self.len -= 1;
        if self.len == 0 {
            *self = Self::new();
        }
        Some(value)
    }

    pub(super) fn get(&self, id: Id<T>) -> Option<&T> {
        match self.slots.get(id.index())? {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    pub(super) fn get_mut(&mut self, id: Id<T>) -> Option<&mut T> {
        match self.slots.get_mut(id.index())? {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        }
    }
}

impl<T> Index<Id<T>> for Slab<T> {
    type Output = T;

    fn index(&self, id: Id<T>) -> &T {
        self.get(id).expect("links lead to used slots")
    }
}

impl<T> IndexMut<Id<T>> for Slab<T> {
    fn index_mut(&mut self, id: Id<T>) -> &mut T {
        self.get_mut(id).expect("links lead to used slots")
    }
}

impl<T> Id<T> {
    /// Of the slot that is the `number`th, counted from 1.
    fn new(number: usize) -> Self {
        let number = u32::try_from(number).ok().and_then(NonZeroU32::new);
        Self(number.expect("memory ends before the numbers do"), PhantomData)
    }

    const fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    pub(super) const fn get(self) -> u32 {
        self.0.get()
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Id<T> {}

impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
