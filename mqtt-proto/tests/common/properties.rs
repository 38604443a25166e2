//! Which property belongs where, how often and with which values, from `data/properties-5.0.tsv`: every property in
//! every list in every state, read and written.

use std::fmt;

use bytes::{Bytes, BytesMut};
use mqtt_proto::*;

use super::{
    number, rows,
    wire::{behind_u16, behind_varint, frame, varint},
};

const TABLE: &str = include_str!("../data/properties-5.0.tsv");

/// A row of the table.
pub(crate) struct Row {
    pub(crate) id: PropertyId,
    pub(crate) kind: &'static str,
    pub(crate) packets: Vec<&'static str>,
    pub(crate) occurs: &'static str,
    pub(crate) values: &'static str,
}

/// What a list has of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Absent,
    Once,
    Twice,
    Least,
    Most,
    Illegal,
}

/// A property in a list in a state.
pub(crate) struct Cell<'a> {
    pub(crate) row: &'a Row,
    pub(crate) name: &'static str,
    pub(crate) owner: PropertyOwner,
    pub(crate) state: State,
}

/// Why bytes are refused, and the reason code for the wire.
type Fault = (DecodeErrorKind, u8);

impl State {
    pub(crate) const ALL: [Self; 6] =
        [Self::Absent, Self::Once, Self::Twice, Self::Least, Self::Most, Self::Illegal];
}

pub(crate) fn table() -> Vec<Row> {
    let row = |[id, name, kind, packets, occurs, values, _]: [&'static str; 7]| {
        let id = PropertyId::new(number(id)).unwrap();
        assert_eq!(format!("{id:?}"), name.replace(' ', ""));
        Row { id, kind, packets: packets.split(',').collect(), occurs, values }
    };
    rows(TABLE).map(row).collect()
}

/// The 15 packets and the will.
pub(crate) fn owners() -> impl Iterator<Item = (&'static str, PropertyOwner)> {
    let packets = PacketType::ALL.map(|packet| (packet.name(), PropertyOwner::Packet(packet)));
    packets.into_iter().chain([("WILL", PropertyOwner::Will)])
}

/// The packet that a list travels in.
pub(crate) const fn carrier(owner: PropertyOwner) -> PacketType {
    match owner {
        PropertyOwner::Packet(packet) => packet,
        PropertyOwner::Will => PacketType::Connect,
    }
}

impl Row {
    /// Whether the table has it in this list.
    pub(crate) fn belongs_in(&self, name: &str) -> bool {
        self.packets.contains(&name)
    }

    /// Who may send it in this packet: what the standard says beside the table.
    pub(crate) fn may_come_from(&self, name: &str, sender: Role) -> bool {
        match (self.id, name, sender) {
            // [MQTT-3.3.4-6]
            (PropertyId::SubscriptionIdentifier, "PUBLISH", Role::Client) => false,
            // [MQTT-3.14.2-2]
            (PropertyId::SessionExpiryInterval, "DISCONNECT", Role::Server) => false,
            // Section 3.14.2.2.5: the server sends it.
            (PropertyId::ServerReference, "DISCONNECT", Role::Client) => false,
            _ => self.belongs_in(name),
        }
    }

    pub(crate) fn may_occur_again(&self, name: &str) -> bool {
        match self.occurs {
            "once" => false,
            "many" => true,
            _ => name == "PUBLISH",
        }
    }

    /// A list with this value, which is bytes, behind the identifier.
    pub(crate) fn with(&self, value: &[u8]) -> Vec<u8> {
        [&[self.id as u8], value].concat()
    }

    fn least_number(&self) -> u8 {
        u8::from(self.values.starts_with("1.."))
    }

    /// The smallest legal value on the wire, one in the middle, and the largest.
    pub(crate) fn values(&self) -> [Vec<u8>; 3] {
        let least = self.least_number();
        let long = behind_u16(&[b'a'; 65_535]);
        match self.kind {
            "u8" => [vec![0], vec![1], vec![1]],
            "u16" => [vec![0, least], vec![1, 2], vec![0xff; 2]],
            "u32" => [vec![0, 0, 0, least], vec![1, 2, 3, 4], vec![0xff; 4]],
            "varint" => [vec![1], vec![0xac, 0x02], vec![0xff, 0xff, 0xff, 0x7f]],
            // A topic name, which may not be empty.
            "string" if self.id == PropertyId::ResponseTopic => {
                [behind_u16(b"a"), behind_u16(b"a/b"), long]
            }
            "string" => [behind_u16(b""), behind_u16(b"text"), long],
            "binary" => [behind_u16(b""), behind_u16(&[0, 0xff]), behind_u16(&[0xff; 65_535])],
            "string_pair" => [
                [behind_u16(b""), behind_u16(b"")].concat(),
                [behind_u16(b"name"), behind_u16(b"value")].concat(),
                [long.clone(), long].concat(),
            ],
            kind => panic!("{kind}"),
        }
    }

    /// Values that are not legal, and what they are refused for.
    fn illegal(&self) -> Vec<(Vec<u8>, Fault)> {
        let zero = match self.id {
            PropertyId::TopicAlias => 0x94,
            _ => 0x82,
        };
        let out_of_range = (DecodeErrorKind::PropertyValue(self.id), zero);
        let not_utf8 = (DecodeErrorKind::InvalidUtf8, 0x81);
        let nul = (DecodeErrorKind::NulCharacter, 0x81);
        let mut illegal = match self.kind {
            "u8" => (2..=255).map(|byte| (vec![byte], out_of_range)).collect(),
            "u16" if self.least_number() == 1 => vec![(vec![0; 2], out_of_range)],
            "u32" if self.least_number() == 1 => vec![(vec![0; 4], out_of_range)],
            "varint" => vec![
                (vec![0], out_of_range),
                (vec![0x81, 0], (DecodeErrorKind::VarIntNotMinimal, 0x81)),
                (vec![0x80, 0x80, 0x80, 0x80, 1], (DecodeErrorKind::VarIntTooLong, 0x81)),
            ],
            "string" => vec![(behind_u16(&[0xff]), not_utf8), (behind_u16(b"a\0"), nul)],
            "string_pair" => vec![
                ([behind_u16(&[0xff]), behind_u16(b"v")].concat(), not_utf8),
                ([behind_u16(b"n"), behind_u16(&[0xff])].concat(), not_utf8),
                ([behind_u16(b"\0"), behind_u16(b"v")].concat(), nul),
                ([behind_u16(b"n"), behind_u16(b"\0")].concat(), nul),
            ],
            _ => vec![],
        };
        if self.id == PropertyId::ResponseTopic {
            let wildcard = (DecodeErrorKind::TopicNameWildcard, 0x90);
            illegal.push((behind_u16(b""), out_of_range));
            illegal.push((behind_u16(b"a/+"), wildcard));
            illegal.push((behind_u16(b"a/#"), wildcard));
        }
        // Cut short, which no type survives.
        let [_, once, _] = self.values();
        let cut = |len| (once[..len].to_vec(), (DecodeErrorKind::PropertyLength, 0x81));
        illegal.extend((0..once.len()).map(cut));
        illegal
    }

    /// What a caller might ask to be written although it is not legal.
    fn unwritable(&self) -> Vec<(Property<'static>, PropertyError)> {
        let id = self.id;
        let value = PropertyError::Value(id);
        let text = |error| PropertyError::Text(id, error);
        match id {
            PropertyId::TopicAlias => vec![(Property::TopicAlias(0), value)],
            PropertyId::ReceiveMaximum => vec![(Property::ReceiveMaximum(0), value)],
            PropertyId::MaximumPacketSize => vec![(Property::MaximumPacketSize(0), value)],
            PropertyId::SubscriptionIdentifier => vec![
                (Property::SubscriptionIdentifier(0), value),
                (Property::SubscriptionIdentifier(268_435_456), value),
            ],
            PropertyId::ContentType => {
                vec![(Property::ContentType("a\0"), text(StringError::Nul))]
            }
            PropertyId::ResponseTopic => vec![
                (Property::ResponseTopic(""), text(StringError::Empty)),
                (Property::ResponseTopic("a\0"), text(StringError::Nul)),
                (Property::ResponseTopic("a/+"), text(StringError::Wildcard)),
                (Property::ResponseTopic("a/#"), text(StringError::Wildcard)),
            ],
            PropertyId::AssignedClientIdentifier => {
                vec![(Property::AssignedClientIdentifier("\0"), text(StringError::Nul))]
            }
            PropertyId::AuthenticationMethod => {
                vec![(Property::AuthenticationMethod("\0"), text(StringError::Nul))]
            }
            PropertyId::ResponseInformation => {
                vec![(Property::ResponseInformation("\0"), text(StringError::Nul))]
            }
            PropertyId::ServerReference => {
                vec![(Property::ServerReference("\0"), text(StringError::Nul))]
            }
            PropertyId::ReasonString => {
                vec![(Property::ReasonString("\0"), text(StringError::Nul))]
            }
            PropertyId::UserProperty => vec![
                (Property::UserProperty(("\0", "v")), text(StringError::Nul)),
                (Property::UserProperty(("n", "\0")), text(StringError::Nul)),
            ],
            // Their types have legal values only.
            _ => vec![],
        }
    }
}

/// All of them: 27 properties in 16 lists in 6 states.
pub(crate) fn matrix(table: &[Row]) -> impl Iterator<Item = Cell<'_>> {
    table.iter().flat_map(|row| {
        owners().flat_map(move |(name, owner)| {
            State::ALL.into_iter().map(move |state| Cell { row, name, owner, state })
        })
    })
}

impl Cell<'_> {
    /// The lists of this state, and what is wrong with them where the property belongs.
    fn lists(&self) -> Vec<(Vec<u8>, Option<Fault>)> {
        let Self { row, name, state, .. } = self;
        let [least, once, most] = row.values();
        match state {
            State::Absent => vec![(Vec::new(), None)],
            State::Once => vec![(row.with(&once), None)],
            State::Twice => {
                let again = (DecodeErrorKind::PropertyTwice(row.id), 0x82);
                let fault = (!row.may_occur_again(name)).then_some(again);
                vec![(row.with(&once).repeat(2), fault)]
            }
            State::Least => vec![(row.with(&least), None)],
            State::Most => vec![(row.with(&most), None)],
            State::Illegal => row
                .illegal()
                .into_iter()
                .map(|(value, fault)| (row.with(&value), Some(fault)))
                .collect(),
        }
    }

    /// What must be in the list as well, so that nothing but the property is at fault: data of a method needs one, and
    /// so does AUTH.
    fn companion(&self) -> Option<Property<'static>> {
        let wants = self.name == "AUTH"
            || self.name == "CONNECT" && self.row.id == PropertyId::AuthenticationData;
        (wants && self.row.id != PropertyId::AuthenticationMethod)
            .then_some(Property::AuthenticationMethod("m"))
    }

    /// That each list is accepted or refused, for the right reason, when it comes from `sender`.
    pub(crate) fn check_decoding(
        &self,
        sender: Role,
        assert: &mut dyn FnMut(bool, fmt::Arguments<'_>),
    ) {
        let companion = if self.companion().is_some() { &b"\x15\0\x01m"[..] } else { &[] };
        for (list, fault) in self.lists() {
            let whole = [companion, &list].concat();
            let bytes = packet(self.owner, &whole);
            let expected = match self.expected(sender, fault) {
                None => Ok(whole),
                Some(fault) => Err(fault),
            };
            let decoded = match Decoder::new(sender, ProtocolVersion::V5).decode(&bytes) {
                Ok(Status::Ready((packet, _))) => Ok(list_of(&packet, self.owner)),
                Ok(Status::NeedMore(_)) => Ok(None),
                Err(error) => Err((error.kind(), error.reason_code().get())),
            };
            let holds = match (&decoded, &expected) {
                (Ok(Some(found)), Ok(list)) => found == list,
                (Ok(None), Ok(list)) => list.is_empty() && self.name.starts_with("PING"),
                (Err(found), Err(fault)) => found == fault,
                _ => false,
            };
            let short = &bytes[..bytes.len().min(40)];
            let is = decoded.map(|_| "accepted");
            let should = expected.map(|_| "accepted");
            assert(
                holds,
                format_args!("{self} from a {sender:?}, {short:02x?}: {is:?}, not {should:?}"),
            );
        }
    }

    /// Why a packet with this list is refused, if the list has this fault.
    fn expected(&self, sender: Role, fault: Option<Fault>) -> Option<Fault> {
        let Self { row, name, owner, state } = self;
        let packet = carrier(*owner);
        if !packet.may_be_sent_by(sender) {
            return Some((DecodeErrorKind::WrongSender(packet), 0x82));
        }
        if *state == State::Absent {
            let needed = *name == "AUTH" && row.id == PropertyId::AuthenticationMethod;
            return needed.then_some((DecodeErrorKind::NoAuthenticationMethod, 0x82));
        }
        if name.starts_with("PING") {
            return Some((DecodeErrorKind::TrailingBytes, 0x81));
        }
        if !row.may_come_from(name, sender) {
            return Some((DecodeErrorKind::PropertyNotAllowed(row.id), 0x81));
        }
        fault
    }

    /// That each list can be made and written, or not, for the right reason; and byte for byte as expected.
    pub(crate) fn check_encoding(&self, assert: &mut dyn FnMut(bool, fmt::Arguments<'_>)) {
        let Self { row, name, owner, state } = self;
        let belongs = row.belongs_in(name);
        for (list, fault) in self.lists() {
            let made = Properties::from_wire(&list[..], *owner).map(|list| list.iter().count());
            let expected = match fault {
                _ if !belongs && *state != State::Absent => {
                    Err(DecodeErrorKind::PropertyNotAllowed(row.id))
                }
                Some((kind, _)) => Err(kind),
                None => Ok(match state {
                    State::Absent => 0,
                    State::Twice => 2,
                    _ => 1,
                }),
            };
            assert(made == expected, format_args!("{self} made: {made:?}, not {expected:?}"));
        }
        if *state == State::Illegal {
            for (property, error) in row.unwritable() {
                let made = Properties::new([property]).map(|_| ());
                assert(made == Err(error), format_args!("{self} {property:?} made: {made:?}"));
            }
            return;
        }
        for (list, _) in self.lists() {
            self.check_encoded(&list, assert);
        }
    }

    fn check_encoded(&self, list: &[u8], assert: &mut dyn FnMut(bool, fmt::Arguments<'_>)) {
        let Self { row, name, owner, state } = self;
        let one = &list[..list.len() / if *state == State::Twice { 2 } else { 1 }];
        let home = owners().find(|(name, _)| row.belongs_in(name)).unwrap().1;
        let one = Properties::from_wire(one, home).unwrap();
        let again = one.iter().next().filter(|_| *state == State::Twice);
        let listed = self.companion().into_iter().chain(one.iter()).chain(again);
        let properties = match Properties::new(listed) {
            Ok(properties) => properties,
            Err(error) => {
                let twice = *state == State::Twice && row.occurs == "once";
                let expected = twice && error == PropertyError::Twice(row.id);
                return assert(expected, format_args!("{self} made: {error:?}"));
            }
        };
        let (is, bytes) = match value(*owner, &properties) {
            Some(packet) => {
                let mut out = BytesMut::new();
                let len = packet.encoded_len(ProtocolVersion::V5).map(|_| ());
                let is = packet.encode(ProtocolVersion::V5, &mut out);
                assert(is == len, format_args!("{self} encoded: {is:?}, its length {len:?}"));
                (is, out)
            }
            // There is no place for a list in it.
            None => return assert(name.starts_with("PING"), format_args!("{self} has no list")),
        };
        let belongs = row.belongs_in(name);
        let absent = *state == State::Absent;
        let should = if absent && *name == "AUTH" && row.id == PropertyId::AuthenticationMethod {
            Err(EncodeError::NoAuthenticationMethod)
        } else if !absent && !belongs {
            Err(EncodeError::PropertyNotAllowed(row.id))
        } else if *state == State::Twice && !row.may_occur_again(name) {
            Err(EncodeError::PropertyTwice(row.id))
        } else {
            Ok(())
        };
        assert(is == should, format_args!("{self} encoded: {is:?}, not {should:?}"));
        let companion = if self.companion().is_some() { &b"\x15\0\x01m"[..] } else { &[] };
        let written = match should {
            Ok(()) => shortest(*owner, &[companion, list].concat()),
            Err(_) => vec![],
        };
        assert(bytes == written, format_args!("{self} encoded as {:02x?}", &bytes[..]));
    }
}

impl fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in {}, {:?}", self.row.id, self.name, self.state)
    }
}

fn list_of(packet: &PacketRef<'_>, owner: PropertyOwner) -> Option<Vec<u8>> {
    let list = match (packet, owner) {
        (Packet::Connect(connect), PropertyOwner::Will) => {
            connect.will.as_ref().map(|will| &will.message.properties)
        }
        _ => packet.properties(),
    };
    list.map(|list| list.as_bytes().to_vec())
}

/// A packet with this list, the other fields as short as they go.
pub(crate) fn packet(owner: PropertyOwner, list: &[u8]) -> Vec<u8> {
    let behind_length = behind_varint(list);
    let connect = b"\0\x04MQTT\x05";
    let PropertyOwner::Packet(packet) = owner else {
        let head = [4, 0, 0, 0, 0, 0];
        return frame(0x10, &[connect, &head, &behind_length, b"\0\x01w\0\0"]);
    };
    let (before, after): (&[u8], &[u8]) = match packet {
        PacketType::Connect => (b"\0\x04MQTT\x05\0\0\0", &[0, 0]),
        PacketType::ConnAck => (&[0, 0], &[]),
        PacketType::Publish => (b"\0\x01a", &[]),
        PacketType::PubAck | PacketType::PubRec | PacketType::PubRel | PacketType::PubComp => {
            (&[0, 1, 0], &[])
        }
        PacketType::Subscribe => (&[0, 1], b"\0\x01a\0"),
        PacketType::SubAck | PacketType::UnsubAck => (&[0, 1], &[0]),
        PacketType::Unsubscribe => (&[0, 1], b"\0\x01a"),
        PacketType::PingReq | PacketType::PingResp if list.is_empty() => {
            return vec![(packet as u8) << 4, 0];
        }
        PacketType::PingReq | PacketType::PingResp => (&[], &[]),
        PacketType::Disconnect => (&[0], &[]),
        PacketType::Auth => (&[0x18], &[]),
    };
    let flags = match packet {
        PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe => 2,
        _ => 0,
    };
    frame((packet as u8) << 4 | flags, &[before, &behind_length, after])
}

/// What the encoder writes of that packet: success and an empty list go without saying.
fn shortest(owner: PropertyOwner, list: &[u8]) -> Vec<u8> {
    let whole = packet(owner, list);
    match owner {
        PropertyOwner::Packet(
            PacketType::PubAck | PacketType::PubRec | PacketType::PubRel | PacketType::PubComp,
        ) if list.is_empty() => frame(whole[0], &[&whole[2..4]]),
        PropertyOwner::Packet(PacketType::Disconnect) if list.is_empty() => frame(whole[0], &[]),
        _ => whole,
    }
}

/// The value of that packet, if it has a place for a list.
fn value(owner: PropertyOwner, list: &Properties<Bytes>) -> Option<Packet<Bytes>> {
    let (id, reason, properties) = (PacketId::MIN, ReasonCode::SUCCESS, list.clone());
    let message = |topic| Message {
        topic: TopicName::try_from(topic).unwrap(),
        payload: Bytes::new(),
        properties: list.clone(),
    };
    let mut connect = Connect::new(ProtocolVersion::V5, Str::try_from("").unwrap());
    (connect.keep_alive, connect.clean_start) = (0, false);
    let PropertyOwner::Packet(packet) = owner else {
        let qos = QoS::AtMostOnce;
        connect.will = Some(Publication { qos, retain: false, message: message("w") });
        return Some(Packet::Connect(connect));
    };
    let ack = || Ack { id, reason, properties: properties.clone() };
    let codes = || [reason].into_iter().collect();
    let filter = TopicFilter::<Bytes>::try_from("a").unwrap();
    Some(match packet {
        PacketType::Connect => {
            connect.properties = properties;
            Packet::Connect(connect)
        }
        PacketType::ConnAck => {
            Packet::ConnAck(ConnAck { session_present: false, reason, properties })
        }
        PacketType::Publish => {
            let delivery = Delivery::AtMostOnce;
            Packet::Publish(Publish { delivery, retain: false, message: message("a") })
        }
        PacketType::PubAck => Packet::PubAck(ack()),
        PacketType::PubRec => Packet::PubRec(ack()),
        PacketType::PubRel => Packet::PubRel(ack()),
        PacketType::PubComp => Packet::PubComp(ack()),
        PacketType::Subscribe => {
            let filters = SubscribeFilters::new([(filter, QoS::AtMostOnce)]).unwrap();
            Packet::Subscribe(Subscribe { id, properties, filters })
        }
        PacketType::SubAck => Packet::SubAck(SubAck { id, codes: codes(), properties }),
        PacketType::Unsubscribe => {
            let filters = UnsubscribeFilters::new([filter]).unwrap();
            Packet::Unsubscribe(Unsubscribe { id, properties, filters })
        }
        PacketType::UnsubAck => Packet::UnsubAck(UnsubAck { id, codes: codes(), properties }),
        PacketType::PingReq | PacketType::PingResp => return None,
        PacketType::Disconnect => Packet::Disconnect(Disconnect { reason, properties }),
        PacketType::Auth => {
            let reason = ReasonCode::CONTINUE_AUTHENTICATION;
            Packet::Auth(Auth { reason, properties })
        }
    })
}

/// A list of one property by its number, for those that are no property.
pub(crate) fn numbered(number: u32, value: &[u8]) -> Vec<u8> {
    [&varint(number)[..], value].concat()
}
