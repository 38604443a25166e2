//! What is retained: for each topic name the last message that was published with RETAIN set.
//!
//! # Cost
//!
//! One map in the order of names, byte by byte. A filter is answered by looking at names in that
//! order and leaping over those that cannot match: a literal level leaps to where it would be, and
//! what lies behind a level that `+` stands for is left in one leap when nothing more can come
//! there. So the names looked at are those that match, plus a few for each *branch*: a way to fill
//! in the `+` levels of some beginning of the filter that the store has names for. `#` and `a/#`
//! look at their matches and at most three names more, and `a/b` at three; `+/b` looks at a few
//! names for each first level there is. Looking at a name takes O(log n + its length), and less for
//! neighbours.
//!
//! Branches are as many as publishers please, so the work can be [sliced](Retained::slice): by
//! names looked at, not by matches found.

#[cfg(test)]
mod tests;

use alloc::{
    collections::{BTreeMap, btree_map::Range},
    vec::Vec,
};
use core::{borrow::Borrow, cmp::Ordering, ops::Bound};

use bytes::Bytes;
use mqtt_session::proto::{Storage, TopicFilter, TopicName};

/// Retained messages, of whatever type the broker keeps them in.
///
/// To retain a message without a payload is to [`remove`](Self::remove) what is there
/// [MQTT-3.3.1-6], and that is not retained either [MQTT-3.3.1-7]; the caller sees to that, and to
/// expiry. Names share their bytes with whoever gave them: give those of a message that was
/// detached.
#[derive(Clone, Debug)]
pub struct Retained<T>(BTreeMap<Key, T>);

/// What a filter matches, in the order of names, byte by byte. Stops when there is no more, or no
/// more to be looked at in this slice.
#[derive(Clone, Debug)]
pub struct Matching<'a, T> {
    store: &'a Retained<T>,
    filter: &'a [u8],
    ahead: Range<'a, Key, T>,
    /// The last name looked at, if the walk went on from there without a leap.
    last: Option<&'a [u8]>,
    /// Where the last leap led.
    leap: Vec<u8>,
    /// How many names may be looked at.
    names: usize,
    done: bool,
}

/// Where a slice ended. What is stored or removed before the next one is seen there if its name is
/// still ahead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor(Vec<u8>);

impl<T> Retained<T> {
    /// Nothing retained.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// How many messages are retained.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Retains a value, and returns the one it replaces [MQTT-3.3.1-5].
    pub fn insert(&mut self, name: TopicName<Bytes>, value: T) -> Option<T> {
        // A map keeps the key it has, whose bytes are those of the old message.
        let old = self.remove(&name);
        self.0.insert(Key(name), value);
        old
    }

    /// Removes what is retained for this name.
    pub fn remove<B: Storage>(&mut self, name: &TopicName<B>) -> Option<T> {
        self.0.remove(name.as_bytes())
    }

    /// What is retained for this name.
    #[must_use]
    pub fn get<B: Storage>(&self, name: &TopicName<B>) -> Option<&T> {
        self.0.get(name.as_bytes())
    }

    /// Everything a filter matches, in the order of names. Nothing for a shared subscription:
    /// section 4.8.2 sends none.
    #[must_use]
    pub fn matching<'a, B: Storage>(&'a self, filter: &'a TopicFilter<B>) -> Matching<'a, T> {
        self.slice(filter, &Cursor::default(), usize::MAX)
    }

    /// The part of it that is found from the cursor on by looking at so many names. The cursor for
    /// the next slice is [`Matching::into_cursor`]; the first is the default one.
    #[must_use]
    pub fn slice<'a, B: Storage>(
        &'a self,
        filter: &'a TopicFilter<B>,
        cursor: &Cursor,
        names: usize,
    ) -> Matching<'a, T> {
        Matching {
            store: self,
            filter: filter.as_bytes(),
            ahead: self.from(&cursor.0),
            last: None,
            leap: cursor.0.clone(),
            names,
            done: filter.shared().is_some(),
        }
    }

    fn from(&self, first: &[u8]) -> Range<'_, Key, T> {
        self.0.range::<[u8], _>((Bound::Included(first), Bound::Unbounded))
    }
}

impl<T> Default for Retained<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a, T> Iterator for Matching<'a, T> {
    type Item = (&'a TopicName<Bytes>, &'a T);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done && self.names > 0 {
            let Some((Key(name), value)) = self.ahead.next() else {
                self.done = true;
                break;
            };
            self.names -= 1;
            self.last = Some(name.as_bytes());
            match compare(self.filter, name.as_bytes()) {
                Way::Match => return Some((name, value)),
                Way::Next => {}
                Way::Leap { keep, then } => {
                    self.leap.clear();
                    self.leap.extend_from_slice(&name.as_bytes()[..keep]);
                    self.leap.extend_from_slice(then);
                    self.ahead = self.store.from(&self.leap);
                    self.last = None;
                }
                Way::End => self.done = true,
            }
        }
        None
    }
}

impl<T> Matching<'_, T> {
    /// Where the next slice goes on, behind the last name that was taken; `None` if there is
    /// nothing more.
    #[must_use]
    pub fn into_cursor(self) -> Option<Cursor> {
        let mut first = self.leap;
        if let Some(last) = self.last {
            first.clear();
            first.extend_from_slice(last);
            // Nothing is between a name and this.
            first.push(0);
        }
        (!self.done).then_some(Cursor(first))
    }
}

/// How to go on from a name.
enum Way<'f> {
    Match,
    /// To the next name.
    Next,
    /// To the first name from here on: so much of this one, and then this.
    Leap {
        keep: usize,
        then: &'f [u8],
    },
    End,
}

/// Compares a filter with a name. Wherever it leads, no match is between there and the name.
fn compare<'f>(filter: &'f [u8], name: &[u8]) -> Way<'f> {
    // [MQTT-4.7.2-1]; and `%` is the next byte.
    if name.first() == Some(&b'$') && matches!(filter.first(), Some(b'+' | b'#')) {
        return Way::Leap { keep: 0, then: b"%" };
    }
    let mut start = 0;
    // The way when nothing more can match below the last level that a `+` took: to what follows the
    // separator there.
    let mut leave = Way::End;
    // A wildcard is always a level of its own [MQTT-4.7.1-1] [MQTT-4.7.1-2].
    let mut runs = filter.split(|&byte| byte == b'+').peekable();
    while let Some(run) = runs.next() {
        let rest = &name[start..];
        if runs.peek().is_some() && rest.starts_with(run) {
            start += run.len();
            start += name[start..].iter().take_while(|&&byte| byte != b'/').count();
            leave = Way::Leap { keep: start, then: b"0" };
            continue;
        }
        // `a/#` wants `a`, and then what begins with `a/`; names such as `a-b` are between the two.
        let (parent, below) = match run.strip_suffix(b"#") {
            Some(below) => (below.strip_suffix(b"/").unwrap_or(below), below),
            None => (run, run),
        };
        if rest == parent || below.len() < run.len() && rest.starts_with(below) {
            return Way::Match;
        }
        return match [parent, below].into_iter().find(|&wanted| rest < wanted) {
            // The `+` may yet take names that are between this one and what is below it.
            Some(_) if rest.is_empty() && start > 0 => Way::Next,
            Some(wanted) => Way::Leap { keep: start, then: wanted },
            None => leave,
        };
    }
    leave
}

/// A name that is looked up by its bytes.
#[derive(Clone, Debug)]
struct Key(TopicName<Bytes>);

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.as_bytes().cmp(other.0.as_bytes())
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}
