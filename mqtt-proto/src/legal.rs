//! Which packets may come next, by who sends them and the version.

use core::fmt;

use crate::{DecodeErrorKind, PacketType, ProtocolVersion, Role, frame};

/// The first bytes, packet type and flags, that a packet may have now, as bits.
pub(crate) struct FirstBytes([u64; 4]);

impl FirstBytes {
    pub(crate) const NONE: Self = Self([0; 4]);

    /// Those of packets that may come from `sender`.
    const fn new(sender: Role, version: Option<ProtocolVersion>) -> Self {
        let mut bits = [0; 4];
        let mut first = 0;
        while first < 256 {
            let legal = refusal(first as u8 >> 4, sender, version).is_none();
            if legal && frame::are_legal_flags(first as u8) {
                bits[first >> 6] |= 1 << (first & 63);
            }
            first += 1;
        }
        Self(bits)
    }

    pub(crate) const fn of(sender: Role, version: Option<ProtocolVersion>) -> &'static Self {
        use ProtocolVersion::{V5, V311};
        static OF_CLIENT: [FirstBytes; 3] = [
            FirstBytes::new(Role::Client, None),
            FirstBytes::new(Role::Client, Some(V311)),
            FirstBytes::new(Role::Client, Some(V5)),
        ];
        static OF_SERVER: [FirstBytes; 3] = [
            FirstBytes::new(Role::Server, None),
            FirstBytes::new(Role::Server, Some(V311)),
            FirstBytes::new(Role::Server, Some(V5)),
        ];
        let of = match sender {
            Role::Client => &OF_CLIENT,
            Role::Server => &OF_SERVER,
        };
        match version {
            None => &of[0],
            Some(V311) => &of[1],
            Some(V5) => &of[2],
        }
    }

    #[inline(always)]
    pub(crate) const fn contains(&self, first: u8) -> bool {
        self.0[first as usize >> 6] >> (first & 63) & 1 != 0
    }
}

impl fmt::Debug for FirstBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x?}", self.0)
    }
}

/// Why a packet of this type may not come from `sender`.
pub(crate) const fn refusal(
    number: u8,
    sender: Role,
    version: Option<ProtocolVersion>,
) -> Option<DecodeErrorKind> {
    let Some(packet) = PacketType::new(number) else {
        return Some(DecodeErrorKind::ReservedPacketType(number));
    };
    match (packet, version, sender) {
        (PacketType::Connect, None, Role::Client) => None,
        (_, None, _) => Some(DecodeErrorKind::ConnectExpected),
        (PacketType::Auth, Some(ProtocolVersion::V311), _) => {
            Some(DecodeErrorKind::ReservedPacketType(number))
        }
        // Only the client of 3.1.1 says DISCONNECT (section 3.14).
        (PacketType::Disconnect, Some(ProtocolVersion::V311), Role::Server) => {
            Some(DecodeErrorKind::WrongSender(packet))
        }
        _ if packet.may_be_sent_by(sender) => None,
        _ => Some(DecodeErrorKind::WrongSender(packet)),
    }
}
