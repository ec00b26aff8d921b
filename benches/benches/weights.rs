//! What a weight costs: its draw and its KL, with their backward passes, fused and by Burn's tensor operations.
//!
//! `cargo bench -p blitz-benches --bench weights`, on Flex, which computes at once.

use std::hint::black_box;

use blitz_train::blitz_core::kernels::without_fused;
use blitz_train::prelude::*;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Sides of square weights: in the second level cache, the third, and neither.
const SIDES: [usize; 3] = [128, 1024, 4096];

fn weight(side: usize, prior: PriorConfig, device: &Device) -> Linear {
    let layer = LinearConfig::new(side, side).with_bias(false).init(device);
    layer.bayesianize(&BayesianizeConfig::new().with_prior(prior))
}

fn draw(c: &mut Criterion) {
    let device = Device::flex();
    let mut group = c.benchmark_group("draw");
    for side in SIDES {
        let weights = side * side;
        group.throughput(Throughput::Elements(weights as u64));
        let layer = weight(side, PriorConfig::default(), &device);
        let differentiated = weight(side, PriorConfig::default(), &device.clone().autodiff());
        let mut index = 0;
        let mut forward = |layer: &Linear| {
            index += 1;
            layer.with_draw(1, index, |layer| layer.weight.val())
        };
        group.bench_function(BenchmarkId::new("forward", weights), |b| {
            b.iter(|| black_box(forward(&layer)));
        });
        group.bench_function(BenchmarkId::new("forward_and_backward", weights), |b| {
            b.iter(|| black_box(forward(&differentiated).sum().backward()));
        });
        group.bench_function(BenchmarkId::new("tensor_operations", weights), |b| {
            b.iter(|| without_fused(|| black_box(forward(&differentiated).sum().backward())));
        });
    }
    group.finish();
}

fn kl(c: &mut Criterion) {
    let device = Device::flex().autodiff();
    let mut group = c.benchmark_group("kl_and_backward");
    for side in SIDES {
        let weights = side * side;
        group.throughput(Throughput::Elements(weights as u64));
        for (name, prior) in [
            ("normal", PriorConfig::normal(1.0)),
            ("learned_normal", PriorConfig::learned_normal(1.0)),
            ("scale_mixture", PriorConfig::scale_mixture(0.5, 1.0, 0.1)),
            ("laplace", PriorConfig::laplace(1.0)),
        ] {
            let layer = weight(side, prior, &device);
            let mut index = 0;
            let mut run = || {
                index += 1;
                layer.with_draw(1, index, |layer| black_box(layer.kl_cost().backward()))
            };
            group.bench_function(BenchmarkId::new(name, weights), |b| b.iter(&mut run));
        }
    }
    group.finish();
}

criterion_group!(benches, draw, kl);
criterion_main!(benches);
