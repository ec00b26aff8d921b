//! What runs a network outside of training, on an autodiff device: its layers are as in prediction.

use std::sync::Arc;

use blitz_train::Predictive as _;
use blitz_train::laplace::{
    ClassCovariance, DiagonalLaplace, GaussianLastLayer, LaplaceError, SoftmaxLastLayer,
};
use blitz_train::predict_draws;
use blitz_train::prelude::*;
use burn::data::dataloader::DataLoader;
use burn::data::dataloader::batcher::Batcher;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::activation::tanh;
use burn::tensor::{Device, Distribution, Int, Tensor};

use crate::{reference_inputs, scalar, values};

const CLASSES: usize = 3;

type Labelled = LabeledBatch<Tensor<2>, Tensor<1, Int>>;
type Valued = LabeledBatch<Tensor<2>, Tensor<2>>;

struct Rows;

impl Batcher<i32, Labelled> for Rows {
    fn batch(&self, items: Vec<i32>, device: &Device) -> Labelled {
        let labels: Vec<i32> = items.iter().map(|i| (2 * i + 1) % 3).collect();
        LabeledBatch {
            inputs: reference_inputs(&items, device),
            targets: Tensor::from_ints(labels.as_slice(), device),
        }
    }
}

impl Batcher<i32, Valued> for Rows {
    fn batch(&self, items: Vec<i32>, device: &Device) -> Valued {
        let inputs = reference_inputs(&items, device);
        LabeledBatch {
            targets: inputs.clone().sum_dim(1),
            inputs,
        }
    }
}

fn loader<B: Send + Sync + Clone + std::fmt::Debug + 'static>(
    batch: usize,
    device: &Device,
) -> Arc<dyn DataLoader<B>>
where
    Rows: Batcher<i32, B>,
{
    crate::loader(Rows, 12, batch, device)
}

#[derive(Module, Debug)]
struct Net {
    hidden: Linear,
    norm: BatchNorm,
    dropout: Dropout,
    monte_carlo: McDropout,
    last: Linear,
}

impl Net {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(2, 6).init(device),
            norm: BatchNormConfig::new(6).init(device),
            dropout: DropoutConfig::new(0.5).init(),
            monte_carlo: McDropoutConfig::new(0.0).init(),
            last: LinearConfig::new(6, CLASSES).init(device),
        }
    }

    /// One that has trained: its statistics have moved, the last time not yet to where they are read.
    fn trained(device: &Device) -> Self {
        let net = Self::new(device);
        for shift in 0..3 {
            let x = reference_inputs(&[shift, shift + 1, 5, 7], device);
            assert_ne!(values(net.forward(x.clone())), values(net.forward(x)));
        }
        net
    }

    fn without_dropout(&self) -> Self {
        Self {
            dropout: DropoutConfig::new(0.0).init(),
            ..self.clone()
        }
    }

    fn with_monte_carlo(&self) -> Self {
        Self {
            monte_carlo: McDropoutConfig::new(0.5).init(),
            ..self.clone()
        }
    }

    fn features(&self, x: Tensor<2>) -> Tensor<2> {
        let hidden = self.norm.forward(self.hidden.forward(x));
        let dropped = self.dropout.forward(tanh(hidden));
        self.monte_carlo.forward(dropped)
    }

    fn statistics(&self) -> [Vec<f64>; 2] {
        [&self.norm.running_mean, &self.norm.running_var].map(|state| values(state.value_sync()))
    }
}

impl Network for Net {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.last.forward(self.features(x))
    }
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn nll(net: &Net, batch: Labelled) -> Tensor<1> {
    let loss = CrossEntropyLossConfig::new().init(&batch.inputs.device());
    loss.forward(net.forward(batch.inputs), batch.targets)
}

fn diagonal(net: &Net) -> DiagonalLaplace<Net> {
    let data = loader(1, &device());
    DiagonalLaplace::fit(net.clone(), data.as_ref(), nll, 1.0).unwrap()
}

#[test]
fn a_diagonal_posterior_of_a_network_with_dropout_is_that_of_the_network_without() {
    let net = Net::trained(&device());
    let posterior = diagonal(&net);
    let expected = diagonal(&net.without_dropout());
    assert_eq!(posterior.variances(), expected.variances());
    assert_eq!(diagonal(&net).variances(), expected.variances());
    assert_eq!(
        posterior.log_marginal_likelihood(),
        expected.log_marginal_likelihood()
    );
    // Weights and biases of two layers, scale and offset of the norm; not its statistics.
    assert_eq!(posterior.variances().iter().flatten().count(), 6);
    // As it was given, with its layers in training.
    assert!(posterior.network.dropout.training.is_enabled());
    let x = reference_inputs(&[1, 2, 3], &device());
    let network = &posterior.network;
    assert_ne!(
        values(network.forward(x.clone())),
        values(network.forward(x))
    );
}

#[test]
fn a_diagonal_posterior_has_the_gradients_of_the_network_that_predicts() {
    // The statistics of prediction, by hand: the gradient of the last bias is p − y.
    let net = Net::trained(&device());
    let posterior = diagonal(&net);
    let valid = net.valid();
    let mut expected = [0.0; CLASSES];
    for i in 0..12 {
        let logits = values(valid.forward(reference_inputs(&[i], &Device::flex())));
        let sum: f64 = logits.iter().map(|z| z.exp()).sum();
        for (class, logit) in logits.iter().enumerate() {
            let label = (2 * i + 1) % 3 == class as i32;
            let gradient = logit.exp() / sum - f64::from(u8::from(label));
            expected[class] += gradient * gradient;
        }
    }
    let variances = posterior.variances();
    let of_bias = variances.last().unwrap().as_ref().unwrap();
    for (got, fisher) in of_bias.iter().zip(expected) {
        assert!((got - 1.0 / (fisher + 1.0)).abs() < 1e-6, "{got} {fisher}");
    }
}

#[test]
fn the_statistics_of_a_batch_norm_stay_where_they_are() {
    let net = Net::trained(&device());
    let before = net.statistics();
    diagonal(&net);
    assert_eq!(net.statistics(), before);
    let x = reference_inputs(&[1, 2, 3], &device());
    predict_draws(&net, 3, 0, |net| net.forward(x.clone()));
    assert_eq!(net.statistics(), before);
    let elbo = ElboConfig::new(12).init();
    elbo.validation_loss(&net, |net| net.forward(x.clone()).sum_dim(1).squeeze_dim(1));
    assert_eq!(net.statistics(), before);
    let likelihood = CategoricalLikelihoodConfig::new(CLASSES).init();
    ElboModel::new(net.clone(), likelihood, elbo).predict(x, 3, 0);
    assert_eq!(net.statistics(), before);
}

#[test]
fn predictions_and_validation_on_an_autodiff_device_are_those_of_a_network_in_validation_mode() {
    let net = Net::trained(&device());
    let x = || reference_inputs(&[1, 2, 3], &device());
    let valid = values(net.valid().forward(x().inner()));
    let close = |got: Vec<f64>| {
        for (got, expected) in got.iter().zip(&valid) {
            assert!((got - expected).abs() < 1e-6, "{got} {expected}");
        }
    };
    for output in predict_draws(&net, 2, 0, |net| net.forward(x())) {
        close(values(output));
    }
    ElboConfig::new(12).init().validation_loss(&net, |net| {
        let output = net.forward(x());
        close(values(output.clone()));
        output.sum_dim(1).squeeze_dim(1)
    });
    let likelihood = CategoricalLikelihoodConfig::new(CLASSES).init();
    let model = ElboModel::new(net.clone(), likelihood, ElboConfig::new(12).init());
    let predictive = model.predict(x(), 2, 0);
    let expected = model.valid().predict(x().inner(), 2, 0);
    assert_eq!(predictive.examples(), 3);
    for i in 0..3 {
        let pairs = predictive
            .probabilities(i)
            .into_iter()
            .zip(expected.probabilities(i));
        for (got, expected) in pairs {
            assert!((got - expected).abs() < 1e-6, "{got} {expected}");
        }
    }
}

#[test]
fn dropout_that_goes_on_in_prediction_does_so_and_is_off_where_a_posterior_is_fitted() {
    let net = Net::trained(&device()).with_monte_carlo();
    let x = reference_inputs(&[1, 2, 3], &device());
    let draws = predict_draws(&net, 2, 0, |net| values(net.forward(x.clone())));
    assert_ne!(draws[0], draws[1]);
    let posterior = diagonal(&net);
    assert_eq!(posterior.variances(), diagonal(&net).variances());
    let without = Net {
        monte_carlo: McDropoutConfig::new(0.0).init(),
        ..net.clone()
    };
    assert_eq!(posterior.variances(), diagonal(&without).variances());
}

#[test]
fn a_network_that_has_posteriors_is_refused() {
    let device = device();
    let config = BayesianizeConfig::new();
    let mut net = Net::new(&device);
    net.last = net.last.bayesianize(&config);
    let data = loader(1, &device);
    let error = DiagonalLaplace::fit(net.clone(), data.as_ref(), nll, 1.0).unwrap_err();
    assert!(
        error.to_string().contains("last.weight has a posterior"),
        "{error}"
    );
    // Also one whose sampling is off: its weights have a posterior.
    let frozen = net.clone().freeze_sampling();
    let error = DiagonalLaplace::fit(frozen, data.as_ref(), nll, 1.0).unwrap_err();
    assert!(matches!(error, LaplaceError::Bayesian { .. }), "{error}");
    let mean = net.mean_network();
    assert!(DiagonalLaplace::fit(mean, data.as_ref(), nll, 1.0).is_ok());

    let plain = Device::flex();
    let last = LinearConfig::new(2, CLASSES)
        .init(&plain)
        .bayesianize(&config);
    let data: Arc<dyn DataLoader<Labelled>> = loader(4, &plain);
    let joint = ClassCovariance::Joint;
    let error = SoftmaxLastLayer::fit(data.as_ref(), |x| x, &last, joint, 1.0).unwrap_err();
    assert!(matches!(error, LaplaceError::Bayesian { .. }), "{error}");
    let last = LinearConfig::new(2, 1).init(&plain).bayesianize(&config);
    let data: Arc<dyn DataLoader<Valued>> = loader(4, &plain);
    let error = GaussianLastLayer::fit(data.as_ref(), |x| x, &last, 0.5, 1.0).unwrap_err();
    assert!(matches!(error, LaplaceError::Bayesian { .. }), "{error}");
}

/// The last layer's posterior given features.
fn last_layer(
    on: &Device,
    features: impl Fn(Tensor<2>) -> Tensor<2>,
    layer: &Linear,
) -> Result<SoftmaxLastLayer, LaplaceError> {
    let data: Arc<dyn DataLoader<Labelled>> = loader(4, on);
    SoftmaxLastLayer::fit(data.as_ref(), features, layer, ClassCovariance::Joint, 1.0)
}

#[test]
fn features_of_a_network_in_training_mode_are_refused() {
    let net = Net::trained(&device());
    for on in [device(), Device::flex()] {
        let error = last_layer(&on, |x| net.features(x), &net.last).unwrap_err();
        assert!(matches!(error, LaplaceError::Training), "{error}");
    }
    let valid = net.valid();
    let fit = || last_layer(&Device::flex(), |x| valid.features(x), &net.last).unwrap();
    assert_eq!(fit(), fit());

    let data: Arc<dyn DataLoader<Valued>> = loader(4, &device());
    let layer = LinearConfig::new(6, 1).init(&device());
    let features = |x| net.features(x);
    let error = GaussianLastLayer::fit(data.as_ref(), features, &layer, 0.5, 1.0).unwrap_err();
    assert!(matches!(error, LaplaceError::Training), "{error}");
}

#[test]
fn features_and_losses_that_are_random_are_refused() {
    let plain = Device::flex();
    let net = Net::trained(&device()).with_monte_carlo().valid();
    let error = last_layer(&plain, |x| net.features(x), &net.last).unwrap_err();
    assert!(
        matches!(
            error,
            LaplaceError::Random {
                what: "a feature",
                ..
            }
        ),
        "{error}"
    );
    let of_mean = |x: Tensor<2>| net.with_mean(|net| net.features(x));
    assert!(last_layer(&plain, of_mean, &net.last).is_ok());

    // Random by itself on an autodiff device, without a flag that could say otherwise.
    let net = Net::trained(&device());
    let noisy = |net: &Net, batch: Labelled| {
        let noise = batch.inputs.random_like(Distribution::Normal(0.0, 0.5));
        let inputs = batch.inputs + noise;
        nll(net, LabeledBatch { inputs, ..batch })
    };
    let data = loader(1, &device());
    let error = DiagonalLaplace::fit(net.clone(), data.as_ref(), noisy, 1.0).unwrap_err();
    assert!(matches!(error, LaplaceError::Random { .. }), "{error}");
    // The network outside, in the place of the one that is handed over. (A batch norm in training would make a zero of
    // a single example.)
    let mut net = net;
    net.norm.training = net.norm.training.with_value(false);
    let outside = |_: &Net, batch: Labelled| nll(&net, batch);
    let error = DiagonalLaplace::fit(net.clone(), data.as_ref(), outside, 1.0).unwrap_err();
    assert!(matches!(error, LaplaceError::Random { .. }), "{error}");
}

#[test]
fn a_validation_loss_by_hand_is_the_same_twice_with_dropout() {
    let net = Net::trained(&device());
    let likelihood = CategoricalLikelihoodConfig::new(CLASSES).init();
    let elbo = ElboConfig::new(12).init();
    let loss = || {
        let x = reference_inputs(&(0..12).collect::<Vec<_>>(), &device());
        let labels = Tensor::<1, Int>::from_ints([0; 12], &device());
        let nll = |net: &Net| likelihood.nll(net.forward(x.clone()), labels.clone());
        scalar(elbo.validation_loss(&net, nll).loss)
    };
    assert_eq!(loss(), loss());
}

#[test]
fn a_model_that_is_saved_in_training_has_the_statistics_of_its_latest_step() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let model = |network| {
        let likelihood = CategoricalLikelihoodConfig::new(CLASSES).init();
        ElboModel::new(network, likelihood, ElboConfig::new(12).init())
    };
    let trained = model(Net::trained(&device()));
    trained.save(&path).unwrap();
    let loaded = model(Net::new(&device())).load(&path).unwrap();
    let read = values(loaded.network.norm.running_mean.value());
    assert_eq!(read, trained.network.statistics()[0]);
}
