//! Laplace approximations against closed forms; `laplace_reference.py` computes the numbers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use blitz_train::LabeledBatch;
use blitz_train::blitz_core::{BayesianModule as _, BayesianizeConfig};
use blitz_train::laplace::{
    BernoulliLastLayer, ClassCovariance, DiagonalLaplace, GaussianLastLayer, LaplaceError,
    LastLayerMean, LastLayerNetwork, LastLayerPosterior, Link, SoftmaxLastLayer,
};
use burn::data::dataloader::DataLoader;
use burn::data::dataloader::batcher::Batcher;
use burn::module::{Module, Param, ParamId};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor};

use super::close::assert_close;
use crate::{feature, reference_inputs, standard_errors_off, values};

#[derive(Clone)]
struct Reference;

impl Batcher<i32, LabeledBatch<Tensor<2>, Tensor<2>>> for Reference {
    fn batch(&self, items: Vec<i32>, device: &Device) -> LabeledBatch<Tensor<2>, Tensor<2>> {
        let target =
            |i: i32, j: i32| ((5 * i + 3 * j) % 7) as f32 / 4.0 - 0.5 + feature(i, 0) as f32;
        let targets: Vec<f32> = items
            .iter()
            .flat_map(|i| [target(*i, 0), target(*i, 1)])
            .collect();
        LabeledBatch {
            inputs: reference_inputs(&items, device),
            targets: Tensor::<1>::from_floats(targets.as_slice(), device).reshape([items.len(), 2]),
        }
    }
}

impl Batcher<i32, LabeledBatch<Tensor<2>, Tensor<1, Int>>> for Reference {
    fn batch(&self, items: Vec<i32>, device: &Device) -> LabeledBatch<Tensor<2>, Tensor<1, Int>> {
        let labels: Vec<i32> = items.iter().map(|i| (2 * i + 1) % 3).collect();
        LabeledBatch {
            inputs: reference_inputs(&items, device),
            targets: Tensor::from_ints(labels.as_slice(), device),
        }
    }
}

impl Batcher<i32, LabeledBatch<Tensor<2>, Tensor<2, Int>>> for Reference {
    fn batch(&self, items: Vec<i32>, device: &Device) -> LabeledBatch<Tensor<2>, Tensor<2, Int>> {
        let label = |i: i32, j: i32| i32::from((2 * i + j) % 3 == 1);
        let labels: Vec<i32> = items
            .iter()
            .flat_map(|i| [label(*i, 0), label(*i, 1)])
            .collect();
        LabeledBatch {
            inputs: reference_inputs(&items, device),
            targets: Tensor::<1, Int>::from_ints(labels.as_slice(), device)
                .reshape([items.len(), 2]),
        }
    }
}

fn loader<B: Send + Sync + Clone + std::fmt::Debug + 'static>(
    examples: i32,
    batch: usize,
    device: &Device,
) -> Arc<dyn DataLoader<B>>
where
    Reference: Batcher<i32, B>,
{
    crate::loader(Reference, examples, batch, device)
}

fn layer<const N: usize>(rows: [[f32; N]; 3], device: &Device) -> Linear {
    let weight = Tensor::from_floats([rows[0], rows[1]], device);
    let bias = Tensor::from_floats(rows[2], device);
    Linear {
        weight: Param::initialized(ParamId::new(), weight),
        bias: Some(Param::initialized(ParamId::new(), bias)),
    }
}

fn regression(batch: usize) -> GaussianLastLayer {
    let device = Device::flex();
    // Far from the posterior mean: the exact one must not depend on it.
    let trained = layer([[3.0, -1.0], [0.5, 2.0], [-4.0, 1.0]], &device);
    let data = loader(12, batch, &device);
    GaussianLastLayer::fit(data.as_ref(), |x| x, &trained, 0.5, 0.5)
        .unwrap()
        .with_mean(LastLayerMean::Exact)
}

const COVARIANCE: [f64; 9] = [
    0.030436961647936,
    -0.00530883546747,
    0.00291891004752,
    -0.00530883546747,
    0.035507075847579,
    0.00091690668779,
    0.00291891004752,
    0.00091690668779,
    0.020957285847694,
];
const MEAN: [f64; 6] = [
    0.893194612766298,
    -0.18039053985594,
    0.228973030600404,
    1.18570615717761,
    0.262796172050216,
    0.29802315731935,
];
const QUERY: [f64; 2] = [0.5, -2.0];

#[test]
fn a_last_layer_of_a_regression_is_the_conjugate_posterior() {
    let posterior = regression(5);
    assert_close(&posterior.mean(), &MEAN, 1e-12);
    // The mean follows the settings, in whatever order they come.
    let elsewhere = posterior.clone().with_mean(LastLayerMean::Trained);
    assert_close(
        &elsewhere.mean(),
        &[3.0, 0.5, -4.0, -1.0, 2.0, 1.0],
        0.0_f64.next_up(),
    );
    let back = elsewhere.with_prior_precision(7.0).unwrap();
    let back = back.with_mean(LastLayerMean::Exact);
    assert!((back.mean()[0] - MEAN[0]).abs() > 1e-3);
    let back = back.with_prior_precision(0.5).unwrap();
    assert_close(&back.mean(), &MEAN, 1e-12);
    for output in [0, 1] {
        assert_close(&posterior.covariance(output), &COVARIANCE, 1e-13);
    }
    let predicted = posterior.predict(&QUERY);
    let means: Vec<f64> = predicted.iter().map(|p| p.mean).collect();
    assert_close(&means, &[1.036351416695433, 0.365283891807724], 1e-12);
    assert_close(&[predicted[1].std], &[0.6560973890218554], 1e-12);
}

#[test]
fn the_evidence_of_a_regression_is_the_density_of_its_observations() {
    let evidence = regression(5).log_marginal_likelihood();
    assert_close(&[evidence], &[-28.29825214707151], 1e-10);
}

#[test]
fn the_best_prior_and_noise_are_those_of_a_search_over_the_exact_evidence() {
    let prior = regression(5).with_best_prior_precision().unwrap();
    assert_close(
        &[prior.log_marginal_likelihood()],
        &[-25.941997717526668],
        1e-10,
    );
    assert_close(&[prior.prior_precision()], &[2.58127335149055], 1e-5);
    let both = regression(5).with_best_prior_and_noise().unwrap();
    assert_close(
        &[both.log_marginal_likelihood()],
        &[-25.93086042719797],
        1e-10,
    );
    assert_close(
        &[&[both.prior_precision()], both.noise_std().as_slice()].concat(),
        &[2.59253413991826, 0.5125089061600396, 0.5125089061600396],
        1e-5,
    );
}

/// Of outputs with σ = 0.5 and 0.8.
fn unequal() -> GaussianLastLayer {
    regression(5).with_noise_std(&[0.5, 0.8]).unwrap()
}

const UNEQUAL_MEAN: [f64; 6] = [
    0.893194612766298,
    -0.18039053985594,
    0.228973030600404,
    1.158615751089258,
    0.260180318318066,
    0.290451286365309,
];
const UNEQUAL_VARIANCES: [f64; 2] = [0.18046378388129586, 0.4492920221732808];

#[test]
fn each_output_has_the_posterior_of_its_own_noise() {
    let posterior = unequal();
    assert_close(&posterior.mean(), &UNEQUAL_MEAN, 1e-12);
    assert_close(
        &posterior.epistemic_variance(&QUERY),
        &UNEQUAL_VARIANCES,
        1e-12,
    );
    let predicted = posterior.predict(&QUERY);
    for (k, noise) in [0.25, 0.64].into_iter().enumerate() {
        let std = (UNEQUAL_VARIANCES[k] + noise).sqrt();
        assert_close(&[predicted[k].std], &[std], 1e-12);
    }
    assert_close(
        &[posterior.log_marginal_likelihood()],
        &[-30.475178079093418],
        1e-10,
    );
    let best = posterior.with_best_prior_and_noises().unwrap();
    assert_close(
        &[best.log_marginal_likelihood()],
        &[-25.585166558137857],
        1e-10,
    );
    assert_close(&[best.prior_precision()], &[2.5618137368491154], 1e-4);
    assert_close(
        &best.noise_std(),
        &[0.577050081584154, 0.436491488809693],
        1e-5,
    );
    // Networks of it have its moments.
    let device = Device::flex();
    let x = Tensor::<2>::from_floats([[0.5, -2.0]], &device);
    let draws: Vec<Vec<f64>> = (0..4000)
        .map(|index| values(unequal().sample_layer(3, index, &device).forward(x.clone())))
        .collect();
    for k in 0..2 {
        let row = &UNEQUAL_MEAN[3 * k..3 * k + 3];
        let mean = 0.5 * row[0] - 2.0 * row[1] + row[2];
        let squares: Vec<f64> = draws.iter().map(|draw| (draw[k] - mean).powi(2)).collect();
        assert!(
            standard_errors_off(&squares, UNEQUAL_VARIANCES[k]).abs() < 4.0,
            "{k}"
        );
    }
}

#[test]
fn a_noise_for_each_output_is_one_for_each() {
    let message = |std: &[f64]| regression(5).with_noise_std(std).unwrap_err().to_string();
    assert!(
        message(&[0.5]).contains("the number of noise deviations of a batch must be 2, got 1"),
        "{}",
        message(&[0.5])
    );
    assert!(message(&[0.5, 0.0]).contains("must be positive and finite, got 0"));
}

#[test]
fn a_binary_last_layer_has_the_hessian_of_its_likelihood_for_its_precision() {
    let device = Device::flex();
    let trained = layer([[0.5, -0.25], [0.25, 0.5], [0.125, 0.0]], &device);
    let fit = |batch, precision| {
        let data = loader(12, batch, &device);
        BernoulliLastLayer::fit(data.as_ref(), |x| x, &trained, precision)
    };
    let posterior = fit(5, 0.5).unwrap();
    let covariance = [
        0.423906664203614,
        -0.043229361505472,
        0.040116604480076,
        -0.043229361505472,
        0.458783651921383,
        0.013266287339526,
        0.040116604480076,
        0.013266287339526,
        0.30444485241247,
    ];
    assert_close(&posterior.covariances()[0], &covariance, 1e-12);
    let variances = [2.319066304281824, 2.43723810888484];
    assert_close(&posterior.logit_variances(&QUERY), &variances, 1e-12);
    assert_close(
        &[posterior.log_marginal_likelihood()],
        &[-23.80804623634773],
        1e-11,
    );
    assert_close(
        &posterior.logits(&QUERY),
        &[0.25 - 0.5 + 0.125, -0.125 - 1.0],
        1e-6,
    );
    let best = posterior.clone().with_best_prior_precision().unwrap();
    assert!(best.log_marginal_likelihood() > posterior.log_marginal_likelihood());
    assert_eq!(fit(12, 0.5).unwrap().covariances().len(), 2);
    assert!(matches!(fit(5, 0.0), Err(LaplaceError::Setting { .. })));

    let x = Tensor::<2>::from_floats([[0.5, -2.0]], &device);
    let draws: Vec<Vec<f64>> = (0..4000)
        .map(|index| values(posterior.sample_layer(1, index, &device).forward(x.clone())))
        .collect();
    let mean = posterior.logits(&QUERY);
    for k in 0..2 {
        let squares: Vec<f64> = draws
            .iter()
            .map(|draw| (draw[k] - mean[k]).powi(2))
            .collect();
        assert!(
            standard_errors_off(&squares, variances[k]).abs() < 4.0,
            "{k}"
        );
    }
    let text = serde_json::to_string(&posterior).unwrap();
    let loaded: BernoulliLastLayer = serde_json::from_str(&text).unwrap();
    assert_eq!(loaded.logits(&QUERY), mean);
}

#[test]
fn a_held_out_precision_stays_in_its_range_where_all_predict_alike() {
    let device = Device::flex();
    let data = loader(12, 5, &device);
    // Logits of 0 have the probability ½ whatever their variance.
    let trained = layer([[0.0; 2]; 3], &device);
    let posterior = BernoulliLastLayer::fit(data.as_ref(), |x| x, &trained, 1.0).unwrap();
    let found = posterior.with_held_out_prior_precision(data.as_ref(), |x| x);
    let (posterior, report) = found.unwrap();
    assert!((1e-12..=1e12).contains(&posterior.prior_precision()));
    assert_eq!(report.prior_precision, posterior.prior_precision());
    assert!(!report.improves());
}

#[test]
fn a_binary_last_layer_of_one_logit_refuses_other_labels() {
    #[derive(Clone)]
    struct One(i32);

    impl Batcher<i32, LabeledBatch<Tensor<2>, Tensor<2, Int>>> for One {
        fn batch(
            &self,
            items: Vec<i32>,
            device: &Device,
        ) -> LabeledBatch<Tensor<2>, Tensor<2, Int>> {
            let labels: Vec<i32> = items
                .iter()
                .map(|i| if *i == 7 { self.0 } else { i % 2 })
                .collect();
            LabeledBatch {
                inputs: reference_inputs(&items, device),
                targets: Tensor::<1, Int>::from_ints(labels.as_slice(), device).unsqueeze_dim(1),
            }
        }
    }

    let device = Device::flex();
    let one = layer([[0.5], [0.25], [0.125]], &device);
    let fit = |label| {
        let data = crate::loader(One(label), 12, 5, &device);
        BernoulliLastLayer::fit(data.as_ref(), |x| x, &one, 1.0)
    };
    assert_eq!(fit(1).unwrap().logit_variances(&QUERY).len(), 1);
    let error = fit(2).unwrap_err();
    assert!(
        matches!(
            error,
            LaplaceError::Label {
                example: 7,
                label: 2,
                classes: 2
            }
        ),
        "{error}"
    );
    // Weights of another number of outputs than the targets have columns.
    let two = layer([[0.5, 0.0], [0.25, 0.0], [0.125, 0.0]], &device);
    let data = crate::loader(One(1), 12, 5, &device);
    let error = BernoulliLastLayer::fit(data.as_ref(), |x| x, &two, 1.0).unwrap_err();
    assert!(
        matches!(
            error,
            LaplaceError::Shape {
                expected: 2,
                got: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn batches_do_not_change_the_posterior() {
    assert_close(&regression(1).mean(), &regression(12).mean(), 1e-12);
}

#[test]
fn a_trained_mean_stays_where_it_was_trained() {
    let posterior = regression(5);
    let trained = posterior.clone().with_mean(LastLayerMean::Trained);
    assert_eq!(trained.mean(), [3.0, 0.5, -4.0, -1.0, 2.0, 1.0]);
    assert!(trained.log_marginal_likelihood() < posterior.log_marginal_likelihood());
}

#[test]
fn drawn_layers_have_the_posteriors_moments() {
    let (posterior, device) = (regression(5), Device::flex());
    let draws: Vec<[f64; 6]> = (0..4000)
        .map(|index| {
            let layer = posterior.sample_layer(3, index, &device);
            let (w, b) = (
                values(layer.weight.val()),
                values(layer.bias.unwrap().val()),
            );
            [w[0], w[2], b[0], w[1], w[3], b[1]]
        })
        .collect();
    for a in 0..6 {
        let column: Vec<f64> = draws.iter().map(|draw| draw[a]).collect();
        assert!(standard_errors_off(&column, MEAN[a]).abs() < 4.0);
        for b in 0..6 {
            let product = |draw: &[f64; 6]| (draw[a] - MEAN[a]) * (draw[b] - MEAN[b]);
            let products: Vec<f64> = draws.iter().map(product).collect();
            // Outputs are independent.
            let expected = if a / 3 == b / 3 {
                COVARIANCE[a % 3 * 3 + b % 3]
            } else {
                0.0
            };
            assert!(
                standard_errors_off(&products, expected).abs() < 4.0,
                "{a}, {b}"
            );
        }
    }
}

#[test]
fn a_saved_posterior_draws_the_same_networks() {
    let (posterior, device) = (regression(5), Device::flex());
    let saved = serde_json::to_string(&posterior).unwrap();
    let loaded: GaussianLastLayer = serde_json::from_str(&saved).unwrap();
    let net = layer([[0.0; 2]; 3], &device);
    let set = |net: &mut Linear, last: Linear| *net = last;
    let weights = |posterior, index| {
        let networks = LastLayerNetwork::new(net.clone(), posterior, set);
        values(networks.sample_network(7, index).weight.val())
    };
    assert_eq!(weights(loaded.clone(), 2), weights(posterior, 2));
    assert_ne!(weights(loaded.clone(), 3), weights(loaded, 2));
}

#[test]
#[should_panic(expected = "weight has a posterior already")]
fn a_network_whose_body_has_posteriors_takes_no_drawn_last_layer() {
    let net = LinearConfig::new(2, 2).init(&Device::flex());
    let net = net.bayesianize(&BayesianizeConfig::new());
    let set = |net: &mut Linear, last: Linear| *net = last;
    let _ = LastLayerNetwork::new(net, regression(5), set);
}

const SOFTMAX: [[f32; 3]; 3] = [[0.5, -0.25, 0.0], [0.25, 0.5, -1.0], [0.125, 0.0, -0.5]];

fn softmax(covariance: ClassCovariance) -> SoftmaxLastLayer {
    let device = Device::flex();
    let data = loader(12, 5, &device);
    let trained = layer(SOFTMAX, &device);
    SoftmaxLastLayer::fit(data.as_ref(), |x| x, &trained, covariance, 0.5).unwrap()
}

#[test]
fn a_softmax_layer_has_the_gauss_newton_matrix_for_its_precision() {
    let joint = softmax(ClassCovariance::Joint);
    let s = &joint.covariances()[0];
    assert_close(
        &[s[0], s[9 + 4], s[2 * 9 + 8]],
        &[0.8936331972143364, 0.5754547996212389, 0.5522529014366679],
        1e-12,
    );
    assert_close(
        &joint.logit_variances(&QUERY),
        &[4.819137946890506, 5.053569652611682, 5.00157565361182],
        1e-11,
    );
    assert_close(
        &[joint.log_marginal_likelihood()],
        &[-21.484742556913904],
        1e-11,
    );
    assert_close(
        &softmax(ClassCovariance::PerClass).logit_variances(&QUERY),
        &[2.616708509294372, 3.039005805513242, 2.965420115751221],
        1e-11,
    );
}

#[test]
fn drawn_softmax_layers_have_the_logits_moments() {
    let device = Device::flex();
    for covariance in [ClassCovariance::Joint, ClassCovariance::PerClass] {
        let posterior = softmax(covariance);
        let (mean, variance) = (posterior.logits(&QUERY), posterior.logit_variances(&QUERY));
        let x = Tensor::<2>::from_floats([[0.5, -2.0]], &device);
        let draws: Vec<Vec<f64>> = (0..3000)
            .map(|index| values(posterior.sample_layer(1, index, &device).forward(x.clone())))
            .collect();
        for class in 0..3 {
            let squares = |draw: &Vec<f64>| (draw[class] - mean[class]).powi(2);
            let squares: Vec<f64> = draws.iter().map(squares).collect();
            assert!(standard_errors_off(&squares, variance[class]).abs() < 4.0);
        }
    }
}

#[test]
fn a_prediction_of_a_feature_that_is_no_number_panics_with_its_place() {
    let device = Device::flex();
    let two = layer([[0.5, -0.25], [0.25, 0.5], [0.125, 0.0]], &device);
    let data = loader(12, 5, &device);
    let bernoulli = BernoulliLastLayer::fit(data.as_ref(), |x| x, &two, 0.5).unwrap();
    let gaussian = regression(5);
    let softmax = [
        ClassCovariance::Joint,
        ClassCovariance::PerClass,
        ClassCovariance::Kronecker,
    ]
    .map(softmax);
    for (feature, name) in [
        (f64::NAN, "NaN"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
    ] {
        let features = [0.5, feature];
        let refused = |predict: &dyn Fn()| {
            let panic = catch_unwind(AssertUnwindSafe(predict)).unwrap_err();
            let message = panic.downcast_ref::<String>().unwrap();
            let reason = format!("the layer takes finite features, feature 1 is {name}");
            assert!(message.ends_with(&reason), "{message}");
        };
        refused(&|| drop(bernoulli.predict(&features)));
        refused(&|| drop(gaussian.predict(&features)));
        refused(&|| drop(gaussian.epistemic_variance(&features)));
        for posterior in &softmax {
            refused(&|| drop(posterior.predict(&features, Link::Probit)));
            refused(&|| drop(posterior.logit_variances(&features)));
        }
    }
}

fn diagonal(device: &Device, batch: usize) -> Result<DiagonalLaplace<Linear>, LaplaceError> {
    let data = loader::<LabeledBatch<Tensor<2>, Tensor<1, Int>>>(12, batch, device);
    let loss = CrossEntropyLossConfig::new().init(device);
    let nll = |net: &Linear, batch: LabeledBatch<Tensor<2>, Tensor<1, Int>>| {
        loss.forward(net.forward(batch.inputs), batch.targets)
    };
    let net = layer(SOFTMAX, device);
    let net = if device.is_autodiff() {
        net.set_require_grad(true)
    } else {
        net
    };
    DiagonalLaplace::fit(net, data.as_ref(), nll, 0.5)
}

#[test]
fn a_diagonal_posterior_sums_the_squared_gradients_of_single_examples() {
    let posterior = diagonal(&Device::flex().autodiff(), 1).unwrap();
    let expected = [
        0.484765594008832,
        0.293393559462444,
        0.418309545243754,
        0.443806353878362,
        0.472712902523329,
        0.299336356172558,
        0.280084320603701,
        0.270725395391989,
        0.276179535009528,
    ];
    let variances: Vec<f64> = posterior
        .variances()
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    // Gradients are f32.
    assert_close(&variances, &expected, 1e-6);
    assert_close(
        &[posterior.log_marginal_likelihood()],
        &[-24.05588043160714],
        1e-5,
    );

    let draws: Vec<f64> = (0..4000)
        .map(|index| values(posterior.sample_network(5, index).weight.val())[3])
        .collect();
    assert!(standard_errors_off(&draws, 0.25).abs() < 4.0);
    let squares: Vec<f64> = draws.iter().map(|w| (w - 0.25).powi(2)).collect();
    assert!(standard_errors_off(&squares, expected[3]).abs() < 4.0);
}

#[test]
fn data_without_a_posterior_are_typed_errors() {
    let device = Device::flex();
    let trained = layer([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], &device);
    let fit = |examples, map: fn(Tensor<2>) -> Tensor<2>, precision| {
        let data = loader(examples, 5, &device);
        GaussianLastLayer::fit(data.as_ref(), map, &trained, 0.5, precision)
    };
    let same = |x: Tensor<2>| x;
    assert!(matches!(fit(0, same, 1.0), Err(LaplaceError::Empty)));
    assert!(matches!(
        fit(12, same, 0.0),
        Err(LaplaceError::Setting { .. })
    ));
    // A constant feature is collinear with the bias.
    let ones = |x: Tensor<2>| x.ones_like();
    assert!(matches!(
        fit(12, ones, 1e-30),
        Err(LaplaceError::Singular { .. })
    ));
    assert!(fit(12, ones, 1e-3).is_ok());
    let infinite = |x: Tensor<2>| x / 0.0;
    assert!(matches!(
        fit(12, infinite, 1.0),
        Err(LaplaceError::NonFinite { example: 0, .. })
    ));
    let narrow = |x: Tensor<2>| x.narrow(1, 0, 1);
    assert!(matches!(
        fit(12, narrow, 1.0),
        Err(LaplaceError::Shape {
            expected: 2,
            got: 1,
            ..
        })
    ));

    let data = loader(12, 5, &device);
    let two_classes =
        SoftmaxLastLayer::fit(data.as_ref(), same, &trained, ClassCovariance::Joint, 1.0);
    assert!(matches!(
        two_classes,
        Err(LaplaceError::Label { label: 2, .. })
    ));
}

#[test]
fn a_diagonal_posterior_refuses_batches_and_networks_without_gradients() {
    let autodiff = Device::flex().autodiff();
    assert!(matches!(
        diagonal(&autodiff, 4),
        Err(LaplaceError::NotSingle {
            batches: 3,
            examples: 12
        })
    ));
    assert!(matches!(
        diagonal(&Device::flex(), 1),
        Err(LaplaceError::NoGradient)
    ));
}
