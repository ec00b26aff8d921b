//! The methods that train and draw networks, for weights of every float type: a step, a draw or a fit each.

use std::sync::Arc;

use blitz_train::blitz_core::SharpeningConfig;
use blitz_train::laplace::{
    ClassCovariance, DiagonalLaplace, GaussianLastLayer, LastLayerNetwork, SoftmaxLastLayer,
};
use blitz_train::prelude::*;
use blitz_train::{Chain, ChainConfig, Ivon, IvonConfig, LabeledBatch, SgldConfig, SwagConfig};
use burn::data::dataloader::DataLoader;
use burn::data::dataloader::batcher::Batcher;
use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{DType, Device, Int, Tensor};

use crate::digest::given;
use crate::types::{TYPES, unit};
use crate::values;

fn linear(dtype: DType) -> Linear {
    let layer = LinearConfig::new(3, 2).init(&Device::flex().autodiff());
    given(layer, 0.4, dtype)
}

fn input(dtype: DType) -> Tensor<2> {
    let x = [[1.0, 2.0, -0.5], [0.5, -1.0, 0.25]];
    Tensor::from_data(x, (&Device::flex().autodiff(), dtype))
}

fn weights(layer: &Linear) -> Vec<f64> {
    let bias = layer.bias.as_ref().unwrap();
    [values(layer.weight.val()), values(bias.val())].concat()
}

/// Panics unless the layer's weights are numbers of the type, within its rounding those of `f64`.
fn assert_like_double(layer: &Linear, dtype: DType, double: &Linear, tolerance: f64) {
    let bias = layer.bias.as_ref().unwrap();
    assert_eq!([layer.weight.val().dtype(), bias.val().dtype()], [dtype; 2]);
    for (got, exact) in weights(layer).iter().zip(weights(double)) {
        let off = (got - exact).abs();
        assert!(
            off <= tolerance * exact.abs().max(1.0),
            "{got} for {exact} in {dtype:?}"
        );
    }
}

fn train(mut optimizer: ModuleOptimizer, dtype: DType) -> Linear {
    (0..3).fold(linear(dtype), |layer, _| {
        let loss = (layer.forward(input(dtype)) - 1.0).square().mean();
        let grads = GradientsParams::from_grads(loss.backward(), &layer);
        optimizer.step(0.05, layer, grads)
    })
}

#[test]
fn fused_adam_steps_in_every_type() {
    let double = train(FusedAdamConfig::new().init(), DType::F64);
    for dtype in TYPES {
        // The moments are in `f32` at least: what is lost is the rounding of the weights and of their gradients.
        let layer = train(FusedAdamConfig::new().init(), dtype);
        assert_like_double(&layer, dtype, &double, 8.0 * unit(dtype) + 1e-6);
    }
}

#[test]
fn sgld_steps_in_every_type() {
    let config = SgldConfig::new(20).with_prior_std(0.5).with_seed(11);
    let double = train(config.init(), DType::F64);
    for dtype in TYPES {
        let layer = train(config.init(), dtype);
        assert_like_double(&layer, dtype, &double, 8.0 * unit(dtype) + 1e-6);
        let mut chain: Chain<Linear> = ChainConfig::new(0, 1).init();
        chain.push(&layer);
        assert_like_double(
            &chain.networks()[0],
            dtype,
            &double,
            8.0 * unit(dtype) + 1e-6,
        );
    }
}

#[test]
fn swag_collects_and_draws_in_every_type() {
    let draw = |dtype| {
        let mut swag = SwagConfig::new().with_rank(3).init(&linear(dtype));
        for step in 1..=5 {
            // Small against the next, so that the deviations do not drown in the rounding.
            let layer = LinearConfig::new(3, 2).init(&Device::flex().autodiff());
            swag.collect(&given(layer, 0.2 * f64::from(step), dtype))
                .unwrap();
        }
        (swag.mean_network(), swag.sample_network(7, 3))
    };
    let double = draw(DType::F64);
    for dtype in TYPES {
        let (mean, drawn) = draw(dtype);
        assert_like_double(&mean, dtype, &double.0, 4.0 * unit(dtype) + 1e-6);
        assert_like_double(&drawn, dtype, &double.1, 16.0 * unit(dtype) + 1e-5);
    }
}

#[test]
fn swag_has_the_digits_of_its_weights_beside_a_first_one_that_is_far_off() {
    for dtype in TYPES {
        let mut swag = SwagConfig::new().init(&linear(dtype));
        let numbers: Vec<f64> = std::iter::once(1.0)
            .chain((0..300).map(|i| 0.01 + 1e-4 * (0.7 * f64::from(i)).sin()))
            .collect();
        for number in &numbers {
            let mut layer = linear(dtype);
            let weight = layer.weight.val().detach();
            layer.weight = Param::from_tensor(weight.zeros_like() + *number);
            swag.collect(&layer).unwrap();
        }
        let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
        for got in values(swag.mean_network().weight.val()) {
            // The moments are in `f32`, of differences from a first weight of 1.
            assert!(
                (got / mean - 1.0).abs() < unit(dtype) + 1e-4,
                "{dtype:?}: {got} for {mean}"
            );
        }
    }
}

#[test]
fn ivon_steps_in_every_type() {
    let step = |dtype| {
        let model = IvonConfig::new(50.0)
            .with_hess_init(0.8)
            .attach(linear(DType::F32));
        let mut model = given(model, 0.2, dtype);
        for index in 0..3 {
            let loss = model.with_draw(5, index, |layer| {
                (layer.forward(input(dtype)) - 1.0).square().mean()
            });
            let mut grads = GradientsParams::from_grads(loss.backward(), &model);
            model = Ivon::step(0.05, model, &mut grads);
            assert!(grads.is_empty(), "gradients were left over");
        }
        model.mean_network()
    };
    let double = step(DType::F64);
    for dtype in TYPES {
        assert_like_double(&step(dtype), dtype, &double, 16.0 * unit(dtype) + 1e-5);
    }
}

/// What a data set of 50,000 asks of 16 bits: λ is near the largest number of `f16`, and a change of `1 − β₂` is far
/// below a rounding.
#[test]
fn ivon_learns_its_deviations_and_has_a_kl_in_every_type() {
    let train = |dtype| {
        let config = IvonConfig::new(50_000.0).with_hess_init(0.5);
        let mut model = given(config.attach(linear(DType::F32)), 0.2, dtype);
        for index in 0..20 {
            let loss = model.with_draw(5, index, |layer| {
                (layer.forward(input(dtype)) - 1.0).square().mean()
            });
            let mut grads = GradientsParams::from_grads(loss.backward(), &model);
            model = Ivon::step(0.05, model, &mut grads);
        }
        let posterior = model.posteriors::<blitz_train::IvonPosterior>().remove(0);
        (
            values(model.kl_cost())[0],
            values(posterior.posterior.hess.val()),
        )
    };
    let (exact_kl, exact_hess) = train(DType::F64);
    for dtype in TYPES {
        let (kl, hess) = train(dtype);
        let off = (kl - exact_kl).abs() / exact_kl;
        assert!(
            off < 4.0 * unit(dtype) + 1e-5,
            "{dtype:?}: {kl} for {exact_kl}"
        );
        // The start, 0.2 and the like from `given`, in the type; what is learnt is a few times 1e-5.
        let moved = |hess: &[f64], like: &[f64]| {
            let pairs = hess.iter().zip(like);
            pairs.map(|(h, l)| (h - l).abs()).fold(0.0, f64::max)
        };
        assert!(hess.iter().all(|h| h.is_finite() && *h > 0.0), "{dtype:?}");
        assert!(
            moved(&hess, &exact_hess) < 4.0 * unit(dtype) + 1e-6,
            "{dtype:?}"
        );
    }
    // Already in 16 bits when it gets its posterior.
    for dtype in [DType::F16, DType::BF16] {
        let model = IvonConfig::new(50_000.0).attach(linear(dtype));
        let output = model.with_draw(1, 0, |layer| layer.forward(input(dtype)));
        assert_eq!(output.dtype(), dtype);
        let kl = values(model.kl_cost())[0];
        assert!(kl.is_finite() && kl > 0.0, "{dtype:?}: {kl}");
    }
}

#[test]
fn fused_adam_has_moments_that_small_gradients_and_long_trainings_need() {
    let device = Device::flex().autodiff();
    // The weight stays at 0 until the last step, whose size tells of the moments.
    let last_step = |dtype, scales: &[f64]| {
        let start = Tensor::<1>::zeros([1], (&device, dtype)).require_grad();
        let mut weight = Param::from_tensor(start);
        let mut adam = FusedAdamConfig::new().init();
        for (step, scale) in scales.iter().enumerate() {
            let loss = weight.val() * *scale;
            let grads = GradientsParams::from_grads(loss.backward(), &weight);
            let rate = if step + 1 == scales.len() { 1.0 } else { 0.0 };
            weight = adam.step(rate, weight, grads);
        }
        values(weight.val())[0]
    };
    // The square of this gradient is less than `f16` holds. A large one, then many of a hundredth of it: the second
    // moment has to forget it, by a thousandth a step.
    let forgetting: Vec<f64> = std::iter::once(1.0).chain([0.01; 4000]).collect();
    for scales in [vec![2e-4], forgetting] {
        let exact = last_step(DType::F64, &scales);
        for dtype in [DType::F32, DType::F16, DType::BF16] {
            let got = last_step(dtype, &scales);
            let off = (got - exact).abs() / exact.abs();
            assert!(
                off < 4.0 * unit(dtype) + 1e-5,
                "{dtype:?}: {got} for {exact}"
            );
        }
    }
    assert!((last_step(DType::F64, &[2e-4]) + 2e-4 / (2e-4 + 1e-5)).abs() < 1e-6);
}

#[test]
fn sharpening_draws_in_every_type() {
    for dtype in TYPES {
        let net = given(
            linear(DType::F32).bayesianize(&BayesianizeConfig::new()),
            0.2,
            dtype,
        );
        let sharpening = SharpeningConfig::new().init(&net);
        let nll = |net: &Linear| (net.forward(input(dtype)) - 1.0).square().mean();
        let sharpened = sharpening.draw(&net, 4, 2, nll);
        assert_eq!(net.weight.val().dtype(), dtype);
        assert!(weights(&net).iter().all(|w| w.is_finite()));
        let kl = sharpened.kl();
        assert!(
            values(kl.clone())[0] > 0.0,
            "{dtype:?}: the KL of a step was lost"
        );
        let loss = nll(&net).cast(kl.dtype()) + kl;
        let gradient = net.weight.base().grad(&loss.backward()).unwrap();
        assert_eq!(gradient.dtype(), dtype);
        assert!(values(gradient).iter().all(|g| g.is_finite()));
    }
}

/// Batches of inputs and targets in `f32`.
#[derive(Clone)]
struct Rows;

fn columns(items: &[i32], shifts: &[i32], device: &Device) -> Tensor<2> {
    let value = |i: &i32, shift: &i32| ((7 * i + shift * i * i + shift) % 11) as f32 / 4.0 - 1.25;
    let rows = items
        .iter()
        .flat_map(|i| shifts.iter().map(move |shift| value(i, shift)));
    let values: Vec<f32> = rows.collect();
    Tensor::<1>::from_floats(values.as_slice(), device).reshape([items.len(), shifts.len()])
}

impl Batcher<i32, LabeledBatch<Tensor<2>, Tensor<2>>> for Rows {
    fn batch(&self, items: Vec<i32>, device: &Device) -> LabeledBatch<Tensor<2>, Tensor<2>> {
        LabeledBatch {
            inputs: columns(&items, &[0, 1, 2], device),
            targets: columns(&items, &[3, 4], device),
        }
    }
}

impl Batcher<i32, LabeledBatch<Tensor<2>, Tensor<1, Int>>> for Rows {
    fn batch(&self, items: Vec<i32>, device: &Device) -> LabeledBatch<Tensor<2>, Tensor<1, Int>> {
        let labels: Vec<i32> = items.iter().map(|i| i * i % 3 % 2).collect();
        LabeledBatch {
            inputs: columns(&items, &[0, 1, 2], device),
            targets: Tensor::from_ints(labels.as_slice(), device),
        }
    }
}

fn loader<B: Send + Sync + Clone + std::fmt::Debug + 'static>(
    batch: usize,
    device: &Device,
) -> Arc<dyn DataLoader<B>>
where
    Rows: Batcher<i32, B>,
{
    crate::loader(Rows, 9, batch, device)
}

#[test]
fn laplace_approximations_of_the_last_layer_fit_in_every_type() {
    let device = Device::flex();
    let half = |dtype| move |x: Tensor<2>| x.cast(dtype);
    let gaussian = |dtype| {
        let data = loader(4, &device);
        let layer = linear(dtype);
        GaussianLastLayer::fit(data.as_ref(), half(dtype), &layer, 0.5, 0.5).unwrap()
    };
    let softmax = |dtype| {
        let data = loader(4, &device);
        let layer = linear(dtype);
        let joint = ClassCovariance::Joint;
        SoftmaxLastLayer::fit(data.as_ref(), half(dtype), &layer, joint, 1.0).unwrap()
    };
    let (exact, exact_softmax) = (gaussian(DType::F64), softmax(DType::F64));
    for dtype in TYPES {
        // The data and the weights are rounded; the rest is on the host.
        let close = |got: f64, exact: f64| {
            let off = (got - exact).abs();
            assert!(
                off <= (16.0 * unit(dtype) + 1e-6) * exact.abs().max(1.0),
                "{got} {exact}"
            );
        };
        let fitted = gaussian(dtype);
        close(
            fitted.log_marginal_likelihood(),
            exact.log_marginal_likelihood(),
        );
        for (got, exact) in fitted.covariance(0).iter().zip(exact.covariance(0)) {
            close(*got, exact);
        }
        // A drawn network computes in its own type, whatever the device's.
        let set = |net: &mut Linear, last: Linear| *net = last;
        let draw = |net, posterior| LastLayerNetwork::new(net, posterior, set).sample_network(3, 1);
        let drawn = draw(linear(dtype), fitted);
        let double = draw(linear(DType::F64), exact.clone());
        assert_like_double(&drawn, dtype, &double, 16.0 * unit(dtype) + 1e-6);
        assert_eq!(drawn.forward(input(dtype)).dtype(), dtype);
        let fitted = softmax(dtype);
        close(
            fitted.log_marginal_likelihood(),
            exact_softmax.log_marginal_likelihood(),
        );
    }
}

#[test]
fn the_diagonal_laplace_approximation_fits_and_draws_in_every_type() {
    let device = Device::flex().autodiff();
    let draw = |dtype| {
        let data: Arc<dyn DataLoader<LabeledBatch<Tensor<2>, Tensor<2>>>> = loader(1, &device);
        let nll = |net: &Linear, batch: LabeledBatch<Tensor<2>, Tensor<2>>| {
            let output = net.forward(batch.inputs.cast(dtype));
            (output - batch.targets.cast(dtype)).square().sum()
        };
        let fitted = DiagonalLaplace::fit(linear(dtype), data.as_ref(), nll, 1.0).unwrap();
        fitted.sample_network(5, 2)
    };
    let double = draw(DType::F64);
    for dtype in TYPES {
        assert_like_double(&draw(dtype), dtype, &double, 16.0 * unit(dtype) + 1e-5);
    }
}

#[test]
fn the_objective_is_finite_in_every_type_and_so_are_its_gradients() {
    let device = Device::flex().autodiff();
    for dtype in TYPES {
        let likelihood = GaussianLikelihoodConfig::new()
            .with_targets(2)
            .init(&device);
        let net = given(
            linear(DType::F32).bayesianize(&BayesianizeConfig::new()),
            0.2,
            dtype,
        );
        let elbo = ElboConfig::new(10).with_samples(2).init();
        let loss = elbo.loss(&net, 0.into(), |net| {
            let output = net.forward(input(dtype));
            likelihood.nll(output.clone(), output.ones_like())
        });
        assert!(values(loss.loss.clone())[0].is_finite(), "{dtype:?}");
        let gradient = net.weight.base().grad(&loss.loss.backward()).unwrap();
        assert_eq!(gradient.dtype(), dtype);
        assert!(values(gradient).iter().all(|g| g.is_finite()));
    }
}
