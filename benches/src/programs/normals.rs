//! What a device makes of the same seed, and how fast: bits of 10⁷ normals against the definition, their digest, and
//! times.
//!
//! `cargo run --release -p blitz-benches --features wgpu,fusion --bin normals -- [DEVICE ...]`; without an argument,
//! all that the build has and the machine as well.

use blitz_train::blitz_core::noise::NoiseKey;
use blitz_train::blitz_core::{Noise, device};
use blitz_train::prelude::*;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::{median, timed};

const NORMALS: usize = 10_000_000;
/// The side of a square weight of a million.
const SIDE: usize = 1000;

/// The median of nine times in milliseconds, after three that are not taken.
fn median_of_nine(device: &Device, mut run: impl FnMut()) -> f64 {
    let times: Vec<f64> = (0..12).map(|_| timed(device, &mut run)).collect();
    median(&times[3..])
}

/// FNV-1a of the bits.
fn digest(values: &[f32]) -> u64 {
    values
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
        })
}

fn try_device(name: &str, expected: &[f32]) {
    let device = match device::choose(Some(name)) {
        Ok(device) => device,
        Err(error) => return println!("| {name} | {error} | | | | |"),
    };
    let key = NoiseKey::new(0xB117_2026, 3, 5);
    let like = Tensor::<1>::zeros([NORMALS], &device);
    let normals = || Noise::new(key).standard_normal(&like);
    let got: Vec<f32> = normals().into_data().iter::<f32>().collect();
    let pairs = got.iter().zip(expected);
    let same = pairs.filter(|(a, b)| a.to_bits() == b.to_bits()).count();
    let fill = median_of_nine(&device, || drop(normals()));

    let trained = device.clone().autodiff();
    let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.05));
    let layer: Linear = LinearConfig::new(SIDE, SIDE)
        .with_bias(false)
        .init(&trained)
        .bayesianize(&config);
    let draw = median_of_nine(&device, || {
        drop(layer.with_draw(7, 1, |layer| layer.weight.val()))
    });
    let both = median_of_nine(&device, || {
        let _draw = layer.draw(7, 1);
        let loss = layer.weight.val().sum().reshape([1]) + layer.kl_cost();
        drop(loss.backward());
    });
    println!(
        "| {name} | {same} | {:016x} | {:.0} | {:.2} | {:.2} |",
        digest(&got),
        NORMALS as f64 / fill / 1e3,
        draw,
        both
    );
}

/// Prints a row for each device that the command line names.
pub fn main() {
    let mut expected = vec![0.0; NORMALS];
    NoiseKey::new(0xB117_2026, 3, 5).fill_standard_normal(0, &mut expected);
    println!("the definition's digest is {:016x}\n", digest(&expected));
    println!(
        "| device | of 10⁷ normals have its bits | digest | million normals/s | draw of 10⁶ weights, ms | draw, KL and backward, ms |"
    );
    println!("|---|---|---|---|---|---|");
    for name in super::devices() {
        try_device(&name, &expected);
    }
}
