//! Antithetic pairs of draws.

use blitz_core::prelude::*;
use blitz_core::{BuiltinVariational, NormalPrior, Posterior};
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, Shape, Tensor};

use crate::digest::given;
use crate::net::{devices, families, scalar, values};

/// Weights of one, two and four axes.
#[derive(Module, Debug)]
struct Net {
    conv: Conv2d,
    output: Linear,
}

impl Net {
    fn new(posterior: PosteriorConfig, dtype: DType, device: &Device) -> Self {
        let net = Self {
            conv: Conv2dConfig::new([1, 3], [2, 2]).init(device),
            output: LinearConfig::new(12, 5).init(device),
        };
        let config = BayesianizeConfig::new().with_posterior(posterior);
        given(net.bayesianize(&config), 0.3, dtype)
    }

    fn weights(&self) -> Vec<Tensor<1>> {
        let biases = [&self.conv.bias, &self.output.bias];
        let biases = biases.map(|bias| bias.as_ref().unwrap().val());
        let weights = [
            self.conv.weight.val().flatten(0, 3),
            self.output.weight.val().flatten(0, 1),
        ];
        weights.into_iter().chain(biases).collect()
    }
}

fn host(tensors: Vec<Tensor<1>>) -> Vec<Vec<f64>> {
    let values = |tensor: Tensor<1>| tensor.into_data().iter::<f64>().collect();
    tensors.into_iter().map(values).collect()
}

#[test]
fn the_first_draw_has_the_bits_of_the_draw_alone_and_the_second_is_its_reflection() {
    for device in devices() {
        for posterior in families(0.2) {
            for (dtype, step) in [(DType::F32, 2e-7), (DType::F64, 4e-16), (DType::F16, 2e-3)] {
                if dtype == DType::F16 && device != Device::flex() {
                    // NdArray has no 16 bits.
                    continue;
                }
                let net = Net::new(posterior.clone(), dtype, &device);
                let mean = net.with_mean(|net| host(net.weights()));
                let alone = net.with_draw(3, 8, |net| host(net.weights()));
                let draw = net.draw(3, 8);
                let first = host(net.weights());
                assert_eq!(first, alone, "{posterior:?}");
                let _second = draw.antithetic(&net, 9).unwrap();
                let second = host(net.weights());
                let weights = mean.iter().flatten().zip(first.iter().flatten());
                for ((mean, first), second) in weights.zip(second.iter().flatten()) {
                    let expected = 2.0 * mean - first;
                    let scale = mean.abs().max(first.abs());
                    assert!(
                        (second - expected).abs() <= step * scale,
                        "{posterior:?}, {dtype:?}: {second} for {expected}"
                    );
                }
                // Each weight is one in the second draw, too.
                assert_eq!(second, host(net.weights()));
            }
        }
    }
}

#[test]
fn the_second_draw_is_the_same_whether_or_not_the_first_was_read() {
    for device in devices() {
        for posterior in families(0.2) {
            let net = Net::new(posterior, DType::F32, &device);
            let draw = net.draw(3, 8);
            let after = |draw: Draw| {
                let _second = draw.antithetic(&net, 9).unwrap();
                host(net.weights())
            };
            host(net.weights());
            assert_eq!(after(draw), after(net.draw(3, 8)));
        }
    }
}

#[test]
fn normal_pairs_have_the_same_bits_on_flex_and_ndarray() {
    let of = |device: &Device| {
        let net = Net::new(PosteriorConfig::normal(0.2), DType::F32, device);
        let _second = net.draw(3, 8).antithetic(&net, 9).unwrap();
        host(net.weights())
    };
    let [flex, ndarray] = devices();
    assert_eq!(of(&flex), of(&ndarray));
}

#[test]
fn the_built_in_posteriors_have_the_same_density_at_a_weight_and_its_reflection() {
    let device = Device::flex();
    let shape = Shape::new([4, 3]);
    let mu = Tensor::<2>::ones(shape.clone(), &device) * 0.7;
    for config in families(0.2) {
        let posterior = config.init(&shape, &device);
        assert!(posterior.is_symmetric());
        for scale in [0.01, 0.3, 2.0] {
            let away: Vec<f32> = (0..12).map(|i| (1.3 * i as f32).sin() * scale).collect();
            let away = Tensor::<1>::from_floats(away.as_slice(), &device).reshape([4, 3]);
            let [above, below] = [mu.clone() + away.clone(), mu.clone() - away]
                .map(|weight| scalar(posterior.log_density(mu.clone(), weight)));
            let difference = (above - below).abs();
            assert!(
                difference < 1e-4 * above.abs().max(1.0),
                "{config:?}, {scale}"
            );
        }
    }
}

/// A loss that is not linear in the weights.
fn loss(net: &Net) -> Tensor<1> {
    let weights = net.weights().into_iter();
    let sums = weights.map(|weight| (weight.clone().square() * 3.0 + weight.exp()).sum());
    sums.reduce(|a, b| a + b).unwrap()
}

fn rho(net: &Net) -> Tensor<1> {
    let weight = net.output.weight.reparameterization::<BuiltinVariational>();
    weight.unwrap().posterior.as_normal().unwrap().rho.val()
}

/// The gradients of μ and ρ of the output's weight.
fn gradients(net: &Net, loss: Tensor<1>) -> [Vec<f32>; 2] {
    let grads = loss.backward();
    [
        values(net.output.weight.base().grad(&grads).unwrap()),
        values(rho(net).grad(&grads).unwrap()),
    ]
}

fn assert_close(got: &[Vec<f32>; 2], expected: &[Vec<f32>; 2]) {
    for (got, expected) in got.iter().flatten().zip(expected.iter().flatten()) {
        let error = (got - expected).abs();
        assert!(error < 1e-5 * expected.abs().max(1.0), "{got} {expected}");
    }
}

#[test]
fn the_gradient_of_a_pair_is_that_of_two_weights_with_opposite_noise() {
    for device in devices() {
        let net = Net::new(PosteriorConfig::normal(0.2), DType::F32, &device.autodiff());
        let pair = |with_kl: bool| {
            let draw = net.draw(3, 8);
            let draw = if with_kl { draw.with_kl() } else { draw };
            let first = loss(&net);
            let kl = net.kl_cost();
            let _second = draw.antithetic(&net, 9).unwrap();
            gradients(&net, first + loss(&net) + kl * 0.1)
        };
        // By hand, with the noise as a constant, of the output's weight alone.
        let expected = {
            let mu = net.output.weight.base().flatten::<1>(0, 1);
            let sigma = (rho(&net).exp() + 1.0).log();
            let noise = blitz_core::Noise::new(NoiseKey::new(3, 8, 2)).standard_normal(&mu);
            let of = |weight: Tensor<1>| (weight.clone().square() * 3.0 + weight.exp()).sum();
            let (up, down) = (sigma.clone() * noise.clone(), sigma * noise);
            gradients(
                &net,
                of(mu.clone() + up) + of(mu - down) + net.kl_cost() * 0.1,
            )
        };
        assert_close(&pair(false), &expected);
        assert_close(&pair(true), &expected);
    }
}

#[test]
fn a_kl_without_a_closed_form_is_that_of_the_reflected_weight() {
    for device in devices() {
        for centered in [false, true] {
            let layer = given(LinearConfig::new(7, 5).init(&device), 0.4, DType::F32);
            let config =
                MopedConfig::new().with_prior(Some(PriorConfig::scale_mixture(0.5, 1.0, 0.1)));
            let mixture = BayesianizeConfig::new()
                .with_posterior(PosteriorConfig::normal(0.2))
                .with_prior(PriorConfig::scale_mixture(0.5, 1.0, 0.1));
            let layer = match centered {
                // Away from the centre, where both weights of a pair would have one density.
                true => given(layer.moped(&config), 0.3, DType::F32),
                false => layer.bayesianize(&mixture),
            };
            let of = |fused: bool| {
                let _second = layer.draw(3, 8).antithetic(&layer, 9).unwrap();
                let kl = || scalar(layer.kl_cost_of_draw().unwrap());
                match fused {
                    true => kl(),
                    false => blitz_core::kernels::without_fused(kl),
                }
            };
            // Without the fused operation it is computed of the weight.
            let (fused, of_weight) = (of(true), of(false));
            let error = (fused - of_weight).abs();
            assert!(error < 1e-4 * of_weight.abs(), "{fused} {of_weight}");
            let first = layer.with_draw(3, 8, |layer| scalar(layer.kl_cost()));
            assert!((fused - first).abs() > 1e-2, "{fused} {first}");
        }
    }
}

/// Two layers.
#[derive(Module, Debug)]
struct Pair {
    first: Linear,
    second: Linear,
}

#[test]
fn a_posterior_that_is_not_symmetric_is_refused_by_its_path() {
    let device = Device::flex();
    let mut net = Pair {
        first: LinearConfig::new(2, 2).init(&device),
        second: LinearConfig::new(2, 2).init(&device),
    };
    let of = |rate| OneSided { rate };
    net.second = net
        .second
        .attach_posteriors(|_| Some((of(3.0), NormalPrior::new(1.0))));
    let net = net.bayesianize(&BayesianizeConfig::new().keep_existing());
    let error = net.draw(3, 8).antithetic(&net, 9).unwrap_err();
    assert_eq!(error.weight, "second.weight");
    assert!(
        error
            .to_string()
            .starts_with("second.weight has no antithetic draw"),
        "{error}"
    );
    assert!(!blitz_core::draw_is_open());
    // One that is not sampled needs no draw.
    let frozen = net.freeze_sampling();
    assert!(frozen.draw(3, 8).antithetic(&frozen, 9).is_ok());
}

/// `w = μ + e` with an exponential e.
#[derive(Module, Debug)]
struct OneSided {
    rate: f64,
}

impl Posterior for OneSided {
    fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut blitz_core::Noise) -> Tensor<D> {
        let squares = noise.standard_normal(&mu).square() + noise.standard_normal(&mu).square();
        mu + squares * (0.5 / self.rate)
    }

    fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        mu.ones_like() / self.rate
    }

    fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
        (weight - mu).sum() * -self.rate
    }
}

#[test]
#[should_panic(expected = "was asked for an antithetic draw of its own")]
fn a_pair_has_two_draws() {
    let net = LinearConfig::new(2, 2)
        .init(&Device::flex())
        .bayesianize(&BayesianizeConfig::new());
    let second = net.draw(3, 8).antithetic(&net, 9).unwrap();
    let _third = second.antithetic(&net, 10);
}
