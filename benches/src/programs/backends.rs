//! What the fused operations cost on a backend, beside plain tensor operations, as rows of a Markdown table.
//!
//! `cargo run --release -p blitz-benches --bin backends -- [DEVICE ...]`, with `--features wgpu` and so on for other
//! devices than flex and ndarray; without an argument, all that the build has.
//!
//! Medians over repetitions, in which the variants take turns; the device is synced inside the timed region.

use blitz_train::blitz_core::kernels::without_fused;
use blitz_train::blitz_core::{Noise, device};
use blitz_train::prelude::*;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;

use crate::{Layers, Training, Workload, median, timed};

const SIDE: usize = 1024;
const REPETITIONS: usize = 15;

/// A weight of a million elements, with its posterior.
fn weight(device: &Device) -> Linear {
    let layer = LinearConfig::new(SIDE, SIDE).with_bias(false).init(device);
    layer.bayesianize(&BayesianizeConfig::new())
}

/// The training whose steps are timed, with `FusedAdam`.
fn training(layers: Layers, device: &Device) -> Training {
    let workload = Workload::named("mlp-784-400-400-10")
        .unwrap_or_else(|| unreachable!("it is one of the list"));
    Training::new(&workload, layers, FusedAdamConfig::new().init(), device)
}

/// The medians of the times of some variants in milliseconds, which take turns.
fn medians<const N: usize>(device: &Device, mut variants: [&mut dyn FnMut(); N]) -> [f64; N] {
    let mut times: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
    for _ in 0..REPETITIONS + 3 {
        for (variant, times) in variants.iter_mut().zip(&mut times) {
            times.push(timed(device, variant));
        }
    }
    // The first few compile kernels and fill pools.
    times.map(|times| median(&times[3..]))
}

fn row(name: &str, device: &Device) {
    let million = (SIDE * SIDE) as f64 / 1e6;
    let autodiff = device.clone().autodiff();
    let (plain_weight, weight) = (weight(device), weight(&autodiff));

    let mut index = 0;
    let like = plain_weight.weight.val().zeros_like();
    let mut noise = || {
        index += 1;
        drop(Noise::new(NoiseKey::new(1, index, 0)).standard_normal(&like));
    };
    let [normals] = medians(device, [&mut noise]);

    let mut index = 0;
    let mut draw_and_backward = || {
        index += 1;
        let weight = weight.with_draw(1, index, |layer| layer.weight.val());
        drop(weight.sum().backward());
    };
    let mut kl_and_backward = || drop(weight.kl_cost().backward());
    let [draw] = medians(device, [&mut draw_and_backward]);
    let [plain_draw] = medians(device, [&mut || without_fused(&mut draw_and_backward)]);
    let [kl, plain_kl] = medians(
        device,
        [&mut kl_and_backward, &mut || {
            without_fused(|| drop(weight.kl_cost().backward()))
        }],
    );

    let mut deterministic = training(Layers::Deterministic, &autodiff);
    let mut fused = training(Layers::Bayesian(Estimator::SharedWeights), &autodiff);
    let mut plain = training(Layers::Bayesian(Estimator::SharedWeights), &autodiff);
    let [deterministic, fused, plain] = medians(
        device,
        [
            &mut || deterministic.step(),
            &mut || fused.step(),
            &mut || without_fused(|| plain.step()),
        ],
    );
    println!(
        "| {name} | {:.0} | {:.2} / {:.2} | {:.2} / {:.2} | {deterministic:.1} / {fused:.1} / {plain:.1} | {:.0} % |",
        1e3 * million / normals,
        draw / million,
        plain_draw / million,
        kl / million,
        plain_kl / million,
        100.0 * (1.0 - deterministic / fused),
    );
}

/// Prints a row for each device that the command line names.
pub fn main() {
    println!(
        "| device | million normals a second | draw and backward, ms per million weights, fused / plain | KL and backward | step of \
         784-400-400-10, batch 128, ms: deterministic / fused / plain | share of the fused step that is Bayesian |"
    );
    println!("|---|---|---|---|---|---|");
    for name in super::devices() {
        match device::choose(Some(&name)) {
            Ok(device) => row(&name, &device),
            Err(error) => {
                eprintln!("{error}");
                std::process::exit(2);
            }
        }
    }
}
