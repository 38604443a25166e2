//! What an application may publish.

use alloc::{string::String, vec::Vec};

use bytes::Bytes;

/// Bytes to publish. What owns its bytes is taken over, what borrows them is copied once.
pub trait IntoPayload {
    /// The bytes.
    fn into_payload(self) -> Bytes;
}

macro_rules! owned {
    ($($owner:ty)*) => {$(
        impl IntoPayload for $owner {
            fn into_payload(self) -> Bytes {
                self.into()
            }
        }
    )*};
}

owned! { Bytes Vec<u8> String }

impl IntoPayload for &[u8] {
    fn into_payload(self) -> Bytes {
        Bytes::copy_from_slice(self)
    }
}

impl<const N: usize> IntoPayload for &[u8; N] {
    fn into_payload(self) -> Bytes {
        Bytes::copy_from_slice(self)
    }
}

impl<const N: usize> IntoPayload for [u8; N] {
    fn into_payload(self) -> Bytes {
        Bytes::copy_from_slice(&self)
    }
}

impl IntoPayload for &str {
    fn into_payload(self) -> Bytes {
        Bytes::copy_from_slice(self.as_bytes())
    }
}

impl IntoPayload for &String {
    fn into_payload(self) -> Bytes {
        self.as_str().into_payload()
    }
}

impl IntoPayload for &Vec<u8> {
    fn into_payload(self) -> Bytes {
        self.as_slice().into_payload()
    }
}
