//! UTF-8 Encoded Strings (section 1.5.4): well-formed, without U+0000, at most 65,535 bytes.

use core::fmt;

use crate::{DecodeErrorKind, Storage, steps};

/// A string as MQTT knows it: well-formed UTF-8 without U+0000, at most 65,535 bytes, in the bytes
/// of its packet.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Str<B>(B);

impl<B: Storage> Str<B> {
    /// Checks `bytes` once; every reader relies on it.
    ///
    /// # Errors
    /// [`StringError`] says what is wrong with them.
    pub fn new(bytes: B) -> Result<Self, StringError> {
        check_len(bytes.as_ref())?;
        check(bytes.as_ref())?;
        Ok(Self(bytes))
    }

    pub(crate) const fn new_unchecked(bytes: B) -> Self {
        Self(bytes)
    }

    /// The bytes, without their length prefix.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// The text. Costs one more UTF-8 check (no unsafe code here); compare bytes where speed
    /// matters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        utf8(self.0.as_ref())
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_empty()
    }

    /// The bytes in their storage.
    #[must_use]
    pub fn into_inner(self) -> B {
        self.0
    }
}

impl<B: Storage> fmt::Debug for Str<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl<B: Storage> fmt::Display for Str<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl<B: Storage> PartialEq<str> for Str<B> {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<B: Storage> PartialEq<&str> for Str<B> {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

impl<'a> Str<&'a [u8]> {
    /// As `try_from`, where the compiler cannot tell that borrowed text is meant.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn borrowed(text: &'a str) -> Result<Self, StringError> {
        Self::new(text.as_bytes())
    }
}

impl<'a> TryFrom<&'a str> for Str<&'a [u8]> {
    type Error = StringError;

    fn try_from(text: &'a str) -> Result<Self, StringError> {
        Self::new(text.as_bytes())
    }
}

#[cfg(feature = "bytes")]
impl TryFrom<&str> for Str<bytes::Bytes> {
    type Error = StringError;

    fn try_from(text: &str) -> Result<Self, StringError> {
        Self::new(bytes::Bytes::copy_from_slice(text.as_bytes()))
    }
}

#[cfg(feature = "bytes")]
impl TryFrom<alloc::string::String> for Str<bytes::Bytes> {
    type Error = StringError;

    fn try_from(text: alloc::string::String) -> Result<Self, StringError> {
        Self::new(text.into())
    }
}

/// Why bytes are not a UTF-8 Encoded String, or not a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum StringError {
    /// A length prefix has 16 bits.
    #[error("it is longer than 65,535 bytes [section 1.5.4]")]
    TooLong,
    /// Not well-formed UTF-8.
    #[error("it is not well-formed UTF-8 [MQTT-1.5.4-1]")]
    InvalidUtf8,
    /// U+0000 is in it.
    #[error("it contains U+0000 [MQTT-1.5.4-2]")]
    Nul,
    /// Topic names and filters have at least one character.
    #[error("it is empty; a topic has at least one character [MQTT-4.7.3-1]")]
    Empty,
    /// A wildcard in a topic name, or where a filter may not have one.
    #[error(
        "a topic name has no wildcards; in a filter each fills a level, and # the last [MQTT-4.7.1-1]"
    )]
    Wildcard,
    /// `$share/` without a share name and a filter after it, or with a wildcard in the name.
    #[error("a shared subscription is $share/name/filter [MQTT-4.8.2-2]")]
    Share,
}

impl StringError {
    pub(crate) const fn in_topic_name(self) -> DecodeErrorKind {
        match self {
            Self::Wildcard => DecodeErrorKind::TopicNameWildcard,
            Self::Empty => DecodeErrorKind::TopicNameEmpty,
            _ => self.in_string(),
        }
    }

    pub(crate) const fn in_topic_filter(self) -> DecodeErrorKind {
        match self {
            Self::Wildcard => DecodeErrorKind::TopicFilterWildcard,
            Self::Empty => DecodeErrorKind::TopicFilterEmpty,
            Self::Share => DecodeErrorKind::SharedFilter,
            _ => self.in_string(),
        }
    }

    pub(crate) const fn in_string(self) -> DecodeErrorKind {
        match self {
            Self::Nul => DecodeErrorKind::NulCharacter,
            _ => DecodeErrorKind::InvalidUtf8,
        }
    }
}

pub(crate) const fn check_len(bytes: &[u8]) -> Result<(), StringError> {
    if bytes.len() > u16::MAX as usize { Err(StringError::TooLong) } else { Ok(()) }
}

/// Bytes that passed [`check`] read as text.
pub(crate) fn utf8(bytes: &[u8]) -> &str {
    steps::add(bytes.len());
    core::str::from_utf8(bytes).expect("checked when the value was made")
}

/// Well-formed and free of U+0000. ASCII is checked sixteen bytes at a time; anything else goes
/// through `std`'s check.
#[inline]
pub(crate) fn check(bytes: &[u8]) -> Result<(), StringError> {
    if is_plain(bytes) { Ok(()) } else { check_slow(bytes) }
}

/// As [`check`], and free of wildcards: a topic name of any length.
#[inline]
pub(crate) fn check_topic_name(bytes: &[u8]) -> Result<(), StringError> {
    if is_plain_name(bytes) { Ok(()) } else { check_topic_name_slow(bytes) }
}

#[cold]
fn check_topic_name_slow(bytes: &[u8]) -> Result<(), StringError> {
    steps::add(bytes.len());
    check_slow(bytes)?;
    let wildcard = bytes.iter().any(|&byte| byte == b'#' || byte == b'+');
    if wildcard { Err(StringError::Wildcard) } else { Ok(()) }
}

/// Whether there is nothing but ASCII and no U+0000.
#[inline(never)]
fn is_plain(bytes: &[u8]) -> bool {
    all(bytes, |byte| byte.wrapping_sub(1) < 0x7f)
}

/// As [`is_plain`], and no wildcard.
#[inline(never)]
pub(crate) fn is_plain_name(bytes: &[u8]) -> bool {
    all(bytes, |byte| (byte.wrapping_sub(1) < 0x7f) & (byte & !8 != b'#'))
}

#[cold]
fn check_slow(bytes: &[u8]) -> Result<(), StringError> {
    steps::add(2 * bytes.len());
    let text = core::str::from_utf8(bytes).map_err(|_| StringError::InvalidUtf8)?;
    if text.as_bytes().contains(&0) { Err(StringError::Nul) } else { Ok(()) }
}

/// Whether every byte passes, sixteen at a time, which compilers turn into a few instructions; the
/// last sixteen overlap those before them.
#[inline(always)]
fn all(bytes: &[u8], pass: impl Fn(u8) -> bool + Copy) -> bool {
    steps::add(bytes.len());
    if let Some(last) = bytes.last_chunk::<16>() {
        let mut rest = bytes;
        while let Some((first, behind)) = rest.split_first_chunk::<16>() {
            if !all_of(first, pass) {
                return false;
            }
            rest = behind;
        }
        return all_of(last, pass);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        return all_of(first, pass) & all_of(last, pass);
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return all_of(first, pass) & all_of(last, pass);
    }
    bytes.iter().all(|&byte| pass(byte))
}

#[inline(always)]
fn all_of<const N: usize>(bytes: &[u8; N], pass: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(true, |all, &byte| all & pass(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_check_agrees_with_std_on_every_byte_at_every_place() {
        for len in 0..50 {
            for place in 0..len {
                for byte in 0..=255u8 {
                    let mut text = [b'a'; 50];
                    text[place] = byte;
                    let text = &text[..len];
                    let valid = core::str::from_utf8(text).is_ok() && byte != 0;
                    assert_eq!(check(text).is_ok(), valid, "{text:?}");
                    let plain = valid && byte != b'#' && byte != b'+';
                    assert_eq!(check_topic_name(text).is_ok(), plain, "{text:?}");
                }
            }
        }
    }
}
