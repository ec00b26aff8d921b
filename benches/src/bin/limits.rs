//! What a Bayesian training step cannot avoid, what this machine can do of it, and how near the step is.
//!
//! `cargo run --release -p blitz-benches --bin limits`
//!
//! For an MLP whose weights have mean-field normal posteriors, with one draw a step:
//!
//! - **Flops.** 2 a weight and row for the output, as many for the gradient of the weights and, behind the first layer,
//!   of the input.
//! - **Normals.** Two a weight: the draw's, and the same again in the backward pass, which is cheaper than to keep
//!   them.
//! - **Bytes.** Those of [`TODAY`], each once.
//!
//! The limit is the sum of the three at this machine's speed. Nothing is hidden behind anything else in it, so a step
//! could be below it if a machine computed and moved memory at the same time.
//!
//! The second limit is that of [`FUSED`], an algorithm that is not there yet, of the same numbers but for the rounding
//! of Adam's moments.

use blitz_benches::{Layers, Shape, Training, WORKLOADS, median, timed};
use blitz_train::prelude::*;
use burn::tensor::{Device, Tensor};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What an algorithm moves and makes for each weight.
struct Algorithm {
    /// Numbers of four bytes that are read or written in a step of one draw.
    numbers: f64,
    /// Those of each further draw.
    further: f64,
    /// Whether an even number of draws are antithetic pairs, which need half the normals.
    pairs: bool,
}

/// The draw reads μ and ρ and writes w (3); the product forward and the one backward read w (2); the gradient of w is
/// written (1); the backward pass of draw and KL reads it, μ and ρ and writes two gradients (5); Adam reads two
/// gradients, parameters and four moments and writes parameters and moments (14).
const TODAY: Algorithm = Algorithm {
    numbers: 25.0,
    further: 6.0,
    pairs: false,
};

/// Weights are drawn into the panel that the forward product packs, and written for the backward one (μ, ρ and w: 3),
/// which reads them (1). The gradient of w is written (1). One pass reads it, μ, ρ and four moments of 16 bits (5),
/// makes the normals again, adds the KL's gradient and writes parameters and moments (4). Draws are made together, so
/// each further one writes and reads w and its gradient (4).
///
/// To make w a third time in the backward product would save two numbers and cost a normal, which takes longer.
const FUSED: Algorithm = Algorithm {
    numbers: 14.0,
    further: 4.0,
    pairs: true,
};

impl Algorithm {
    /// Bytes and normals of a step.
    fn needs(&self, weights: f64, samples: f64) -> [f64; 2] {
        let share = match self.pairs && samples % 2.0 == 0.0 {
            true => 0.5,
            false => 1.0,
        };
        let numbers = self.numbers + self.further * (samples - 1.0);
        [4.0 * weights * numbers, 2.0 * weights * samples * share]
    }
}

/// The processor's name, where the system tells it.
fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut lines = info.lines();
    let name = lines.find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    name.unwrap_or(std::env::consts::ARCH).to_string()
}

/// Median seconds of some runs, after one that is not counted.
fn seconds(mut run: impl FnMut()) -> f64 {
    run();
    let times: Vec<f64> = (0..15).map(|_| timed(&Device::flex(), &mut run)).collect();
    1e-3 * median(&times)
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
        "{}: products {:.0} GFLOP/s; additions {:.1} GB/s in the cache, {:.1} GB/s in memory; {:.0} million normals a second\n",
        processor(),
        flops / 1e9,
        cached / 1e9,
        bandwidth / 1e9,
        normals / 1e6
    );
    println!(
        "| net | batch | draws | MFLOP | MB | million normals | limit, ms: products + memory + normals | of the fused algorithm | \
         measured | measured / limit | measured / fused | deterministic |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for workload in WORKLOADS {
        let Shape::Mlp(widths) = workload.shape else {
            continue;
        };
        let samples = workload.samples as f64;
        let products: Vec<f64> = widths.windows(2).map(|w| (w[0] * w[1]) as f64).collect();
        let weights: f64 = products.iter().sum();
        let rows = 2.0 * workload.batch as f64 * samples;
        let work = rows * (3.0 * weights - products[0]);
        let parts = |algorithm: &Algorithm| {
            let [bytes, drawn] = algorithm.needs(weights, samples);
            let speed = if bytes < 16e6 { cached } else { bandwidth };
            [work / flops, bytes / speed, drawn / normals].map(|part| 1e3 * part)
        };
        let [of_today, of_fused] = [&TODAY, &FUSED].map(parts);
        let [limit, fused_limit] = [of_today, of_fused].map(|parts| parts.iter().sum::<f64>());
        let [bytes, drawn] = TODAY.needs(weights, samples);
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
            "| {widths:?} | {} | {samples} | {:.0} | {:.1} | {:.2} | {:.2} = {:.2} + {:.2} + {:.2} | {:.2} = {:.2} + {:.2} + {:.2} | \
             {bayesian:.2} | {:.1} | {:.1} | {deterministic:.2} |",
            workload.batch,
            work / 1e6,
            bytes / 1e6,
            drawn / 1e6,
            limit,
            of_today[0],
            of_today[1],
            of_today[2],
            fused_limit,
            of_fused[0],
            of_fused[1],
            of_fused[2],
            bayesian / limit,
            bayesian / fused_limit,
        );
    }
}
