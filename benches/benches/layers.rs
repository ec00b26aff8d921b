//! What a layer costs, forward and backward with all gradients, by estimator, with Burn's own layer beside it.
//!
//! `cargo bench -p blitz-benches --bench layers`, on Flex, which computes at once.

use std::hint::black_box;

use blitz_train::prelude::*;
use burn::module::Module;
use burn::nn::conv::Conv2dConfig;
use burn::nn::{EmbeddingConfig, GruConfig, LinearConfig, LstmConfig};
use burn::tensor::{Device, Distribution, Int, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ESTIMATORS: [(&str, Estimator); 3] = [
    ("shared_weights", Estimator::SharedWeights),
    (
        "local_reparameterization",
        Estimator::LocalReparameterization,
    ),
    ("flipout", Estimator::Flipout),
];

fn device() -> Device {
    Device::flex().autodiff()
}

fn input<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), &device())
}

/// A layer's forward and backward pass, in a draw of its own each time.
fn bench<M: Module, const D: usize>(
    c: &mut Criterion,
    id: String,
    layer: &M,
    forward: impl Fn(&M) -> Tensor<D>,
) {
    let mut index = 0;
    c.bench_function(&id, |b| {
        b.iter(|| {
            index += 1;
            let output = layer.with_draw(1, index, |layer| forward(layer));
            black_box(output.sum().backward())
        });
    });
}

fn linear(c: &mut Criterion) {
    for size in [64, 512, 1024] {
        let x = input([128, size]);
        let layer = LinearConfig::new(size, size).init(&device());
        let id = |name: &str| format!("linear/{name}/{size}");
        bench(c, id("burn"), &layer, |l| l.forward(x.clone()));
        for (name, estimator) in ESTIMATORS {
            let config = BayesianLinearConfig::new(size, size).with_estimator(estimator);
            bench(c, id(name), &config.init(&device()), |l| {
                l.forward(x.clone())
            });
        }
    }
}

fn conv2d(c: &mut Criterion) {
    for channels in [8, 32] {
        let x = input([16, channels, 28, 28]);
        let layer = Conv2dConfig::new([channels, channels], [3, 3]).init(&device());
        let id = |name: &str| format!("conv2d/{name}/{channels}");
        bench(c, id("burn"), &layer, |l| l.forward(x.clone()));
        for (name, estimator) in ESTIMATORS {
            let config = BayesianConv2dConfig::new([channels, channels], [3, 3]);
            let layer = config.with_estimator(estimator).init(&device());
            bench(c, id(name), &layer, |l| l.forward(x.clone()));
        }
    }
}

fn recurrent(c: &mut Criterion) {
    for hidden in [32, 128] {
        let x = input([32, 32, 32]);
        let id = |layer: &str, name: &str| format!("{layer}/{name}/{hidden}");
        let lstm = LstmConfig::new(32, hidden, true).init(&device());
        bench(c, id("lstm", "burn"), &lstm, |l| {
            l.forward(x.clone(), None).0
        });
        let gru = GruConfig::new(32, hidden, true).init(&device());
        bench(c, id("gru", "burn"), &gru, |l| l.forward(x.clone(), None));
        for (name, estimator) in [ESTIMATORS[0], ESTIMATORS[2]] {
            let config = BayesianLstmConfig::new(32, hidden, true).with_estimator(estimator);
            bench(c, id("lstm", name), &config.init(&device()), |l| {
                l.forward(x.clone(), None).0
            });
            let config = BayesianGruConfig::new(32, hidden, true).with_estimator(estimator);
            bench(c, id("gru", name), &config.init(&device()), |l| {
                l.forward(x.clone(), None).0
            });
        }
    }
}

fn embedding(c: &mut Criterion) {
    for words in [1_000, 100_000] {
        let looked_up = Tensor::<1, Int>::arange(0..256, &device()).mul_scalar(3);
        let looked_up = looked_up.reshape([16, 16]);
        let id = |name: &str| format!("embedding/{name}/{words}");
        let layer = EmbeddingConfig::new(words, 64).init(&device());
        bench(c, id("burn"), &layer, |l| l.forward(looked_up.clone()));
        let layer = BayesianEmbeddingConfig::new(words, 64).init(&device());
        bench(c, id("shared_weights"), &layer, |l| {
            l.forward(looked_up.clone())
        });
    }
}

criterion_group!(benches, linear, conv2d, recurrent, embedding);
criterion_main!(benches);
