//! Wall time of the codec, with two floors under it: a copy of the bytes, and the fixed header
//! alone.
//!
//! * `cargo bench -p mqtt-proto --bench codec`
//! * `cargo bench -p mqtt-proto --bench codec -- 'encode/puback'` for those with this in their name
#![allow(missing_docs)]

mod packets;

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mqtt_proto::{Decoder, Packet};
use packets::cases;

/// Owned packets are taken from a buffer that holds so many, as a socket would have filled it.
const IN_BUFFER: usize = 64;

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode_borrowed");
    for case in cases() {
        group.throughput(Throughput::Bytes(case.bytes.len() as u64));
        let mut decoder = Decoder::new(case.sender, case.version);
        group.bench_function(case.name, |bencher| {
            bencher.iter(|| decoder.decode(black_box(&case.bytes)).is_ok());
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("decode_owned_64_packets");
    for case in cases() {
        group.throughput(Throughput::Elements(IN_BUFFER as u64));
        let stream = case.bytes.repeat(IN_BUFFER);
        let mut decoder = Decoder::new(case.sender, case.version);
        group.bench_function(case.name, |bencher| {
            let decode = |mut src: BytesMut| {
                while !src.is_empty() {
                    black_box(decoder.decode_bytes(&mut src)).unwrap().ready().unwrap();
                }
            };
            bencher.iter_batched(|| BytesMut::from(&stream[..]), decode, BatchSize::SmallInput);
        });
    }
    group.finish();
    converted(criterion);
}

/// The other way to owned packets: borrowed ones, whose fields are sliced out of the frame
/// afterwards.
fn converted(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode_then_convert_64_packets");
    for case in cases() {
        group.throughput(Throughput::Elements(IN_BUFFER as u64));
        let stream = case.bytes.repeat(IN_BUFFER);
        let mut decoder = Decoder::new(case.sender, case.version);
        group.bench_function(case.name, |bencher| {
            let decode = |mut src: BytesMut| {
                while !src.is_empty() {
                    let frame = src.split_to(case.bytes.len()).freeze();
                    let (packet, _) = decoder.decode(&frame).unwrap().ready().unwrap();
                    black_box(packet.map(&mut |field: &[u8]| frame.slice_ref(field)));
                }
            };
            bencher.iter_batched(|| BytesMut::from(&stream[..]), decode, BatchSize::SmallInput);
        });
    }
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for case in cases() {
        group.throughput(Throughput::Bytes(case.bytes.len() as u64));
        let mut out = BytesMut::with_capacity(case.bytes.len());
        group.bench_function(case.name, |bencher| {
            bencher.iter(|| {
                out.clear();
                black_box(&case.packet).encode(case.version, &mut out)
            });
        });
    }
    group.finish();
}

/// The other forms: into a slice, and everything but the payload, which is sent by reference.
fn encode_otherwise(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode_to_slice");
    for case in cases() {
        group.throughput(Throughput::Bytes(case.bytes.len() as u64));
        let mut out = vec![0; case.bytes.len()];
        group.bench_function(case.name, |bencher| {
            bencher.iter(|| black_box(&case.packet).encode_to_slice(case.version, &mut out));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("encode_head");
    for case in cases() {
        let Packet::Publish(publish) = &case.packet else { continue };
        let mut out = BytesMut::with_capacity(case.bytes.len());
        group.bench_function(case.name, |bencher| {
            bencher.iter(|| {
                out.clear();
                black_box(publish).encode_head(case.version, &mut out)
            });
        });
    }
    group.finish();
}

fn floors(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("floor");
    for case in cases() {
        group.throughput(Throughput::Bytes(case.bytes.len() as u64));
        let mut out = Vec::with_capacity(case.bytes.len());
        group.bench_function(format!("memcpy/{}", case.name), |bencher| {
            bencher.iter(|| {
                out.clear();
                out.extend_from_slice(black_box(&case.bytes));
                black_box(&out);
            });
        });
        let mut decoder = Decoder::new(case.sender, case.version);
        group.bench_function(format!("header/{}", case.name), |bencher| {
            bencher.iter(|| decoder.header(black_box(&case.bytes)));
        });
    }
    group.finish();
}

criterion_group!(codec, decode, encode, encode_otherwise, floors);
criterion_main!(codec);
