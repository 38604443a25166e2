//! Bytes of packets, written without a line of the codec.

/// A packet of this first byte, its body given in parts.
pub(crate) fn frame(first: u8, body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    [&[first], &varint(body.len() as u32)[..], &body].concat()
}

/// A string or binary data.
pub(crate) fn behind_u16(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap();
    [&len.to_be_bytes(), bytes].concat()
}

/// A property list.
pub(crate) fn behind_varint(bytes: &[u8]) -> Vec<u8> {
    [&varint(bytes.len() as u32)[..], bytes].concat()
}

/// The shortest form of a variable byte integer.
pub(crate) fn varint(value: u32) -> Vec<u8> {
    let (low, high) = ((value % 128) as u8, value / 128);
    if high == 0 { vec![low] } else { [&[low | 0x80], &varint(high)[..]].concat() }
}

/// Bytes from hexadecimal digits, with spaces where a reader likes them.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let text = text.replace(' ', "");
    assert!(text.len().is_multiple_of(2) && text.is_ascii(), "{text:?} is not hexadecimal");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}
