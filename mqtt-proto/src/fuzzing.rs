//! The laws that hold for any bytes at all: bodies of the fuzz targets, outside of semantic
//! versioning.
//!
//! `fuzz/fuzz_targets` has one line for each; `cargo test` replays what is in `fuzz/corpus`. A law
//! that does not hold is a panic.

use alloc::{format, string::String, vec::Vec};

use bytes::BytesMut;

use crate::{
    DecodeError, Decoder, EncodeError, Packet, PacketRef, PacketType, Properties, PropertyOwner,
    ProtocolVersion, Role, Status, TopicFilter, TopicName,
};

const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::V311, ProtocolVersion::V5];
const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// One packet: borrowed and owned are the same, and what is encoded decodes to itself.
pub fn decode(data: &[u8]) {
    let decoders =
        VERSIONS.iter().flat_map(|&version| ROLES.map(|role| Decoder::new(role, version)));
    for decoder in decoders.chain([Decoder::awaiting_connect()]) {
        let mut src = BytesMut::from(data);
        let owned = decoder.clone().decode_bytes(&mut src);
        let mut decoder = decoder;
        match decoder.decode(data) {
            Ok(Status::Ready((packet, len))) => {
                assert_eq!(owned, Ok(Status::Ready(packet.to_bytes())));
                assert_eq!(src, data[len..]);
                check_packet(&packet, len, &decoder);
            }
            Ok(Status::NeedMore(missing)) => {
                assert_eq!(owned, Ok(Status::NeedMore(missing)));
                assert_eq!(src, data);
            }
            Err(error) => assert_eq!(owned, Err(error)),
        }
    }
}

fn check_packet(packet: &PacketRef<'_>, len: usize, decoder: &Decoder) {
    let version = decoder.version().expect("it read a packet");
    // Reads every text in it.
    assert!(!format!("{packet:?}").is_empty());
    let bytes = encode(packet, version).expect("what is decoded can be encoded");
    assert!(bytes.len() <= len, "{packet:?} grew");
    assert_eq!(decoder.clone().decode(&bytes), Ok(Status::Ready((*packet, bytes.len()))));
    for version in VERSIONS {
        // The other version says the same or nothing.
        if let Ok(bytes) = encode(packet, version) {
            let again = ROLES.iter().any(|&role| {
                Decoder::new(role, version).decode(&bytes)
                    == Ok(Status::Ready((*packet, bytes.len())))
            });
            assert!(again, "{packet:?} is another in {version}");
        }
    }
    if let Packet::Publish(publish) = packet {
        assert_eq!(publish.message.detach().as_ref(), publish.message);
    }
}

/// Encodes in every way there is, which must all agree.
fn encode(packet: &PacketRef<'_>, version: ProtocolVersion) -> Result<Vec<u8>, EncodeError> {
    let len = packet.encoded_len(version)? as usize;
    let mut bytes = Vec::new();
    packet.encode(version, &mut bytes)?;
    assert_eq!(bytes.len(), len);
    let mut slice = alloc::vec![0; len];
    assert_eq!(packet.encode_to_slice(version, &mut slice), Ok(len));
    assert_eq!(slice, bytes);
    if let Some(room) = slice.get_mut(1..) {
        assert_eq!(packet.encode_to_slice(version, room), Err(EncodeError::BufferTooSmall));
    }
    Ok(bytes)
}

/// A stream: the first byte says whose and of which version, the second in how large pieces it
/// comes. Packets, and the error at the end if there is one, are the same as if it came in one.
pub fn stream(data: &[u8]) {
    let [options, chunk, data @ ..] = data else { return };
    let version = VERSIONS[usize::from(options & 1)];
    let role = ROLES[usize::from(options >> 1 & 1)];
    let decoder =
        if options & 4 != 0 { Decoder::awaiting_connect() } else { Decoder::new(role, version) };
    let whole = drain(decoder.clone(), data, data.len().max(1));
    assert_eq!(whole, drain(decoder.clone(), data, usize::from(*chunk).max(1)));
    assert_eq!(whole, borrowed(decoder, data));
}

type Drained = (Vec<Packet<bytes::Bytes>>, Option<DecodeError>, usize);

/// All packets of `data`, the error that ended it, and how many bytes are left over if none did.
fn drain(mut decoder: Decoder, data: &[u8], chunk: usize) -> Drained {
    let (mut src, mut packets, mut wanted) = (BytesMut::new(), Vec::new(), 0);
    for chunk in data.chunks(chunk) {
        src.extend_from_slice(chunk);
        loop {
            let before = src.len();
            match decoder.decode_bytes(&mut src) {
                Ok(Status::Ready(packet)) => {
                    assert!(wanted <= before - src.len(), "more was asked for than it took");
                    wanted = 0;
                    packets.push(packet);
                }
                Ok(Status::NeedMore(missing)) => {
                    wanted = src.len() + missing.get() as usize;
                    break;
                }
                Err(error) => return (packets, Some(error), 0),
            }
        }
    }
    (packets, None, src.len())
}

fn borrowed(mut decoder: Decoder, mut data: &[u8]) -> Drained {
    let mut packets = Vec::new();
    loop {
        match decoder.decode(data) {
            Ok(Status::Ready((packet, len))) => {
                packets.push(packet.to_bytes());
                data = &data[len..];
            }
            Ok(Status::NeedMore(_)) => return (packets, None, data.len()),
            Err(error) => return (packets, Some(error), 0),
        }
    }
}

/// A property list: the first byte says whose, 0 for a will and else the packet type.
pub fn properties(data: &[u8]) {
    let [owner, data @ ..] = data else { return };
    let owner = PacketType::new(owner & 15).map_or(PropertyOwner::Will, PropertyOwner::Packet);
    let Ok(list) = Properties::from_wire(data, owner) else { return };
    assert_eq!(list.as_bytes(), data);
    assert_eq!(list.is_empty(), data.is_empty());
    let owned = Properties::new(list.iter()).expect("what was read can be written");
    assert_eq!(owned.as_bytes(), data);
    assert_eq!(owned.set(), list.set());
    assert_eq!(
        owned.user_properties().collect::<Vec<_>>(),
        list.user_properties().collect::<Vec<_>>()
    );
    let identifiers = list.subscription_identifiers();
    assert!(identifiers.into_iter().all(|id| id > 0));
    for property in list.iter() {
        assert!(list.set().contains(property.id()));
        assert!(owner.allowed(None).contains(property.id()));
        assert!(!format!("{property:?}").is_empty());
    }
    assert_eq!(list.content_type(), owned.content_type());
    assert_eq!(list.user_property(), owned.user_property());
}

/// A filter and a name with a line feed between them, against a second reading of section 4.7.
pub fn topics(data: &[u8]) {
    let mut parts = data.splitn(2, |&byte| byte == b'\n');
    let (filter, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let text = |bytes| core::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));

    let legal = text(name).is_some_and(|text| !text.is_empty() && !text.contains(['+', '#']));
    let name = TopicName::new(name);
    assert_eq!(name.is_ok(), legal);

    let plain = text(filter).map(|text| match text.strip_prefix("$share/") {
        None => Some(text),
        Some(shared) => {
            shared.split_once('/').filter(|(name, _)| is_share_name(name)).map(|(_, filter)| filter)
        }
    });
    let plain = plain.flatten().filter(|filter| is_filter(filter));
    let filter = TopicFilter::new(filter);
    assert_eq!(filter.is_ok(), plain.is_some(), "{filter:?}");

    let (Ok(name), Ok(filter), Some(plain)) = (name, filter, plain) else { return };
    let hidden = name.as_str().starts_with('$') && plain.starts_with(['+', '#']);
    let levels: Vec<_> = name.as_str().split('/').collect();
    assert_eq!(levels.join("/").as_bytes(), name.as_bytes());
    let wanted: Vec<_> = plain.split('/').collect();
    let expected = !hidden && matches(&wanted, &levels);
    assert_eq!(filter.matches(&name), expected, "{filter} and {name}");
    assert_eq!(filter.shared().is_some(), plain.len() < filter.as_bytes().len());
    assert_eq!(String::from(filter.as_str()).into_bytes(), filter.as_bytes());
}

fn is_share_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['+', '#'])
}

fn is_filter(filter: &str) -> bool {
    let mut levels = filter.rsplit('/');
    let plain = |level: &str| level == "+" || !level.contains(['+', '#']);
    let last = levels.next().is_some_and(|last| last == "#" || plain(last));
    !filter.is_empty() && last && levels.all(plain)
}

fn matches(filter: &[&str], name: &[&str]) -> bool {
    match (filter, name) {
        (["#"], _) | ([], []) => true,
        ([], _) | (_, []) => false,
        ([wanted, filter @ ..], [level, name @ ..]) => {
            (*wanted == "+" || wanted == level) && matches(filter, name)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    fn replay(target: &str, body: fn(&[u8])) {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
        let mut count = 0;
        for entry in fs::read_dir(&corpus).unwrap() {
            body(&fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
        assert_ne!(count, 0, "no corpus for {target}");
    }

    #[test]
    fn the_laws_hold_for_every_input_in_the_corpora() {
        replay("decode", super::decode);
        replay("stream", super::stream);
        replay("properties", super::properties);
        replay("topics", super::topics);
    }
}
