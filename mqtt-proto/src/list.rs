//! The lists in the payloads of SUBSCRIBE, UNSUBSCRIBE, SUBACK and UNSUBACK: checked once, kept as
//! they are on the wire, never empty.

mod buffer;

use core::fmt;

use crate::{
    DecodeError, DecodeErrorKind, EncodeError, PacketType, ProtocolVersion, ReasonCode, Role,
    Storage, StringError, SubscriptionOptions, TopicFilter,
    topic::{check_filter, check_share},
    wire::{Context, Cursor},
};

/// The filters of a SUBSCRIBE with their options.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubscribeFilters<B>(B);

/// The filters of an UNSUBSCRIBE.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnsubscribeFilters<B>(B);

/// The reason codes of a SUBACK or UNSUBACK, in the order of the filters they answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReasonCodes<B>(B);

#[inline]
fn checked_filter<'a>(
    cursor: &mut Cursor<'a>,
    version: ProtocolVersion,
) -> Result<TopicFilter<&'a [u8]>, DecodeError> {
    let filter = cursor.checked(|filter| {
        match version {
            // 3.1.1 has no shared subscriptions, so there every such text is a filter.
            ProtocolVersion::V311 => check_filter(filter),
            ProtocolVersion::V5 => check_share(filter).and_then(|()| check_filter(filter)),
        }
        .map_err(StringError::in_topic_filter)
    })?;
    Ok(TopicFilter::new_unchecked(filter))
}

/// That what came from a 3.1.1 packet, where `$share/` means nothing, may go into one of 5.0.
fn check_shares<'a>(
    mut filters: impl Iterator<Item = TopicFilter<&'a [u8]>>,
) -> Result<(), EncodeError> {
    if filters.all(|filter| check_share(filter.into_inner()).is_ok()) {
        Ok(())
    } else {
        Err(EncodeError::SharedFilter)
    }
}

fn next_filter<'a>(cursor: &mut Cursor<'a>) -> Option<TopicFilter<&'a [u8]>> {
    cursor.binary().ok().map(TopicFilter::new_unchecked)
}

impl<B: Storage> SubscribeFilters<B> {
    /// Reads the rest of a packet.
    pub(crate) fn check_wire(mut cursor: Cursor<'_>, context: Context) -> Result<(), DecodeError> {
        if cursor.is_empty() {
            return Err(cursor.fault(DecodeErrorKind::NoTopicFilter));
        }
        while !cursor.is_empty() {
            let filter = checked_filter(&mut cursor, context.version)?;
            let at = cursor;
            match SubscriptionOptions::from_byte(cursor.u8()?, context.version) {
                // [MQTT-3.8.3-4]
                Ok(options) if options.no_local && filter.shared().is_some() => {
                    return Err(at.fault(DecodeErrorKind::NoLocalShared));
                }
                Ok(_) => {}
                Err(kind) => return Err(at.fault(kind)),
            }
        }
        Ok(())
    }

    /// The filters and their options, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (TopicFilter<&[u8]>, SubscriptionOptions)> {
        let mut cursor = Cursor::over(self.0.as_ref());
        core::iter::from_fn(move || {
            let filter = next_filter(&mut cursor)?;
            let options = SubscriptionOptions::from_byte(cursor.u8().ok()?, ProtocolVersion::V5);
            Some((filter, options.ok()?))
        })
    }

    pub(crate) fn check(&self, version: ProtocolVersion) -> Result<(), EncodeError> {
        match version {
            ProtocolVersion::V311 if self.iter().any(|(_, options)| options.to_byte() > 3) => {
                Err(EncodeError::NotInV311("a subscription option beside the QoS"))
            }
            ProtocolVersion::V311 => Ok(()),
            ProtocolVersion::V5 => check_shares(self.iter().map(|(filter, _)| filter)),
        }
    }
}

impl<B: Storage> UnsubscribeFilters<B> {
    /// Reads the rest of a packet.
    pub(crate) fn check_wire(mut cursor: Cursor<'_>, context: Context) -> Result<(), DecodeError> {
        if cursor.is_empty() {
            return Err(cursor.fault(DecodeErrorKind::NoTopicFilter));
        }
        while !cursor.is_empty() {
            checked_filter(&mut cursor, context.version)?;
        }
        Ok(())
    }

    /// The filters, in their order.
    pub fn iter(&self) -> impl Iterator<Item = TopicFilter<&[u8]>> {
        let mut cursor = Cursor::over(self.0.as_ref());
        core::iter::from_fn(move || next_filter(&mut cursor))
    }

    pub(crate) fn check(&self, version: ProtocolVersion) -> Result<(), EncodeError> {
        match version {
            ProtocolVersion::V311 => Ok(()),
            ProtocolVersion::V5 => check_shares(self.iter()),
        }
    }
}

impl<B: Storage> ReasonCodes<B> {
    /// Reads the rest of a packet.
    pub(crate) fn check_wire(
        mut cursor: Cursor<'_>,
        packet: PacketType,
        context: Context,
    ) -> Result<(), DecodeError> {
        if cursor.is_empty() {
            return Err(cursor.fault(DecodeErrorKind::NoReasonCode));
        }
        while !cursor.is_empty() {
            cursor.reason(packet, context)?;
        }
        Ok(())
    }

    /// The codes, in the order of the filters.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ReasonCode> {
        self.0.as_ref().iter().copied().map(ReasonCode::new)
    }

    pub(crate) fn check(
        &self,
        packet: PacketType,
        version: ProtocolVersion,
    ) -> Result<(), EncodeError> {
        if self.0.as_ref().is_empty() {
            return Err(EncodeError::NoReasonCode);
        }
        for code in self.iter() {
            if code.nearest_in(version, packet) != code {
                return Err(EncodeError::NotInV311("a SUBACK reason code above 0x80"));
            }
            if !code.is_legal_in(packet, Role::Server) {
                return Err(EncodeError::ReasonCode(code));
            }
        }
        Ok(())
    }
}

/// No codes: what the UNSUBACK of 3.1.1 has.
impl<B: Storage> Default for ReasonCodes<B> {
    fn default() -> Self {
        Self(B::default())
    }
}

impl<B: Storage> fmt::Debug for SubscribeFilters<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<B: Storage> fmt::Debug for UnsubscribeFilters<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<B: Storage> fmt::Debug for ReasonCodes<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

macro_rules! wire_block {
    ($($name:ident)*) => {$(
        impl<B: Storage> $name<B> {
            /// The list as it is on the wire.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                self.0.as_ref()
            }

            pub(crate) const fn new_unchecked(list: B) -> Self {
                Self(list)
            }

            pub(crate) fn map<C>(self, f: &mut impl FnMut(B) -> C) -> $name<C> {
                $name(f(self.0))
            }
        }
    )*};
}

wire_block! { SubscribeFilters UnsubscribeFilters ReasonCodes }

#[cfg(feature = "bytes")]
mod owned {
    use alloc::vec::Vec;

    use bytes::Bytes;

    use super::*;

    impl SubscribeFilters<Bytes> {
        /// A list of these filters, in this order; a QoS alone will do for the options.
        ///
        /// # Errors
        /// [`EncodeError::NoTopicFilter`] if there is none, [`EncodeError::NoLocalShared`].
        pub fn new<B: Storage, O: Into<SubscriptionOptions>>(
            filters: impl IntoIterator<Item = (TopicFilter<B>, O)>,
        ) -> Result<Self, EncodeError> {
            let mut block = Vec::new();
            for (filter, options) in filters {
                let options = options.into();
                if options.no_local && filter.shared().is_some() {
                    return Err(EncodeError::NoLocalShared);
                }
                push(&mut block, filter.as_bytes());
                block.push(options.to_byte());
            }
            if block.is_empty() { Err(EncodeError::NoTopicFilter) } else { Ok(Self(block.into())) }
        }
    }

    impl UnsubscribeFilters<Bytes> {
        /// A list of these filters, in this order.
        ///
        /// # Errors
        /// [`EncodeError::NoTopicFilter`] if there is none.
        pub fn new<B: Storage>(
            filters: impl IntoIterator<Item = TopicFilter<B>>,
        ) -> Result<Self, EncodeError> {
            let mut block = Vec::new();
            for filter in filters {
                push(&mut block, filter.as_bytes());
            }
            if block.is_empty() { Err(EncodeError::NoTopicFilter) } else { Ok(Self(block.into())) }
        }
    }

    impl FromIterator<ReasonCode> for ReasonCodes<Bytes> {
        fn from_iter<T: IntoIterator<Item = ReasonCode>>(codes: T) -> Self {
            Self(codes.into_iter().map(ReasonCode::get).collect::<Vec<u8>>().into())
        }
    }

    /// A filter behind its length, which fits: it was checked when the filter was made.
    fn push(block: &mut Vec<u8>, filter: &[u8]) {
        block.extend_from_slice(&(filter.len() as u16).to_be_bytes());
        block.extend_from_slice(filter);
    }
}
