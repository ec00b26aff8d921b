//! Posterior sharpening.

use blitz_core::noise::NoiseKey;
use blitz_core::{
    BuiltinVariational, LocationScale, Nats, Noise, NormalPrior, Sharpening, SharpeningConfig,
    UnitNoise,
};
use blitz_layers::prelude::*;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor};

use crate::seeded::{normals, seeded};
use crate::statistics::values;

fn linear(device: &Device) -> Linear {
    let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.3));
    seeded(LinearConfig::new(3, 1).init(device), 1).bayesianize(&config)
}

fn data(device: &Device) -> (Tensor<2>, Tensor<2>) {
    let x = [
        [1.0, -2.0, 0.5],
        [0.3, 0.8, -1.0],
        [2.0, 0.1, 1.0],
        [-0.7, 1.1, 0.4],
    ];
    let y = [[1.0], [-0.5], [2.0], [0.3]];
    (
        Tensor::from_floats(x, device),
        Tensor::from_floats(y, device),
    )
}

/// `Σ (x w + b − y)² / 2`, with the gradients `Xᵀ(Xw + b − y)` and `Σ(Xw + b − y)`.
fn nll(net: &Linear) -> Tensor<1> {
    let (x, y) = data(&net.weight.base().device());
    (net.forward(x) - y).square().sum() / 2.0
}

/// Weight and bias, and the gradient of the nll at them.
fn weights_and_gradient(net: &Linear) -> (Vec<f64>, Vec<f64>) {
    let (x, y) = data(&net.weight.base().device());
    let (x, y) = (values(x), values(y));
    let mut w = values(net.weight.val());
    w.extend(values(net.bias.as_ref().unwrap().val()));
    let mut gradient = vec![0.0; 4];
    for (x, y) in x.chunks(3).zip(y) {
        let residual = x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + w[3] - y;
        for i in 0..3 {
            gradient[i] += residual * x[i];
        }
        gradient[3] += residual;
    }
    (w, gradient)
}

const ETA: f64 = 0.05;
const STD: f64 = 0.1;

fn sharpening(net: &Linear) -> Sharpening {
    SharpeningConfig::new()
        .with_initial_eta(ETA)
        .with_std(STD)
        .init(net)
}

#[test]
fn theta_is_phi_minus_the_step_plus_noise_and_pays_its_kl() {
    let net = linear(&Device::flex().autodiff());
    let sharpening = sharpening(&net);
    let (phi, gradient) = net.with_draw(4, 2, weights_and_gradient);
    let sharpened = sharpening.draw(&net, 4, 2, nll);
    let (theta, _) = weights_and_gradient(&net);
    // The noise of weight and bias, in streams of their own behind bit 30.
    let noise = [0, 1, 2].map(|i| NoiseKey::new(4, 2, 1 << 30).standard_normal_at(i));
    let noise = [
        noise[0],
        noise[1],
        noise[2],
        NoiseKey::new(4, 2, 1 << 30 | 1).standard_normal_at(0),
    ];
    for i in 0..4 {
        let want = phi[i] - ETA * gradient[i] + STD * f64::from(noise[i]);
        assert!((theta[i] - want).abs() < 1e-5, "{} for {want}", theta[i]);
    }
    let kl: f64 = gradient.iter().map(|g| (ETA * g).powi(2)).sum::<f64>() / (2.0 * STD * STD);
    let got = values(sharpened.kl())[0];
    assert!((got - kl).abs() < 1e-4 * kl, "{got} for {kl}");
    drop(sharpened);
    assert!(!blitz_core::draw_is_open());
}

/// Noise that is not drawn.
#[derive(Module, Debug)]
struct Undrawn {}

impl UnitNoise for Undrawn {
    fn sample<const D: usize>(&self, _noise: &mut Noise, _like: &Tensor<D>) -> Tensor<D> {
        unreachable!("it was drawn")
    }

    fn std_dev(&self, _elements: usize) -> f64 {
        1.0
    }

    fn log_density<const D: usize>(&self, z: Tensor<D>) -> Nats<D> {
        Nats::of_weights(z.zeros_like())
    }
}

#[test]
fn the_steps_are_made_without_a_draw() {
    let net = LinearConfig::new(3, 1).init(&Device::flex());
    let net = net.attach_posteriors(|weight| {
        let posterior = LocationScale::new(Undrawn {}, 0.1, weight.shape, weight.device);
        Some((posterior, NormalPrior::new(1.0)))
    });
    let steps = sharpening(&net).rho.into_iter();
    let steps: Vec<_> = steps.map(|rho| rho.lazy_shape()[0]).collect();
    assert_eq!(steps, [3, 1]);
}

#[test]
fn without_step_and_deviation_theta_is_phi() {
    let net = linear(&Device::flex().autodiff());
    let nothing = SharpeningConfig::new()
        .with_initial_eta(1e-30)
        .with_std(1e-30)
        .init(&net);
    let phi = net.with_draw(4, 2, weights_and_gradient).0;
    let _draw = nothing.draw(&net, 4, 2, nll);
    assert_eq!(phi, weights_and_gradient(&net).0);
}

#[test]
fn to_predict_theta_is_phi_plus_the_same_noise() {
    let net = linear(&Device::flex().autodiff());
    let sharpening = sharpening(&net);
    let (phi, gradient) = net.with_draw(4, 2, weights_and_gradient);
    let valid = net.valid();
    let prior = {
        let _draw = sharpening.prior_draw(&valid, 4, 2);
        weights_and_gradient(&valid).0
    };
    let _draw = sharpening.draw(&net, 4, 2, nll);
    let sharpened = weights_and_gradient(&net).0;
    for i in 0..4 {
        assert!((prior[i] - ETA * gradient[i] - sharpened[i]).abs() < 1e-5);
        assert!((prior[i] - phi[i]).abs() > 1e-4);
    }
}

/// The loss at a step, with the gradient of the inner nll held where it is.
fn loss_with_eta(phi: &[f64], gradient: &[f64], noise: &[f64], eta: &[f64]) -> f64 {
    let theta: Vec<f64> = (0..4)
        .map(|i| phi[i] - eta[i] * gradient[i] + noise[i])
        .collect();
    let (x, y) = data(&Device::flex());
    let residuals = values(x)
        .chunks(3)
        .zip(values(y))
        .map(|(x, y)| x[0] * theta[0] + x[1] * theta[1] + x[2] * theta[2] + theta[3] - y)
        .map(|r| r * r / 2.0)
        .sum::<f64>();
    let kl: f64 = (0..4).map(|i| (eta[i] * gradient[i]).powi(2)).sum::<f64>() / (2.0 * STD * STD);
    residuals + kl / 4.0
}

#[test]
fn the_gradient_of_the_steps_agrees_with_finite_differences() {
    let net = linear(&Device::flex().autodiff());
    let sharpening = sharpening(&net);
    let (phi, gradient) = net.with_draw(4, 2, weights_and_gradient);
    let (loss, theta) = {
        let sharpened = sharpening.draw(&net, 4, 2, nll);
        let loss = nll(&net) + sharpened.kl() / 4.0;
        (loss, weights_and_gradient(&net).0)
    };
    let noise: Vec<f64> = (0..4)
        .map(|i| theta[i] - phi[i] + ETA * gradient[i])
        .collect();
    let grads = loss.backward();
    let mut got = Vec::new();
    for rho in &sharpening.rho {
        got.extend(values(rho.val().grad(&grads).unwrap()));
    }
    // dη/dρ = 1 − e^−η.
    let chain = 1.0 - (-ETA).exp();
    for i in 0..4 {
        let at = |delta: f64| {
            let mut eta = [ETA; 4];
            eta[i] += delta;
            loss_with_eta(&phi, &gradient, &noise, &eta)
        };
        let want = chain * (at(1e-4) - at(-1e-4)) / 2e-4;
        assert!(
            (got[i] - want).abs() < 1e-3 * want.abs().max(0.1),
            "{} for {want}",
            got[i]
        );
    }
    // First order: dL/dφ is dL/dθ.
    let at_theta = {
        let draw = net.draw(0, 0);
        let mut parts = [&theta[..3], &theta[3..]].into_iter();
        draw.replace_weights(&net, |weight| {
            let part: Vec<f32> = parts.next().unwrap().iter().map(|v| *v as f32).collect();
            Tensor::from_floats(part.as_slice(), &weight.value.device())
        });
        weights_and_gradient(&net).1
    };
    let to_mu = values(net.weight.base().grad(&grads).unwrap());
    for i in 0..3 {
        assert!((to_mu[i] - at_theta[i]).abs() < 1e-3 * at_theta[i].abs().max(1.0));
    }
}

#[test]
fn several_draws_average_their_gradients() {
    let net = linear(&Device::flex().autodiff());
    let sharpening = sharpening(&net);
    let loss = |index| {
        let sharpened = sharpening.draw(&net, 4, index, nll);
        nll(&net) + sharpened.kl() / 4.0
    };
    let gradients = |loss: Tensor<1>| {
        let grads = loss.backward();
        let variational = net
            .weight
            .reparameterization::<BuiltinVariational>()
            .unwrap();
        let rho = &variational.posterior.as_normal().unwrap().rho;
        [
            values(net.weight.base().grad(&grads).unwrap()),
            values(rho.val().grad(&grads).unwrap()),
            values(sharpening.rho[0].val().grad(&grads).unwrap()),
        ]
        .concat()
    };
    let together = gradients((loss(0) + loss(1) + loss(2)) / 3.0);
    let apart: Vec<_> = (0..3).map(|index| gradients(loss(index))).collect();
    for (i, together) in together.iter().enumerate() {
        let mean = (apart[0][i] + apart[1][i] + apart[2][i]) / 3.0;
        assert!((together - mean).abs() < 1e-4 * mean.abs().max(1.0));
    }
    assert_ne!(apart[0], apart[1]);
}

#[test]
fn the_models_kl_stays_that_of_its_own_weights() {
    // Estimated at the draw's weights, whose posterior θ does not come from.
    let config = BayesianizeConfig::new().with_prior(PriorConfig::scale_mixture(0.5, 1.0, 0.1));
    let net = LinearConfig::new(3, 1)
        .init(&Device::flex().autodiff())
        .bayesianize(&config);
    let own = net.with_draw(4, 2, |net| values(net.kl_cost()));
    let sharpening = SharpeningConfig::new().with_std(1.0).init(&net);
    let _draw = sharpening.draw(&net, 4, 2, nll);
    assert_eq!(own, values(net.kl_cost()));
}

#[test]
fn every_estimator_and_the_embedding_read_the_replacement() {
    use burn::tensor::Int;

    let device = Device::flex();
    for estimator in [
        Estimator::SharedWeights,
        Estimator::LocalReparameterization,
        Estimator::Flipout,
    ] {
        let layer = BayesianLinearConfig::new(3, 2)
            .with_estimator(estimator)
            .with_bias(false)
            .init(&device);
        let draw = layer.draw(1, 0);
        draw.replace_weights(&layer, |weight| weight.value.ones_like());
        let output = layer.forward(Tensor::<2>::ones([2, 3], &device));
        assert_eq!(values(output), [3.0; 4], "{estimator:?}");
    }
    let layer = BayesianEmbeddingConfig::new(10, 2).init(&device);
    let draw = layer.draw(1, 0);
    draw.replace_weights(&layer, |weight| weight.value.ones_like());
    let output = layer.forward(Tensor::<2, Int>::from_ints([[7]], &device));
    assert_eq!(values(output), [1.0; 2]);
}

#[test]
fn frozen_weights_keep_their_mean_and_the_others_their_steps() {
    let net = linear(&Device::flex().autodiff());
    let group = burn::module::ParamGroup::from_path("weight");
    let net = net.freeze_sampling_group(group);
    let sharpening = sharpening(&net);
    assert_eq!(sharpening.rho.len(), 2);
    let sharpened = sharpening.draw(&net, 4, 2, nll);
    assert_eq!(values(net.weight.val()), values(net.weight.base()));
    let bias = net.bias.as_ref().unwrap();
    assert_ne!(values(bias.val()), values(bias.base()));
    assert!(values(sharpened.kl())[0] > 0.0);
}

#[derive(Module, Debug)]
struct Forecaster {
    lstm: BayesianLstm,
    out: BayesianLinear,
}

impl Forecaster {
    fn nll(&self, x: Tensor<3>, y: Tensor<2>) -> Tensor<1> {
        let (_, state) = self.lstm.forward(x, None);
        let [_, batch_size, d_hidden] = state.hidden.dims();
        let prediction = self
            .out
            .forward(state.hidden.reshape([batch_size, d_hidden]));
        (prediction - y).square().mean()
    }
}

#[test]
fn sixty_sharpened_steps_bring_an_lstms_loss_at_the_mean_below_a_third_and_train_the_step_sizes() {
    // The sum of a short sequence.
    let device = Device::flex().autodiff();
    let x = normals::<3>(3, [32, 4, 1], &device) * 0.5;
    let y = x.clone().sum_dim(1).squeeze_dim::<2>(2);
    let mut model = seeded(
        Forecaster {
            lstm: BayesianLstmConfig::new(1, 8, true).init(&device),
            out: BayesianLinearConfig::new(8, 1).init(&device),
        },
        4,
    );
    let mut sharpening = SharpeningConfig::new().init(&model);
    let eta_before = values(sharpening.rho[0].val());
    let loss_at_mean =
        |model: &Forecaster| values(model.with_mean(|model| model.nll(x.clone(), y.clone())))[0];
    let before = loss_at_mean(&model);
    let mut optimizer = AdamConfig::new().init();
    let mut steps_optimizer = AdamConfig::new().init();
    for step in 0..60 {
        let loss = {
            let nll = |model: &Forecaster| model.nll(x.clone(), y.clone());
            let sharpened = sharpening.draw(&model, 1, step, nll);
            nll(&model) + sharpened.kl() / 32.0 + model.kl_cost() / 1e4
        };
        let mut grads = loss.backward();
        let of_model = GradientsParams::from_module(&mut grads, &model);
        let of_steps = GradientsParams::from_module(&mut grads, &sharpening);
        model = optimizer.step(0.02, model, of_model);
        sharpening = steps_optimizer.step(0.02, sharpening, of_steps);
    }
    let after = loss_at_mean(&model);
    assert!(after < 0.3 * before, "{before} to {after}");
    assert_ne!(eta_before, values(sharpening.rho[0].val()));
}

#[test]
#[should_panic(expected = "a device with autodiff; to predict, use `Sharpening::prior_draw`")]
fn a_model_without_gradients_is_refused() {
    let net = linear(&Device::flex());
    let _draw = sharpening(&net).draw(&net, 0, 0, nll);
}

#[test]
#[should_panic(expected = "made for another model")]
fn another_model_is_refused() {
    let device = Device::flex().autodiff();
    let net = linear(&device);
    let small = LinearConfig::new(2, 1)
        .init(&device)
        .bayesianize(&BayesianizeConfig::new());
    let _draw = sharpening(&net).draw(&small, 0, 0, |net| net.weight.val().sum());
}
