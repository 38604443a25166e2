//! The assertions: what is decoded, what is refused, what is written.

use bytes::{Bytes, BytesMut};
use conformance::Run;
use mqtt_proto::*;

/// The statements of one assertion.
pub(crate) type Ids<'a> = &'a [&'a str];

/// Malformed Packet and Protocol Error.
pub(crate) const MALFORMED: u8 = 0x81;
pub(crate) const PROTOCOL: u8 = 0x82;

pub(crate) const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::V311, ProtocolVersion::V5];

/// The version that all of these statements are of.
#[track_caller]
pub(crate) fn version(ids: Ids<'_>) -> ProtocolVersion {
    let all = |start: &str| ids.iter().all(|id| id.starts_with(start));
    match (all("v3.1.1 "), all("v5 ")) {
        (true, false) => ProtocolVersion::V311,
        (false, true) => ProtocolVersion::V5,
        _ => panic!("not statements of one version: {ids:?}"),
    }
}

/// The packet, borrowed and owned the same, or why it is none; the same however few bytes come at a time.
pub(crate) fn decode(
    version: ProtocolVersion,
    from: Role,
    bytes: &[u8],
) -> Result<Packet<Bytes>, DecodeError> {
    let mut owned = BytesMut::from(bytes);
    let owned = Decoder::new(from, version).decode_bytes(&mut owned);
    let borrowed = Decoder::new(from, version).decode(bytes);
    let borrowed = borrowed.map(|status| status.ready().map(|(packet, _)| packet.to_bytes()));
    assert_eq!(borrowed, owned.map(Status::ready), "borrowed and owned differ in {bytes:02x?}");
    if bytes.len() < 100 {
        let mut decoder = Decoder::new(from, version);
        let mut prefixes =
            (0..=bytes.len()).map(|len| decoder.decode(&bytes[..len]).map(Status::ready));
        let first = prefixes.find(|result| !matches!(result, Ok(None)));
        let first =
            first.unwrap_or(Ok(None)).map(|ready| ready.map(|(packet, _)| packet.to_bytes()));
        assert_eq!(first.map_err(DecodeError::kind), borrowed.clone().map_err(DecodeError::kind));
    }
    borrowed.map(|packet| packet.unwrap_or_else(|| panic!("more than {bytes:02x?} is wanted")))
}

/// That these bytes are refused for this reason; in 5.0 with this code on the wire.
#[track_caller]
pub(crate) fn refuses(
    run: &mut Run,
    ids: Ids<'_>,
    from: Role,
    bytes: &[u8],
    kind: DecodeErrorKind,
    code: u8,
) {
    let version = version(ids);
    let found = decode(version, from, bytes).map_err(|error| {
        let code = if version == ProtocolVersion::V5 { error.reason_code().get() } else { code };
        (error.kind(), code)
    });
    run.decoding(ids).equal(found, Err((kind, code)), format_args!("{}", short(bytes)));
}

/// That these bytes are a packet; what the assertion is about is whether they are.
#[track_caller]
pub(crate) fn accepts(run: &mut Run, ids: Ids<'_>, from: Role, bytes: &[u8]) {
    let found = decode(version(ids), from, bytes).map(|_| ());
    run.decoding(ids).equal(found, Ok(()), format_args!("{}", short(bytes)));
}

/// That these bytes are this packet.
#[track_caller]
pub(crate) fn decodes(
    run: &mut Run,
    ids: Ids<'_>,
    from: Role,
    bytes: &[u8],
    packet: &Packet<Bytes>,
) {
    let found = decode(version(ids), from, bytes);
    run.decoding(ids).equal(found.as_ref(), Ok(packet), format_args!("{}", short(bytes)));
}

/// That this packet is written as these bytes, into a slice and into a buffer, and knows its size.
#[track_caller]
pub(crate) fn encodes(run: &mut Run, ids: Ids<'_>, packet: &Packet<Bytes>, bytes: &[u8]) {
    let version = version(ids);
    let mut slice = vec![0; bytes.len()];
    let len = packet.encode_to_slice(version, &mut slice);
    let mut buffer = BytesMut::new();
    let result = packet.encode(version, &mut buffer);
    let what = packet.packet_type().name();
    run.encoding(ids).equal(result, Ok(()), what);
    run.encoding(ids).equal(short(&buffer), short(bytes), what);
    run.encoding(ids).holds(buffer == bytes, what);
    run.encoding(ids).equal(len, Ok(bytes.len()), what);
    run.encoding(ids).holds(slice == bytes, what);
    run.encoding(ids).equal(packet.encoded_len(version), Ok(bytes.len() as u32), what);
}

/// That these bytes are this packet, and that it is written as they are.
#[track_caller]
pub(crate) fn both_ways(
    run: &mut Run,
    ids: Ids<'_>,
    from: Role,
    bytes: &[u8],
    packet: &Packet<Bytes>,
) {
    decodes(run, ids, from, bytes, packet);
    encodes(run, ids, packet, bytes);
}

/// That this packet is not written, for this reason, and that nothing is.
#[track_caller]
pub(crate) fn does_not_encode(
    run: &mut Run,
    ids: Ids<'_>,
    packet: &Packet<Bytes>,
    error: EncodeError,
) {
    let mut buffer = BytesMut::new();
    let result = packet.encode(version(ids), &mut buffer);
    run.encoding(ids).equal(result, Err(error), packet.packet_type().name());
    run.encoding(ids).equal(&buffer[..], &[][..], packet.packet_type().name());
}

/// What a report shows of some bytes.
pub(crate) fn short(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(48)];
    let more =
        if shown.len() < bytes.len() { format!("… ({} bytes)", bytes.len()) } else { "".into() };
    shown.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + &more
}
