//! A second reading of the rules, plain and slow on purpose: what the codec accepts must pass here
//! as well.

use alloc::{vec, vec::Vec};
use core::str::from_utf8;

use crate::{
    Packet, PacketType, Properties, PropertyOwner, ProtocolVersion, ReasonCode, Role, Storage,
    SubscribeFilters,
};

/// Section 1.5.4.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    bytes.len() <= 65_535 && from_utf8(bytes).is_ok_and(|text| !text.contains('\0'))
}

/// Section 4.7, without the wildcards.
pub(super) fn is_topic_name(bytes: &[u8]) -> bool {
    let wildcard = |byte: &u8| b"+#".contains(byte);
    is_text(bytes) && !bytes.is_empty() && !bytes.iter().any(wildcard)
}

/// Section 4.7, where `$share/` means nothing: in 3.1.1, and behind a share name.
pub(super) fn is_filter(bytes: &[u8]) -> bool {
    let Some(filter) = from_utf8(bytes).ok().filter(|_| is_text(bytes)) else { return false };
    let mut levels = filter.rsplit('/');
    let plain = |level: &str| level == "+" || !level.contains(['+', '#']);
    let last = levels.next().is_some_and(|last| last == "#" || plain(last));
    !filter.is_empty() && last && levels.all(plain)
}

/// Of a topic filter of 5.0 what names are matched with; `None` if it is not one. Section 4.8.2.
pub(super) fn plain_filter(bytes: &[u8]) -> Option<&str> {
    let filter = from_utf8(bytes).ok().filter(|_| is_text(bytes))?;
    let plain = match filter.strip_prefix("$share/") {
        None => filter,
        Some(shared) => {
            let (name, filter) = shared.split_once('/')?;
            if name.is_empty() || name.contains(['+', '#']) {
                return None;
            }
            filter
        }
    };
    is_filter(plain.as_bytes()).then_some(plain)
}

/// Whether a plain filter matches a name, section 4.7.
pub(super) fn matches(filter: &str, name: &str) -> bool {
    let hidden = name.starts_with('$') && filter.starts_with(['+', '#']);
    let (filter, name) =
        (filter.split('/').collect::<Vec<_>>(), name.split('/').collect::<Vec<_>>());
    !hidden && levels_match(&filter, &name)
}

fn levels_match(filter: &[&str], name: &[&str]) -> bool {
    match (filter, name) {
        (["#"], _) | ([], []) => true,
        ([], _) | (_, []) => false,
        ([wanted, filter @ ..], [level, name @ ..]) => {
            (*wanted == "+" || wanted == level) && levels_match(filter, name)
        }
    }
}

/// Section 1.5.5.
pub(super) fn varint(value: usize) -> Vec<u8> {
    if value < 128 {
        return vec![value as u8];
    }
    let mut bytes = vec![(value % 128) as u8 | 128];
    bytes.extend(varint(value / 128));
    bytes
}

#[derive(Clone, Copy)]
enum Shape {
    Flag,
    Short { least: u16 },
    Long { least: u32 },
    VarInt,
    Binary,
    Text,
    Topic,
    Pair,
}

/// Section 2.2.2.2; a will is packet 0.
const PROPERTIES: [(u8, Shape, &[u8]); 27] = {
    use Shape::*;
    [
        (1, Flag, &[3, 0]),
        (2, Long { least: 0 }, &[3, 0]),
        (3, Text, &[3, 0]),
        (8, Topic, &[3, 0]),
        (9, Binary, &[3, 0]),
        (11, VarInt, &[3, 8]),
        (17, Long { least: 0 }, &[1, 2, 14]),
        (18, Text, &[2]),
        (19, Short { least: 0 }, &[2]),
        (21, Text, &[1, 2, 15]),
        (22, Binary, &[1, 2, 15]),
        (23, Flag, &[1]),
        (24, Long { least: 0 }, &[0]),
        (25, Flag, &[1]),
        (26, Text, &[2]),
        (28, Text, &[2, 14]),
        (31, Text, &[2, 4, 5, 6, 7, 9, 11, 14, 15]),
        (33, Short { least: 1 }, &[1, 2]),
        (34, Short { least: 0 }, &[1, 2]),
        (35, Short { least: 1 }, &[3]),
        (36, Flag, &[2]),
        (37, Flag, &[2]),
        (38, Pair, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15]),
        (39, Long { least: 1 }, &[1, 2]),
        (40, Flag, &[2]),
        (41, Flag, &[2]),
        (42, Flag, &[2]),
    ]
};

/// The identifiers of the properties that this list may have from this side, `None` for either.
pub(super) fn allowed(owner: PropertyOwner, sender: Option<Role>) -> impl Iterator<Item = u8> {
    let owner = match owner {
        PropertyOwner::Packet(packet) => packet as u8,
        PropertyOwner::Will => 0,
    };
    let from_here = move |id| match (owner, id) {
        (3, 11) | (14, 28) => sender != Some(Role::Client),
        (14, 17) => sender != Some(Role::Server),
        _ => true,
    };
    let rows = PROPERTIES.iter().filter(move |(_, _, owners)| owners.contains(&owner));
    rows.map(|(id, ..)| *id).filter(move |&id| from_here(id))
}

/// The identifiers in a property list, in their order; `None` if the list is not legal.
pub(super) fn property_list(
    mut list: &[u8],
    owner: PropertyOwner,
    sender: Option<Role>,
) -> Option<Vec<u8>> {
    let mut ids = Vec::new();
    while let [id, value @ ..] = list {
        let (_, shape, _) = PROPERTIES.iter().find(|(known, ..)| known == id)?;
        let in_publish = owner == PropertyOwner::Packet(PacketType::Publish);
        let again = ids.contains(id) && !(*id == 38 || *id == 11 && in_publish);
        if again || !allowed(owner, sender).any(|allowed| allowed == *id) {
            return None;
        }
        ids.push(*id);
        list = value.get(value_len(*shape, value)?..)?;
    }
    Some(ids)
}

/// How many bytes a legal value takes.
fn value_len(shape: Shape, value: &[u8]) -> Option<usize> {
    let field = |at: usize| {
        let len = u16::from_be_bytes(*value.get(at..)?.first_chunk()?).into();
        value.get(at + 2..)?.get(..len)
    };
    let (legal, len) = match shape {
        Shape::Flag => (*value.first()? <= 1, 1),
        Shape::Short { least } => (u16::from_be_bytes(*value.first_chunk()?) >= least, 2),
        Shape::Long { least } => (u32::from_be_bytes(*value.first_chunk()?) >= least, 4),
        Shape::VarInt => {
            let len = value.iter().take(4).position(|&byte| byte < 128)? + 1;
            // 0 or a zero last byte: one byte fewer would have done, or nothing is said.
            (value[len - 1] != 0, len)
        }
        Shape::Binary => (true, 2 + field(0)?.len()),
        Shape::Text => (is_text(field(0)?), 2 + field(0)?.len()),
        Shape::Topic => (is_topic_name(field(0)?), 2 + field(0)?.len()),
        Shape::Pair => {
            let name = field(0)?;
            let value = field(2 + name.len())?;
            (is_text(name) && is_text(value), 4 + name.len() + value.len())
        }
    };
    legal.then_some(len)
}

/// That `sender` may say all of this in this version.
pub(super) fn check<B: Storage>(packet: &Packet<B>, sender: Role, version: ProtocolVersion) {
    let v311 = version == ProtocolVersion::V311;
    let of = packet.packet_type();
    let by_server = v311 && of == PacketType::Disconnect && sender == Role::Server;
    assert!(of.may_be_sent_by(sender) && !by_server, "{packet:?} from {sender:?}");
    if let Some(list) = packet.properties() {
        check_list(list, PropertyOwner::Packet(of), sender, version);
    }
    match packet {
        Packet::Connect(_) => check_connect(packet, version),
        Packet::ConnAck(packet) => {
            assert!(!packet.session_present || packet.reason == ReasonCode::SUCCESS);
            assert!(!v311 || packet.reason.connect_return_code().is_some());
            check_reason(packet.reason, of, sender);
        }
        Packet::Publish(packet) => {
            let topic = packet.message.topic.as_bytes();
            let aliased = topic.is_empty() && packet.message.properties.topic_alias().is_some();
            assert!(aliased || is_topic_name(topic));
        }
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            assert!(!v311 || ack.reason == ReasonCode::SUCCESS);
            check_reason(ack.reason, of, sender);
        }
        Packet::Subscribe(packet) => check_subscriptions(&packet.filters, version),
        Packet::Unsubscribe(packet) => {
            let mut len = 0;
            for filter in packet.filters.iter() {
                check_filter(filter.as_bytes(), version);
                len += 2 + filter.as_bytes().len();
            }
            assert_eq!(len, packet.filters.as_bytes().len());
            assert_ne!(len, 0);
        }
        Packet::SubAck(packet) => {
            assert_ne!(packet.codes.iter().len(), 0);
            for code in packet.codes.iter() {
                assert!(!v311 || [0, 1, 2, 0x80].contains(&code.get()));
                check_reason(code, of, sender);
            }
        }
        Packet::UnsubAck(packet) => {
            assert_eq!(packet.codes.iter().len() == 0, v311);
            packet.codes.iter().for_each(|code| check_reason(code, of, sender));
        }
        Packet::PingReq | Packet::PingResp => {}
        Packet::Disconnect(packet) => {
            assert!(!v311 || packet.reason == ReasonCode::SUCCESS);
            check_reason(packet.reason, of, sender);
        }
        Packet::Auth(packet) => {
            let bare_success = packet.reason == ReasonCode::SUCCESS && packet.properties.is_empty();
            assert!(bare_success || packet.properties.authentication_method().is_some());
            assert!(!v311);
            check_reason(packet.reason, of, sender);
        }
    }
}

fn check_connect<B: Storage>(packet: &Packet<B>, version: ProtocolVersion) {
    let Packet::Connect(packet) = packet else { return };
    assert_eq!(packet.version, version);
    let properties = &packet.properties;
    let has_data = properties.authentication_data().is_some();
    assert!(!has_data || properties.authentication_method().is_some());
    assert!(is_text(packet.client_id.as_bytes()));
    if let Some(will) = &packet.will {
        check_list(&will.message.properties, PropertyOwner::Will, Role::Client, version);
        assert!(is_topic_name(will.message.topic.as_bytes()));
    }
    if let Some(name) = &packet.user_name {
        assert!(is_text(name.as_bytes()));
    } else {
        assert!(version == ProtocolVersion::V5 || packet.password.is_none());
    }
}

fn check_subscriptions<B: Storage>(list: &SubscribeFilters<B>, version: ProtocolVersion) {
    let v311 = version == ProtocolVersion::V311;
    let mut len = 0;
    for (filter, options) in list.iter() {
        check_filter(filter.as_bytes(), version);
        let shared = filter.as_bytes().starts_with(b"$share/");
        assert!(v311 || !(options.no_local && shared), "[MQTT-3.8.3-4]");
        assert!(!v311 || options.to_byte() <= 2, "[3.1.1 MQTT-3-8.3-4]");
        len += 3 + filter.as_bytes().len();
    }
    assert_eq!(len, list.as_bytes().len());
    assert_ne!(len, 0);
}

fn check_list<B: Storage>(
    list: &Properties<B>,
    owner: PropertyOwner,
    sender: Role,
    version: ProtocolVersion,
) {
    let ids = property_list(list.as_bytes(), owner, Some(sender)).expect("the list is legal");
    assert!(version == ProtocolVersion::V5 || ids.is_empty());
    assert!(list.iter().map(|property| property.id() as u8).eq(ids));
}

fn check_filter(filter: &[u8], version: ProtocolVersion) {
    assert!(is_filter(filter));
    assert!(version == ProtocolVersion::V311 || plain_filter(filter).is_some());
}

fn check_reason(code: ReasonCode, packet: PacketType, sender: Role) {
    assert!(code.is_legal_in(packet, sender), "{code} in {packet:?} from {sender:?}");
}
