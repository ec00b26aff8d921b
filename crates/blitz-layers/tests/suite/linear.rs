//! `BayesianLinear` and its estimators.

use blitz_layers::prelude::*;
use burn::module::Module;
use burn::nn::{LinearConfig, LinearLayout};
use burn::tensor::{Device, Tensor};

use crate::seeded::seeded_throughout;
use crate::statistics::{
    ESTIMATORS, assert_covariance, assert_falls_with_the_batch, assert_mean, assert_normal,
    expected_gradients, gradients, values,
};

fn config(estimator: Estimator, std: f64) -> BayesianLinearConfig {
    BayesianLinearConfig::new(3, 2)
        .with_estimator(estimator)
        .with_posterior(PosteriorConfig::normal(std))
}

fn layer(estimator: Estimator, std: f64, device: &Device) -> BayesianLinear {
    seeded_throughout(config(estimator, std).init(device), 21)
}

fn input(device: &Device) -> Tensor<2> {
    Tensor::from_floats(
        [[1.0, -2.0, 0.5], [0.0, 0.0, 0.0], [3.0, 1.0, -1.0]],
        device,
    )
}

#[test]
fn a_record_of_burns_linear_loads_into_the_means() {
    let device = Device::flex();
    let plain = seeded_throughout(LinearConfig::new(3, 2).init(&device), 22);
    let layer = layer(Estimator::SharedWeights, 0.1, &device);
    let layer = layer.load_record(plain.clone().into_record().allow_partial(true));
    let x = input(&device);
    let mean = layer.with_mean(|layer| layer.forward(x.clone()));
    assert_eq!(values(mean), values(plain.forward(x)));
}

#[test]
fn as_the_deviation_vanishes_every_estimator_and_option_equals_burns_layer() {
    let device = Device::flex();
    for bias in [true, false] {
        let plain = LinearConfig::new(3, 2).with_bias(bias).init(&device);
        let plain = seeded_throughout(plain, 22);
        for estimator in ESTIMATORS {
            let layer = config(estimator, 1e-9).with_bias(bias).init(&device);
            let layer = layer.load_record(plain.clone().into_record().allow_partial(true));
            let difference = layer.forward(input(&device)) - plain.forward(input(&device));
            assert!(
                values(difference).iter().all(|d| d.abs() < 1e-5),
                "{estimator:?}, bias {bias}"
            );
        }
    }
}

#[test]
fn every_estimator_has_the_mean_and_variance_of_the_posterior() {
    let device = Device::flex();
    let std = 0.3;
    let shared = layer(Estimator::SharedWeights, std, &device);
    let x = input(&device);
    let mean = values(shared.with_mean(|layer| layer.forward(x.clone())));
    // Var = σ² (|x|² + 1) for each output, the bias included.
    let variance: Vec<f64> = values(x.clone().square().sum_dim(1))
        .into_iter()
        .flat_map(|norm| [std * std * (norm + 1.0); 2])
        .collect();

    for estimator in ESTIMATORS {
        let layer = BayesianLinear {
            estimator,
            ..shared.clone()
        };
        let samples: Vec<_> = (0..4000)
            .map(|index| values(layer.with_draw(31, index, |layer| layer.forward(x.clone()))))
            .collect();
        assert_normal(&samples, &mean, &variance, &format!("{estimator:?}"));
    }
}

#[test]
fn rows_are_uncorrelated_unless_they_share_their_weights() {
    let device = Device::flex();
    let std = 0.5;
    let layer = layer(Estimator::SharedWeights, std, &device);
    let x = Tensor::<2>::from_floats([[1.0, -2.0, 0.5], [1.5, -1.0, 1.0]], &device);
    let mean = values(layer.with_mean(|layer| layer.forward(x.clone())));
    let product = 1.5 + 2.0 + 0.5;
    let variance = [5.25, 5.25, 4.25, 4.25].map(|norm| std * std * (norm + 1.0));
    for estimator in ESTIMATORS {
        let layer = BayesianLinear {
            estimator,
            ..layer.clone()
        };
        let samples: Vec<_> = (0..3000)
            .map(|index| values(layer.with_draw(8, index, |layer| layer.forward(x.clone()))))
            .collect();
        let shared = match estimator {
            Estimator::SharedWeights => std * std * (product + 1.0),
            _ => 0.0,
        };
        // The two rows' first outputs; then the two outputs of one row, which share no weight.
        let what = format!("{estimator:?}");
        assert_covariance(&samples, [0, 2], &mean, &variance, shared, &what);
        assert_covariance(&samples, [0, 1], &mean, &variance, 0.0, &what);
    }
}

#[test]
fn the_gradient_of_every_estimator_is_unbiased() {
    let device = Device::flex().autodiff();
    let layer = layer(Estimator::SharedWeights, 0.2, &device);
    let x = input(&device);
    let bias = layer.bias.as_ref().unwrap();
    let expected = expected_gradients(&layer.weight, bias, x.clone(), burn::tensor::module::linear);
    for estimator in ESTIMATORS {
        let layer = BayesianLinear {
            estimator,
            ..layer.clone()
        };
        let samples: Vec<_> = (0..800)
            .map(|index| {
                let loss = layer.with_draw(6, index, |layer| layer.forward(x.clone()).exp().mean());
                gradients(&layer.weight, bias, &loss.backward())
            })
            .collect();
        assert_mean(&samples, &expected, &format!("{estimator:?}"));
    }
}

#[test]
fn rows_share_their_weights_or_have_noise_of_their_own_by_estimator() {
    let device = Device::flex();
    let x = Tensor::<2>::ones([2, 3], &device);
    for (estimator, same) in ESTIMATORS.into_iter().zip([true, false, false]) {
        let layer = layer(estimator, 0.5, &device);
        let output = values(layer.with_draw(1, 0, |layer| layer.forward(x.clone())));
        assert_eq!(output[0] == output[2], same, "{estimator:?}");
    }
}

#[test]
fn noise_of_the_rows_own_repeats_with_the_draw_and_differs_between_calls() {
    let device = Device::flex();
    for estimator in [Estimator::LocalReparameterization, Estimator::Flipout] {
        repeats_with_the_draw_and_differs_between_calls(estimator, &device);
    }
}

fn repeats_with_the_draw_and_differs_between_calls(estimator: Estimator, device: &Device) {
    let layer = layer(estimator, 0.5, device);
    let x = input(device);
    let twice = || {
        layer.with_draw(4, 2, |layer| {
            (
                values(layer.forward(x.clone())),
                values(layer.forward(x.clone())),
            )
        })
    };
    let (first, second) = twice();
    // A recurrent layer calls it at each time step: the steps must not share their noise.
    assert_ne!(first, second);
    assert_eq!((first, second), twice());
}

#[test]
fn the_mean_mode_and_frozen_sampling_switch_the_noise_off_for_every_estimator() {
    let device = Device::flex();
    for estimator in ESTIMATORS {
        let layer = layer(estimator, 0.5, &device);
        let x = input(&device);
        let mean = values(layer.with_mean(|layer| layer.forward(x.clone())));
        let frozen = layer.clone().freeze_sampling();
        assert_eq!(
            mean,
            frozen.with_draw(1, 0, |layer| values(layer.forward(x.clone())))
        );
        assert_ne!(
            mean,
            layer.with_draw(1, 0, |layer| values(layer.forward(x.clone())))
        );
    }
}

#[test]
fn gradients_are_finite_for_a_row_of_zeros_without_bias() {
    let device = Device::flex().autodiff();
    let layer = config(Estimator::LocalReparameterization, 0.5)
        .with_bias(false)
        .init(&device);
    let layer = seeded_throughout(layer, 21);
    let _draw = layer.draw(1, 0);
    let grads = layer.forward(input(&device)).sum().backward();
    let gradient = values(layer.weight.base().grad(&grads).unwrap());
    assert!(gradient.iter().all(|g| g.is_finite()));
    let posterior = layer
        .weight
        .reparameterization::<blitz_core::BuiltinVariational>()
        .unwrap();
    let gradient = values(
        posterior
            .posterior
            .as_normal()
            .unwrap()
            .rho
            .val()
            .grad(&grads)
            .unwrap(),
    );
    assert!(gradient.iter().all(|g| g.is_finite()) && gradient.iter().any(|g| *g != 0.0));
}

#[test]
fn the_gradient_varies_less_over_a_batch_of_rows_with_noise_of_their_own() {
    // Kingma et al. 2015, Wen et al. 2018: such rows average the noise away; shared weights don't.
    let device = Device::flex().autodiff();
    let x = Tensor::<2>::ones([64, 3], &device);
    let variance = |estimator| {
        let layer = layer(estimator, 0.5, &device);
        let gradients: Vec<f64> = (0..200)
            .map(|index| {
                let loss =
                    layer.with_draw(2, index, |layer| layer.forward(x.clone()).square().mean());
                values(layer.weight.base().grad(&loss.backward()).unwrap())[0]
            })
            .collect();
        let mean = gradients.iter().sum::<f64>() / 200.0;
        gradients.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / 200.0
    };
    let shared = variance(Estimator::SharedWeights);
    for estimator in [Estimator::LocalReparameterization, Estimator::Flipout] {
        let ratio = variance(estimator) / shared;
        // 1/64 in theory; a variance of 200 samples has a relative standard error of 0.1.
        assert!(ratio < 2.0 / 64.0, "{estimator:?}: {ratio}");
    }
}

#[test]
fn the_gradients_variance_falls_as_one_over_the_batch_unless_rows_share_their_weights() {
    let device = Device::flex().autodiff();
    for estimator in ESTIMATORS {
        let layer = layer(estimator, 0.5, &device);
        assert_falls_with_the_batch(estimator, |batch, index| {
            let x = Tensor::<2>::ones([batch, 3], &device);
            let loss = layer.with_draw(2, index, |layer| layer.forward(x).square().mean());
            values(layer.weight.base().grad(&loss.backward()).unwrap())[0]
        });
    }
}

#[test]
fn a_record_of_burns_linear_in_column_layout_loads_into_the_means() {
    let device = Device::flex();
    let columns = LinearConfig::new(3, 2).with_layout(LinearLayout::Col);
    let plain = seeded_throughout(columns.init(&device), 22);
    let layer = config(Estimator::SharedWeights, 0.1)
        .with_layout(LinearLayout::Col)
        .init(&device);
    let layer = layer.load_record(plain.clone().into_record().allow_partial(true));
    assert_eq!(layer.weight.base().dims(), [3, 2]);
    let mean = layer.with_mean(|layer| layer.forward(input(&device)));
    assert_eq!(values(mean), values(plain.forward(input(&device))));
}

#[test]
fn inputs_of_every_rank_work() {
    let device = Device::flex();
    for estimator in ESTIMATORS {
        let layer = layer(estimator, 0.1, &device);
        assert_eq!(layer.forward(Tensor::<1>::ones([3], &device)).dims(), [2]);
        assert_eq!(
            layer.forward(Tensor::<3>::ones([4, 5, 3], &device)).dims(),
            [4, 5, 2]
        );
    }
}

#[test]
fn the_configuration_survives_json() {
    use burn::config::Config;

    let config = config(Estimator::LocalReparameterization, 0.25)
        .with_prior(PriorConfig::scale_mixture(0.25, 1.0, 0.01));
    let json = serde_json::to_string(&config).unwrap();
    let back = BayesianLinearConfig::load_binary(json.as_bytes()).unwrap();
    assert_eq!(format!("{config:?}"), format!("{back:?}"));
}

#[test]
fn display() {
    let layer = config(Estimator::SharedWeights, 0.1).init(&Device::flex());
    assert_eq!(
        layer.to_string(),
        "BayesianLinear {d_input: 3, d_output: 2, bias: true, posterior: Normal, prior: Normal, \
         estimator: SharedWeights, params: 16}"
    );
}

#[test]
#[should_panic(expected = "got 0 and 2")]
fn a_layer_without_inputs_is_refused_with_its_size() {
    BayesianLinearConfig::new(0, 2).init(&Device::flex());
}

#[test]
#[should_panic(expected = "[.., d_input]")]
fn an_input_of_the_wrong_width_is_refused() {
    let device = Device::flex();
    let layer = layer(Estimator::SharedWeights, 0.1, &device);
    layer.forward(Tensor::<2>::ones([1, 4], &device));
}
