//! The 27 properties of MQTT 5.0 (section 2.2.2): one table, from which everything else follows.
//!
//! A property list stays what it is on the wire, one slice in the order it came, checked once and
//! walked again on demand. Nothing is allocated for it, and forwarding it is a copy, which is what
//! [MQTT-3.3.2-17] and [MQTT-3.3.2-18] ask for.

mod builder;
mod parts;
mod value;

use core::fmt;

use self::value::{Kind, Value, Values};
use crate::{
    DecodeError, DecodeErrorKind, EncodeError, PacketType, Role, Storage,
    wire::{self, Cursor},
};

#[cfg(feature = "bytes")]
pub use builder::PropertiesBuilder;
pub use builder::PropertyError;

/// Whose list it is: a packet's, or the Will Properties inside CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PropertyOwner {
    /// The property list in the variable header of a packet.
    Packet(PacketType),
    /// The Will Properties in the payload of CONNECT, section 3.1.3.2.
    Will,
}

impl PropertyOwner {
    const fn bit(self) -> u16 {
        match self {
            Self::Packet(packet) => packet.bit(),
            Self::Will => WILL,
        }
    }

    /// Whether several Subscription Identifiers may be in the list [section 3.3.2.3.8].
    const fn may_repeat_identifiers(self) -> bool {
        matches!(self, Self::Packet(PacketType::Publish))
    }

    /// The properties that `sender` may put into this list; `None` for either.
    pub(crate) const fn allowed(self, sender: Option<Role>) -> PropertySet {
        let set = ALLOWED[self.bit().trailing_zeros() as usize];
        match (self, sender) {
            // [MQTT-3.3.4-6]
            (Self::Packet(PacketType::Publish), Some(Role::Client)) => {
                set.without(PropertyId::SubscriptionIdentifier)
            }
            // [MQTT-3.14.2-2]
            (Self::Packet(PacketType::Disconnect), Some(Role::Server)) => {
                set.without(PropertyId::SessionExpiryInterval)
            }
            (Self::Packet(PacketType::Disconnect), Some(Role::Client)) => {
                set.without(PropertyId::ServerReference)
            }
            _ => set,
        }
    }
}

/// Bit 0 stands for no packet type, so the Will Properties take it.
const WILL: u16 = 1;

macro_rules! properties {
    ($($(#[$doc:meta])* $id:literal $name:ident($value:ty) $getter:ident $kind:ident [$($owner:ident)*];)*) => {
        /// The identifier of a property, section 2.2.2.2.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum PropertyId {
            $($(#[$doc])* $name = $id,)*
        }

        impl PropertyId {
            /// All of them, by number.
            pub const ALL: [Self; 27] = [$(Self::$name,)*];

            /// The property of this number, if there is one.
            #[must_use]
            pub const fn new(id: u8) -> Option<Self> {
                match id {
                    $($id => Some(Self::$name),)*
                    _ => None,
                }
            }

            #[inline]
            const fn kind(self) -> Kind {
                KINDS[self as usize]
            }
        }

        /// What follows the identifier of this number; of a number that no property has, nothing
        /// is ever read.
        static KINDS: [Kind; 64] = {
            let mut kinds = [Kind::Flag; 64];
            $(kinds[$id] = Kind::$kind;)*
            kinds
        };

        /// One property and its value, borrowed from its list.
        ///
        /// Its `Debug` form does not show authentication data.
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Property<'a> {
            $($(#[$doc])* $name($value),)*
        }

        impl Property<'_> {
            /// Which property this is.
            #[must_use]
            pub const fn id(&self) -> PropertyId {
                match self {
                    $(Self::$name(..) => PropertyId::$name,)*
                }
            }

            pub(crate) const fn debug_value(&self) -> &dyn fmt::Debug {
                match self {
                    $(Self::$name(value) => value,)*
                }
            }
        }

        impl<'a> Property<'a> {
            fn from_value(id: PropertyId, value: Value<'a>) -> Self {
                match id {
                    $(PropertyId::$name => Self::$name(value.into()),)*
                }
            }

            fn value(self) -> Value<'a> {
                match self {
                    $(Self::$name(value) => value.into(),)*
                }
            }
        }

        const ALLOWED: [PropertySet; 16] = {
            let mut allowed = [PropertySet::EMPTY; 16];
            let mut owner = 0;
            while owner < 16 {
                $(if (0 $(| owner_bit!($owner))*) & (1 << owner) != 0 {
                    allowed[owner] = allowed[owner].with(PropertyId::$name);
                })*
                owner += 1;
            }
            allowed
        };

        properties!(@getters $($(#[$doc])* $name($value) $getter;)*);
    };
    // The two properties that may occur more than once have iterators of their own.
    (@getters $($(#[$doc:meta])* $name:ident($value:ty) $getter:ident;)*) => {
        #[allow(clippy::needless_lifetimes, reason = "the type of the value may name it")]
        impl<B: Storage> Properties<B> {
            $($(#[$doc])*
            ///
            /// `None` where it is absent; the first one where there are several.
            #[must_use]
            pub fn $getter<'a>(&'a self) -> Option<$value> {
                match self.find(PropertyId::$name)? {
                    Property::$name(value) => Some(value),
                    _ => None,
                }
            }
            )*
        }
    };
}

macro_rules! owner_bit {
    (Will) => {
        WILL
    };
    ($packet:ident) => {
        PacketType::$packet.bit()
    };
}

properties! {
    /// Whether the payload is UTF-8 text (section 3.3.2.3.2).
    0x01 PayloadFormatIndicator(bool) payload_format_indicator Flag [Publish Will];
    /// Seconds until the message is of no use (section 3.3.2.3.3).
    0x02 MessageExpiryInterval(u32) message_expiry_interval FourByte [Publish Will];
    /// What the payload is, usually a MIME type (section 3.3.2.3.9).
    0x03 ContentType(&'a str) content_type Text [Publish Will];
    /// Where an answer is expected (section 3.3.2.3.5).
    0x08 ResponseTopic(&'a str) response_topic Topic [Publish Will];
    /// Which request an answer belongs to (section 3.3.2.3.6).
    0x09 CorrelationData(&'a [u8]) correlation_data Binary [Publish Will];
    /// The number a subscription was given, 1 to 268,435,455 (section 3.8.2.1.2).
    0x0B SubscriptionIdentifier(u32) subscription_identifier NonZeroVarInt [Publish Subscribe];
    /// Seconds a session outlives its connection, 0xFFFFFFFF for ever (section 3.1.2.11.2).
    0x11 SessionExpiryInterval(u32) session_expiry_interval FourByte [Connect ConnAck Disconnect];
    /// The client identifier that the server chose (section 3.2.2.3.7).
    0x12 AssignedClientIdentifier(&'a str) assigned_client_identifier Text [ConnAck];
    /// The keep alive, in seconds, that the client must use (section 3.2.2.3.14).
    0x13 ServerKeepAlive(u16) server_keep_alive TwoByte [ConnAck];
    /// The name of the authentication method (section 3.1.2.11.9).
    0x15 AuthenticationMethod(&'a str) authentication_method Text [Connect ConnAck Auth];
    /// Data of that method (section 3.1.2.11.10).
    0x16 AuthenticationData(&'a [u8]) authentication_data Binary [Connect ConnAck Auth];
    /// Whether the server may send reason strings and user properties (section 3.1.2.11.7).
    0x17 RequestProblemInformation(bool) request_problem_information Flag [Connect];
    /// Seconds between the loss of a connection and its will (section 3.1.3.2.2).
    0x18 WillDelayInterval(u32) will_delay_interval FourByte [Will];
    /// Whether the server should send Response Information (section 3.1.2.11.6).
    0x19 RequestResponseInformation(bool) request_response_information Flag [Connect];
    /// A basis for response topics (section 3.2.2.3.15).
    0x1A ResponseInformation(&'a str) response_information Text [ConnAck];
    /// Another server to use (section 4.11).
    0x1C ServerReference(&'a str) server_reference Text [ConnAck Disconnect];
    /// A text for people (section 3.2.2.3.9).
    0x1F ReasonString(&'a str) reason_string Text
        [ConnAck PubAck PubRec PubRel PubComp SubAck UnsubAck Disconnect Auth];
    /// How many PUBLISH of QoS 1 and 2 the sender takes before it acknowledges one (section 3.1.2.11.3).
    0x21 ReceiveMaximum(u16) receive_maximum NonZeroTwoByte [Connect ConnAck];
    /// The highest topic alias the sender takes (section 3.1.2.11.5).
    0x22 TopicAliasMaximum(u16) topic_alias_maximum TwoByte [Connect ConnAck];
    /// A number that stands for the topic name (section 3.3.2.3.4).
    0x23 TopicAlias(u16) topic_alias NonZeroTwoByte [Publish];
    /// Whether QoS 1 rather than 0 is the highest the server takes (section 3.2.2.3.4).
    0x24 MaximumQoS(bool) maximum_qos Flag [ConnAck];
    /// Whether the server keeps retained messages (section 3.2.2.3.5).
    0x25 RetainAvailable(bool) retain_available Flag [ConnAck];
    /// A name and a value of the application's own; may occur often (section 3.1.2.11.8).
    0x26 UserProperty((&'a str, &'a str)) user_property Pair
        [Connect ConnAck Publish Will PubAck PubRec PubRel PubComp Subscribe SubAck Unsubscribe UnsubAck
         Disconnect Auth];
    /// The largest packet the sender takes, in bytes (section 3.1.2.11.4).
    0x27 MaximumPacketSize(u32) maximum_packet_size NonZeroFourByte [Connect ConnAck];
    /// Whether filters may have wildcards (section 3.2.2.3.11).
    0x28 WildcardSubscriptionAvailable(bool) wildcard_subscription_available Flag [ConnAck];
    /// Whether subscriptions may have identifiers (section 3.2.2.3.12).
    0x29 SubscriptionIdentifierAvailable(bool) subscription_identifier_available Flag [ConnAck];
    /// Whether `$share` filters work (section 3.2.2.3.13).
    0x2A SharedSubscriptionAvailable(bool) shared_subscription_available Flag [ConnAck];
}

/// A set of properties, as bits by their number.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PropertySet(u64);

impl PropertySet {
    /// No property.
    pub const EMPTY: Self = Self(0);
    const ALL: Self = {
        let (mut all, mut at) = (Self::EMPTY, 0);
        while at < PropertyId::ALL.len() {
            all = all.with(PropertyId::ALL[at]);
            at += 1;
        }
        all
    };

    /// Set beside the property's own bit when a Subscription Identifier occurs again: legal in
    /// PUBLISH only.
    const MANY_SUBSCRIPTION_IDENTIFIERS: u64 = 1 << 63;

    /// The bit of a number, and none of one that no property has.
    #[inline(always)]
    const fn bit(number: u8) -> u64 {
        if number < 63 { 1 << number } else { 0 }
    }

    /// Whether there is none in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// With this one.
    #[must_use]
    pub const fn with(self, id: PropertyId) -> Self {
        Self(self.0 | 1 << id as u8)
    }

    /// Without this one.
    #[must_use]
    pub const fn without(self, id: PropertyId) -> Self {
        Self(self.0 & !(1 << id as u8))
    }

    /// Whether this one is in it.
    #[must_use]
    pub const fn contains(self, id: PropertyId) -> bool {
        self.0 & 1 << id as u8 != 0
    }

    /// Whether the two have a property in common.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn iter(self) -> impl Iterator<Item = PropertyId> {
        PropertyId::ALL.into_iter().filter(move |&id| self.contains(id))
    }
}

impl fmt::Debug for PropertySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// A property list, checked once: its bytes on the wire, without the length before them.
///
/// Made by the decoder, by [`Properties::new`] or by [`PropertiesBuilder`]. The order of the list
/// is kept. The getters walk the list, after a look at a bit set: an absent property costs one
/// instruction.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Properties<B> {
    block: B,
    set: PropertySet,
}

impl<B: Storage> Properties<B> {
    /// Whether there is no property.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.set.0 == 0
    }

    /// Which properties there are.
    #[must_use]
    pub const fn set(&self) -> PropertySet {
        self.set
    }

    /// The list as it is on the wire, without its length.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.block.as_ref()
    }

    /// The same list, borrowed.
    #[must_use]
    #[inline]
    pub fn as_ref(&self) -> Properties<&[u8]> {
        Properties { block: self.block.as_ref(), set: self.set }
    }

    /// All properties, in their order.
    pub fn iter(&self) -> impl Iterator<Item = Property<'_>> {
        Values::new(self.block.as_ref()).map(|(id, value)| Property::from_value(id, value))
    }

    /// All user properties, in their order.
    pub fn user_properties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter_map(|property| match property {
            Property::UserProperty(pair) => Some(pair),
            _ => None,
        })
    }

    /// All subscription identifiers, in their order.
    pub fn subscription_identifiers(&self) -> impl Iterator<Item = u32> {
        let present = self.set.contains(PropertyId::SubscriptionIdentifier);
        let block = if present { self.block.as_ref() } else { &[] };
        Values::new(block).filter_map(|(id, value)| match (id, value) {
            (PropertyId::SubscriptionIdentifier, Value::Number(number)) => Some(number),
            _ => None,
        })
    }

    /// Checks a list as it is on the wire, without its length.
    ///
    /// # Errors
    /// What is wrong with it: an identifier unknown or not allowed here, a property twice, an
    /// illegal value.
    pub fn from_wire(block: B, owner: PropertyOwner) -> Result<Self, DecodeErrorKind> {
        if block.as_ref().len() > wire::MAX_VARINT as usize {
            return Err(DecodeErrorKind::VarIntTooLong);
        }
        let set = check(Cursor::over(block.as_ref()), owner, None).map_err(DecodeError::kind)?;
        Ok(Self { block, set })
    }

    pub(crate) const fn new_unchecked(block: B, set: PropertySet) -> Self {
        Self { block, set }
    }

    pub(crate) fn map<C>(self, f: &mut impl FnMut(B) -> C) -> Properties<C> {
        Properties { block: f(self.block), set: self.set }
    }

    fn find(&self, wanted: PropertyId) -> Option<Property<'_>> {
        if !self.set.contains(wanted) {
            return None;
        }
        Values::new(self.block.as_ref())
            .find(|&(id, _)| id == wanted)
            .map(|(id, value)| Property::from_value(id, value))
    }

    /// That the list may be sent by `owner`: one comparison of bits.
    #[inline]
    pub(crate) fn check_owner(&self, owner: PropertyOwner) -> Result<(), EncodeError> {
        if self.is_empty() {
            return Ok(());
        }
        let mut allowed = owner.allowed(None).0;
        if owner.may_repeat_identifiers() {
            allowed |= PropertySet::MANY_SUBSCRIPTION_IDENTIFIERS;
        }
        if self.set.0 & !allowed == 0 {
            return Ok(());
        }
        Err(match PropertySet(self.set.0 & !allowed).iter().next() {
            Some(id) => EncodeError::PropertyNotAllowed(id),
            None => EncodeError::PropertyTwice(PropertyId::SubscriptionIdentifier),
        })
    }

    /// The list and its length prefix.
    #[inline]
    pub(crate) fn encoded_len(&self) -> usize {
        self.encoded_len_with(0)
    }

    /// As [`encoded_len`](Self::encoded_len), with so many bytes more in the list.
    #[inline]
    pub(crate) fn encoded_len_with(&self, added: usize) -> usize {
        let len = self.block.as_ref().len() + added;
        wire::varint_len(len as u32) as usize + len
    }
}

impl<B: Storage> fmt::Debug for Properties<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(feature = "bytes")]
impl Properties<bytes::Bytes> {
    /// No property.
    pub const EMPTY: Self = Self { block: bytes::Bytes::new(), set: PropertySet::EMPTY };

    /// A list of these properties, in this order.
    ///
    /// ```
    /// # use mqtt_proto::{Properties, Property};
    /// let properties = Properties::new([
    ///     Property::ContentType("text/plain"),
    ///     Property::UserProperty(("room", "kitchen")),
    /// ])?;
    /// assert_eq!(properties.content_type(), Some("text/plain"));
    /// # Ok::<_, mqtt_proto::PropertyError>(())
    /// ```
    ///
    /// # Errors
    /// As [`PropertiesBuilder::push`].
    pub fn new<'a>(
        properties: impl IntoIterator<Item = Property<'a>>,
    ) -> Result<Self, PropertyError> {
        let mut builder = PropertiesBuilder::new();
        for property in properties {
            builder.push(property)?;
        }
        Ok(builder.build())
    }
}

/// The set with `id`, or `None` if it may not occur again.
#[inline]
const fn note(set: PropertySet, id: PropertyId) -> Option<PropertySet> {
    if !set.contains(id) {
        return Some(set.with(id));
    }
    match id {
        PropertyId::UserProperty => Some(set),
        PropertyId::SubscriptionIdentifier => {
            Some(PropertySet(set.0 | PropertySet::MANY_SUBSCRIPTION_IDENTIFIERS))
        }
        _ => None,
    }
}

/// Checks a whole list in one pass. An error points at the identifier of the property at fault.
pub(crate) fn check(
    mut list: Cursor<'_>,
    owner: PropertyOwner,
    sender: Option<Role>,
) -> Result<PropertySet, DecodeError> {
    let allowed = owner.allowed(sender);
    // What may not come again, once it is there.
    let single = if owner.may_repeat_identifiers() {
        PropertySet::ALL
            .without(PropertyId::UserProperty)
            .without(PropertyId::SubscriptionIdentifier)
    } else {
        PropertySet::ALL.without(PropertyId::UserProperty)
    };
    let mut set = PropertySet::EMPTY;
    while !list.is_empty() {
        let start = list;
        let [number] = list.array()?;
        let bit = PropertySet::bit(number);
        if bit & allowed.0 == 0 || bit & set.0 & single.0 != 0 {
            return Err(start.fault(refuse(number, allowed)));
        }
        if bit & set.0 & IDENTIFIER != 0 {
            set.0 |= PropertySet::MANY_SUBSCRIPTION_IDENTIFIERS;
        }
        set.0 |= bit;
        if let Err(kind) = value::check_next(number, KINDS[usize::from(number & 63)], &mut list) {
            return Err(start.fault(kind));
        }
    }
    Ok(set)
}

const IDENTIFIER: u64 = PropertySet::EMPTY.with(PropertyId::SubscriptionIdentifier).0;

/// Why a property of this number may not come next.
#[cold]
fn refuse(number: u8, allowed: PropertySet) -> DecodeErrorKind {
    match PropertyId::new(number) {
        None => DecodeErrorKind::PropertyUnknown(number),
        Some(id) if allowed.contains(id) => DecodeErrorKind::PropertyTwice(id),
        Some(id) => DecodeErrorKind::PropertyNotAllowed(id),
    }
}
