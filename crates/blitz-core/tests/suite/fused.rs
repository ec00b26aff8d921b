//! The fused operations as a module uses them: everything is as without them, up to rounding.

use blitz_core::kernels::{is_fused, without_fused};
use blitz_core::prelude::*;
use blitz_core::{KlEstimator, MopedConfig, Posterior, Prior, WeightReading};
use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::net::{devices, values};
use crate::priors::priors;

/// Without gradient checkpointing and with it.
fn autodiff_devices() -> Vec<Device> {
    let plain = devices().into_iter().map(Device::autodiff);
    let checkpointing = devices()
        .into_iter()
        .map(|device| device.autodiff().gradient_checkpointing());
    plain.chain(checkpointing).collect()
}

/// Weights of both signs and of very different sizes, whatever the initializer draws. No bias is near zero: MOPED would
/// give it a deviation of 1e-3, where the gradient of Burn's softplus is off by 4e-5, which is not what is compared
/// here.
fn linear(device: &Device) -> Linear {
    fn set<const D: usize>(param: Param<Tensor<D>>, first: f64) -> Param<Tensor<D>> {
        param.map(|weight| {
            let elements = weight.shape().num_elements() as i64;
            let steps = Tensor::<1, burn::tensor::Int>::arange(0..elements, &weight.device());
            let weights = steps.float().mul_scalar(0.7).add_scalar(first).sin();
            weights.reshape(weight.shape()).detach().require_grad()
        })
    }

    let mut layer = LinearConfig::new(13, 7).init(device);
    layer.weight = set(layer.weight, 0.0);
    layer.bias = layer.bias.map(|bias| set(bias, 0.6));
    layer
}

/// The output, the KL and all gradients of `Σ (output − 1)² + KL`, in the order of the module's traversal.
fn step(layer: &Linear) -> Vec<Vec<f32>> {
    struct Grads<'a>(&'a burn::tensor::Gradients, Vec<Vec<f32>>);

    impl burn::module::ModuleVisitor for Grads<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let grad = param.base().grad(self.0);
            self.1.push(grad.map_or_else(Vec::new, values));
        }
    }

    let device = layer.devices().remove(0);
    let _draw = layer.draw(11, 2);
    let x = Tensor::<1, burn::tensor::Int>::arange(0..52, &device).float();
    let output = layer.forward(x.mul_scalar(0.3).cos().reshape([4, 13]));
    let kl = layer.kl_cost();
    let loss = (output.clone() - 1.0).square().sum().reshape([1]) + kl.clone();
    let mut grads = Grads(&loss.backward(), vec![values(output), values(kl)]);
    layer.visit(&mut grads);
    grads.1
}

fn assert_close(got: &[Vec<f32>], expected: &[Vec<f32>], what: &str) {
    assert_eq!(got.len(), expected.len());
    for (tensor, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert_eq!(got.len(), expected.len(), "{what}, tensor {tensor}");
        let size = expected.iter().fold(0f32, |size, x| size.max(x.abs()));
        for (got, expected) in got.iter().zip(expected) {
            assert!(
                (got - expected).abs() <= 3e-6 * size.max(1.0),
                "{what}, tensor {tensor}: {got} for {expected}"
            );
        }
    }
}

#[test]
fn a_step_is_the_same_with_fused_operations_and_without() {
    for device in autodiff_devices() {
        assert!(is_fused(&device));
        let shared = PriorConfig::empirical_normal(Some("layer"));
        for prior in priors().into_iter().chain([shared]) {
            let what = format!("{prior:?} on {device:?}");
            let config = BayesianizeConfig::new()
                .with_posterior(PosteriorConfig::normal(0.3))
                .with_prior(prior);
            let layer = linear(&device).bayesianize(&config);
            let expected = without_fused(|| step(&layer));
            assert_close(&step(&layer), &expected, &what);
            assert!(expected.iter().all(|grad| !grad.is_empty()), "{what}");
        }
    }
}

#[test]
fn a_centred_prior_is_the_same_with_fused_operations_and_without() {
    for device in autodiff_devices() {
        for prior in [
            PriorConfig::normal(0.5),
            PriorConfig::scale_mixture(0.25, 1.0, 0.1),
        ] {
            let config = MopedConfig::new().with_delta(0.3).with_prior(Some(prior));
            let layer = linear(&device).moped(&config);
            // Away from the centre, where a KL has a gradient.
            let layer = layer
                .map_means(|means| Ok::<_, ()>(means.map(&mut Shift)))
                .unwrap();
            assert_close(&step(&layer), &without_fused(|| step(&layer)), "moped");
        }
    }
}

struct Shift;

impl burn::module::ModuleMapper for Shift {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|weight| (weight + 0.1).detach().require_grad())
    }
}

#[test]
fn the_kl_to_a_mixture_is_that_of_the_weights_which_the_draw_reads() {
    for device in autodiff_devices() {
        let config = BayesianizeConfig::new()
            .with_posterior(PosteriorConfig::normal(0.3))
            .with_prior(PriorConfig::scale_mixture(0.25, 1.0, 0.1));
        let layer = linear(&device).bayesianize(&config);
        let _draw = layer.draw(3, 4);
        let term = layer.kl_terms().remove(0);
        assert_eq!(term.estimator, KlEstimator::MonteCarlo);
        let weight = layer.weight.val();
        let variational = layer
            .weight
            .reparameterization::<blitz_core::BuiltinVariational>()
            .unwrap();
        let log_q = variational
            .posterior
            .log_density(layer.weight.base(), weight.clone());
        let expected = values(log_q - variational.prior.log_density(weight))[0];
        let got = values(term.value)[0];
        assert!(
            (got - expected).abs() < 1e-5 * expected.abs(),
            "{got} for {expected}"
        );
    }
}

#[test]
fn an_output_drawn_locally_is_the_same_with_fused_operations_and_without() {
    for device in autodiff_devices() {
        let layer = linear(&device).bayesianize(&BayesianizeConfig::new());
        let run = || {
            let _draw = layer.draw(5, 6);
            let WeightReading::Split(weight) = WeightReading::with_variance(&layer.weight) else {
                panic!("a normal posterior")
            };
            let variance = weight.part.clone() * 3.0;
            let output = weight.draw_output(weight.mean.clone(), variance);
            let again = weight.draw_output(weight.mean.clone(), weight.part.clone());
            let grads = (output.clone() * again.clone()).sum().backward();
            let posterior = layer
                .weight
                .reparameterization::<blitz_core::BuiltinVariational>()
                .unwrap();
            let rho = posterior.posterior.as_normal().unwrap().rho.val();
            vec![
                values(output),
                values(again),
                values(layer.weight.base().grad(&grads).unwrap()),
                values(rho.grad(&grads).unwrap()),
            ]
        };
        assert_close(&run(), &without_fused(run), "local");
    }
}

#[test]
fn half_precision_models_draw_and_train() {
    use burn::tensor::DType;

    struct Half;

    impl burn::module::ModuleMapper for Half {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|weight| weight.cast(DType::F16).detach().require_grad())
        }
    }

    let device = Device::flex().autodiff();
    let single = linear(&device).bayesianize(&BayesianizeConfig::new());
    let half = single.clone().map(&mut Half);
    let weights = half.with_draw(1, 0, |layer| layer.weight.val());
    assert_eq!(weights.dtype(), DType::F16);
    let expected = values(single.with_draw(1, 0, |layer| layer.weight.val()));
    let got = values(weights.cast(DType::F32));
    for (got, expected) in got.iter().zip(expected) {
        // μ, ρ and the weight are rounded to 11 bits.
        assert!((got - expected).abs() < 2e-3, "{got} for {expected}");
    }
    let _draw = half.draw(1, 0);
    // A KL is a sum in `f32`: half precision would end at 65,504 nats.
    let kl = half.kl_cost();
    assert_eq!(kl.dtype(), DType::F32);
    let loss = half
        .weight
        .val()
        .square()
        .sum()
        .reshape([1])
        .cast(DType::F32)
        + kl;
    let grad = half.weight.base().grad(&loss.backward()).unwrap();
    assert_eq!(grad.dtype(), DType::F16);
}
