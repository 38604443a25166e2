//! Lists written into a buffer of the caller, for those without an allocator.

use super::{ReasonCodes, SubscribeFilters, UnsubscribeFilters};
use crate::{EncodeError, ReasonCode, Storage, SubscriptionOptions, TopicFilter};

impl<'a> SubscribeFilters<&'a [u8]> {
    /// A list of these filters, in this order, in the caller's buffer; a QoS alone will do for the
    /// options. Each takes its length and 3 bytes.
    ///
    /// # Errors
    /// [`EncodeError::BufferTooSmall`], and [`EncodeError::NoTopicFilter`] if there is none,
    /// [`EncodeError::NoLocalShared`].
    pub fn in_buffer<B: Storage, O: Into<SubscriptionOptions>>(
        buffer: &'a mut [u8],
        filters: impl IntoIterator<Item = (TopicFilter<B>, O)>,
    ) -> Result<Self, EncodeError> {
        let mut list = List::new(buffer);
        for (filter, options) in filters {
            let options = options.into();
            if options.no_local && filter.shared().is_some() {
                return Err(EncodeError::NoLocalShared);
            }
            list.push_filter(filter.as_bytes())?;
            list.push(&[options.to_byte()])?;
        }
        list.finish(EncodeError::NoTopicFilter).map(Self)
    }
}

impl<'a> UnsubscribeFilters<&'a [u8]> {
    /// A list of these filters, in this order, in the caller's buffer. Each takes its length and 2
    /// bytes.
    ///
    /// # Errors
    /// [`EncodeError::BufferTooSmall`], and [`EncodeError::NoTopicFilter`] if there is none.
    pub fn in_buffer<B: Storage>(
        buffer: &'a mut [u8],
        filters: impl IntoIterator<Item = TopicFilter<B>>,
    ) -> Result<Self, EncodeError> {
        let mut list = List::new(buffer);
        for filter in filters {
            list.push_filter(filter.as_bytes())?;
        }
        list.finish(EncodeError::NoTopicFilter).map(Self)
    }
}

impl<'a> ReasonCodes<&'a [u8]> {
    /// A list of these codes, in this order, in the caller's buffer. Each takes one byte.
    ///
    /// # Errors
    /// [`EncodeError::BufferTooSmall`], and [`EncodeError::NoReasonCode`] if there is none.
    pub fn in_buffer(
        buffer: &'a mut [u8],
        codes: impl IntoIterator<Item = ReasonCode>,
    ) -> Result<Self, EncodeError> {
        let mut list = List::new(buffer);
        for code in codes {
            list.push(&[code.get()])?;
        }
        list.finish(EncodeError::NoReasonCode).map(Self)
    }
}

struct List<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> List<'a> {
    const fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        let end = self.len + bytes.len();
        let room = self.buffer.get_mut(self.len..end).ok_or(EncodeError::BufferTooSmall)?;
        room.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// A filter behind its length, which fits: it was checked when the filter was made.
    fn push_filter(&mut self, filter: &[u8]) -> Result<(), EncodeError> {
        self.push(&(filter.len() as u16).to_be_bytes())?;
        self.push(filter)
    }

    fn finish(self, empty: EncodeError) -> Result<&'a [u8], EncodeError> {
        if self.len == 0 { Err(empty) } else { Ok(&self.buffer[..self.len]) }
    }
}
