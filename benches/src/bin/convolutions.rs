//! Convolutions and poolings by the library's kernels and by Burn's, in turn: where which is faster.
//!
//! `cargo run --release -p blitz-benches --bin convolutions [ROUNDS [DEVICE]]`
//!
//! A round runs each once, so that a busy machine is busy for both. Medians in milliseconds: of the output alone, and
//! of the output and all gradients.

use blitz_benches::{median, timed};
use blitz_train::blitz_core::device;
use blitz_train::blitz_core::kernels::{conv2d, max_pool2d, without_fused};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Distribution, Tensor};
use clap::Parser;
use example_support::number::at_least;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Times convolutions and poolings by the library's kernels and by Burn's, in turn.
#[derive(Debug, Parser)]
struct Options {
    /// Rounds that are timed.
    #[arg(default_value_t = 21, value_parser = at_least::<1>)]
    rounds: usize,
    /// The device, called like its feature.
    #[arg(default_value = "flex")]
    device: String,
}

/// Batch, channels in and out, height and width, kernel, zeros on each side.
const CONVOLUTIONS: [[usize; 6]; 26] = [
    // LeNet-5's.
    [64, 1, 6, 28, 5, 2],
    [64, 6, 16, 14, 5, 0],
    [1, 1, 6, 28, 5, 2],
    [1, 6, 16, 14, 5, 0],
    [512, 6, 16, 14, 5, 0],
    // VGG's of a width of 16 and of 64, on 32×32.
    [32, 3, 16, 32, 3, 1],
    [32, 16, 32, 16, 3, 1],
    [32, 32, 64, 8, 3, 1],
    [32, 64, 128, 4, 3, 1],
    [32, 128, 128, 2, 3, 1],
    [16, 3, 64, 32, 3, 1],
    [16, 64, 64, 32, 3, 1],
    [16, 64, 128, 16, 3, 1],
    [16, 128, 128, 16, 3, 1],
    [16, 128, 256, 8, 3, 1],
    [16, 256, 256, 8, 3, 1],
    [16, 256, 512, 4, 3, 1],
    [16, 512, 512, 4, 3, 1],
    [16, 512, 512, 2, 3, 1],
    [1, 64, 64, 32, 3, 1],
    [1, 256, 256, 8, 3, 1],
    [2, 64, 64, 112, 3, 1],
    // Products with a matrix alone.
    [16, 64, 64, 16, 1, 0],
    [16, 256, 64, 16, 1, 0],
    // Few numbers.
    [4, 1, 1, 8, 3, 1],
    [16, 2, 4, 4, 2, 0],
];

/// Batch, channels, height and width.
const POOLINGS: [[usize; 3]; 4] = [[64, 6, 28], [64, 16, 10], [16, 64, 32], [1, 6, 28]];

/// The medians of both, in milliseconds, ours first.
fn medians(device: &Device, rounds: usize, run: impl Fn()) -> [f64; 2] {
    let mut times = [const { Vec::new() }; 2];
    for _ in 0..rounds + 3 {
        times[0].push(timed(device, &run));
        times[1].push(without_fused(|| timed(device, &run)));
    }
    times.map(|times| median(&times[3..]))
}

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

fn report(name: &str, [alone, with_gradients]: [[f64; 2]; 2]) {
    let columns = [alone, with_gradients]
        .map(|[ours, burn]| format!("{ours:.3} | {burn:.3} | {:.2}", burn / ours));
    println!("| {name} | {} |", columns.join(" | "));
}

fn main() {
    let Options { rounds, device } = Options::parse();
    let device = device::choose(Some(&device)).unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::exit(2);
    });
    let with_gradients = device.clone().autodiff();
    println!("| | ours | Burn | ratio | ours, gradients | Burn | ratio |");
    println!("|---|---|---|---|---|---|---|");
    for [batch, channels_in, channels_out, size, kernel, padding] in CONVOLUTIONS {
        let options = ConvOptions::new([1, 1], [padding; 2], [1, 1], 1);
        let input = random([batch, channels_in, size, size], &device);
        let weight = random([channels_out, channels_in, kernel, kernel], &device);
        let bias = random([channels_out], &device);
        let output = || {
            conv2d(
                input.clone(),
                weight.clone(),
                Some(bias.clone()),
                options.clone(),
            )
        };
        let grad = random(output().dims(), &with_gradients);
        let tracked = |tensor: &Tensor<4>| {
            Tensor::<4>::from_data(tensor.to_data(), &with_gradients).require_grad()
        };
        let (x, w) = (tracked(&input), tracked(&weight));
        let b = Tensor::<1>::from_data(bias.to_data(), &with_gradients).require_grad();
        let alone = medians(&device, rounds, || drop(output()));
        let all = medians(&device, rounds, || {
            let output = conv2d(x.clone(), w.clone(), Some(b.clone()), options.clone());
            drop((output * grad.clone()).sum().backward());
        });
        let name = format!(
            "{batch} × {channels_in} → {channels_out}, {size}², kernel {kernel}, zeros {padding}"
        );
        report(&name, [alone, all]);
    }
    for [batch, channels, size] in POOLINGS {
        let input = random([batch, channels, size, size], &device);
        let options = || MaxPoolOptions::new([2, 2]);
        let grad = random([batch, channels, size / 2, size / 2], &with_gradients);
        let x = Tensor::<4>::from_data(input.to_data(), &with_gradients).require_grad();
        let alone = medians(&device, rounds, || {
            drop(max_pool2d(input.clone(), options()))
        });
        let all = medians(&device, rounds, || {
            let output = max_pool2d(x.clone(), options());
            drop((output * grad.clone()).sum().backward());
        });
        report(
            &format!("pooling, {batch} × {channels}, {size}²"),
            [alone, all],
        );
    }
}

#[cfg(test)]
mod tests {
    use blitz_benches::NO_ROUNDS;
    use example_support::program::assert_refused;

    use super::*;

    #[test]
    fn what_is_no_number_of_rounds_is_refused() {
        assert_refused::<Options>(&NO_ROUNDS);
    }
}
