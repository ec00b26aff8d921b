//! What a standard normal costs: ours on one thread and on all, beside `rand_distr` and `Tensor::random`.
//!
//! `cargo bench -p blitz-benches --bench noise`

use std::hint::black_box;

use blitz_core::noise::NoiseKey;
use burn::tensor::{Device, Distribution, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::{SmallRng, StdRng};
use rand_distr::{Distribution as _, StandardNormal};

/// A bias, a layer, a network; in the order of bytes, the first and second level caches and neither.
const SIZES: [usize; 3] = [1 << 10, 1 << 16, 1 << 20];

fn fill_from(rng: &mut impl Rng, out: &mut [f32]) {
    for value in out {
        *value = StandardNormal.sample(rng);
    }
}

fn standard_normal(c: &mut Criterion) {
    let mut group = c.benchmark_group("standard_normal");
    for size in SIZES {
        let mut out = vec![0f32; size];
        group.throughput(Throughput::Elements(size as u64));

        // A new draw each time, as training would have it.
        let mut index = 0;
        let mut next_key = || {
            index += 1;
            NoiseKey::new(1, index, 0)
        };
        group.bench_function(BenchmarkId::new("blitz_one_thread", size), |b| {
            b.iter(|| next_key().fill_standard_normal_serial(0, black_box(&mut out)));
        });
        group.bench_function(BenchmarkId::new("blitz_all_threads", size), |b| {
            b.iter(|| next_key().fill_standard_normal(0, black_box(&mut out)));
        });

        // rand_distr's ziggurat, over our stream and over rand's two generators.
        let mut philox = NoiseKey::new(1, 0, 0).rng();
        group.bench_function(BenchmarkId::new("rand_distr_philox", size), |b| {
            b.iter(|| {
                // From the start each time: a stream of 2^34 words would end within a long measurement.
                philox.set_word_position(0);
                fill_from(&mut philox, black_box(&mut out));
            });
        });
        let mut small = SmallRng::seed_from_u64(1);
        group.bench_function(
            BenchmarkId::new("rand_distr_small_rng_xoshiro256", size),
            |b| {
                b.iter(|| fill_from(&mut small, black_box(&mut out)));
            },
        );
        let mut std = StdRng::seed_from_u64(1);
        group.bench_function(BenchmarkId::new("rand_distr_std_rng_chacha12", size), |b| {
            b.iter(|| fill_from(&mut std, black_box(&mut out)));
        });

        // Flex computes at once; the sync costs nothing there and keeps the measurement honest elsewhere.
        let device = Device::flex();
        group.bench_function(BenchmarkId::new("burn_flex_tensor_random", size), |b| {
            b.iter(|| {
                let noise =
                    Tensor::<1>::random([size], Distribution::Normal(0.0, 1.0), black_box(&device));
                device.sync().expect("flex computes at once");
                noise
            });
        });
    }
    group.finish();
}

criterion_group!(benches, standard_normal);
criterion_main!(benches);
