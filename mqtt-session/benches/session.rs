//! Messages from one side to the other and back to rest, bytes to bytes, with 1, 100 and 65,535 in
//! flight. Both sides are measured, with the copies that stand for the network.
//!
//! * `cargo bench -p mqtt-session --bench session`
//! * `cargo bench -p mqtt-session --bench session -- 'qos2.*/100$'`
#![allow(missing_docs)]

mod pair;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pair::{Pair, WINDOWS, cases};

fn messages(criterion: &mut Criterion) {
    for case in cases() {
        let mut group = criterion.benchmark_group(case.name());
        for window in WINDOWS {
            let mut pair = Pair::connected(case.version, window);
            group.throughput(Throughput::Elements(window.into()));
            group.bench_function(window.to_string(), |bencher| {
                bencher.iter(|| pair.exchange(case, window));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, messages);
criterion_main!(benches);
