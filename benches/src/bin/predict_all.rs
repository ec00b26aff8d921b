//! Seconds and peak memory of the predictive distributions of a whole test set.
//!
//! `cargo run --release -p blitz-benches --bin predict_all`
//!
//! 10,000 examples of 784 features, as MNIST's test set has them, in batches of 256; mean-field normal posteriors, 100
//! draws. The memory is what is alive on the heap beyond the data and the network. The draws are computed one after the
//! other, each on all processors, and on a thread for each processor.

use std::time::Instant;

use blitz_benches::{Counting, Input, Layers, Net};
use blitz_train::DrawCache;
use blitz_train::prelude::*;
use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::tensor::{Device, Int, Tensor, TensorData};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const EXAMPLES: usize = 10_000;
const FEATURES: usize = 784;
const BATCH: usize = 256;

/// Rows of one tensor, by their numbers.
struct Rows(Tensor<2>);

impl Batcher<usize, LabeledBatch<Input, Tensor<1, Int>>> for Rows {
    fn batch(&self, rows: Vec<usize>, device: &Device) -> LabeledBatch<Input, Tensor<1, Int>> {
        LabeledBatch {
            inputs: Input::Rows(
                self.0
                    .clone()
                    .narrow(0, rows[0], rows.len())
                    .to_device(device),
            ),
            targets: Tensor::zeros([rows.len()], device),
        }
    }
}

fn measure(hidden: usize, samples: usize, weights: DrawCache, threads: usize) {
    let device = Device::flex();
    let widths = [FEATURES, hidden, hidden, 10];
    let layers = Layers::Bayesian(Estimator::SharedWeights);
    let net = Net::mlp(&widths, layers, &device);
    let mut values = vec![0.0; EXAMPLES * FEATURES];
    NoiseKey::new(1, 0, 0).fill_standard_normal(0, &mut values);
    let data = Tensor::from_data(TensorData::new(values, [EXAMPLES, FEATURES]), &device);
    let loader = DataLoaderBuilder::new(Rows(data))
        .batch_size(BATCH)
        .set_device(device)
        .build(InMemDataset::new((0..EXAMPLES).collect()));
    let likelihood = CategoricalLikelihoodConfig::new(10).init();

    let before = Counting::alive();
    Counting::start_anew();
    let start = Instant::now();
    let predictor = PredictorConfig::new(samples)
        .with_weights(weights)
        .with_threads(threads)
        .init(&net, &likelihood);
    let all = predictor.predict_all(loader.as_ref(), |_| {});
    let seconds = start.elapsed().as_secs_f64();
    match all {
        Ok(all) => assert_eq!(all.predictive.len(), EXAMPLES),
        Err(error) => panic!("{error}"),
    }
    println!(
        "784-{hidden}-{hidden}-10  {samples:>4} draws  {:<8} {threads:>2} threads {seconds:>7.2} s {:>7.0} MB",
        format!("{weights:?}").to_lowercase(),
        (Counting::peak() - before) as f64 / 1e6,
    );
}

fn main() {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    for hidden in [400, 1200] {
        for weights in [DrawCache::Kept, DrawCache::Redrawn] {
            for samples in [10, 100] {
                for threads in [1, processors] {
                    measure(hidden, samples, weights, threads);
                }
            }
        }
    }
}
