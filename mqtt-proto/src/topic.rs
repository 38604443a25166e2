//! Topic names, topic filters, shared subscriptions, and which filter matches which name (sections
//! 4.7 and 4.8).

use core::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
};

use crate::{
    Storage, Str, StringError,
    name::Name,
    steps,
    text::{check, check_len, check_topic_name, is_plain_name, utf8},
};

/// What begins every shared subscription, section 4.8.2.
const SHARE_PREFIX: &[u8] = b"$share/";

/// Where a message is published: 1 to 65,535 bytes of UTF-8, levels divided by `/`, no wildcards.
///
/// Only the decoder makes an empty one: in a 5.0 PUBLISH whose Topic Alias stands for the name.
/// Sessions resolve it before anyone else sees the message.
#[derive(Clone, Copy)]
pub struct TopicName<B>(Name<B>);

impl<B: Storage> TopicName<B> {
    /// Checks the name once.
    ///
    /// # Errors
    /// [`StringError`]: empty, a wildcard, U+0000, not UTF-8, or too long.
    pub fn new(name: B) -> Result<Self, StringError> {
        check_len(name.as_ref())?;
        check_topic_name(name.as_ref())?;
        if name.as_ref().is_empty() { Err(StringError::Empty) } else { Ok(Self(Name::Kept(name))) }
    }

    #[inline(always)]
    pub(crate) const fn new_unchecked(name: Name<B>) -> Self {
        Self(name)
    }

    /// The bytes of the name.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The name as text. Costs one more UTF-8 check; compare bytes where speed matters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        utf8(self.as_bytes())
    }

    /// Whether a Topic Alias stands for the name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// The parts between the separators; `/a` has two, the first of them empty.
    pub fn levels(&self) -> impl Iterator<Item = &[u8]> {
        self.as_bytes().split(|&byte| byte == b'/')
    }

    /// The same name, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> TopicName<&[u8]> {
        TopicName(Name::Kept(self.as_bytes()))
    }

    pub(crate) fn map<C>(self, f: &mut impl FnMut(B) -> C) -> TopicName<C> {
        TopicName(self.0.map(f))
    }
}

impl<'a> TopicName<&'a [u8]> {
    /// The bytes of the name, for as long as those of its packet. `None` for the copy of a short
    /// name, which only [`Packet::map`](crate::Packet::map) of an owned packet leaves here.
    #[must_use]
    pub const fn into_inner(self) -> Option<&'a [u8]> {
        match self.0 {
            Name::Kept(bytes) => Some(bytes),
            Name::Short { .. } => None,
        }
    }
}

#[cfg(feature = "bytes")]
impl TopicName<&[u8]> {
    /// A copy of its own; allocates if the name has more than 38 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> TopicName<bytes::Bytes> {
        let name = self.as_bytes();
        let copy = || Name::Kept(bytes::Bytes::copy_from_slice(name));
        TopicName(Name::short(name).unwrap_or_else(copy))
    }
}

#[cfg(feature = "bytes")]
impl TopicName<bytes::Bytes> {
    /// The bytes of the name; allocates if it has no more than 38 and was not made of `Bytes` or of a
    /// text.
    #[must_use]
    pub fn into_inner(self) -> bytes::Bytes {
        self.0.into_bytes()
    }
}

impl<B: Storage> Default for TopicName<B> {
    fn default() -> Self {
        Self(Name::Kept(B::default()))
    }
}

impl<B: Storage> PartialEq for TopicName<B> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<B: Storage> Eq for TopicName<B> {}

impl<B: Storage> PartialOrd for TopicName<B> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<B: Storage> Ord for TopicName<B> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl<B: Storage> Hash for TopicName<B> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

/// Which topic names a subscription is for: 1 to 65,535 bytes of UTF-8, where `+` stands for one
/// level and a last `#` for any number of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter<B>(B);

impl<B: Storage> TopicFilter<B> {
    /// Checks the filter once, by the rules of 5.0: what begins with `$share/` must be a shared
    /// subscription.
    ///
    /// # Errors
    /// [`StringError`]: empty, a misplaced wildcard, a malformed share, U+0000, not UTF-8, or too long.
    pub fn new(filter: B) -> Result<Self, StringError> {
        check_len(filter.as_ref())?;
        check_share(filter.as_ref())?;
        check_filter(filter.as_ref())?;
        Ok(Self(filter))
    }

    pub(crate) const fn new_unchecked(filter: B) -> Self {
        Self(filter)
    }

    /// The bytes of the filter.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// The filter as text. Costs one more UTF-8 check; compare bytes where speed matters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        utf8(self.0.as_ref())
    }

    /// The share name and the filter behind it, if this is a shared subscription (section 4.8.2).
    #[must_use]
    pub fn shared(&self) -> Option<SharedFilter<'_>> {
        split_share(self.0.as_ref())
    }

    /// Whether there is a `+` or a `#` in it.
    #[must_use]
    pub fn has_wildcard(&self) -> bool {
        self.0.as_ref().iter().any(|&byte| byte == b'+' || byte == b'#')
    }

    /// Whether a message of this name is for this filter; a shared subscription matches by the
    /// filter behind its share name.
    #[must_use]
    pub fn matches<C: Storage>(&self, name: &TopicName<C>) -> bool {
        match self.shared() {
            Some(shared) => shared.matches(name),
            None => matches(self.0.as_ref(), name.as_bytes()),
        }
    }

    /// The same filter, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> TopicFilter<&[u8]> {
        TopicFilter(self.0.as_ref())
    }

    /// The bytes in their storage.
    #[must_use]
    pub fn into_inner(self) -> B {
        self.0
    }

    #[cfg(feature = "bytes")]
    fn map<C>(self, f: &mut impl FnMut(B) -> C) -> TopicFilter<C> {
        TopicFilter(f(self.0))
    }
}

#[cfg(feature = "bytes")]
impl TopicFilter<&[u8]> {
    /// A copy of its own.
    #[must_use]
    pub fn to_bytes(&self) -> TopicFilter<bytes::Bytes> {
        self.map(&mut bytes::Bytes::copy_from_slice)
    }
}

/// The parts of `$share/name/filter`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SharedFilter<'a> {
    name: &'a [u8],
    filter: &'a [u8],
}

impl<'a> SharedFilter<'a> {
    /// The share name: one level without wildcards.
    #[must_use]
    pub const fn name(&self) -> Str<&'a [u8]> {
        Str::new_unchecked(self.name)
    }

    /// The filter that topic names are matched against. Not a [`TopicFilter`]: if it begins with
    /// `$share/` in turn, that has no meaning here.
    #[must_use]
    pub const fn filter(&self) -> Str<&'a [u8]> {
        Str::new_unchecked(self.filter)
    }

    /// Whether a message of this name is for this filter.
    #[must_use]
    pub fn matches<B: Storage>(&self, name: &TopicName<B>) -> bool {
        matches(self.filter, name.as_bytes())
    }
}

impl fmt::Debug for SharedFilter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "$share/{}/{}", self.name(), self.filter())
    }
}

/// The rules of section 4.7.1 and 4.7.3 for a filter, without those for `$share`.
pub(crate) fn check_filter(filter: &[u8]) -> Result<(), StringError> {
    if filter.is_empty() {
        return Err(StringError::Empty);
    }
    // A filter without wildcards is checked as fast as a name.
    if is_plain_name(filter) {
        return Ok(());
    }
    check(filter)?;
    steps::add(filter.len());
    // `#` and `+` differ in one bit.
    let is_wildcard = |byte: &u8| byte & !(b'#' ^ b'+') == b'#';
    let mut from = 0;
    while let Some(ahead) = filter[from..].iter().position(is_wildcard) {
        let at = from + ahead;
        let begins = at == 0 || filter[at - 1] == b'/';
        let ends = match filter.get(at + 1) {
            None => true,
            Some(next) => filter[at] == b'+' && *next == b'/',
        };
        // [MQTT-4.7.1-1] [MQTT-4.7.1-2]
        if !begins || !ends {
            return Err(StringError::Wildcard);
        }
        from = at + 1;
    }
    Ok(())
}

/// That a filter which begins like a shared subscription is one [MQTT-4.8.2-1] [MQTT-4.8.2-2].
pub(crate) fn check_share(filter: &[u8]) -> Result<(), StringError> {
    if filter.starts_with(SHARE_PREFIX) && split_share(filter).is_none() {
        return Err(StringError::Share);
    }
    Ok(())
}

fn split_share(filter: &[u8]) -> Option<SharedFilter<'_>> {
    let rest = filter.strip_prefix(SHARE_PREFIX)?;
    steps::add(rest.len());
    let end = rest.iter().position(|&byte| byte == b'/')?;
    let (name, filter) = (&rest[..end], &rest[end + 1..]);
    let plain = !name.iter().any(|&byte| byte == b'+' || byte == b'#');
    (plain && !name.is_empty() && !filter.is_empty()).then_some(SharedFilter { name, filter })
}

/// Whether a filter without `$share/` matches a name, both well-formed. A name that begins with `$`
/// is matched only by a filter that names its first level [MQTT-4.7.2-1].
fn matches(filter: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'$') && matches!(filter.first(), Some(b'+' | b'#')) {
        return false;
    }
    let mut levels = name.split(|&byte| byte == b'/');
    for wanted in filter.split(|&byte| byte == b'/') {
        if wanted == b"#" {
            return true;
        }
        match levels.next() {
            Some(level) if wanted == b"+" || wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

macro_rules! text_impls {
    ($($name:ident)*) => {$(
        impl<B: Storage> fmt::Debug for $name<B> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.as_str().fmt(f)
            }
        }

        impl<B: Storage> fmt::Display for $name<B> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.as_str().fmt(f)
            }
        }

        impl<B: Storage> PartialEq<str> for $name<B> {
            fn eq(&self, other: &str) -> bool {
                self.as_bytes() == other.as_bytes()
            }
        }

        impl<B: Storage> PartialEq<&str> for $name<B> {
            fn eq(&self, other: &&str) -> bool {
                self == *other
            }
        }

        impl<'a> TryFrom<&'a str> for $name<&'a [u8]> {
            type Error = StringError;

            fn try_from(text: &'a str) -> Result<Self, StringError> {
                Self::new(text.as_bytes())
            }
        }

        impl<'a> $name<&'a [u8]> {
            /// As `try_from`, where the compiler cannot tell that borrowed text is meant.
            ///
            /// # Errors
            /// As [`new`](Self::new).
            pub fn borrowed(text: &'a str) -> Result<Self, StringError> {
                Self::new(text.as_bytes())
            }
        }

        #[cfg(feature = "bytes")]
        impl TryFrom<&str> for $name<bytes::Bytes> {
            type Error = StringError;

            fn try_from(text: &str) -> Result<Self, StringError> {
                Self::new(bytes::Bytes::copy_from_slice(text.as_bytes()))
            }
        }

        #[cfg(feature = "bytes")]
        impl TryFrom<alloc::string::String> for $name<bytes::Bytes> {
            type Error = StringError;

            fn try_from(text: alloc::string::String) -> Result<Self, StringError> {
                Self::new(text.into())
            }
        }

        #[cfg(feature = "bytes")]
        impl core::str::FromStr for $name<bytes::Bytes> {
            type Err = StringError;

            fn from_str(text: &str) -> Result<Self, StringError> {
                Self::try_from(text)
            }
        }

    )*};
}

text_impls! { TopicName TopicFilter }
