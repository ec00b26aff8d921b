//! Prediction over data loaders.

use std::sync::Arc;

use blitz_train::blitz_core::noise::layout;
use blitz_train::prelude::*;
use blitz_train::{
    CheckError, DrawCache, Ensemble, Exposed, HeteroscedasticLikelihoodConfig, MixtureError,
    NetworkPosterior, PoissonLikelihoodConfig, PredictError, WithExposure, check_targets,
};
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::values;

#[derive(Module, Debug)]
struct Net {
    layer: BayesianLinear,
}

impl Network for Net {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        assert!(!input.device().is_autodiff(), "a prediction keeps a graph");
        self.layer.forward(input)
    }
}

type Pairs = LabeledBatch<Tensor<2>, Tensor<2>>;

struct Columns;

impl Batcher<f32, Pairs> for Columns {
    fn batch(&self, items: Vec<f32>, device: &Device) -> Pairs {
        let inputs: Tensor<2> = Tensor::<1>::from_floats(items.as_slice(), device).unsqueeze_dim(1);
        LabeledBatch {
            inputs: inputs.clone(),
            targets: inputs,
        }
    }
}

fn loader(items: Vec<f32>) -> Arc<dyn DataLoader<Pairs>> {
    DataLoaderBuilder::new(Columns)
        .batch_size(4)
        .set_device(Device::flex().autodiff())
        .build(InMemDataset::new(items))
}

fn inputs() -> Vec<f32> {
    (0..10).map(|i| i as f32 / 4.0 - 1.0).collect()
}

fn net() -> Net {
    net_with(Estimator::SharedWeights)
}

fn net_with(estimator: Estimator) -> Net {
    let device = Device::flex().autodiff();
    let layer = BayesianLinearConfig::new(1, 1).with_estimator(estimator);
    Net {
        layer: layer.init(&device),
    }
}

fn likelihood() -> GaussianLikelihood {
    GaussianLikelihoodConfig::new().init(&Device::flex().autodiff())
}

#[test]
fn batches_are_predicted_from_the_same_draws_whether_kept_or_made_again() {
    use Estimator::{Flipout, LocalReparameterization, SharedWeights};

    for estimator in [SharedWeights, LocalReparameterization, Flipout] {
        predicts_from_the_same_draws(&net_with(estimator));
    }
}

/// Each draw is one network for all rows of all batches.
fn predicts_from_the_same_draws(net: &Net) {
    let x = Tensor::<1>::from_floats(inputs().as_slice(), &Device::flex()).unsqueeze_dim(1);
    let model = ElboModel::new(
        net.valid(),
        likelihood().valid(),
        ElboConfig::new(10).init(),
    );
    // All at once, with every draw opened once.
    let expected = model.predict(x, 7, 3);
    for (weights, threads) in [
        (DrawCache::Kept, 1),
        (DrawCache::Redrawn, 1),
        (DrawCache::Kept, 3),
        (DrawCache::Redrawn, 30),
    ] {
        let predictor = PredictorConfig::new(7)
            .with_seed(3)
            .with_weights(weights)
            .with_threads(threads)
            .init(net, &likelihood());
        let mut seen = Vec::new();
        let all = predictor
            .predict_all(loader(inputs()).as_ref(), |progress| {
                seen.push((progress.items_processed, progress.items_total));
            })
            .unwrap();
        assert_eq!(all.predictive, expected, "{weights:?}, {threads} threads");
        assert_eq!(seen, [(4, 10), (8, 10), (10, 10)]);
        let targets: Vec<f64> = all.targets.into_iter().flat_map(values).collect();
        assert_eq!(
            targets,
            inputs().into_iter().map(f64::from).collect::<Vec<_>>()
        );
    }
}

/// Weights with posteriors and a layer that is random itself.
#[derive(Module, Debug)]
struct Dropped {
    dropout: McDropout,
    layer: BayesianLinear,
}

impl Network for Dropped {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.layer.forward(self.dropout.forward(input))
    }
}

#[test]
fn masks_of_dropout_are_those_of_the_draw_whether_its_weights_are_kept_or_made_again() {
    let device = Device::flex();
    let net = Dropped {
        dropout: McDropoutConfig::new(0.5).init(),
        layer: BayesianLinearConfig::new(1, 1).init(&device),
    };
    let x = Tensor::<1>::from_floats(inputs().as_slice(), &device).unsqueeze_dim(1);
    let likelihood = likelihood().valid();
    let predicted = [(DrawCache::Kept, 1), (DrawCache::Redrawn, 3)].map(|(weights, threads)| {
        let predictor = PredictorConfig::new(20)
            .with_weights(weights)
            .with_threads(threads);
        predictor
            .init(&net, &likelihood)
            .predict(x.clone())
            .unwrap()
    });
    assert_eq!(predicted[0], predicted[1]);
    assert!(predicted[0].epistemic_std().iter().all(|std| *std > 0.0));
    let again = PredictorConfig::new(20).init_with(&Ensemble::new(vec![net]), &likelihood);
    assert_eq!(again.predict(x).unwrap(), predicted[0]);
}

#[test]
fn an_empty_loader_is_an_error() {
    let predictor = PredictorConfig::new(2).init(&net(), &likelihood());
    let error = predictor
        .predict_all(loader(vec![]).as_ref(), |_| {})
        .unwrap_err();
    assert!(matches!(error, PredictError::Empty), "{error}");
}

/// Infinite for every input but zero.
#[derive(Module, Debug)]
struct Overflowing {
    net: Net,
}

impl Network for Overflowing {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.net.forward(input.clone()) + input * 1e30 * 1e30
    }
}

#[test]
fn an_output_that_is_not_finite_is_named_by_its_place_in_the_loader() {
    let mut items = vec![0.0; 10];
    items[6] = 1.0;
    let predictor = PredictorConfig::new(2).init(&Overflowing { net: net() }, &likelihood());
    let error = predictor
        .predict_all(loader(items).as_ref(), |_| {})
        .unwrap_err();
    let PredictError::Mixture(MixtureError::NonFinite { draw, example, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!((draw, example), (0, 6));
}

#[test]
fn an_input_that_is_not_finite_is_named_by_its_place_in_the_loader() {
    for value in [f32::NAN, f32::INFINITY] {
        let mut items = inputs();
        items[6] = value;
        let predictor = PredictorConfig::new(2).init(&net(), &likelihood());
        let error = predictor
            .predict_all(loader(items).as_ref(), |_| {})
            .unwrap_err();
        let expected = format!("example 6: its input in column 0 is {value}");
        assert_eq!(error.to_string(), expected);
    }
}

/// The mean over time of each feature's sum.
#[derive(Module, Debug)]
struct Pooled {
    layer: BayesianLinear,
}

impl Network for Pooled {
    type Input = Tensor<3>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<3>) -> Tensor<2> {
        self.layer.forward(input).mean_dim(1).squeeze_dim(1)
    }
}

#[test]
fn a_nan_in_a_sequence_is_named_by_time_and_feature_and_so_is_one_with_an_exposure() {
    let device = Device::flex();
    let net = Pooled {
        layer: BayesianLinearConfig::new(2, 1).init(&device),
    };
    let mut values = [0.5f32; 4 * 3 * 2];
    values[2 * 6 + 2 + 1] = f32::NAN; // example 2, time 1, feature 1
    let x = Tensor::<1>::from_floats(values, &device).reshape([4, 3, 2]);
    let elbo = || ElboConfig::new(4).init();
    let gaussian = ElboModel::new(net.clone(), likelihood().valid(), elbo());
    let error = gaussian.try_predict(x.clone(), 3, 0).unwrap_err();
    assert_eq!(error.to_string(), "example 2: its input at [1, 1] is NaN");

    let network = WithExposure { network: net };
    let poisson = ElboModel::new(network, PoissonLikelihoodConfig::new().init(), elbo());
    let log_exposure = Tensor::zeros([4, 1], &device);
    let exposed = Exposed {
        inputs: x,
        log_exposure,
    };
    let error = poisson.try_predict(exposed, 3, 0).unwrap_err();
    assert_eq!(error.to_string(), "example 2: its input at [1, 1] is NaN");

    for value in [f32::NAN, f32::NEG_INFINITY] {
        let exposed = Exposed {
            inputs: Tensor::<3>::ones([4, 3, 2], &device),
            log_exposure: Tensor::from_floats([[0.0], [0.0], [0.0], [value]], &device),
        };
        let error = poisson.try_predict(exposed, 3, 0).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("example 3: its input is {value}")
        );
    }
}

#[test]
fn a_bad_target_is_named_by_its_place_in_the_loader() {
    let counts = PoissonLikelihoodConfig::new().init();
    let mut items = vec![3.0, 0.0, 1.0, 2.0, 4.0, 6.0, 1.0, 0.0, 2.0, 5.0];
    assert!(check_targets(&counts, loader(items.clone()).as_ref()).is_ok());
    items[9] = -2.0;
    let error = check_targets(&counts, loader(items).as_ref()).unwrap_err();
    let CheckError::Target(error) = error else {
        panic!("{error}");
    };
    assert_eq!((error.example, error.value), (9, -2.0));
}

/// As [`Columns`], on one device.
struct On(Device);

impl Batcher<f32, Pairs> for On {
    fn batch(&self, items: Vec<f32>, device: &Device) -> Pairs {
        assert_eq!(*device, self.0);
        Columns.batch(items, device)
    }
}

#[test]
#[allow(deprecated)] // ndarray stays supported here.
fn targets_are_checked_on_the_likelihoods_device_whatever_the_loaders() {
    let on = |device: &Device, of_loader: Device| {
        DataLoaderBuilder::new(On(device.clone()))
            .batch_size(4)
            .set_device(of_loader)
            .build(InMemDataset::new(inputs()))
    };
    let (flex, ndarray) = (Device::flex(), Device::ndarray());
    let gaussian = GaussianLikelihoodConfig::new().init(&ndarray.clone().autodiff());
    let loader = on(&ndarray, flex.clone());
    assert!(check_targets(&gaussian, loader.as_ref()).is_ok());
    // It has no parameters.
    let heteroscedastic = HeteroscedasticLikelihoodConfig::new().init();
    let loader = on(&flex, ndarray);
    assert!(check_targets(&heteroscedastic, loader.as_ref()).is_ok());
}

#[test]
#[should_panic(expected = "needs at least one draw, got 0")]
fn a_prediction_without_draws_is_refused() {
    PredictorConfig::new(0).init(&net(), &likelihood());
}

#[test]
fn an_ensembles_draws_are_its_members_and_draws_of_bayesian_ones_in_turn() {
    let members = vec![net().valid(), net().valid(), net().valid()];
    let mean = |net: &Net| net.with_mean(|net| values(net.layer.weight.val()));
    let drawn = |net: Net| values(net.layer.weight.val());
    let ensemble = Ensemble::new(members.clone());
    for index in 0..9 {
        let draw = layout::prediction(index);
        let expected = members[(index % 3) as usize].sample_network(4, draw);
        assert_eq!(drawn(ensemble.draw_network(4, index)), drawn(expected));
    }
    // Of one network twice, two draws of it.
    let twice = Ensemble::new(vec![members[0].clone(), members[0].clone()]);
    let [first, second] = [0, 1].map(|index| drawn(twice.draw_network(7, index)));
    assert!(
        first
            .iter()
            .zip(second)
            .all(|(first, second)| *first != second)
    );
    // A deterministic member is its own draw.
    let deterministic: Vec<Net> = members.iter().map(|net| net.sample_network(0, 0)).collect();
    let ensemble = Ensemble::new(deterministic.clone());
    for index in 0..6 {
        let member = &deterministic[(index % 3) as usize];
        assert_eq!(drawn(ensemble.draw_network(7, index)), mean(member));
    }

    let likelihood = GaussianLikelihoodConfig::new().init(&Device::flex());
    let x = Tensor::<2>::ones([2, 1], &Device::flex());
    let predictor = PredictorConfig::new(3).init_with(&ensemble, &likelihood);
    let predictive = predictor.predict(x.clone()).unwrap();
    let outputs = deterministic.iter().map(|net| net.forward(x.clone()));
    let expected = likelihood.predictive(outputs.collect());
    assert_eq!(predictive.mean(), expected.mean());
    assert_eq!(predictive.epistemic_std(), expected.epistemic_std());
}

#[test]
fn an_ensemble_is_saved_and_loaded_as_a_record() {
    let ensemble = Ensemble::new(vec![net().valid(), net().valid()]);
    let bytes = ensemble.clone().into_record().into_bytes().unwrap();
    let record = burn::store::ModuleRecord::from_bytes(bytes).unwrap();
    let loaded = Ensemble::new(vec![net().valid(), net().valid()]).load_record(record);
    for index in 0..4 {
        let [saved, loaded] = [&ensemble, &loaded]
            .map(|ensemble| values(ensemble.draw_network(3, index).layer.weight.val()));
        assert_eq!(saved, loaded);
    }
}

/// The places in a chain of the networks that it draws first.
fn drawn_from_a_chain(kept: usize, draws: u64) -> Vec<usize> {
    let mut chain = blitz_train::ChainConfig::new(0, 1).init();
    for draw in 0..kept as u64 {
        chain.push(&net().valid().sample_network(0, draw));
    }
    let weight = |net: &Net| values(net.layer.weight.val());
    let weights: Vec<_> = chain.networks().iter().map(weight).collect();
    assert_eq!(weights.len(), kept);
    let place = |index| {
        let drawn = weight(&chain.draw_network(9, index));
        weights.iter().position(|kept| *kept == drawn).unwrap()
    };
    (0..draws).map(place).collect()
}

#[test]
fn as_many_draws_as_a_chain_has_networks_are_each_of_them_once() {
    for kept in [1, 2, 30, 64] {
        let mut drawn = drawn_from_a_chain(kept, 2 * kept as u64);
        let again = drawn.split_off(kept);
        assert_eq!(again, drawn);
        drawn.sort_unstable();
        assert_eq!(drawn, (0..kept).collect::<Vec<_>>());
    }
}

#[test]
fn a_few_draws_of_a_chain_are_spread_over_it() {
    for draws in [8, 16, 30] {
        let mut drawn = drawn_from_a_chain(64, draws);
        drawn.sort_unstable();
        let places = [vec![0], drawn, vec![64]].concat();
        let largest = places.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(largest <= Some(2 * 64 / draws as usize), "{places:?}");
    }
}

#[test]
#[should_panic(expected = "at least one member")]
fn an_ensemble_of_nobody_is_refused() {
    let _ = Ensemble::<Net>::new(Vec::new());
}
