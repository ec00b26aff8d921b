//! Laplace approximations of whole networks against laplace-torch, whose numbers `laplace_network_reference.py` prints;
//! and what a posterior of any module has to be.

use blitz_train::laplace::{
    GaussNewton, LaplaceError, Link, LossCurvature, NetworkLaplace, NetworkLaplaceConfig,
    WeightCovariance,
};
use blitz_train::prelude::*;
use blitz_train::{
    BernoulliLikelihoodConfig, CategoricalLikelihood, GaussianLikelihood, PoissonLikelihoodConfig,
};
use burn::data::dataloader::batcher::Batcher;
use burn::module::{Lora, Module, Param, ParamGroup, ParamId};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::transformer::{
    TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::tensor::activation::tanh;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::close::assert_relatively_close;
use crate::feature;

const EXAMPLES: i32 = 12;
const NOISE: f64 = 0.5;

fn tensor<const D: usize>(values: Vec<f64>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), (device, DType::F64))
}

/// The weights of the reference.
fn weights<const D: usize>(number: usize, shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    let len: usize = shape.iter().product();
    let value = |i| (1.3 * number as f64 + 0.7 * i as f64).sin();
    let values = (0..len).map(value).collect();
    Param::initialized(ParamId::new(), tensor(values, shape, device).require_grad())
}

fn linear(number: usize, inputs: usize, outputs: usize, device: &Device) -> Linear {
    Linear {
        weight: weights(number, [inputs, outputs], device),
        bias: Some(weights(number + 1, [outputs], device)),
    }
}

fn table<const D: usize>(items: &[i32], shape: [usize; D], device: &Device) -> Tensor<D> {
    let count = shape.iter().skip(1).product::<usize>() as i32;
    let row = |i: &i32| (0..count).map(|j| feature(*i, j)).collect::<Vec<_>>();
    tensor(items.iter().flat_map(row).collect(), shape, device)
}

#[derive(Clone)]
struct Curves;

impl Batcher<i32, LabeledBatch<Tensor<2>, Tensor<2>>> for Curves {
    fn batch(&self, items: Vec<i32>, device: &Device) -> LabeledBatch<Tensor<2>, Tensor<2>> {
        let targets = items
            .iter()
            .map(|i| f64::from(*i))
            .flat_map(|i| [i.sin(), i.cos()]);
        LabeledBatch {
            inputs: table(&items, [items.len(), 2], device),
            targets: tensor(targets.collect(), [items.len(), 2], device),
        }
    }
}

fn labels(items: &[i32], device: &Device) -> Tensor<1, Int> {
    let labels: Vec<i32> = items.iter().map(|i| (2 * i + 1) % 3).collect();
    Tensor::from_ints(labels.as_slice(), device)
}

#[derive(Clone)]
struct Classes;

impl Batcher<i32, LabeledBatch<Tensor<2>, Tensor<1, Int>>> for Classes {
    fn batch(&self, items: Vec<i32>, device: &Device) -> LabeledBatch<Tensor<2>, Tensor<1, Int>> {
        LabeledBatch {
            inputs: table(&items, [items.len(), 2], device),
            targets: labels(&items, device),
        }
    }
}

#[derive(Clone)]
struct Images;

impl Batcher<i32, LabeledBatch<Tensor<4>, Tensor<1, Int>>> for Images {
    fn batch(&self, items: Vec<i32>, device: &Device) -> LabeledBatch<Tensor<4>, Tensor<1, Int>> {
        LabeledBatch {
            inputs: table(&items, [items.len(), 1, 4, 4], device),
            targets: labels(&items, device),
        }
    }
}

#[derive(Module, Debug)]
struct Dense {
    hidden: Linear,
    output: Linear,
}

impl Dense {
    fn new(outputs: usize) -> Self {
        let device = device();
        Self {
            hidden: linear(0, 2, 4, &device),
            output: linear(2, 4, outputs, &device),
        }
    }
}

impl Network for Dense {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.output.forward(tanh(self.hidden.forward(x)))
    }
}

#[derive(Module, Debug)]
struct Convolutional {
    kernel: Conv2d,
    output: Linear,
}

impl Convolutional {
    fn new() -> Self {
        let device = device();
        let mut kernel = Conv2dConfig::new([1, 2], [3, 3]).init(&device);
        kernel.weight = weights(0, [2, 1, 3, 3], &device);
        kernel.bias = Some(weights(1, [2], &device));
        Self {
            kernel,
            output: linear(2, 8, 3, &device),
        }
    }
}

impl Network for Convolutional {
    type Input = Tensor<4>;
    type Output = Tensor<2>;

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        self.output
            .forward(tanh(self.kernel.forward(x)).flatten(1, 3))
    }
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn gaussian() -> GaussianLikelihood {
    let config = GaussianLikelihoodConfig::new().with_targets(2);
    config
        .with_noise(LikelihoodParam::Fixed(NOISE))
        .init(&device())
}

fn categorical() -> CategoricalLikelihood {
    CategoricalLikelihoodConfig::new(3).init()
}

fn config(covariance: WeightCovariance) -> NetworkLaplaceConfig {
    NetworkLaplaceConfig::new()
        .with_covariance(covariance)
        .with_prior_precision(0.5)
}

fn of_curves(config: &NetworkLaplaceConfig) -> NetworkLaplace<Dense, GaussianLikelihood> {
    let data = crate::loader(Curves, EXAMPLES, 1, &device());
    config
        .fit(Dense::new(2), &gaussian(), data.as_ref(), |_| {})
        .unwrap()
}

fn of_classes(config: &NetworkLaplaceConfig) -> NetworkLaplace<Dense, CategoricalLikelihood> {
    let data = crate::loader(Classes, EXAMPLES, 1, &device());
    config
        .fit(Dense::new(3), &categorical(), data.as_ref(), |_| {})
        .unwrap()
}

fn of_images(
    config: &NetworkLaplaceConfig,
) -> NetworkLaplace<Convolutional, CategoricalLikelihood> {
    let data = crate::loader(Images, EXAMPLES, 1, &device());
    config
        .fit(Convolutional::new(), &categorical(), data.as_ref(), |_| {})
        .unwrap()
}

fn query() -> Tensor<2> {
    tensor(vec![0.5, -2.0], [1, 2], &device())
}

fn image() -> Tensor<4> {
    table(&[EXAMPLES], [1, 1, 4, 4], &device())
}

#[test]
fn a_joint_covariance_is_that_of_laplace_torch() {
    let config = config(WeightCovariance::Joint);
    let laplace = of_curves(&config);
    assert_relatively_close(
        &[laplace.log_marginal_likelihood()],
        &[-172.50373645648358],
        1e-8,
    );
    let output = &laplace.outputs(query()).unwrap()[0];
    assert_relatively_close(&output.mean, &[-1.551022498778, -1.265580963640], 1e-8);
    assert_relatively_close(
        &output.covariance,
        &[
            0.616173549703,
            -0.052830783739,
            -0.052830783739,
            0.385387200310,
        ],
        1e-8,
    );

    let laplace = of_classes(&config);
    assert_relatively_close(
        &[laplace.log_marginal_likelihood()],
        &[-23.16155943958144],
        1e-8,
    );
    let output = &laplace.outputs(query()).unwrap()[0];
    assert_relatively_close(
        &output.variances(),
        &[4.044211837976, 3.482352005159, 5.564893497119],
        1e-8,
    );
    let probit = laplace.predict_linked(query(), Link::PlainProbit).unwrap();
    assert_relatively_close(
        &probit.probabilities(0),
        &[0.402142862637, 0.286748858164, 0.311108279199],
        1e-8,
    );

    let laplace = of_images(&config);
    assert_relatively_close(
        &[laplace.log_marginal_likelihood()],
        &[-34.08603891785973],
        1e-8,
    );
    let output = &laplace.outputs(image()).unwrap()[0];
    assert_relatively_close(
        &output.covariance,
        &[
            21.161414924474,
            23.139472630706,
            16.531959173466,
            23.139472630706,
            27.915940524299,
            20.668186809722,
            16.531959173466,
            20.668186809722,
            17.561468422815,
        ],
        1e-8,
    );
    let probit = laplace.predict_linked(image(), Link::PlainProbit).unwrap();
    assert_relatively_close(
        &probit.probabilities(0),
        &[0.373395194164, 0.327993215970, 0.298611589866],
        1e-8,
    );
}

#[test]
fn variances_alone_are_those_of_laplace_torch() {
    let config = config(WeightCovariance::Diagonal);
    let (curves, classes, images) = (of_curves(&config), of_classes(&config), of_images(&config));
    let evidence = [
        curves.log_marginal_likelihood(),
        classes.log_marginal_likelihood(),
        images.log_marginal_likelihood(),
    ];
    assert_relatively_close(
        &evidence,
        &[-192.13888091192638, -30.91407077956663, -51.543297346231824],
        1e-8,
    );
    assert_relatively_close(
        &curves.outputs(query()).unwrap()[0].variances(),
        &[0.555064371943, 0.199219043416],
        1e-8,
    );
    assert_relatively_close(
        &images.outputs(image()).unwrap()[0].variances(),
        &[29.584746991985, 20.756290898735, 11.165392961070],
        1e-8,
    );

    // Not of the regression, where that of laplace-torch is half of the sum of squared gradients of the loss.
    let config = config.with_curvature(LossCurvature::EmpiricalFisher);
    let evidence = [
        of_classes(&config).log_marginal_likelihood(),
        of_images(&config).log_marginal_likelihood(),
    ];
    assert_relatively_close(&evidence, &[-30.75935496491012, -51.958237498897745], 1e-8);
}

/// The evidence of laplace-torch's KFAC, and of the covariance that both stand for.
#[test]
fn kronecker_factors_are_nearer_the_joint_covariance_than_kfac() {
    let joint = config(WeightCovariance::Joint);
    let config = config(WeightCovariance::Kronecker);
    let cases = [
        (
            of_curves(&config).log_marginal_likelihood(),
            of_curves(&joint).log_marginal_likelihood(),
            -184.35951743968627,
        ),
        (
            of_classes(&config).log_marginal_likelihood(),
            of_classes(&joint).log_marginal_likelihood(),
            -26.318119133414797,
        ),
        (
            of_images(&config).log_marginal_likelihood(),
            of_images(&joint).log_marginal_likelihood(),
            -39.90365431603293,
        ),
    ];
    for (ours, joint, kfac) in cases {
        let (off, of_kfac) = ((ours - joint).abs(), (kfac - joint).abs());
        assert!(off < of_kfac, "{ours} for {joint}, by KFAC {kfac}");
    }
}

#[test]
fn draws_have_the_covariance_of_the_posterior() {
    const DRAWS: u64 = 4_000;
    for covariance in [
        WeightCovariance::Joint,
        WeightCovariance::Kronecker,
        WeightCovariance::Diagonal,
    ] {
        // So narrow that the network is linear in them.
        let config = config(covariance).with_prior_precision(1e6);
        let laplace = of_curves(&config);
        let output = &laplace.outputs(query()).unwrap()[0];
        let expected = output.variances()[0];
        let square = |index| {
            let net = laplace.sample_network(7, index);
            let value = net.forward(query()).into_data().iter::<f64>().next();
            (value.unwrap() - output.mean[0]).powi(2)
        };
        let variance = (0..DRAWS).map(square).sum::<f64>() / DRAWS as f64;
        let std_error = expected * (2.0 / DRAWS as f64).sqrt();
        let off = (variance - expected) / std_error;
        assert!(off.abs() < 4.5, "{covariance:?}: {variance} for {expected}");
    }
}

#[test]
fn the_predictive_has_the_moments_of_the_outputs_and_the_noise() {
    let laplace = of_curves(&config(WeightCovariance::Kronecker));
    let output = &laplace.outputs(query()).unwrap()[0];
    let predictive = laplace.predict(query()).unwrap();
    assert_relatively_close(&predictive.mean(), &output.mean, 1e-8);
    for (std, variance) in predictive.epistemic_std().iter().zip(output.variances()) {
        assert!((std / variance.sqrt() - 1.0).abs() < 1e-6);
    }
    assert_relatively_close(&predictive.aleatoric_std(), &[NOISE; 2], 1e-8);
}

/// Features that are outputs: the covariance is then as far from a diagonal as that of the weights is.
#[test]
fn the_predictive_has_the_variances_of_many_outputs() {
    for outputs in [5, 20, 60] {
        let device = device();
        let net = Shared {
            scale: weights(1, [1], &device),
            shifts: weights(2, [outputs], &device),
        };
        let likelihood = GaussianLikelihoodConfig::new()
            .with_targets(outputs)
            .with_noise(LikelihoodParam::Fixed(NOISE))
            .init(&device);
        let data = crate::loader(Wide(outputs), EXAMPLES, 1, &device);
        let laplace = config(WeightCovariance::Joint)
            .fit(net, &likelihood, data.as_ref(), |_| {})
            .unwrap();
        let x = tensor(vec![3.0], [1, 1], &device);
        let output = &laplace.outputs(x.clone()).unwrap()[0];
        let (a, b) = (output.covariance[1], output.variances()[0]);
        assert!(a > 0.2 * b, "the outputs are correlated, {a} of {b}");
        let predictive = laplace.predict(x).unwrap();
        for (std, variance) in predictive.epistemic_std().iter().zip(output.variances()) {
            assert!((std / variance.sqrt() - 1.0).abs() < 1e-6, "{outputs}");
        }
    }
}

/// Outputs that have a factor in common.
#[derive(Module, Debug)]
struct Shared {
    scale: Param<Tensor<1>>,
    shifts: Param<Tensor<1>>,
}

impl Network for Shared {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        x * self.scale.val().unsqueeze() + self.shifts.val().unsqueeze()
    }
}

#[derive(Clone)]
struct Wide(usize);

impl Batcher<i32, LabeledBatch<Tensor<2>, Tensor<2>>> for Wide {
    fn batch(&self, items: Vec<i32>, device: &Device) -> LabeledBatch<Tensor<2>, Tensor<2>> {
        let inputs = items.iter().map(|i| 0.1 * f64::from(*i) - 0.5).collect();
        LabeledBatch {
            inputs: tensor(inputs, [items.len(), 1], device),
            targets: Tensor::zeros([items.len(), self.0], (device, DType::F64)),
        }
    }
}

#[test]
fn a_logit_far_above_the_others_has_a_probability_of_one() {
    let mut net = Dense::new(3);
    net.output.bias = Some(Param::initialized(
        ParamId::new(),
        tensor(vec![900.0, 0.0, 0.0], [3], &device()).require_grad(),
    ));
    let data = crate::loader(Classes, EXAMPLES, 1, &device());
    let config = config(WeightCovariance::Kronecker).with_prior_precision(1e9);
    let laplace = config
        .fit(net, &categorical(), data.as_ref(), |_| {})
        .unwrap();
    for link in [
        Link::Probit,
        Link::PlainProbit,
        Link::MonteCarlo { draws: 8, seed: 1 },
    ] {
        let predictive = laplace.predict_linked(query(), link).unwrap();
        assert!(predictive.probabilities(0)[0] > 1.0 - 1e-12);
    }
}

#[test]
fn a_weight_without_curvature_has_the_variance_of_its_prior() {
    let mut net = Dense::new(2);
    // A unit that does nothing beside weights of a large curvature.
    let scales = tensor(
        vec![1e9, 0.0, 0.0, 0.0, 1e9, 0.0, 0.0, 0.0],
        [4, 2],
        &device(),
    );
    net.output.weight = Param::initialized(ParamId::new(), scales.require_grad());
    let data = crate::loader(Curves, EXAMPLES, 1, &device());
    let fitted = config(WeightCovariance::Diagonal).fit(net, &gaussian(), data.as_ref(), |_| {});
    assert!(fitted.is_ok());
}

/// A weight of no numbers beside others.
#[derive(Module, Debug)]
struct Empty {
    nothing: Param<Tensor<2>>,
    net: Dense,
}

impl Network for Empty {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.net.forward(x)
    }
}

#[test]
fn a_weight_of_no_numbers_changes_nothing() {
    for covariance in [
        WeightCovariance::Joint,
        WeightCovariance::Kronecker,
        WeightCovariance::Diagonal,
    ] {
        let config = config(covariance);
        let net = Empty {
            nothing: weights(0, [0, 4], &device()),
            net: Dense::new(2),
        };
        let data = crate::loader(Curves, EXAMPLES, 1, &device());
        let fitted = config.fit(net, &gaussian(), data.as_ref(), |_| {});
        let (fitted, without) = (fitted.unwrap(), of_curves(&config));
        assert_relatively_close(
            &[fitted.log_marginal_likelihood()],
            &[without.log_marginal_likelihood()],
            1e-8,
        );
        assert_relatively_close(
            &fitted.outputs(query()).unwrap()[0].covariance,
            &without.outputs(query()).unwrap()[0].covariance,
            1e-8,
        );
        let _ = fitted.sample_network(1, 0);
    }
}

#[test]
fn examples_of_a_batch_are_those_of_each_alone() {
    let laplace = of_classes(&config(WeightCovariance::Kronecker));
    let rows = table(&[20, 21, 22], [3, 2], &device());
    let together = laplace.outputs(rows.clone()).unwrap();
    for (i, output) in together.iter().enumerate() {
        let alone = &laplace.outputs(rows.clone().narrow(0, i, 1)).unwrap()[0];
        assert_relatively_close(&output.mean, &alone.mean, 1e-8);
        assert_relatively_close(&output.covariance, &alone.covariance, 1e-8);
    }
}

#[test]
fn what_is_frozen_stays() {
    let device = device();
    let net =
        Dense::new(2).freeze_group(ParamGroup::from_paths(vec!["hidden.weight", "hidden.bias"]));
    let data = crate::loader(Curves, EXAMPLES, 1, &device);
    let laplace = config(WeightCovariance::Joint)
        .fit(net, &gaussian(), data.as_ref(), |_| {})
        .unwrap();
    assert_eq!(laplace.num_weights(), 4 * 2 + 2);
    let draw = laplace.sample_network(1, 0);
    let same = |a: &Linear, b: &Linear| a.weight.val().into_data() == b.weight.val().into_data();
    assert!(same(&draw.hidden, &laplace.network.hidden));
    assert!(!same(&draw.output, &laplace.network.output));
}

#[test]
fn held_out_examples_choose_a_precision_that_does_no_harm() {
    let data = crate::loader(Classes, 30, 1, &device());
    let (laplace, report) = of_classes(&config(WeightCovariance::Kronecker))
        .with_held_out_prior_precision(data.as_ref())
        .unwrap();
    assert!(report.nll <= report.trained_nll + 1e-9, "{report}");
    assert_eq!(laplace.prior_precision(), report.prior_precision);
    assert_eq!(report.examples, 30);
}

#[test]
fn the_evidence_is_largest_at_the_best_precision() {
    let best = of_curves(&config(WeightCovariance::Kronecker))
        .with_best_prior_precision()
        .unwrap();
    let at = |factor: f64| {
        let precision = best.prior_precision() * factor;
        let other = best.clone().with_prior_precision(precision).unwrap();
        other.log_marginal_likelihood()
    };
    assert!(best.log_marginal_likelihood() >= at(1.1).max(at(0.9)));
}

/// Words through a transformer of Burn's, with adapters.
#[derive(Module, Debug)]
struct Words {
    embedding: Embedding,
    encoder: TransformerEncoder,
    head: Linear,
}

impl Network for Words {
    type Input = Tensor<2, Int>;
    type Output = Tensor<2>;

    fn forward(&self, words: Tensor<2, Int>) -> Tensor<2> {
        let rows = self.embedding.forward(words);
        let rows = self.encoder.forward(TransformerEncoderInput::new(rows));
        self.head.forward(rows.mean_dim(1).squeeze_dim(1))
    }
}

#[derive(Clone)]
struct Sentences;

impl Batcher<i32, LabeledBatch<Tensor<2, Int>, Tensor<1, Int>>> for Sentences {
    fn batch(
        &self,
        items: Vec<i32>,
        device: &Device,
    ) -> LabeledBatch<Tensor<2, Int>, Tensor<1, Int>> {
        let words: Vec<i32> = items
            .iter()
            .flat_map(|i| (0..4).map(move |j| (i * (j + 1)) % 10))
            .collect();
        LabeledBatch {
            inputs: Tensor::<1, Int>::from_ints(words.as_slice(), device).reshape([items.len(), 4]),
            targets: labels(&items, device),
        }
    }
}

#[test]
fn adapters_inside_a_transformer_of_burns_have_a_posterior() {
    let device = device();
    device.seed(3);
    let net = Words {
        embedding: EmbeddingConfig::new(10, 8).init(&device),
        encoder: TransformerEncoderConfig::new(8, 16, 2, 2)
            .with_dropout(0.1)
            .init(&device),
        head: LinearConfig::new(8, 3).init(&device),
    };
    let weights = ["query", "value"].map(|part| format!("encoder.layers.1.mha.{part}.weight"));
    let lora = Lora::new(2, 4.0).set_param_group(ParamGroup::from_paths(weights.to_vec()));
    let head = ParamGroup::from_paths(vec!["head.weight", "head.bias"]);
    let net = net.apply_lora(lora).unfreeze_group(head);
    let data = crate::loader(Sentences, EXAMPLES, 1, &device);
    let mut heard = 0;
    let laplace = NetworkLaplaceConfig::new()
        .fit(net, &categorical(), data.as_ref(), |_| heard += 1)
        .unwrap();
    assert_eq!(heard, EXAMPLES);
    // Two adapters of two factors of 8 times 2, and the head.
    assert_eq!(laplace.num_weights(), 2 * 2 * 16 + 8 * 3 + 3);
    let words = Tensor::<2, Int>::from_ints([[1, 2, 3, 4], [9, 9, 9, 9]], &device);
    let trained = laplace.network.valid().forward(words.clone().inner());
    let outputs = laplace.outputs(words.clone()).unwrap();
    let trained: Vec<f64> = trained.into_data().iter::<f64>().collect();
    for (output, trained) in outputs.iter().zip(trained.chunks(3)) {
        output
            .mean
            .iter()
            .zip(trained)
            .for_each(|(m, t)| assert!((m - t).abs() < 1e-5));
        assert!(output.variances().iter().all(|v| *v > 0.0));
    }
    let probabilities = laplace.predict(words).unwrap();
    assert!((probabilities.probabilities(0).iter().sum::<f64>() - 1.0).abs() < 1e-9);
}

#[test]
fn what_can_not_be_approximated_is_said() {
    let device = device();
    let data = crate::loader(Classes, EXAMPLES, 1, &device);
    let fit = |net, likelihood: CategoricalLikelihood, config: &NetworkLaplaceConfig| {
        config
            .fit(net, &likelihood, data.as_ref(), |_| {})
            .map(|_| ())
    };
    let config = NetworkLaplaceConfig::new();
    let weighted = CategoricalLikelihoodConfig::new(3)
        .with_class_weights(Some(vec![1.0, 2.0, 3.0]))
        .init();
    let error = fit(Dense::new(3), weighted, &config).unwrap_err();
    assert!(matches!(error, LaplaceError::Likelihood { .. }), "{error}");
    let error = fit(Dense::new(3).no_grad(), categorical(), &config).unwrap_err();
    assert!(matches!(error, LaplaceError::NoGradient), "{error}");
    let bayesian = Dense::new(3).bayesianize(&BayesianizeConfig::new());
    let error = fit(bayesian, categorical(), &config).unwrap_err();
    assert!(matches!(error, LaplaceError::Bayesian { .. }), "{error}");
    let error = fit(
        Dense::new(3),
        categorical(),
        &config.clone().with_prior_precision(0.0),
    )
    .unwrap_err();
    assert!(matches!(error, LaplaceError::Setting { .. }), "{error}");
    let pairs = crate::loader(Classes, EXAMPLES, 2, &device);
    let error = config
        .fit(Dense::new(3), &categorical(), pairs.as_ref(), |_| {})
        .unwrap_err();
    assert!(
        matches!(error, LaplaceError::Shape { got: 2, .. }),
        "{error}"
    );
    let error = fit(Dense::new(4), categorical(), &config).unwrap_err();
    let said = matches!(
        error,
        LaplaceError::Shape {
            expected: 3,
            got: 4,
            ..
        }
    );
    assert!(said, "{error}");
    let two = CategoricalLikelihoodConfig::new(2).init();
    let error = fit(Dense::new(2), two, &config).unwrap_err();
    assert!(matches!(error, LaplaceError::Target(_)), "{error}");
    let curves = crate::loader(Curves, EXAMPLES, 1, &device);
    let one = GaussianLikelihoodConfig::new().init(&device);
    let error = config
        .fit(Dense::new(1), &one, curves.as_ref(), |_| {})
        .unwrap_err();
    assert!(
        matches!(error, LaplaceError::Shape { got: 2, .. }),
        "{error}"
    );
    let empty = crate::loader(Classes, 0, 1, &device);
    let error = config
        .fit(Dense::new(3), &categorical(), empty.as_ref(), |_| {})
        .unwrap_err();
    assert!(matches!(error, LaplaceError::Empty), "{error}");
}

/// By finite differences of the gradient of the loss.
#[test]
fn hessian_roots_are_those_of_the_loss() {
    fn check<L: GaussNewton>(likelihood: &L, target: L::Target, outputs: &[f64]) {
        let gradient = |outputs: Vec<f64>| -> Vec<f64> {
            let width = outputs.len();
            let outputs = tensor(outputs, [1, width], &device()).require_grad();
            let nll = likelihood.nll(outputs.clone(), target.clone());
            let gradient = outputs.grad(&nll.backward()).unwrap();
            gradient.into_data().iter::<f64>().collect()
        };
        let roots = likelihood.hessian_roots(outputs);
        for k in 0..outputs.len() {
            let at = |off: f64| {
                let mut moved = outputs.to_vec();
                moved[k] += off;
                gradient(moved)
            };
            let pairs = at(1e-5).into_iter().zip(at(-1e-5));
            for (j, (above, below)) in pairs.enumerate() {
                let expected = (above - below) / 2e-5;
                let got: f64 = roots.iter().map(|r| r[j] * r[k]).sum();
                assert!(
                    (got - expected).abs() < 1e-6 * expected.abs().max(1.0),
                    "{got} for {expected}"
                );
            }
        }
    }

    let device = device();
    let outputs = [0.4, -1.1, 2.0];
    check(
        &categorical(),
        Tensor::<1, Int>::from_ints([1], &device),
        &outputs,
    );
    check(
        &gaussian(),
        tensor(vec![0.3, 0.1], [1, 2], &device),
        &outputs[..2],
    );
    let bernoulli = BernoulliLikelihoodConfig::new().with_targets(3).init();
    check(
        &bernoulli,
        Tensor::<2, Int>::from_ints([[1, 0, 1]], &device),
        &outputs,
    );
    let poisson = PoissonLikelihoodConfig::new().with_targets(3).init();
    check(
        &poisson,
        tensor(vec![2.0, 0.0, 5.0], [1, 3], &device),
        &outputs,
    );
}
