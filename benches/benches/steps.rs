//! What a training step and a prediction cost, by estimator, with Burn's own layers beside them.
//!
//! `cargo bench -p blitz-benches --bench steps`, on Flex, which computes at once. The Bayesian steps take `FusedAdam`,
//! the deterministic ones Burn's `Adam`.

use std::hint::black_box;

use blitz_benches::{Layers, Shape, Training, WORKLOADS, Workload};
use blitz_train::predict_draws;
use blitz_train::prelude::*;
use burn::optim::AdamConfig;
use burn::tensor::Device;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LAYERS: [(&str, Layers); 4] = [
    ("burn", Layers::Deterministic),
    ("shared_weights", Layers::Bayesian(Estimator::SharedWeights)),
    (
        "local_reparameterization",
        Layers::Bayesian(Estimator::LocalReparameterization),
    ),
    ("flipout", Layers::Bayesian(Estimator::Flipout)),
];

fn step(c: &mut Criterion) {
    let device = Device::flex().autodiff();
    for workload in WORKLOADS {
        let mut group = c.benchmark_group(format!("step/{}", workload.name));
        for (name, layers) in LAYERS {
            let is_recurrent = matches!(workload.shape, Shape::Lstm(_));
            if is_recurrent && layers == Layers::Bayesian(Estimator::LocalReparameterization) {
                continue;
            }
            let optimizer = match layers {
                Layers::Deterministic => AdamConfig::new().init(),
                Layers::Ivon | Layers::Bayesian(_) => FusedAdamConfig::new().init(),
            };
            let mut training = Training::new(&workload, layers, optimizer, &device);
            group.bench_function(BenchmarkId::new(name, workload.batch), |b| {
                b.iter(|| training.step());
            });
        }
        group.finish();
    }
}

fn prediction(c: &mut Criterion) {
    let device = Device::flex();
    let Some(mut workload) = Workload::named("mlp-784-400-400-10") else {
        unreachable!("it is one of the list")
    };
    let mut group = c.benchmark_group("predict_10_draws/mlp-784-400-400-10");
    for rows in [1, 16, 256] {
        workload.batch = rows;
        let input = workload.batch(&device).input;
        for (name, layers) in LAYERS {
            let net = workload.net(layers, &device);
            group.bench_function(BenchmarkId::new(name, rows), |b| {
                b.iter(|| black_box(predict_draws(&net, 10, 0, |net| net.forward(&input))));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, step, prediction);
criterion_main!(benches);
