//! What a training step and a prediction cost, Bayesian beside deterministic.
//!
//! `cargo run --release -p blitz-benches --bin step_time`
//!
//! Medians of alternating steps, in milliseconds, on Flex, which computes at once.

use std::time::Instant;

use blitz_benches::{Mlp, Training};
use blitz_train::prelude::*;
use burn::optim::AdamConfig;
use burn::tensor::{Device, Tensor};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const STEPS: usize = 25;
/// The first steps fill pools and make the moments.
const WARM_UP: usize = 4;

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn milliseconds(f: impl FnOnce()) -> f64 {
    let start = Instant::now();
    f();
    start.elapsed().as_secs_f64() * 1e3
}

fn training_steps(widths: &[usize], batch: usize, samples: usize) {
    let device = Device::flex().autodiff();
    let burns = || AdamConfig::new().init();
    let fused = || FusedAdamConfig::new().init();
    let mut trainings = [
        (None, burns()),
        (Some(samples), burns()),
        (Some(samples), fused()),
    ]
    .map(|(samples, optimizer)| Training::new(widths, batch, samples, optimizer, &device));
    let mut times: [Vec<f64>; 3] = Default::default();
    for step in 0..STEPS {
        for (training, times) in trainings.iter_mut().zip(&mut times) {
            let time = milliseconds(|| training.step());
            if step >= WARM_UP {
                times.push(time);
            }
        }
    }
    let [deterministic, burns, fused] = times.map(median);
    let ratio = fused / deterministic;
    println!(
        "| {widths:?} | {batch} | {samples} | {deterministic:.2} | {burns:.2} | {fused:.2} | {ratio:.1} |"
    );
}

/// 100 draws of the 784-400-400-10 network for 256 rows, beside 100 passes of the deterministic one.
fn prediction() {
    let device = Device::flex();
    let network = Mlp::new(&[784, 400, 400, 10], &device);
    let bayesian = network.clone().bayesianize(&BayesianizeConfig::new());
    let x = Tensor::<2>::ones([256, 784], &device);
    let mut times: [Vec<f64>; 2] = Default::default();
    for _ in 0..5 {
        times[0].push(milliseconds(|| {
            for _ in 0..100 {
                drop(network.forward(x.clone()));
            }
        }));
        times[1].push(milliseconds(|| {
            drop(predict_draws(&bayesian, 100, 0, |net| {
                net.forward(x.clone())
            }));
        }));
    }
    let [deterministic, bayesian] = times.map(median);
    println!(
        "\n100 passes for 256 rows: deterministic {deterministic:.0} ms, 100 draws {bayesian:.0} ms"
    );
}

fn main() {
    println!(
        "| net | batch | samples | deterministic, Burn's Adam | Bayesian, Burn's Adam | Bayesian, `FusedAdam` | ratio of the last to \
         the first |"
    );
    println!("|---|---|---|---|---|---|---|");
    training_steps(&[13, 512, 1], 16, 3);
    training_steps(&[784, 400, 400, 10], 128, 1);
    training_steps(&[784, 1200, 1200, 10], 128, 1);
    prediction();
}
