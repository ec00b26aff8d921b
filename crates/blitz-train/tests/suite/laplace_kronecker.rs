//! Kronecker factors of a last layer against laplace-torch, whose numbers `laplace_torch_reference.py` prints;
//! linearised predictions; and a prior precision that does no harm.

use std::sync::Arc;

use blitz_noise::NoiseKey;
use blitz_train::LabeledBatch;
use blitz_train::laplace::{
    BernoulliLastLayer, ClassCovariance, HeldOut, LaplaceError, LastLayerPosterior, Link,
    SoftmaxLastLayer,
};
use burn::data::dataloader::DataLoader;
use burn::data::dataloader::batcher::Batcher;
use burn::module::{Module, Param, ParamId};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor};

use super::close::assert_close;
use crate::{reference_inputs, standard_errors_off, values};

type Labelled = LabeledBatch<Tensor<2>, Tensor<1, Int>>;

#[derive(Clone)]
struct Reference;

impl Batcher<i32, Labelled> for Reference {
    fn batch(&self, items: Vec<i32>, device: &Device) -> Labelled {
        let labels: Vec<i32> = items.iter().map(|i| (2 * i + 1) % 3).collect();
        LabeledBatch {
            inputs: reference_inputs(&items, device),
            targets: Tensor::from_ints(labels.as_slice(), device),
        }
    }
}

const QUERY: [f64; 2] = [0.5, -2.0];

fn kronecker(bias: bool, batch: usize) -> SoftmaxLastLayer {
    let device = Device::flex();
    let weight = Tensor::from_floats([[0.5, -0.25, 0.0], [0.25, 0.5, -1.0]], &device);
    let offsets = Tensor::from_floats([0.125, 0.0, -0.5], &device);
    let layer = Linear {
        weight: Param::initialized(ParamId::new(), weight),
        bias: bias.then(|| Param::initialized(ParamId::new(), offsets)),
    };
    let data = crate::loader(Reference, 12, batch, &device);
    let covariance = ClassCovariance::Kronecker;
    SoftmaxLastLayer::fit(data.as_ref(), |x| x, &layer, covariance, 0.5).unwrap()
}

#[test]
fn kronecker_factors_have_the_evidence_and_the_predictions_of_laplace_torch() {
    let covariance = [
        4.767989136457017,
        2.987077981216705,
        2.744932882326264,
        2.987077981216705,
        4.78780339077573,
        2.725118628007556,
        2.744932882326264,
        2.725118628007556,
        5.029948489666166,
    ];
    for batch in [5, 12] {
        let posterior = kronecker(true, batch);
        assert_close(
            &[posterior.log_marginal_likelihood()],
            &[-21.676014073472295],
            1e-12,
        );
        assert_close(&posterior.logits(&QUERY), &[-0.125, -1.125, 1.5], 1e-12);
        assert_close(&posterior.logit_covariance(&QUERY), &covariance, 1e-12);
        let variances = [covariance[0], covariance[4], covariance[8]];
        assert_close(&posterior.logit_variances(&QUERY), &variances, 1e-12);
        assert_close(
            &posterior.predict(&QUERY, Link::PlainProbit),
            &[0.242516119230972, 0.134549102098002, 0.622934778671026],
            1e-12,
        );
        let narrower = posterior.with_prior_precision(5.0).unwrap();
        assert_close(
            &[narrower.log_marginal_likelihood()],
            &[-21.739589425777584],
            1e-12,
        );
        assert_close(
            &narrower.logit_covariance(&QUERY)[..4],
            &[
                0.826052880850014,
                0.128164763088718,
                0.095782356061267,
                0.128164763088718,
            ],
            1e-12,
        );
    }
    let without = kronecker(false, 5);
    assert_close(
        &[without.log_marginal_likelihood()],
        &[-19.44199017662944],
        1e-12,
    );
    assert_close(
        &without.logit_variances(&QUERY),
        &[4.032317121109967, 4.003578734236046, 4.049918264422585],
        1e-12,
    );
    assert_close(
        &without.predict(&QUERY, Link::PlainProbit),
        &[0.177710039861113, 0.102949238332635, 0.719340721806252],
        1e-12,
    );
}

#[test]
fn layers_drawn_from_kronecker_factors_have_the_logits_covariance() {
    let device = Device::flex();
    let x = Tensor::<2>::from_floats([[0.5, -2.0]], &device);
    for bias in [true, false] {
        let posterior = kronecker(bias, 5);
        let mean = posterior.logits(&QUERY);
        let covariance = posterior.logit_covariance(&QUERY);
        let draws: Vec<Vec<f64>> = (0..4000)
            .map(|index| values(posterior.sample_layer(1, index, &device).forward(x.clone())))
            .collect();
        for a in 0..3 {
            for b in 0..3 {
                let products: Vec<f64> = draws
                    .iter()
                    .map(|draw| (draw[a] - mean[a]) * (draw[b] - mean[b]))
                    .collect();
                let off = standard_errors_off(&products, covariance[3 * a + b]);
                assert!(off.abs() < 4.0, "{a}, {b}: {off}");
            }
        }
        let saved = serde_json::to_string(&posterior).unwrap();
        let loaded: SoftmaxLastLayer = serde_json::from_str(&saved).unwrap();
        let weight = |posterior: &SoftmaxLastLayer| {
            values(posterior.sample_layer(7, 2, &device).weight.val())
        };
        assert_eq!(weight(&loaded), weight(&posterior));
    }
}

#[test]
fn the_links_agree_with_the_mean_over_drawn_layers() {
    let posterior = kronecker(true, 5);
    let probit = posterior.predict(&QUERY, Link::Probit);
    let draws = posterior.predict(
        &QUERY,
        Link::MonteCarlo {
            draws: 20_000,
            seed: 1,
        },
    );
    for p in [&probit, &draws] {
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
    // 1/√(1 + π v/8) is off by hundredths where v is large, as here: contrasts have variances of 4 to 5.
    let off = probit.iter().zip(&draws).map(|(a, b)| (a - b).abs());
    assert!(off.fold(0.0, f64::max) < 0.05, "{probit:?} for {draws:?}");
    // The mean over drawn layers is that over drawn logits.
    let device = Device::flex();
    let x = Tensor::<2>::from_floats([[0.5, -2.0]], &device);
    let of_layers: Vec<f64> = (0..4000)
        .map(|index| {
            let z = values(posterior.sample_layer(1, index, &device).forward(x.clone()));
            let sum: f64 = z.iter().map(|z| z.exp()).sum();
            z[2].exp() / sum
        })
        .collect();
    let off = standard_errors_off(&of_layers, draws[2]);
    assert!(off.abs() < 4.0, "{off}");
}

#[test]
fn a_covariance_of_logits_is_that_of_its_weights() {
    let device = Device::flex();
    let data = crate::loader(Reference, 12, 5, &device);
    let layer = kronecker(true, 5).sample_layer(0, 0, &device);
    let fit =
        |covariance| SoftmaxLastLayer::fit(data.as_ref(), |x| x, &layer, covariance, 0.5).unwrap();
    let phi = [QUERY[0], QUERY[1], 1.0];
    let joint = fit(ClassCovariance::Joint);
    let weights = &joint.covariances()[0];
    for (at, got) in joint.logit_covariance(&QUERY).into_iter().enumerate() {
        let mut expected = 0.0;
        for (i, a) in phi.iter().enumerate() {
            for (j, b) in phi.iter().enumerate() {
                expected += a * b * weights[(at / 3 * 3 + i) * 9 + at % 3 * 3 + j];
            }
        }
        assert_close(&[got], &[expected], 1e-12);
    }
    let blocks = fit(ClassCovariance::PerClass);
    let covariance = blocks.logit_covariance(&QUERY);
    assert_close(&covariance[1..4], &[0.0; 3], 1e-300);
    assert_close(
        &covariance[4..5],
        &blocks.logit_variances(&QUERY)[1..2],
        1e-300,
    );
    assert!(fit(ClassCovariance::Kronecker).covariances().is_empty());
}

#[test]
fn hundreds_of_classes_need_no_joint_covariance() {
    let (classes, device) = (700, Device::flex());
    let layer = LinearConfig::new(2, classes).init(&device);
    let data = crate::loader(Reference, 12, 12, &device);
    let fit = |covariance| SoftmaxLastLayer::fit(data.as_ref(), |x| x, &layer, covariance, 1.0);
    let error = fit(ClassCovariance::Joint).unwrap_err();
    assert!(
        error.to_string().contains("use Kronecker factors"),
        "{error}"
    );
    assert!(matches!(error, LaplaceError::TooLarge { .. }));
    let posterior = fit(ClassCovariance::Kronecker).unwrap();
    assert_eq!(posterior.logit_variances(&QUERY).len(), classes);
    let evidence = posterior.log_marginal_likelihood();
    assert!(evidence.is_finite());
}

const CLASSES: usize = 4;
const INPUTS: usize = 8;
const FEATURES: usize = 32;

fn normals(index: u64, len: usize) -> Vec<f32> {
    let mut out = vec![0.0; len];
    NoiseKey::new(0, index, 0).fill_standard_normal(0, &mut out);
    out
}

/// Normal clusters about centres so far apart, from example `first` on, label after label.
#[derive(Clone)]
struct Clusters {
    apart: f32,
    first: i32,
}

impl Batcher<i32, Labelled> for Clusters {
    fn batch(&self, items: Vec<i32>, device: &Device) -> Labelled {
        let centres = normals(0, CLASSES * INPUTS);
        let mut rows = Vec::new();
        for i in &items {
            let label = *i as usize % CLASSES;
            let noise = normals((self.first + i) as u64 + 2, INPUTS);
            let centre = &centres[label * INPUTS..(label + 1) * INPUTS];
            rows.extend(centre.iter().zip(noise).map(|(c, e)| c * self.apart + e));
        }
        let labels: Vec<i32> = items.iter().map(|i| i % CLASSES as i32).collect();
        LabeledBatch {
            inputs: Tensor::<1>::from_floats(rows.as_slice(), device)
                .reshape([items.len(), INPUTS]),
            targets: Tensor::from_ints(labels.as_slice(), device),
        }
    }
}

impl Batcher<i32, LabeledBatch<Tensor<2>, Tensor<2, Int>>> for Clusters {
    fn batch(&self, items: Vec<i32>, device: &Device) -> LabeledBatch<Tensor<2>, Tensor<2, Int>> {
        let batch: Labelled = self.batch(items, device);
        LabeledBatch {
            inputs: batch.inputs,
            // Whether it is the first class.
            targets: batch.targets.equal_elem(0).int().unsqueeze_dim(1),
        }
    }
}

/// Random features, of which there are so many for so few examples that a last layer learns these by heart.
fn features(x: Tensor<2>) -> Tensor<2> {
    let weight = normals(1, INPUTS * FEATURES);
    let weight = Tensor::<1>::from_floats(weight.as_slice(), &x.device());
    let weight = weight.reshape([INPUTS, FEATURES]) / (INPUTS as f64).sqrt();
    x.matmul(weight).tanh() * 3.0
}

const TRAINING: i32 = 80;
const HELD_OUT: i32 = 600;

/// A last layer that fits its 80 training examples.
fn trained(
    outputs: usize,
    apart: f32,
    loss: impl Fn(Tensor<2>, Tensor<1, Int>) -> Tensor<1>,
) -> Linear {
    let device = Device::flex().autodiff();
    let batch: Labelled = Clusters { apart, first: 0 }.batch((0..TRAINING).collect(), &device);
    let x = features(batch.inputs);
    // From zeros, not at random: how sure it becomes, and so what a posterior gains, depends on the start.
    let config = LinearConfig::new(FEATURES, outputs).with_initializer(Initializer::Zeros);
    let mut layer = config.init(&device);
    let mut adam = AdamConfig::new().init();
    for _ in 0..300 {
        let loss = loss(layer.forward(x.clone()), batch.targets.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &layer);
        layer = adam.step(0.02, layer, gradients);
    }
    layer.valid()
}

fn clusters<B: Send + Sync + Clone + std::fmt::Debug + 'static>(
    apart: f32,
    first: i32,
    examples: i32,
) -> Arc<dyn DataLoader<B>>
where
    Clusters: Batcher<i32, B>,
{
    crate::loader(Clusters { apart, first }, examples, 64, &Device::flex())
}

/// Mean negative log likelihood of examples that chose nothing.
fn nll(posterior: &SoftmaxLastLayer, apart: f32) -> f64 {
    let first = TRAINING + HELD_OUT;
    let batch: Labelled = Clusters { apart, first }.batch((0..HELD_OUT).collect(), &Device::flex());
    let (rows, labels) = (values(features(batch.inputs)), batch.targets.into_data());
    let terms = rows.chunks(FEATURES).zip(labels.iter::<i64>());
    let sum: f64 = terms
        .map(|(row, label)| -posterior.predict(row, Link::Probit)[label as usize].ln())
        .sum();
    sum / f64::from(HELD_OUT)
}

#[test]
fn a_held_out_prior_precision_does_no_harm_where_that_of_the_evidence_does() {
    let device = Device::flex().autodiff();
    let loss = CrossEntropyLossConfig::new().init(&device);
    for covariance in [
        ClassCovariance::Joint,
        ClassCovariance::PerClass,
        ClassCovariance::Kronecker,
    ] {
        // The network is sure of all its training examples, but errs where clusters overlap.
        let fit = |apart| {
            let layer = trained(CLASSES, apart, |z, y| loss.forward(z, y));
            let training = clusters::<Labelled>(apart, 0, TRAINING);
            let posterior =
                SoftmaxLastLayer::fit(training.as_ref(), features, &layer, covariance, 1.0)
                    .unwrap();
            let evidence = posterior.clone().with_best_prior_precision().unwrap();
            let held_out = clusters::<Labelled>(apart, TRAINING, HELD_OUT);
            let (best, report) = posterior
                .with_held_out_prior_precision(held_out.as_ref(), features)
                .unwrap();
            assert_eq!(best.prior_precision(), report.prior_precision);
            assert_eq!(report.examples, HELD_OUT as usize);
            let point = best.clone().with_prior_precision(1e12).unwrap();
            let of = |posterior| nll(posterior, apart);
            (report, of(&best), of(&point), of(&evidence))
        };
        let (report, best, point, evidence) = fit(1.0);
        assert!(report.improves(), "{report}");
        assert!(
            best < 0.8 * point && best < evidence + 0.02,
            "{best}, {point}, {evidence}"
        );
        let (_, best, point, evidence) = fit(4.0);
        assert!(best < point + 0.005, "{best}, {point}");
        assert!(evidence > point + 0.02, "{evidence}, {point}");
    }
}

#[test]
fn a_network_that_needs_no_posterior_is_told_so() {
    let device = Device::flex().autodiff();
    let loss = CrossEntropyLossConfig::new().init(&device);
    let layer = trained(CLASSES, 6.0, |z, y| loss.forward(z, y));
    let training = clusters::<Labelled>(6.0, 0, TRAINING);
    let covariance = ClassCovariance::Kronecker;
    let posterior =
        SoftmaxLastLayer::fit(training.as_ref(), features, &layer, covariance, 1.0).unwrap();
    let held_out = clusters::<Labelled>(6.0, TRAINING, HELD_OUT);
    let (_, report) = posterior
        .with_held_out_prior_precision(held_out.as_ref(), features)
        .unwrap();
    assert!(!report.improves(), "{report}");
    assert!(report.nll <= report.trained_nll + 1e-9, "{report}");
    let text = report.to_string();
    assert!(text.ends_with("does not predict better"), "{text}");
}

#[test]
fn a_binary_last_layer_has_a_held_out_prior_precision_too() {
    let layer = trained(1, 0.7, |z, y| {
        let sign = y.equal_elem(0).float().unsqueeze_dim::<2>(1) * 2.0 - 1.0;
        // ln (1 + exp(−z)) of z that is not large.
        ((z * sign).neg().exp() + 1.0).log().mean()
    });
    let training = clusters(0.7, 0, TRAINING);
    let posterior = BernoulliLastLayer::fit(training.as_ref(), features, &layer, 1.0).unwrap();
    let held_out = clusters(0.7, TRAINING, HELD_OUT);
    let (best, report): (BernoulliLastLayer, HeldOut) = posterior
        .with_held_out_prior_precision(held_out.as_ref(), features)
        .unwrap();
    assert!(report.improves(), "{report}");
    // What it reports is what it predicts.
    let batch: LabeledBatch<Tensor<2>, Tensor<2, Int>> = Clusters {
        apart: 0.7,
        first: TRAINING,
    }
    .batch((0..HELD_OUT).collect(), &Device::flex());
    let (rows, labels) = (values(features(batch.inputs)), batch.targets.into_data());
    let terms = rows.chunks(FEATURES).zip(labels.iter::<i64>());
    let sum: f64 = terms
        .map(|(row, label)| {
            let p = best.predict(row)[0];
            -(if label == 1 { p } else { 1.0 - p }).ln()
        })
        .sum();
    assert_close(&[sum / f64::from(HELD_OUT)], &[report.nll], 1e-9);
}

#[test]
fn held_out_data_are_checked_as_training_data_are() {
    let posterior = kronecker(true, 5);
    let device = Device::flex();
    let search = |examples, map: fn(Tensor<2>) -> Tensor<2>| {
        let data = crate::loader(Reference, examples, 5, &device);
        let found = posterior
            .clone()
            .with_held_out_prior_precision(data.as_ref(), map);
        found.unwrap_err()
    };
    assert!(matches!(search(0, |x| x), LaplaceError::Empty));
    assert!(matches!(
        search(12, |x| x / 0.0),
        LaplaceError::NonFinite { example: 0, .. }
    ));
    assert!(matches!(
        search(12, |x| x.narrow(1, 0, 1)),
        LaplaceError::Shape {
            expected: 2,
            got: 1,
            ..
        }
    ));
    // There are four classes in these.
    let data = clusters::<Labelled>(1.0, 0, 12);
    let found = posterior.with_held_out_prior_precision(data.as_ref(), |x| x.narrow(1, 0, 2));
    assert!(matches!(
        found,
        Err(LaplaceError::Label {
            example: 3,
            label: 3,
            classes: 3
        })
    ));
}

#[test]
fn what_was_saved_before_there_were_kronecker_factors_still_loads() {
    let device = Device::flex();
    let data = crate::loader(Reference, 12, 5, &device);
    let layer = LinearConfig::new(2, 3).init(&device);
    for covariance in [ClassCovariance::Joint, ClassCovariance::PerClass] {
        let posterior =
            SoftmaxLastLayer::fit(data.as_ref(), |x| x, &layer, covariance, 0.5).unwrap();
        let mut saved = serde_json::to_value(&posterior).unwrap();
        let fields = saved.as_object_mut().unwrap();
        let blocks = match fields.remove("curvature").unwrap() {
            serde_json::Value::Object(curvature) => match covariance {
                ClassCovariance::Joint => serde_json::json!([curvature["Joint"]]),
                _ => curvature["PerOutput"].clone(),
            },
            other => panic!("{other}"),
        };
        assert!(blocks.is_array());
        fields.insert("blocks".into(), blocks);
        // Nor were there types.
        fields["shape"].as_object_mut().unwrap().remove("dtype");
        let loaded: SoftmaxLastLayer = serde_json::from_value(saved).unwrap();
        assert_eq!(loaded, posterior);
    }
}
