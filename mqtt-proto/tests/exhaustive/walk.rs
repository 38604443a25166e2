//! Where the lengths are in a packet: a second reading of chapters 2 and 3 that knows the layout of
//! every packet, and nothing of what its fields may say.

use mqtt_proto::ProtocolVersion;

/// A length, or the number of a Subscription Identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// Two bytes, at this place.
    TwoByte(usize),
    /// A variable byte integer: from here, up to there.
    VarInt(usize, usize),
}

/// The fields of the packet that fills `bytes`, the remaining length first; `None` if their lengths
/// do not fit into each other.
pub(crate) fn walk(bytes: &[u8], version: ProtocolVersion) -> Option<Vec<Field>> {
    let mut walk = Walk { bytes, at: 1, end: bytes.len(), fields: Vec::new() };
    let first = *bytes.first()?;
    let remaining = walk.var_int()?;
    if walk.at + remaining as usize != bytes.len() {
        return None;
    }
    walk.packet(first, version == ProtocolVersion::V5)?;
    (walk.at == walk.end).then_some(walk.fields)
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
    fields: Vec<Field>,
}

impl Walk<'_> {
    fn packet(&mut self, first: u8, v5: bool) -> Option<()> {
        match first >> 4 {
            1 => self.connect()?,
            2 => {
                self.skip(2)?;
                self.properties(v5)?;
            }
            3 => {
                self.two_byte()?;
                self.skip(if first & 0b0110 == 0 { 0 } else { 2 })?;
                self.properties(v5)?;
                self.at = self.end;
            }
            4..=7 => {
                self.skip(2)?;
                self.reason_and_properties(v5)?;
            }
            8 | 10 => {
                self.skip(2)?;
                self.properties(v5)?;
                while self.at < self.end {
                    self.two_byte()?;
                    self.skip(if first >> 4 == 8 { 1 } else { 0 })?;
                }
            }
            9 | 11 => {
                self.skip(2)?;
                self.properties(v5)?;
                self.at = self.end;
            }
            14 | 15 => self.reason_and_properties(v5)?,
            _ => {}
        }
        Some(())
    }

    fn connect(&mut self) -> Option<()> {
        self.two_byte()?;
        let v5 = self.u8()? == 5;
        let flags = self.u8()?;
        self.skip(2)?;
        self.properties(v5)?;
        self.two_byte()?;
        if flags & 0x04 != 0 {
            self.properties(v5)?;
            self.two_byte()?;
            self.two_byte()?;
        }
        for flag in [0x80, 0x40] {
            if flags & flag != 0 {
                self.two_byte()?;
            }
        }
        Some(())
    }

    /// Either may be missing.
    fn reason_and_properties(&mut self, v5: bool) -> Option<()> {
        if self.at < self.end {
            self.skip(1)?;
        }
        if self.at < self.end { self.properties(v5) } else { Some(()) }
    }

    fn properties(&mut self, v5: bool) -> Option<()> {
        if !v5 {
            return Some(());
        }
        let len = self.var_int()? as usize;
        let outer = self.end;
        self.end = self.at.checked_add(len).filter(|&end| end <= outer)?;
        while self.at < self.end {
            match self.u8()? {
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => self.skip(1)?,
                0x13 | 0x21 | 0x22 | 0x23 => self.skip(2)?,
                0x02 | 0x11 | 0x18 | 0x27 => self.skip(4)?,
                0x0b => drop(self.var_int()?),
                0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => self.two_byte()?,
                0x26 => {
                    self.two_byte()?;
                    self.two_byte()?;
                }
                _ => return None,
            }
        }
        self.end = outer;
        Some(())
    }

    fn u8(&mut self) -> Option<u8> {
        let at = self.at;
        self.skip(1)?;
        Some(self.bytes[at])
    }

    /// A length in two bytes, and as many bytes.
    fn two_byte(&mut self) -> Option<()> {
        self.fields.push(Field::TwoByte(self.at));
        let len = u16::from_be_bytes([self.u8()?, self.u8()?]);
        self.skip(len.into())
    }

    fn var_int(&mut self) -> Option<u32> {
        let (start, mut value) = (self.at, 0);
        for group in 0..4 {
            let byte = self.u8()?;
            value |= u32::from(byte & 0x7f) << (7 * group);
            if byte < 0x80 {
                self.fields.push(Field::VarInt(start, self.at));
                return Some(value);
            }
        }
        None
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count).filter(|&at| at <= self.end)?;
        Some(())
    }
}
