//! Packets out of arbitrary bytes: every packet of both versions, with everything that may be in
//! it, and one in two with things in it that may not.

use alloc::{borrow::ToOwned, string::String, vec, vec::Vec};

use arbitrary::{Arbitrary, Result, Unstructured};
use bytes::Bytes;

use super::oracle;
use crate::{
    Ack, Auth, ConnAck, Connect, Delivery, Disconnect, Message, Packet, PacketId, PacketType,
    Properties, PropertiesBuilder, Property, PropertyError, PropertyId, PropertyOwner,
    ProtocolVersion, Publication, Publish, QoS, ReasonCode, ReasonCodes, RetainHandling, Role, Str,
    SubAck, Subscribe, SubscribeFilters, SubscriptionOptions, TopicFilter, TopicName, UnsubAck,
    Unsubscribe, UnsubscribeFilters,
};

/// A packet, who sends it and on a connection of which version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Who sends it.
    pub sender: Role,
    /// What the connection speaks.
    pub version: ProtocolVersion,
    /// Whether this sender may send it there; if not so, it may be legal by chance.
    pub legal: bool,
    /// What is sent.
    pub packet: Packet<Bytes>,
}

impl<'a> Arbitrary<'a> for Sent {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        let options = input.arbitrary::<u8>()?;
        let sender = if options & 1 == 0 { Role::Client } else { Role::Server };
        let version = if options & 2 == 0 { ProtocolVersion::V311 } else { ProtocolVersion::V5 };
        let legal = options & 4 == 0;
        let packet = Draw { input, sender, version, legal, had_long: false }.packet()?;
        Ok(Self { sender, version, legal, packet })
    }
}

/// Draws values from bytes. All are legal, but where `legal` is false one choice in eight is not
/// made with care.
struct Draw<'u, 'a> {
    input: &'u mut Unstructured<'a>,
    sender: Role,
    version: ProtocolVersion,
    legal: bool,
    had_long: bool,
}

impl Draw<'_, '_> {
    fn packet(&mut self) -> Result<Packet<Bytes>> {
        let packet = self.packet_type()?;
        Ok(match packet {
            PacketType::Connect => Packet::Connect(self.connect()?),
            PacketType::ConnAck => {
                let reason = self.reason(packet)?;
                let may_be_present = reason == ReasonCode::SUCCESS || self.is_careless()?;
                let session_present = may_be_present && self.flag()?;
                let properties = self.properties(PropertyOwner::Packet(packet))?;
                Packet::ConnAck(ConnAck { session_present, reason, properties })
            }
            PacketType::Publish => Packet::Publish(self.publish()?),
            PacketType::PubAck => Packet::PubAck(self.ack(packet)?),
            PacketType::PubRec => Packet::PubRec(self.ack(packet)?),
            PacketType::PubRel => Packet::PubRel(self.ack(packet)?),
            PacketType::PubComp => Packet::PubComp(self.ack(packet)?),
            PacketType::Subscribe => {
                let (id, properties) = self.id_and_properties(packet)?;
                Packet::Subscribe(Subscribe { id, properties, filters: self.subscriptions()? })
            }
            PacketType::SubAck => {
                let (id, properties) = self.id_and_properties(packet)?;
                Packet::SubAck(SubAck { id, properties, codes: self.reasons(packet)? })
            }
            PacketType::Unsubscribe => {
                let (id, properties) = self.id_and_properties(packet)?;
                let filters = self.some(Self::topic_filter)?;
                let filters = UnsubscribeFilters::new(filters).expect("there is one");
                Packet::Unsubscribe(Unsubscribe { id, properties, filters })
            }
            PacketType::UnsubAck => {
                let (id, properties) = self.id_and_properties(packet)?;
                Packet::UnsubAck(UnsubAck { id, properties, codes: self.reasons(packet)? })
            }
            PacketType::PingReq => Packet::PingReq,
            PacketType::PingResp => Packet::PingResp,
            PacketType::Disconnect => {
                let reason = self.reason(packet)?;
                let properties = self.properties(PropertyOwner::Packet(packet))?;
                Packet::Disconnect(Disconnect { reason, properties })
            }
            PacketType::Auth => {
                let reason = self.reason(packet)?;
                let properties = self.properties(PropertyOwner::Packet(packet))?;
                let bare_success = reason == ReasonCode::SUCCESS && properties.is_empty();
                let properties = self.with_method(properties, !bare_success)?;
                Packet::Auth(Auth { reason, properties })
            }
        })
    }

    fn connect(&mut self) -> Result<Connect<Bytes>> {
        let other = self.is_careless()? && self.flag()?;
        let version = match (self.version, other) {
            (version, false) => version,
            (ProtocolVersion::V311, true) => ProtocolVersion::V5,
            (ProtocolVersion::V5, true) => ProtocolVersion::V311,
        };
        let mut connect = Connect::new(version, self.string()?);
        connect.clean_start = self.flag()?;
        connect.keep_alive = self.input.arbitrary()?;
        let properties = self.properties(PropertyOwner::Packet(PacketType::Connect))?;
        let has_data = properties.authentication_data().is_some();
        connect.properties = self.with_method(properties, has_data)?;
        if self.flag()? {
            connect.user_name = Some(self.string()?);
        }
        let may_have_password = connect.user_name.is_some()
            || self.version == ProtocolVersion::V5
            || self.is_careless()?;
        if may_have_password && self.flag()? {
            connect.password = Some(self.bytes()?);
        }
        if self.flag()? {
            connect.will = Some(self.will()?);
        }
        Ok(connect)
    }

    fn will(&mut self) -> Result<Publication<Bytes>> {
        let (qos, retain) = (self.qos()?, self.flag()?);
        let topic = if self.is_careless()? { TopicName::default() } else { self.topic_name()? };
        let properties = self.properties(PropertyOwner::Will)?;
        let payload = self.bytes()?;
        Ok(Publication { qos, retain, message: Message { topic, payload, properties } })
    }

    fn publish(&mut self) -> Result<Publish<Bytes>> {
        let delivery = match (self.qos()?, self.packet_id()?, self.flag()?) {
            (QoS::AtMostOnce, ..) => Delivery::AtMostOnce,
            (QoS::AtLeastOnce, id, dup) => Delivery::AtLeastOnce { id, dup },
            (QoS::ExactlyOnce, id, dup) => Delivery::ExactlyOnce { id, dup },
        };
        let retain = self.flag()?;
        let properties = self.properties(PropertyOwner::Packet(PacketType::Publish))?;
        let may_be_empty = properties.topic_alias().is_some() || self.is_careless()?;
        let topic =
            if may_be_empty && self.flag()? { TopicName::default() } else { self.topic_name()? };
        let payload = self.bytes()?;
        Ok(Publish { delivery, retain, message: Message { topic, payload, properties } })
    }

    fn ack(&mut self, packet: PacketType) -> Result<Ack<Bytes>> {
        let (id, properties) = self.id_and_properties(packet)?;
        Ok(Ack { id, reason: self.reason(packet)?, properties })
    }

    fn subscriptions(&mut self) -> Result<SubscribeFilters<Bytes>> {
        let mut list = Vec::new();
        for filter in self.some(Self::topic_filter)? {
            let mut options = SubscriptionOptions::new(self.qos()?);
            if self.version == ProtocolVersion::V5 || self.is_careless()? {
                options.no_local = self.flag()? && filter.shared().is_none();
                options.retain_as_published = self.flag()?;
                options.retain_handling = *self.input.choose(&[
                    RetainHandling::Send,
                    RetainHandling::SendIfNew,
                    RetainHandling::DoNotSend,
                ])?;
            }
            if filter.shared().is_some() {
                let refused = SubscriptionOptions { no_local: true, ..options };
                assert!(SubscribeFilters::new([(filter.clone(), refused)]).is_err());
            }
            list.push((filter, options));
        }
        Ok(SubscribeFilters::new(list).expect("all of it is legal"))
    }

    fn id_and_properties(&mut self, packet: PacketType) -> Result<(PacketId, Properties<Bytes>)> {
        Ok((self.packet_id()?, self.properties(PropertyOwner::Packet(packet))?))
    }

    fn reasons(&mut self, packet: PacketType) -> Result<ReasonCodes<Bytes>> {
        let none = packet == PacketType::UnsubAck && self.version == ProtocolVersion::V311;
        if none != self.is_careless()? {
            return Ok(ReasonCodes::default());
        }
        Ok(self.some(|draw| draw.reason(packet))?.into_iter().collect())
    }

    /// The next code from any on that is legal.
    fn reason(&mut self, packet: PacketType) -> Result<ReasonCode> {
        let any = self.input.arbitrary::<u8>()?;
        if self.is_careless()? {
            return Ok(ReasonCode::new(any));
        }
        let legal = |code: &ReasonCode| match (self.version, packet) {
            (ProtocolVersion::V5, _) => code.is_legal_in(packet, self.sender),
            (_, PacketType::ConnAck) => code.connect_return_code().is_some(),
            (_, PacketType::SubAck) => [0, 1, 2, 0x80].contains(&code.get()),
            _ => *code == ReasonCode::SUCCESS,
        };
        let mut codes = (0..=255).map(|step| ReasonCode::new(any.wrapping_add(step)));
        // No code is legal where the careless took a packet that this side may not send.
        Ok(codes.find(legal).unwrap_or_default())
    }

    /// The next type from any on that is legal.
    fn packet_type(&mut self) -> Result<PacketType> {
        let any = usize::from(self.input.arbitrary::<u8>()?);
        let careless = self.is_careless()?;
        let legal = |packet: &PacketType| match (self.version, packet) {
            (ProtocolVersion::V311, PacketType::Auth) => false,
            (ProtocolVersion::V311, PacketType::Disconnect) => self.sender == Role::Client,
            (_, packet) => packet.may_be_sent_by(self.sender),
        };
        let mut types = PacketType::ALL.into_iter().cycle().skip(any % PacketType::ALL.len());
        Ok(types.find(|packet| careless || legal(packet)).expect("some are"))
    }

    fn properties(&mut self, owner: PropertyOwner) -> Result<Properties<Bytes>> {
        let mut builder = PropertiesBuilder::new();
        if self.version == ProtocolVersion::V311 && !self.is_careless()? {
            return Ok(builder.build());
        }
        let allowed: Vec<_> = oracle::allowed(owner, Some(self.sender)).collect();
        let mut seen = Vec::new();
        for _ in 0..self.input.int_in_range(0..=9)? {
            let id = if self.is_careless()? || allowed.is_empty() {
                *self.input.choose(&PropertyId::ALL)?
            } else {
                PropertyId::new(*self.input.choose(&allowed)?).expect("it is in the table")
            };
            let again = seen.contains(&id);
            let may_repeat = id == PropertyId::UserProperty
                || id == PropertyId::SubscriptionIdentifier
                    && (!self.legal || owner == PropertyOwner::Packet(PacketType::Publish));
            let careless = self.is_careless()?;
            if again && !may_repeat && !careless {
                continue;
            }
            let (number, text, other) = (self.input.arbitrary()?, self.text()?, self.text()?);
            let outcome = if careless {
                builder.push(property(id, number, &text, &other))
            } else {
                let topic = topic_name_of(&text);
                let text = if id == PropertyId::ResponseTopic { &topic } else { &text };
                builder.push(property(id, legal_number(id, number), text, &other))
            };
            match outcome {
                Ok(_) => seen.push(id),
                Err(PropertyError::Twice(twice)) => assert!(twice == id && again),
                Err(error) => assert!(careless, "{error}"),
            }
        }
        Ok(builder.build())
    }

    /// With an authentication method where one is `needed`.
    fn with_method(&mut self, list: Properties<Bytes>, needed: bool) -> Result<Properties<Bytes>> {
        if !needed || list.authentication_method().is_some() || self.is_careless()? {
            return Ok(list);
        }
        let name = self.text()?;
        let method = Property::AuthenticationMethod(&name);
        Ok(Properties::new(list.iter().chain([method])).expect("it was not there"))
    }

    fn packet_id(&mut self) -> Result<PacketId> {
        Ok(PacketId::new(self.input.arbitrary()?).unwrap_or(PacketId::MAX))
    }

    fn qos(&mut self) -> Result<QoS> {
        let bits = self.input.arbitrary::<u8>()? & 3;
        let qos = QoS::try_from(bits);
        assert_eq!(qos.is_ok(), bits < 3);
        Ok(qos.unwrap_or_default())
    }

    fn topic_name(&mut self) -> Result<TopicName<Bytes>> {
        let text = self.text()?;
        let name = TopicName::try_from(&*text);
        assert_eq!(name.is_ok(), oracle::is_topic_name(text.as_bytes()));
        Ok(name.unwrap_or_else(|_| {
            TopicName::try_from(topic_name_of(&text)).expect("a legal topic name")
        }))
    }

    fn topic_filter(&mut self) -> Result<TopicFilter<Bytes>> {
        let mut text = self.text()?;
        match self.input.arbitrary::<u8>()? % 8 {
            0 => text.insert_str(0, "$share/"),
            1 => text.insert_str(0, "+/"),
            2 => text.push_str("/#"),
            3 => text.insert_str(0, "$share/group/"),
            _ => {}
        }
        let filter = TopicFilter::try_from(&*text);
        assert_eq!(filter.is_ok(), oracle::plain_filter(text.as_bytes()).is_some());
        Ok(filter.unwrap_or_else(|_| {
            let name = topic_name_of(text.trim_start_matches('$'));
            TopicFilter::try_from(shortened(name)).expect("a legal filter")
        }))
    }

    fn string(&mut self) -> Result<Str<Bytes>> {
        Ok(Str::try_from(self.text()?).expect("a legal text"))
    }

    /// Well-formed, without U+0000, short enough.
    fn text(&mut self) -> Result<String> {
        let bytes = self.bytes()?;
        Ok(shortened(String::from_utf8_lossy(&bytes).replace('\0', "0")))
    }

    /// A few, and once in a packet perhaps so many that a length takes more bytes.
    fn bytes(&mut self) -> Result<Bytes> {
        let len = self.input.arbitrary::<u8>()?;
        if len >= 0xfe && !self.had_long {
            self.had_long = true;
            // Around where a length takes two bytes, three, and does not fit.
            let near: &[usize] =
                if self.legal { &[128, 128, 16_384] } else { &[128, 128, 16_384, 65_540] };
            let near = *self.input.choose(near)?;
            let len = near - usize::from(self.input.arbitrary::<u8>()? % 40);
            return Ok(vec![self.input.arbitrary::<u8>()?; len].into());
        }
        let len = usize::from(len % 48).min(self.input.len());
        Ok(Bytes::copy_from_slice(self.input.bytes(len)?))
    }

    /// One or more.
    fn some<T>(&mut self, mut one: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let count = self.input.int_in_range(1..=5)?;
        (0..count).map(|_| one(self)).collect()
    }

    fn flag(&mut self) -> Result<bool> {
        self.input.arbitrary()
    }

    /// Whether to break a rule here.
    fn is_careless(&mut self) -> Result<bool> {
        if self.legal { Ok(false) } else { self.input.ratio(1u8, 8) }
    }
}

/// As much of it as a string may have.
fn shortened(mut text: String) -> String {
    let mut end = text.len().min(65_535);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// A topic name that is most of `text`.
fn topic_name_of(text: &str) -> String {
    let name = text.replace(['+', '#'], "_");
    if name.is_empty() { "/".to_owned() } else { name }
}

/// Into the range of this property.
fn legal_number(id: PropertyId, number: u32) -> u32 {
    match id {
        // Of every length alike.
        PropertyId::SubscriptionIdentifier => (number >> 4 >> (number & 31)).max(1),
        PropertyId::ReceiveMaximum | PropertyId::TopicAlias if number as u16 == 0 => 1,
        PropertyId::MaximumPacketSize => number.max(1),
        _ => number,
    }
}

/// This property, with a value made of these.
fn property<'a>(id: PropertyId, number: u32, text: &'a str, other: &'a str) -> Property<'a> {
    let flag = number & 1 != 0;
    let short = number as u16;
    match id {
        PropertyId::PayloadFormatIndicator => Property::PayloadFormatIndicator(flag),
        PropertyId::MessageExpiryInterval => Property::MessageExpiryInterval(number),
        PropertyId::ContentType => Property::ContentType(text),
        PropertyId::ResponseTopic => Property::ResponseTopic(text),
        PropertyId::CorrelationData => Property::CorrelationData(text.as_bytes()),
        PropertyId::SubscriptionIdentifier => Property::SubscriptionIdentifier(number),
        PropertyId::SessionExpiryInterval => Property::SessionExpiryInterval(number),
        PropertyId::AssignedClientIdentifier => Property::AssignedClientIdentifier(text),
        PropertyId::ServerKeepAlive => Property::ServerKeepAlive(short),
        PropertyId::AuthenticationMethod => Property::AuthenticationMethod(text),
        PropertyId::AuthenticationData => Property::AuthenticationData(text.as_bytes()),
        PropertyId::RequestProblemInformation => Property::RequestProblemInformation(flag),
        PropertyId::WillDelayInterval => Property::WillDelayInterval(number),
        PropertyId::RequestResponseInformation => Property::RequestResponseInformation(flag),
        PropertyId::ResponseInformation => Property::ResponseInformation(text),
        PropertyId::ServerReference => Property::ServerReference(text),
        PropertyId::ReasonString => Property::ReasonString(text),
        PropertyId::ReceiveMaximum => Property::ReceiveMaximum(short),
        PropertyId::TopicAliasMaximum => Property::TopicAliasMaximum(short),
        PropertyId::TopicAlias => Property::TopicAlias(short),
        PropertyId::MaximumQoS => Property::MaximumQoS(flag),
        PropertyId::RetainAvailable => Property::RetainAvailable(flag),
        PropertyId::UserProperty => Property::UserProperty((text, other)),
        PropertyId::MaximumPacketSize => Property::MaximumPacketSize(number),
        PropertyId::WildcardSubscriptionAvailable => Property::WildcardSubscriptionAvailable(flag),
        PropertyId::SubscriptionIdentifierAvailable => {
            Property::SubscriptionIdentifierAvailable(flag)
        }
        PropertyId::SharedSubscriptionAvailable => Property::SharedSubscriptionAvailable(flag),
    }
}
