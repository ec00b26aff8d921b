//! A training on a device, for `benches/gpu/transfers.sh` to count what goes to the device and what comes back.
//!
//! `cargo run -p backend-tests --features wgpu --example transfers -- wgpu 10` trains for ten steps.

use std::sync::Arc;

use blitz_train::blitz_core::device;
use blitz_train::prelude::*;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::tensor::{Device, Int, Tensor};
use burn::train::{Learner, SupervisedTraining};

type Images = LabeledBatch<Tensor<2>, Tensor<1, Int>>;

const BATCH: usize = 8;

#[derive(Module, Debug)]
struct Net {
    layers: [Linear; 2],
}

impl Network for Net {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let [first, second] = &self.layers;
        second.forward(Relu::new().forward(first.forward(input)))
    }
}

struct ImageBatcher;

impl Batcher<i64, Images> for ImageBatcher {
    fn batch(&self, labels: Vec<i64>, device: &Device) -> Images {
        let pixels: Vec<f32> = (0..labels.len() * 784).map(|i| (i as f32).sin()).collect();
        LabeledBatch {
            inputs: Tensor::<1>::from_floats(pixels.as_slice(), device).reshape([-1, 784]),
            targets: Tensor::from_ints(labels.as_slice(), device),
        }
    }
}

fn loader(items: usize, device: &Device) -> Arc<dyn DataLoader<Images>> {
    let labels = (0..items as i64).map(|i| i % 10).collect();
    DataLoaderBuilder::new(ImageBatcher)
        .batch_size(BATCH)
        .set_device(device.clone())
        .build(InMemDataset::new(labels))
}

fn main() {
    let options: Vec<String> = std::env::args().skip(1).collect();
    let [name, steps] = options.as_slice() else {
        panic!("usage: transfers DEVICE STEPS, got {options:?}");
    };
    let items = BATCH * steps.parse::<usize>().expect("a number of steps");
    let device = device::choose(Some(name)).unwrap_or_else(|error| panic!("{error}"));
    let device = device.autodiff();
    let layers = [LinearConfig::new(784, 100), LinearConfig::new(100, 10)];
    let layers = layers.map(|layer| layer.init(&device));
    let net = Net { layers }.bayesianize(&BayesianizeConfig::new());
    let likelihood = CategoricalLikelihoodConfig::new(10).init();
    let elbo = ElboConfig::new(items).with_samples(2).init();
    let model = ElboModel::new(net, likelihood, elbo);
    let (train, valid) = (loader(items, &device), loader(0, &device));
    let training = SupervisedTraining::new("unused", train, valid)
        .with_application_logger(None)
        .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
        .num_epochs(1);
    let learner = Learner::new(model, FusedAdamConfig::new().init(), 1e-3);
    let fitted = fit(training, learner).unwrap_or_else(|error| panic!("{error}"));
    println!("{} steps", fitted.model.steps());
}
