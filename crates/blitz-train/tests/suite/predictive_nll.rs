//! The NLL on the dashboard is that of the predictions, whatever the training weighs or smooths.

use blitz_train::blitz_core::noise::layout;
use blitz_train::blitz_layers::moments::{ForwardMoments, Moments};
use blitz_train::prelude::*;
use blitz_train::{ElboOutput, ExpectedNll, MomentsLikelihood, MomentsNetwork};
use burn::tensor::{Device, Int, Tensor};
use burn::train::{InferenceStep, TrainStep};

use super::close::assert_close;
use crate::learner::Net;
use crate::{scalar, values};

const LABELS: [usize; 4] = [0, 2, 1, 2];
const ONES: [i64; 4] = [1, 0, 0, 1];
const SEED: u64 = 5;
const SAMPLES: usize = 3;

fn net(outputs: usize) -> Net {
    let device = Device::flex().autodiff();
    device.seed(1);
    let config = BayesianLinearConfig::new(2, outputs);
    let layer = config
        .with_posterior(PosteriorConfig::normal(0.5))
        .init(&device);
    Net { layer }
}

fn inputs() -> Tensor<2> {
    let rows = [[0.5, -1.0], [2.0, 0.3], [-0.7, 0.1], [1.5, 1.5]];
    Tensor::from_floats(rows, &Device::flex().autodiff())
}

fn labels() -> Tensor<1, Int> {
    Tensor::from_ints(LABELS.map(|label| label as i64), &inputs().device())
}

fn ones() -> Tensor<2, Int> {
    Tensor::<1, Int>::from_ints(ONES, &inputs().device()).unsqueeze_dim(1)
}

fn elbo() -> Elbo {
    let config = ElboConfig::new(4).with_seed(SEED).with_samples(SAMPLES);
    config.with_validation_samples(SAMPLES).init()
}

/// Both of its draws: those of a validation, and those of the first step of a training.
fn steps<L: Likelihood<Output = Tensor<2>>>(
    model: &ElboModel<Net, L>,
    target: L::Target,
) -> [(ElboOutput<L::Evaluation>, Vec<Tensor<2>>); 2] {
    let batch = LabeledBatch {
        inputs: inputs(),
        targets: target,
    };
    let outputs = |index: fn(u16) -> u64| {
        let output = |sample| {
            let forward = |net: &Net| net.forward(inputs());
            model.network.with_draw(SEED, index(sample), forward)
        };
        (0..SAMPLES as u16).map(output).collect::<Vec<_>>()
    };
    [
        (
            InferenceStep::step(model, batch.clone()),
            outputs(|sample| layout::validation(sample.into())),
        ),
        (
            TrainStep::step(model, batch).item,
            outputs(|sample| layout::training(0, 0, sample)),
        ),
    ]
}

/// That of the training, averaged over draws and examples.
fn mean_loss<L: Likelihood>(likelihood: &L, outputs: &[L::Output], target: &L::Target) -> f64 {
    let of_draw =
        |output: &L::Output| scalar(likelihood.nll(output.clone(), target.clone()).mean());
    outputs.iter().map(of_draw).sum::<f64>() / outputs.len() as f64
}

#[test]
fn smoothed_and_weighted_classes_have_the_nll_of_their_mixture() {
    let config = CategoricalLikelihoodConfig::new(3);
    let smoothed = config.clone().with_label_smoothing(0.3);
    let weighted = config
        .clone()
        .with_class_weights(Some(vec![0.5, 2.0, 1.25]));
    let both = weighted.clone().with_label_smoothing(0.1);
    for config in [config, smoothed, weighted, both] {
        let likelihood = config.init();
        let model = ElboModel::new(net(3), likelihood.clone(), elbo());
        for (step, outputs) in steps(&model, labels()) {
            let loss = mean_loss(&likelihood, &outputs, &labels());
            assert_close(&[scalar(step.nll)], &[loss], 1e-5);
            let expected = likelihood.predictive(outputs).nll(&LABELS);
            assert_close(&values(step.predictive_nll), &expected, 1e-5);
        }
    }
}

#[test]
fn weighted_ones_have_the_nll_of_their_mixture() {
    for weights in [None, Some(vec![3.0])] {
        let config = BernoulliLikelihoodConfig::new().with_positive_weights(weights);
        let likelihood = config.init();
        let model = ElboModel::new(net(1), likelihood.clone(), elbo());
        for (step, outputs) in steps(&model, ones()) {
            let loss = mean_loss(&likelihood, &outputs, &ones());
            assert_close(&[scalar(step.nll)], &[loss], 1e-5);
            let expected = likelihood.predictive(outputs).nll(&ONES.map(|y| y as f64));
            assert_close(&values(step.predictive_nll), &expected, 1e-5);
        }
    }
}

#[test]
fn by_moments_it_is_the_expected_loss_of_the_labels_as_they_are() {
    let plain = CategoricalLikelihoodConfig::new(3);
    let weighted = plain.clone().with_label_smoothing(0.3);
    let weighted = weighted.with_class_weights(Some(vec![0.5, 2.0, 1.25]));
    let network = net(3);
    let moments = network.forward_moments(Moments::certain(inputs()));
    let [expected, loss] = [plain, weighted.clone()]
        .map(|config| values(config.init().expected_nll(moments.clone(), labels())));
    let likelihood = weighted.init();
    let model = ElboModel::new(
        MomentsNetwork { network },
        MomentsLikelihood { likelihood },
        elbo(),
    );
    let batch = LabeledBatch {
        inputs: inputs(),
        targets: labels(),
    };
    let step = InferenceStep::step(&model, batch);
    assert_close(&values(step.predictive_nll), &expected, 1e-5);
    assert_close(&[scalar(step.nll)], &[loss.iter().sum::<f64>() / 4.0], 1e-5);
}

#[test]
fn target_columns_are_scored_together_on_the_dashboard_and_apart_in_a_prediction() {
    let likelihood = GaussianLikelihoodConfig::new()
        .with_targets(2)
        .with_noise(LikelihoodParam::Fixed(1.0))
        .init(&Device::flex().autodiff());
    let model = ElboModel::new(net(2), likelihood.clone(), elbo());
    let target = inputs();
    for (step, outputs) in steps(&model, target.clone()) {
        let of_draw = |output: &Tensor<2>| values(likelihood.nll(output.clone(), target.clone()));
        let of_draws: Vec<_> = outputs.iter().map(of_draw).collect();
        let joint = (0..LABELS.len()).map(|example| {
            let densities = of_draws.iter().map(|nll| (-nll[example]).exp());
            -(densities.sum::<f64>() / SAMPLES as f64).ln()
        });
        let joint: Vec<f64> = joint.collect();
        assert_close(&values(step.predictive_nll), &joint, 1e-5);
        let apart = likelihood.predictive(outputs).nll(&values(target.clone()));
        let sums = apart.chunks(2).map(|columns| columns.iter().sum::<f64>());
        let mut differences = sums.zip(joint).map(|(sum, joint)| (sum - joint).abs());
        assert!(differences.any(|difference| difference > 1e-3));
    }
}
