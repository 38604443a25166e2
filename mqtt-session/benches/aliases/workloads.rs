//! Which topics are published, one after another.

/// So many messages.
const MESSAGES: u64 = 50_000;

pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// The numbers of the topics, for a table of so many aliases.
    pub(crate) topics: fn(u64) -> Vec<u64>,
}

pub(crate) const WORKLOADS: [Workload; 9] = [
    Workload { name: "one", topics: |_| vec![0; MESSAGES as usize] },
    // A part of the table, in turn.
    Workload {
        name: "5/8",
        topics: |table| (0..MESSAGES).map(|at| at % (table * 5 / 8)).collect(),
    },
    // One topic too many, in turn.
    Workload { name: "cycle", topics: |table| (0..MESSAGES).map(|at| at % (table + 1)).collect() },
    // Over ten tables.
    Workload {
        name: "Zipf",
        topics: |table| {
            let (zipf, mut random) = (zipf(10 * table), Random(1));
            (0..MESSAGES).map(|_| pick(&zipf, &mut random)).collect()
        },
    },
    // The same, but every other topic comes once.
    Workload {
        name: "once",
        topics: |table| {
            let (zipf, mut random) = (zipf(10 * table), Random(2));
            let topic = |at| if at % 2 == 0 { 100_000 + at } else { pick(&zipf, &mut random) };
            (0..MESSAGES).map(topic).collect()
        },
    },
    // The same, but all topics are others after a time.
    Workload {
        name: "new",
        topics: |table| {
            let (zipf, mut random) = (zipf(10 * table), Random(3));
            (0..MESSAGES)
                .map(|at| pick(&zipf, &mut random) + at / (100 * table) * 10 * table)
                .collect()
        },
    },
    // The same, but after a time a topic is another.
    Workload {
        name: "drift",
        topics: |table| {
            let (zipf, mut random) = (zipf(10 * table), Random(4));
            (0..MESSAGES).map(|at| pick(&zipf, &mut random) + at / (10 * table)).collect()
        },
    },
    // Half a table 20 times over, then another half.
    Workload {
        name: "phases",
        topics: |table| {
            (0..MESSAGES).map(|at| at % (table / 2) + at / (10 * table) * table).collect()
        },
    },
    // Over two tables.
    Workload {
        name: "uniform",
        topics: |table| {
            let mut random = Random(5);
            (0..MESSAGES).map(|_| random.next() % (2 * table)).collect()
        },
    },
];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Topic `k` is published in proportion to `1 / (k + 1)`: the sums of that.
fn zipf(topics: u64) -> Vec<f64> {
    let weights = (1..=topics).map(|k| 1.0 / k as f64);
    let sums = weights.scan(0.0, |sum, weight| {
        *sum += weight;
        Some(*sum)
    });
    sums.collect()
}

fn pick(sums: &[f64], random: &mut Random) -> u64 {
    let all = sums.last().expect("topics");
    let at = random.next() as f64 / u64::MAX as f64 * all;
    sums.partition_point(|&sum| sum < at).min(sums.len() - 1) as u64
}
