//! Peak memory of one training step per weight: Burn's deterministic layers, and Bayesian ones with 1 and 10 samples.
//!
//! `cargo run --release -p blitz-benches --bin step_memory`
//!
//! Counts the bytes that are alive on the heap, so the figure does not depend on what an allocator keeps back. Adam's
//! two moments per parameter are included: the second step is the one measured.

use blitz_benches::{Counting, Layers, Shape, Training, Workload};
use blitz_train::prelude::Estimator;
use burn::optim::AdamConfig;
use burn::tensor::Device;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The peak of the second step above what was alive before the model was made.
fn peak(widths: &'static [usize], batch: usize, samples: Option<usize>) -> usize {
    let device = Device::flex().autodiff();
    let workload = Workload {
        name: "memory",
        shape: Shape::Mlp(widths),
        batch,
        samples: samples.unwrap_or(1),
        examples: 60_000,
    };
    let layers = match samples {
        None => Layers::Deterministic,
        Some(_) => Layers::Bayesian(Estimator::SharedWeights),
    };
    let before = Counting::alive();
    let mut training = Training::new(&workload, layers, AdamConfig::new().init(), &device);
    for _ in 0..2 {
        Counting::start_anew();
        training.step();
    }
    Counting::peak() - before
}

fn main() {
    // Buffers that are made once in a process must not count for the first net.
    peak(&[784, 400, 10], 16, Some(2));
    println!(
        "{:<22} {:>9} {:>14} {:>14} {:>14}",
        "net", "weights", "deterministic", "S = 1", "S = 10"
    );
    for widths in [
        &[13, 512, 1][..],
        &[784, 400, 400, 10],
        &[784, 1200, 1200, 10],
    ] {
        let weights: usize = widths.windows(2).map(|w| w[0] * w[1] + w[1]).sum();
        let batch = 16;
        let per_weight = |samples| peak(widths, batch, samples) as f64 / weights as f64;
        println!(
            "{:<22} {weights:>9} {:>9.1} B/w  {:>9.1} B/w  {:>9.1} B/w",
            format!("{widths:?}, batch {batch}"),
            per_weight(None),
            per_weight(Some(1)),
            per_weight(Some(10)),
        );
    }
}
