//! The posterior families attached to a network: gradients, records, extreme parameters, flipout's structure.

use blitz_core::prelude::*;
use blitz_core::{BuiltinVariational, Posterior, PosteriorStructure, Prior};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Gradients, Tensor};

use crate::net::{families, scalar, values};
use crate::priors::priors;
use crate::statistics::Sample;

/// Weights of one, two and four axes.
#[derive(Module, Debug)]
struct ConvNet {
    conv: Conv2d,
    output: Linear,
}

impl ConvNet {
    fn new(posterior: PosteriorConfig, prior: PriorConfig, device: &Device) -> Self {
        let net = Self {
            conv: Conv2dConfig::new([1, 2], [2, 2]).init(device),
            output: LinearConfig::new(8, 2).init(device),
        };
        let config = BayesianizeConfig::new().with_posterior(posterior);
        net.bayesianize(&config.with_prior(prior))
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        self.output
            .forward(self.conv.forward(x).tanh().flatten(1, 3))
    }

    /// A loss that depends on everything, and not linearly.
    fn loss(&self) -> Tensor<1> {
        let device = self.devices()[0].clone();
        let x = Tensor::<1>::from_floats([0.3, -1.0, 0.8, 0.1, 1.2, -0.4, 0.0, 0.6, -0.9], &device);
        let output = self.forward(x.reshape([1, 1, 3, 3]));
        output.tanh().square().sum() * 3.0 + self.kl_cost() * 0.1
    }
}

/// The gradients of all parameters, by id.
struct Collect<'a> {
    grads: &'a Gradients,
    found: Vec<(ParamId, Vec<f32>)>,
    missing: usize,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        match param.val().grad(self.grads) {
            Some(gradient) => self.found.push((param.id, values(gradient))),
            None => self.missing += 1,
        }
    }
}

/// Moves all parameters along their gradients.
struct Step<'a>(&'a [(ParamId, Vec<f32>)], f32);

impl ModuleMapper for Step<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (_, gradient) = self.0.iter().find(|(id, _)| *id == param.id).unwrap();
        let step: Vec<f32> = gradient.iter().map(|g| g * self.1).collect();
        param.map(|value| {
            let step = Tensor::<1>::from_floats(step.as_slice(), &value.device());
            let moved = value.clone() + step.reshape(value.shape());
            Tensor::from_inner(moved.without_autodiff()).require_grad()
        })
    }
}

/// Burn lets clones of a parameter that it has not initialized share whether they train.
#[test]
fn a_frozen_copy_of_a_new_network_leaves_the_original_training() {
    let device = Device::flex().autodiff();
    for posterior in families(0.3) {
        let net = ConvNet::new(posterior.clone(), PriorConfig::default(), &device);
        // The means are Burn's own.
        let _ = (net.conv.weight.base(), net.output.weight.base());
        let _ = net.conv.bias.as_ref().map(|bias| bias.base());
        let _ = net.output.bias.as_ref().map(|bias| bias.base());
        let frozen = [net.clone().no_grad(), net.clone().freeze()];
        let trains = |net: &ConvNet| {
            let mut trains = Trains::default();
            net.visit(&mut trains);
            trains.0
        };
        assert!(trains(&net).iter().all(|trains| *trains), "{posterior:?}");
        for copy in &frozen {
            assert!(!trains(copy).iter().any(|trains| *trains), "{posterior:?}");
        }
    }
}

#[derive(Default)]
struct Trains(Vec<bool>);

impl ModuleVisitor for Trains {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(param.base().is_require_grad());
    }
}

#[test]
fn the_gradient_of_every_parameter_agrees_with_finite_differences() {
    let device = Device::flex().autodiff();
    // A closed form and a Monte Carlo estimate, which differentiates the density.
    for prior in [PriorConfig::normal(0.5), PriorConfig::student_t(3.0, 0.5)] {
        for posterior in families(0.2) {
            let net = ConvNet::new(posterior.clone(), prior.clone(), &device);
            let loss = |net: &ConvNet| net.with_draw(9, 0, |net| net.loss());
            let grads = loss(&net).backward();
            let mut collect = Collect {
                grads: &grads,
                found: Vec::new(),
                missing: 0,
            };
            net.visit(&mut collect);
            assert_eq!(collect.missing, 0, "{posterior:?}");
            for (id, gradient) in &collect.found {
                // Each parameter tensor on its own: a wrong small gradient must not hide behind a large one.
                let norm: f64 = gradient.iter().map(|g| f64::from(*g).powi(2)).sum();
                assert!(norm > 0.0, "{posterior:?}");
                let alone: Vec<_> = collect
                    .found
                    .iter()
                    .map(|(other, g)| {
                        let own = other == id;
                        (
                            *other,
                            g.iter().map(|g| if own { *g } else { 0.0 }).collect(),
                        )
                    })
                    .collect();
                let size = 1e-2 / norm.sqrt() as f32;
                let at = |size: f32| scalar(loss(&net.clone().map(&mut Step(&alone, size))));
                let slope = (at(size) - at(-size)) / (2.0 * f64::from(size));
                // f32 losses of about 10, a step of 0.01 in the direction of the gradient.
                let tolerance = 5e-3 * norm + 5e-4 * norm.sqrt();
                assert!(
                    (slope - norm).abs() < tolerance,
                    "{posterior:?}, {prior:?}, {}: {slope}, {norm}",
                    gradient.len()
                );
            }
        }
    }
}

#[test]
fn a_record_brings_back_every_posterior_of_weights_with_one_two_and_four_axes() {
    let device = Device::flex();
    for posterior in families(0.2) {
        let prior = || PriorConfig::learned_laplace(0.3);
        let net = ConvNet::new(posterior.clone(), prior(), &device);
        let fresh = ConvNet::new(posterior.clone(), prior(), &device);
        let draw = |net: &ConvNet| {
            let net = net.sample_network(5, 0);
            let conv = values(net.conv.weight.val());
            let bias = values(net.conv.bias.unwrap().val());
            [conv, bias, values(net.output.weight.val())].concat()
        };
        assert_ne!(draw(&net), draw(&fresh), "{posterior:?}");
        let loaded = fresh.load_record(net.clone().into_record());
        assert_eq!(draw(&net), draw(&loaded), "{posterior:?}");
    }
}

#[test]
fn a_matrix_variate_posterior_leaves_a_bias_to_the_mean_field() {
    let net = ConvNet::new(
        PosteriorConfig::matrix_normal(0.2),
        PriorConfig::normal(1.0),
        &Device::flex(),
    );
    let is_normal = |variational: Option<&BuiltinVariational>| {
        variational.unwrap().posterior.as_normal().is_some()
    };
    assert!(is_normal(
        net.conv.bias.as_ref().unwrap().reparameterization()
    ));
    assert!(!is_normal(net.conv.weight.reparameterization()));
    // Means, and 2 + 4 deviations of the kernel, 8 + 2 of the matrix, 2 + 2 of the biases.
    assert_eq!(net.num_bayesian_weights(), 8 + 2 + 16 + 2);
    assert_eq!(net.num_posterior_params(), 28 + 6 + 10 + 4);
    assert!(
        (values(
            net.conv
                .bias
                .as_ref()
                .unwrap()
                .reparameterization::<BuiltinVariational>()
                .unwrap()
                .posterior
                .std_dev(Tensor::<1>::zeros([2], &Device::flex()))
        )[0] - 0.2)
            .abs()
            < 1e-6
    );
}

/// Sets what belongs to the posteriors to one value, and leaves the means.
struct SetNested {
    value: f32,
    depth: usize,
}

impl ModuleMapper for SetNested {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.depth += usize::from(name == "posterior" || self.depth > 0);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // The factors of the low-rank posterior have two axes and stay.
        if self.depth == 0 || D != 1 {
            return param;
        }
        param.map(|rho| Tensor::full(rho.shape(), self.value, &rho.device()).require_grad())
    }
}

#[test]
fn losses_and_gradients_are_finite_for_rho_of_100_and_minus_100() {
    let device = Device::flex().autodiff();
    for posterior in families(0.2) {
        for prior in priors() {
            for value in [100.0, -100.0] {
                let net = ConvNet::new(posterior.clone(), prior.clone(), &device);
                let net = net.map(&mut SetNested { value, depth: 0 });
                let loss = net.with_draw(2, 0, |net| net.loss());
                let what = format!("{posterior:?}, {prior:?}, {value}");
                assert!(scalar(loss.clone()).is_finite(), "{what}");
                let grads = loss.backward();
                let mut collect = Collect {
                    grads: &grads,
                    found: Vec::new(),
                    missing: 0,
                };
                net.visit(&mut collect);
                for (_, gradient) in collect.found {
                    assert!(gradient.iter().all(|g| g.is_finite()), "{what}");
                }
            }
        }
    }
}

#[test]
fn structures_are_those_that_the_estimators_may_rely_on() {
    let shape = burn::tensor::Shape::new([3, 2]);
    let structures = families(0.2).map(|config| config.init(&shape, &Device::flex()).structure());
    use PosteriorStructure::{General, IndependentNormal, SignSymmetric};
    assert_eq!(
        structures,
        [
            IndependentNormal,
            SignSymmetric,
            SignSymmetric,
            SignSymmetric,
            General,
            IndependentNormal,
            General,
        ]
    );
}

/// Two standard normals with a correlation, as the distribution to be found.
#[derive(Module, Debug)]
struct Correlated {
    correlation: f64,
}

impl Prior for Correlated {
    fn log_density<const D: usize>(&self, weight: Tensor<D>) -> Tensor<1> {
        let weight = weight.reshape([2]);
        let (x, y) = (weight.clone().slice(0..1), weight.slice(1..2));
        let rest = 1.0 - self.correlation.powi(2);
        let product = x.clone() * y.clone() * (-2.0 * self.correlation);
        let square = (x.square() + y.square() + product) / rest;
        (square + rest.ln()) * -0.5 - (2.0 * std::f64::consts::PI).ln()
    }
}

/// The KL to the correlated normals that training reaches.
fn kl_after_training(posterior: PosteriorConfig) -> Sample {
    let device = Device::flex().autodiff();
    let layer = LinearConfig::new(2, 1).with_bias(false).init(&device);
    let mut layer = layer.attach_posteriors(|weight| {
        let posterior = posterior.init(weight.shape, weight.device);
        Some((posterior, Correlated { correlation: 0.9 }))
    });
    let mut optimizer = AdamConfig::new().init();
    let (steps, draws) = (200u64, 4);
    for step in 0..steps {
        let kl = |index| layer.with_draw(1, step * draws + index, |layer| layer.kl_cost());
        let loss = (0..draws).map(kl).reduce(|a, b| a + b).unwrap() / draws as f64;
        let grads = GradientsParams::from_grads(loss.backward(), &layer);
        let rate = 0.1 * (1.0 - step as f64 / steps as f64);
        layer = optimizer.step(rate, layer, grads);
    }
    let layer = layer.valid();
    Sample::new((0..500).map(|i| layer.with_draw(2, i, |layer| scalar(layer.kl_cost()))))
}

#[test]
fn correlated_posteriors_find_the_correlation_that_the_mean_field_cannot_hold() {
    for family in [
        PosteriorConfig::low_rank_normal(1, 0.3),
        PosteriorConfig::full_rank_normal(0.3),
    ] {
        let correlated = kl_after_training(family);
        assert!(correlated.mean.abs() < 0.02, "{correlated:?}");
    }
    // The best that independent normals can do is -½ ln(1 − 0.9²).
    let mean_field = kl_after_training(PosteriorConfig::normal(0.3));
    let best = -0.5 * (1.0f64 - 0.81).ln();
    let excess = mean_field.mean - best;
    let gate = 4.5 * mean_field.standard_error;
    assert!(
        excess > -gate && excess < 0.02 + gate,
        "{mean_field:?}, {best}"
    );
}
