//! A static library without `std`. It brings a panic handler of its own, which `std` has too: the build fails with a
//! duplicate lang item as soon as a crate below it links `std`. Without the feature `alloc` it has no allocator
//! either, and fails to link as soon as one is asked for.
//!
//! ```text
//! cargo build --release --manifest-path mqtt-session/no-std-probe/Cargo.toml
//! cargo build --release --manifest-path mqtt-session/no-std-probe/Cargo.toml --no-default-features
//! ```

#![no_std]

use core::panic::PanicInfo;

use mqtt_proto::{Decoder, ProtocolVersion, Role, Status};

/// Never given any memory: the library is built, not run.
#[cfg(feature = "alloc")]
#[global_allocator]
static HEAP: linked_list_allocator::LockedHeap = linked_list_allocator::LockedHeap::empty();

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Reads a packet and writes it again for a peer that takes 128 bytes; its size, or 0.
// Only what has a name for the linker is kept.
#[unsafe(no_mangle)]
pub extern "C" fn borrowed(input: &[u8; 256], output: &mut [u8; 256]) -> usize {
    let mut decoder = Decoder::new(Role::Client, ProtocolVersion::V5);
    match decoder.decode(input) {
        Ok(Status::Ready((packet, _))) => {
            packet.encode_to_slice_within(ProtocolVersion::V5, 128, output).unwrap_or(0)
        }
        _ => 0,
    }
}

/// Reads an owned packet and writes it again.
#[cfg(feature = "alloc")]
#[unsafe(no_mangle)]
pub extern "C" fn owned(input: &[u8; 256], output: &mut [u8; 256]) -> usize {
    use mqtt_session as _;

    let mut decoder = Decoder::awaiting_connect();
    let mut input = bytes::BytesMut::from(&input[..]);
    match decoder.decode_bytes(&mut input) {
        Ok(Status::Ready(packet)) => {
            packet.encode_to_slice(ProtocolVersion::V311, output).unwrap_or(0)
        }
        _ => 0,
    }
}
