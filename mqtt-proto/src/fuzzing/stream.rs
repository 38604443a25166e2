use alloc::vec::Vec;
use core::num::NonZeroU32;

use bytes::{Bytes, BytesMut};

use super::{ROLES, VERSIONS};
use crate::{DecodeError, Decoder, Packet, Status};

/// A stream that comes in pieces. Packets, and the error at the end if there is one, are the same
/// as if it came in one piece, borrowed and owned.
///
/// The first byte says whose it is, of which version and with which limit, the second how many
/// bytes after it are the sizes of the pieces, in turn.
pub fn stream(data: &[u8]) {
    let [options, count, data @ ..] = data else { return };
    let Some((sizes, data)) = data.split_at_checked((count & 31).into()) else { return };
    let version = VERSIONS[usize::from(options & 1)];
    let role = ROLES[usize::from(options >> 1 & 1)];
    let mut decoder =
        if options & 4 != 0 { Decoder::awaiting_connect() } else { Decoder::new(role, version) };
    if options & 8 != 0 {
        decoder.set_max_packet_size(2 << (options >> 4));
    }
    let whole = borrowed(decoder.clone(), pieces(&[], data));
    assert_eq!(whole, owned(decoder.clone(), pieces(&[], data)));
    assert_eq!(whole, borrowed(decoder.clone(), pieces(sizes, data)));
    assert_eq!(whole, owned(decoder, pieces(sizes, data)));
}

/// `data` in pieces of these sizes, over and over; in one piece where that would not end.
fn pieces<'a>(sizes: &'a [u8], data: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let end = sizes.iter().all(|&size| size == 0).then_some(data.len());
    let mut sizes = sizes.iter().map(|&size| size.into()).cycle();
    let mut rest = Some(data);
    core::iter::from_fn(move || {
        let data = rest?;
        let size = end.or_else(|| sizes.next())?.min(data.len());
        let (piece, after) = data.split_at(size);
        rest = (!after.is_empty()).then_some(after);
        Some(piece)
    })
}

/// All packets, the error that ended them, and how many bytes are left over if none did.
type Drained = (Vec<Packet<Bytes>>, Option<DecodeError>, usize);

/// How many bytes the decoder said it needs: not fewer than it then takes.
#[derive(Default)]
struct Wanted(usize);

impl Wanted {
    fn took(&mut self, len: usize) {
        assert!(self.0 <= len, "more was asked for than it took");
        self.0 = 0;
    }

    fn needs(&mut self, there: usize, missing: NonZeroU32) {
        let wanted = there + missing.get() as usize;
        assert!(self.0 <= wanted, "less is asked for than before");
        self.0 = wanted;
    }
}

fn owned<'a>(mut decoder: Decoder, pieces: impl Iterator<Item = &'a [u8]>) -> Drained {
    let (mut src, mut packets, mut wanted) = (BytesMut::new(), Vec::new(), Wanted::default());
    for piece in pieces {
        src.extend_from_slice(piece);
        loop {
            let before = src.len();
            match decoder.decode_bytes(&mut src) {
                Ok(Status::Ready(packet)) => {
                    wanted.took(before - src.len());
                    packets.push(packet);
                }
                Ok(Status::NeedMore(missing)) => {
                    assert_eq!(src.len(), before);
                    wanted.needs(before, missing);
                    break;
                }
                Err(error) => return (packets, Some(error), 0),
            }
        }
    }
    (packets, None, src.len())
}

fn borrowed<'a>(mut decoder: Decoder, pieces: impl Iterator<Item = &'a [u8]>) -> Drained {
    let (mut src, mut packets, mut wanted) = (Vec::new(), Vec::new(), Wanted::default());
    for piece in pieces {
        src.extend_from_slice(piece);
        let mut taken = 0;
        loop {
            // Looking at the header first changes nothing.
            let header = decoder.header(&src[taken..]);
            match decoder.decode(&src[taken..]) {
                Ok(Status::Ready((packet, len))) => {
                    let header = header.map(|header| header.ready().map(|at| at.packet_len()));
                    assert_eq!(header, Ok(Some(len as u32)));
                    wanted.took(len);
                    packets.push(packet.to_bytes());
                    taken += len;
                }
                Ok(Status::NeedMore(missing)) => {
                    wanted.needs(src.len() - taken, missing);
                    break;
                }
                Err(error) => return (packets, Some(error), 0),
            }
        }
        src.drain(..taken);
    }
    (packets, None, src.len())
}
