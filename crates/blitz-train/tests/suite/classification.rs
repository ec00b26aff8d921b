//! The categorical likelihood.

use blitz_train::Evaluation as _;
use blitz_train::prelude::*;
use burn::tensor::{Device, Int, Tensor};

use crate::values;

#[rustfmt::skip]
const LOGITS: [f64; 32] = [4.08, -5.11, 0.84, -1.14, -0.91, -0.43, -4.04, -0.46, -1.73, 6.65, 0.45, -0.71, -0.56, -1.34, -2.11, -0.78, 0.96, -0.48, 1.92, -0.4, 0.05, 3.09, 1.09, -1.01, -0.37, 1.08, 3.87, -0.54, -0.49, 2.0, -1.77, -0.58];
#[rustfmt::skip]
const LABELS: [usize; 8] = [2, 0, 3, 1, 3, 2, 2, 3];

#[test]
fn the_likelihood_is_the_mixture_of_one_draw() {
    let device = Device::flex();
    let likelihood = CategoricalLikelihoodConfig::new(4).init();
    let logits = Tensor::<1>::from_floats(LOGITS.map(|l| l as f32), &device).reshape([8, 4]);
    let labels = Tensor::<1, Int>::from_ints(LABELS.map(|l| l as i64), &device);
    let nll = values(likelihood.nll(logits.clone(), labels.clone()));
    let predictive = likelihood.predictive(vec![logits.clone()]);
    for (got, expected) in nll.iter().zip(predictive.nll(&LABELS)) {
        assert!((got - expected).abs() < 1e-5, "{got} {expected}");
    }
    let evaluation = likelihood.evaluate(vec![logits.clone(), logits], labels);
    let probabilities = values(evaluation.without_autodiff().probabilities);
    for (got, expected) in probabilities[..4].iter().zip(predictive.probabilities(0)) {
        assert!((got - expected).abs() < 1e-6, "{got} {expected}");
    }
}

#[test]
fn the_gradient_of_the_nll_is_probability_minus_indicator() {
    let device = Device::flex().autodiff();
    let likelihood = CategoricalLikelihoodConfig::new(3).init();
    let logits = Tensor::<2>::from_floats([[1.0, 2.0, 0.5]], &device).require_grad();
    let labels = Tensor::<1, Int>::from_ints([2], &device);
    let grads = likelihood.nll(logits.clone(), labels).sum().backward();
    let weights = [1f64, 2.0, 0.5].map(f64::exp);
    let sum: f64 = weights.iter().sum();
    let got = values(logits.grad(&grads).unwrap());
    for (class, got) in got.into_iter().enumerate() {
        let expected = weights[class] / sum - if class == 2 { 1.0 } else { 0.0 };
        assert!((got - expected).abs() < 1e-6);
    }
}

#[test]
fn a_label_out_of_range_is_named() {
    let likelihood = CategoricalLikelihoodConfig::new(3).init();
    let labels = Tensor::<1, Int>::from_ints([0, 2, 3], &Device::flex());
    let error = likelihood.check_target(&labels).unwrap_err().to_string();
    assert_eq!(
        error,
        "example 2, target 0: 3 is no target of this likelihood, which needs a class from 0 to 2"
    );
}

#[test]
#[should_panic(expected = "got [2, 3] and 1 labels")]
fn labels_that_do_not_fit_the_logits_are_refused() {
    let device = Device::flex();
    let likelihood = CategoricalLikelihoodConfig::new(3).init();
    likelihood.nll(
        Tensor::zeros([2, 3], &device),
        Tensor::<1, Int>::from_ints([0], &device),
    );
}

#[test]
#[should_panic(expected = "needs at least two classes, got 1")]
fn one_class_is_nothing_to_learn() {
    CategoricalLikelihoodConfig::new(1).init();
}
