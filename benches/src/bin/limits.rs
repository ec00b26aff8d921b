//! What a Bayesian training step cannot avoid, what this machine can do of it, and how near the step is.
//!
//! `cargo run --release -p blitz-benches --bin limits`
//!
//! For an MLP whose weights have mean-field normal posteriors, with one draw a step:
//!
//! - **Flops.** 2 a weight and row for the output, as many for the gradient of the weights and, behind the first layer, of the
//!   input.
//! - **Normals.** Two a weight: the draw's, and the same again in the backward pass, which is cheaper than to keep them.
//! - **Bytes.** Each of these once: the draw reads μ and ρ and writes w; the product forward and the one backward read w; the gradient
//!   of w is written; the backward pass of draw and KL reads it, μ and ρ and writes two gradients; Adam reads two gradients, parameters
//!   and four moments and writes parameters and moments. 4 · (3 + 2 + 1 + 5 + 14) = 100 bytes a weight.
//!
//! The limit is the sum of the three at this machine's speed. Nothing is hidden behind anything else in it, so a step could be
//! below it if a machine computed and moved memory at the same time.

use std::time::Instant;

use blitz_benches::{Layers, Shape, Training, WORKLOADS};
use blitz_train::prelude::*;
use burn::tensor::{Device, Tensor};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BYTES_PER_WEIGHT: f64 = 100.0;

/// Median seconds of some runs, after one that is not counted.
fn seconds(mut run: impl FnMut()) -> f64 {
    run();
    let mut times: Vec<f64> = (0..15)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    let device = Device::flex();
    let square = Tensor::<2>::ones([1024, 1024], &device);
    let flops = 2.0 * 1024f64.powi(3) / seconds(|| drop(square.clone().matmul(square.clone())));
    let addition = |elements: usize| {
        let (a, b) = (
            Tensor::<1>::ones([elements], &device),
            Tensor::<1>::ones([elements], &device),
        );
        12.0 * elements as f64 / seconds(|| drop(a.clone() + b.clone()))
    };
    let (cached, bandwidth) = (addition(1 << 18), addition(1 << 25));
    let mut normals = vec![0f32; 1 << 20];
    let normals =
        (1 << 20) as f64 / seconds(|| NoiseKey::new(1, 2, 3).fill_standard_normal(0, &mut normals));
    println!(
        "products {:.0} GFLOP/s; additions {:.1} GB/s in the cache, {:.1} GB/s in memory; {:.0} million normals a second\n",
        flops / 1e9,
        cached / 1e9,
        bandwidth / 1e9,
        normals / 1e6
    );
    println!(
        "| net | batch | MFLOP | MB | million normals | limit, ms: products + memory + normals | measured | measured / limit | \
         deterministic |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for workload in WORKLOADS {
        let Shape::Mlp(widths) = workload.shape else {
            continue;
        };
        let samples = workload.samples as f64;
        let products: Vec<f64> = widths.windows(2).map(|w| (w[0] * w[1]) as f64).collect();
        let weights: f64 = products.iter().sum();
        let rows = 2.0 * workload.batch as f64 * samples;
        let work = rows * (3.0 * weights - products[0]);
        let bytes = weights * (BYTES_PER_WEIGHT + 6.0 * 4.0 * (samples - 1.0));
        let drawn = 2.0 * weights * samples;
        let speed = if bytes < 16e6 { cached } else { bandwidth };
        let parts = [work / flops, bytes / speed, drawn / normals].map(|part| 1e3 * part);
        let limit: f64 = parts.iter().sum();
        let [deterministic, bayesian] = [
            Layers::Deterministic,
            Layers::Bayesian(Estimator::SharedWeights),
        ]
        .map(|layers| {
            let optimizer = FusedAdamConfig::new().init();
            let autodiff = device.clone().autodiff();
            let mut training = Training::new(&workload, layers, optimizer, &autodiff);
            for _ in 0..3 {
                training.step();
            }
            1e3 * seconds(|| training.step())
        });
        println!(
            "| {widths:?} | {} | {:.0} | {:.1} | {:.2} | {:.2} = {:.2} + {:.2} + {:.2} | {bayesian:.2} | {:.1} | {deterministic:.2} |",
            workload.batch,
            work / 1e6,
            bytes / 1e6,
            drawn / 1e6,
            limit,
            parts[0],
            parts[1],
            parts[2],
            bayesian / limit,
        );
    }
}
