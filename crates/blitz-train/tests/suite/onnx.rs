//! A network that PyTorch exported as ONNX, as `burn-onnx` brings it to Burn, with posteriors.
//!
//! `onnx/export.py` trains it and writes `stripes.onnx`, and images with PyTorch's logits beside it. `stripes.rs` and
//! `stripes.bpk` are what `burn-onnx` 0.22.0 makes of the file, by `onnx2burn --no-development stripes.onnx .`; see
//! `docs/converting.md`. Committed, so that no build of the tests builds Burn a second time for a build script.

#[allow(missing_docs, dead_code, unused, clippy::all)]
#[rustfmt::skip]
mod stripes;

use std::f32::consts::TAU;

use blitz_train::blitz_core::noise::NoiseKey;
use blitz_train::laplace::DiagonalLaplace;
use blitz_train::prelude::*;
use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::tensor::{Bytes, Device, Int, Tensor};
use serde_json::Value;
use stripes::Model;

const CLASSES: usize = 3;
const PIXELS: usize = 64;
/// Where its weights stand: the layers have the names that `burn-onnx` gives them.
const PATHS: [&str; 8] = [
    "conv2d1.weight",
    "conv2d1.bias",
    "batchnormalization1.gamma",
    "batchnormalization1.beta",
    "linear1.weight",
    "linear1.bias",
    "linear2.weight",
    "linear2.bias",
];

/// This is all that blitz asks of the network.
impl Network for Model {
    type Input = Tensor<4>;
    type Output = Tensor<2>;

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        Model::forward(self, images)
    }
}

fn network(device: &Device) -> Model {
    let weights = include_bytes!("onnx/stripes.bpk").to_vec();
    Model::from_bytes(Bytes::from_bytes_vec(weights), device)
}

fn images(pixels: &[f32], device: &Device) -> Tensor<4> {
    Tensor::<1>::from_floats(pixels, device).reshape([pixels.len() / PIXELS, 1, 8, 8])
}

/// The images that PyTorch saw, and its logits.
fn torch() -> (Vec<f32>, Vec<f32>) {
    let file: Value = serde_json::from_str(include_str!("onnx/stripes.json")).unwrap();
    let list = |name: &str| {
        let values = file[name].as_array().unwrap().iter();
        values.map(|value| value.as_f64().unwrap() as f32).collect()
    };
    (list("images"), list("logits"))
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn off(got: Tensor<2>, expected: &[f32]) -> f32 {
    let got = host(got);
    assert_eq!(got.len(), expected.len());
    let errors = got
        .iter()
        .zip(expected)
        .map(|(got, wanted)| (got - wanted).abs());
    errors.fold(0.0, f32::max)
}

/// As `export.py` makes them: horizontal, vertical or diagonal stripes with noise.
fn stripes(count: usize) -> Vec<(Vec<f32>, usize)> {
    let image = |i: usize| {
        let mut noise = [0.0f32; PIXELS + 1];
        NoiseKey::new(5, i as u64, 0).fill_standard_normal(0, &mut noise);
        let label = i % CLASSES;
        let pixel = |p: usize| {
            let (row, column) = ((p / 8) as f32, (p % 8) as f32);
            let along = [row, column, (row + column) / 1.5][label];
            (1.6 * along + TAU * noise[PIXELS]).sin() + 0.8 * noise[p]
        };
        ((0..PIXELS).map(pixel).collect(), label)
    };
    (0..count).map(image).collect()
}

#[derive(Clone)]
struct Stripes;

type Batch = LabeledBatch<Tensor<4>, Tensor<1, Int>>;

impl Batcher<(Vec<f32>, usize), Batch> for Stripes {
    fn batch(&self, items: Vec<(Vec<f32>, usize)>, device: &Device) -> Batch {
        let (pixels, labels): (Vec<_>, Vec<_>) = items.into_iter().unzip();
        let labels: Vec<i64> = labels.into_iter().map(|label| label as i64).collect();
        LabeledBatch {
            inputs: images(&pixels.concat(), device),
            targets: Tensor::from_ints(labels.as_slice(), device),
        }
    }
}

#[test]
fn the_logits_of_the_imported_network_are_pytorchs() {
    let (pixels, logits) = torch();
    let device = Device::flex();
    let error = off(network(&device).forward(images(&pixels, &device)), &logits);
    assert!(error < 1e-5, "{error:e}");
}

#[test]
fn one_call_gives_the_imported_network_posteriors_about_its_weights() {
    let (pixels, logits) = torch();
    let device = Device::flex();
    let posterior = PosteriorConfig::normal(0.05);
    let net = network(&device).bayesianize(&BayesianizeConfig::new().with_posterior(posterior));
    let paths: Vec<_> = net
        .weight_marginals()
        .into_iter()
        .map(|weight| weight.path)
        .collect();
    assert_eq!(paths, PATHS);
    // In its mean it is the network as it was.
    let mean = net.with_mean(|net| net.forward(images(&pixels, &device)));
    assert!(off(mean, &logits) < 1e-5);
    // And its draws differ, by about what the posterior says.
    let draws =
        blitz_train::predict_draws(&net, 50, 0, |net| net.forward(images(&pixels, &device)));
    let draws = draws
        .into_iter()
        .map(|draw| host(draw).into_iter().map(f64::from).collect());
    let mixture = CategoricalMixture::from_logits(draws, CLASSES);
    let disagreement = mixture.mutual_information();
    assert!(
        disagreement.iter().all(|nats| (1e-6..1.0).contains(nats)),
        "{disagreement:?}"
    );
    // The last layer alone, for a large network.
    let config = BayesianizeConfig::new().only(WeightFilter::last_layer());
    let last = network(&device).bayesianize(&config);
    assert_eq!(last.num_bayesian_weights(), 16 * CLASSES + CLASSES);
}

#[test]
fn a_laplace_approximation_of_the_imported_network_is_unsure_of_what_it_never_saw() {
    let device = Device::flex().autodiff();
    let data = DataLoaderBuilder::new(Stripes)
        .batch_size(1)
        .set_device(device.clone())
        .build(InMemDataset::new(stripes(120)));
    let likelihood = CategoricalLikelihoodConfig::new(CLASSES).init();
    let nll = |net: &Model, batch: Batch| likelihood.nll(net.forward(batch.inputs), batch.targets);
    let laplace = DiagonalLaplace::fit(network(&device), data.as_ref(), nll, 300.0).unwrap();

    let device = Device::flex();
    let disagreement = |pixels: &[f32]| {
        let draw = |index| {
            let net = laplace.sample_network(1, index).valid();
            host(net.forward(images(pixels, &device)))
                .into_iter()
                .map(f64::from)
                .collect()
        };
        let mixture = CategoricalMixture::from_logits((0..40).map(draw), CLASSES);
        let all = mixture.mutual_information();
        all.iter().sum::<f64>() / all.len() as f64
    };
    let seen: Vec<f32> = stripes(60)
        .into_iter()
        .flat_map(|(pixels, _)| pixels)
        .collect();
    // Noise without stripes.
    let mut noise = vec![0.0f32; 60 * PIXELS];
    NoiseKey::new(9, 0, 0).fill_standard_normal(0, &mut noise);
    let (seen, unseen) = (disagreement(&seen), disagreement(&noise));
    assert!(
        unseen > 2.0 * seen && seen > 0.0,
        "{seen} nats, {unseen} of noise"
    );
}
