//! Every vector cut in two at every place: its beginning asks for the rest and takes nothing, and
//! the whole is what it was.

use bytes::BytesMut;
use mqtt_proto::{Packet, Status};

use crate::{Vector, ran, vectors};

#[test]
fn every_vector_may_be_cut_anywhere() {
    let (mut prefixes, mut splits) = (0, 0);
    for vector in vectors() {
        let (packet, _) = vector.decoder().decode(&vector.bytes).unwrap().ready().unwrap();
        for len in 0..vector.bytes.len() {
            check(&vector, &packet, len);
            prefixes += 1;
            splits += u64::from(len > 0);
        }
    }
    ran("prefixes, each borrowed and owned", prefixes, 34_739);
    ran("splits, each borrowed and owned", splits, 34_739 - 101);
}

fn check(vector: &Vector, packet: &Packet<&[u8]>, len: usize) {
    let Vector { id, bytes, .. } = vector;
    let header_len = 2 + bytes[1..].iter().take_while(|&&byte| byte > 0x7f).count();
    let (mut borrowed, mut owned) = (vector.decoder(), vector.decoder());

    let asked = match borrowed.decode(&bytes[..len]) {
        Ok(Status::NeedMore(missing)) => missing.get() as usize,
        other => panic!("{id}: {other:?} after {len} bytes"),
    };
    assert!(len + asked <= bytes.len(), "{id}: {asked} more after {len} bytes");
    assert!(len < header_len || len + asked == bytes.len(), "{id}: {asked} more after {len}");
    let mut src = BytesMut::with_capacity(bytes.len());
    src.extend_from_slice(&bytes[..len]);
    match owned.decode_bytes(&mut src) {
        Ok(Status::NeedMore(missing)) => assert_eq!(missing.get() as usize, asked, "{id}"),
        other => panic!("{id}: {other:?} after {len} bytes"),
    }
    assert_eq!(src, bytes[..len], "{id}: bytes were taken");

    let whole = borrowed.decode(bytes).unwrap().ready();
    assert_eq!(whole, Some((*packet, bytes.len())), "{id} cut at {len}");
    src.extend_from_slice(&bytes[len..]);
    let whole = owned.decode_bytes(&mut src).unwrap().ready().expect("all of it is there");
    assert_eq!(whole.map(&mut |bytes| bytes), packet.to_bytes(), "{id} cut at {len}");
    assert!(src.is_empty(), "{id}");
}
