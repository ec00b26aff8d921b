//! Layers in other element types than `f32`: the same draw, rounded.

use std::convert::Infallible;
use std::fmt::Display;

use blitz_core::BuiltinVariational;
use blitz_layers::prelude::*;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Int, Tensor};

use crate::seeded::{normals, seeded};
use crate::statistics::{ESTIMATORS, values};

struct Cast(DType);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| value.cast(self.0).detach().require_grad())
    }
}

struct Zero;

impl ModuleMapper for Zero {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| value.zeros_like().require_grad())
    }
}

/// The element types, and how far a result may be off in parts of the largest: about twenty roundings.
const TYPES: [(DType, f64); 3] = [
    (DType::F64, 1e-5),
    (DType::F16, 2e-2),
    (DType::BF16, 1.5e-1),
];

/// Panics unless the layer's output and the gradients of the weight that `weight` finds have the element type, and are
/// those of `f32` but for rounding.
fn assert_is_f32s<M: Module + Display, const W: usize, const O: usize>(
    layer: M,
    weight: impl Fn(&M) -> &Param<Tensor<W>>,
    run: impl Fn(&M, DType) -> Tensor<O>,
) {
    let outcome = |layer: &M, dtype| {
        let output = layer.with_draw(7, 0, |layer| run(layer, dtype));
        let gradients = output.clone().square().mean().backward();
        let weight = weight(layer);
        let rho = weight.reparameterization::<BuiltinVariational>().unwrap();
        let rho = rho.posterior.as_normal().unwrap().rho.val();
        let of_mu = weight.base().grad(&gradients).unwrap();
        let of_rho = rho.grad(&gradients).unwrap();
        for got in [output.dtype(), of_mu.dtype(), of_rho.dtype()] {
            assert_eq!(got, dtype, "{layer}");
        }
        [values(output), values(of_mu), values(of_rho)]
    };
    let expected = outcome(&layer, DType::F32);
    for (dtype, tolerance) in TYPES {
        let got = outcome(&layer.clone().map(&mut Cast(dtype)), dtype);
        for (got, expected) in got.iter().zip(&expected) {
            let largest = expected
                .iter()
                .fold(0.0f64, |most, value| most.max(value.abs()));
            for (got, expected) in got.iter().zip(expected) {
                assert!(
                    (got - expected).abs() < tolerance * largest,
                    "{layer} in {dtype:?}: {got} for {expected}"
                );
            }
        }
    }
}

#[test]
fn a_linear_layer_draws_the_same_in_every_type_with_every_estimator() {
    let device = Device::flex().autodiff();
    for estimator in ESTIMATORS {
        let layer = BayesianLinearConfig::new(5, 3)
            .with_posterior(PosteriorConfig::normal(0.3))
            .with_estimator(estimator)
            .init(&device);
        assert_is_f32s(
            seeded(layer, 5),
            |layer| &layer.weight,
            |layer, dtype| layer.forward(normals::<2>(1, [4, 5], &device).cast(dtype)),
        );
    }
}

#[test]
fn a_convolution_draws_the_same_in_every_type_with_every_estimator() {
    let device = Device::flex().autodiff();
    for estimator in ESTIMATORS {
        let layer = BayesianConv2dConfig::new([2, 3], [2, 2])
            .with_posterior(PosteriorConfig::normal(0.3))
            .with_estimator(estimator)
            .init(&device);
        assert_is_f32s(
            seeded(layer, 5),
            |layer| &layer.weight,
            |layer, dtype| layer.forward(normals::<4>(1, [2, 2, 4, 4], &device).cast(dtype)),
        );
    }
}

#[test]
fn recurrent_layers_draw_the_same_in_every_type_and_start_from_a_state_of_it() {
    let device = Device::flex().autodiff();
    for estimator in [Estimator::SharedWeights, Estimator::Flipout] {
        for peephole in [false, true] {
            let layer = BayesianLstmConfig::new(3, 4, true)
                .with_peephole(peephole)
                .with_posterior(PosteriorConfig::normal(0.3))
                .with_estimator(estimator)
                .init(&device);
            assert_is_f32s(
                seeded(layer, 5),
                |layer| &layer.layers[0].forward.input_gate.input_transform.weight,
                |layer, dtype| {
                    let x = normals::<3>(1, [2, 3, 3], &device).cast(dtype);
                    layer.forward(x, None).0
                },
            );
        }
        let layer = BayesianGruConfig::new(3, 4, true)
            .with_posterior(PosteriorConfig::normal(0.3))
            .with_estimator(estimator)
            .init(&device);
        assert_is_f32s(
            seeded(layer, 5),
            |layer| &layer.layers[0].forward.new_gate.input_transform.weight,
            |layer, dtype| {
                let x = normals::<3>(1, [2, 3, 3], &device).cast(dtype);
                layer.forward(x, None).0
            },
        );
    }
}

#[test]
fn an_embedding_draws_the_same_in_every_type() {
    let device = Device::flex().autodiff();
    let layer = BayesianEmbeddingConfig::new(10, 4)
        .with_padding_idx(Some(0))
        .with_max_norm(Some(1.5))
        .with_posterior(PosteriorConfig::normal(0.3))
        .init(&device);
    assert_is_f32s(
        seeded(layer, 5),
        |layer| &layer.weight,
        |layer, _| layer.forward(Tensor::<2, Int>::from_ints([[4, 0, 9], [4, 2, 0]], &device)),
    );
}

#[test]
fn the_maximal_norm_of_a_vector_of_zeros_has_a_finite_gradient_in_every_type() {
    let device = Device::flex().autodiff();
    let layer = BayesianEmbeddingConfig::new(4, 3)
        .with_max_norm(Some(1.0))
        .with_initializer(burn::nn::Initializer::Zeros)
        .init(&device)
        .freeze_sampling();
    for (dtype, _) in TYPES {
        let layer = layer.clone().map(&mut Cast(dtype));
        let output = layer.forward(Tensor::<2, Int>::from_ints([[2]], &device));
        let gradients = (output + 1.0).square().sum().backward();
        let gradient = values(layer.weight.base().grad(&gradients).unwrap());
        assert_eq!(gradient[6..9], [2.0; 3], "{dtype:?}");
    }
}

#[test]
fn layers_with_one_weight_share_its_sample_and_not_their_noise() {
    let device = Device::flex();
    for estimator in ESTIMATORS {
        let layer = BayesianLinearConfig::new(3, 3)
            .with_bias(false)
            .with_posterior(PosteriorConfig::normal(0.5))
            .with_estimator(estimator)
            .init(&device);
        let tied = seeded(layer, 3);
        let twin = tied.clone();
        let x = normals::<2>(1, [4, 3], &device);
        let _draw = tied.draw(2, 0);
        let [first, second] = [&tied, &twin].map(|layer| values(layer.forward(x.clone())));
        // Two calls: one sample of the weights, or noise of each call's own.
        assert_eq!(
            first == second,
            estimator == Estimator::SharedWeights,
            "{estimator:?}"
        );
        assert_eq!(values(tied.weight.val()), values(twin.weight.val()));
    }
}

/// The square of an input of 300 exceeds `f16`, and a variance of 1e-8 is below it.
#[test]
fn local_reparameterization_has_inputs_and_deviations_of_any_size_in_16_bits() {
    let device = Device::flex().autodiff();
    for posterior in [
        PosteriorConfig::normal(1e-4),
        PosteriorConfig::matrix_normal(1e-4),
    ] {
        let layer = BayesianLinearConfig::new(64, 8)
            .with_bias(false)
            .with_posterior(posterior.clone())
            .with_estimator(Estimator::LocalReparameterization)
            .init(&device);
        let zero = |layer: BayesianLinear| Ok::<_, Infallible>(layer.map(&mut Zero));
        let layer = layer.map_means(zero).unwrap();
        let run = |dtype| {
            let layer = layer.clone().map(&mut Cast(dtype));
            let input = Tensor::<2>::full([4, 64], 300.0, (&device, dtype));
            let output = layer.with_draw(7, 0, |layer| layer.forward(input));
            assert_eq!(output.dtype(), dtype);
            values(output)
        };
        let expected = run(DType::F64);
        for (dtype, tolerance) in [(DType::F16, 1e-2), (DType::BF16, 8e-2)] {
            for (got, expected) in run(dtype).iter().zip(&expected) {
                // The output's deviation is 1e-4 · 300 · √64, and ρ is rounded by half a percent in f16 and by three in
                // bf16.
                let off = (got - expected).abs();
                assert!(
                    off < tolerance * 0.24 * 4.0,
                    "{posterior:?} in {dtype:?}: {got} for {expected}"
                );
            }
        }
    }
}

/// Means of one in this type.
struct OnesIn(DType);

impl ModuleMapper for OnesIn {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|mean| Tensor::ones(mean.shape(), (&mean.device(), self.0)))
    }
}

/// Panics unless what the layer gives for inputs whose sum is zero, the perturbation alone, is that of `f64`: about
/// means of one, whose neighbours are further away than the deviations.
fn assert_perturbed_as_in_f64<M: Module + Display, const I: usize, const O: usize>(
    layer: &M,
    input: Tensor<I>,
    run: impl Fn(&M, Tensor<I>) -> Tensor<O>,
) {
    let outputs = |dtype| {
        let ones = |means: M| Ok::<_, Infallible>(means.map(&mut OnesIn(dtype)));
        let layer = layer.clone().map_means(ones).unwrap();
        let output = layer.with_draw(7, 0, |layer| run(layer, input.clone().cast(dtype)));
        assert_eq!(output.dtype(), dtype);
        values(output)
    };
    let expected = outputs(DType::F64);
    let largest = expected.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    assert!(largest > 0.0);
    for (dtype, tolerance) in [(DType::F16, 1e-2), (DType::BF16, 4e-2)] {
        for (got, expected) in outputs(dtype).iter().zip(&expected) {
            assert!(
                (got - expected).abs() < tolerance * largest,
                "{layer} in {dtype:?}: {got} for {expected}"
            );
        }
    }
}

#[test]
fn flipout_has_deviations_below_the_rounding_of_their_means_in_16_bits() {
    let device = Device::flex();
    // Ones and minus ones along the last axis.
    let alternating = |dims: [usize; 3]| {
        let signs = (0..dims.iter().product()).map(|i| 1.0 - 2.0 * (i % 2) as f32);
        let signs = burn::tensor::TensorData::new(signs.collect(), dims);
        Tensor::<3>::from_data(signs, &device)
    };
    for std in [1e-4, 1e-3] {
        let posterior = PosteriorConfig::normal(std);
        let linear = BayesianLinearConfig::new(64, 8)
            .with_bias(false)
            .with_posterior(posterior.clone())
            .with_estimator(Estimator::Flipout)
            .init(&device);
        let input = alternating([1, 4, 64]);
        assert_perturbed_as_in_f64(&linear, input, |layer, x| layer.forward(x));

        let convolution = BayesianConv1dConfig::new(2, 3, 4)
            .with_bias(false)
            .with_posterior(posterior.clone())
            .with_estimator(Estimator::Flipout)
            .init(&device);
        let input = alternating([4, 2, 10]);
        assert_perturbed_as_in_f64(&convolution, input, |layer, x| layer.forward(x));

        let lstm = BayesianLstmConfig::new(16, 4, false)
            .with_posterior(posterior)
            .with_estimator(Estimator::Flipout)
            .init(&device);
        let input = alternating([3, 2, 16]);
        assert_perturbed_as_in_f64(&lstm, input, |layer, x| layer.forward(x, None).0);
    }
}
