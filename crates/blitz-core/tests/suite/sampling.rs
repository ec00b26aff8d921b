//! The draws' distribution and their gradient.

use blitz_core::Noise;
use blitz_core::prelude::*;
use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{LinearConfig, LinearLayout};
use burn::tensor::{Device, Tensor};

use crate::net::{linear, rho, scalar, values};

fn layer(std: f64, device: &Device) -> burn::nn::Linear {
    linear(30, 20, false, 0.2, device)
        .bayesianize(&BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(std)))
}

#[test]
fn draws_have_the_posteriors_mean_and_deviation() {
    let layer = layer(0.7, &Device::flex());
    let draws = 500;
    let mean = layer.weight.base();
    let n = 600.0 * draws as f64;
    let (mut sum, mut squares) = (0.0, 0.0);
    for index in 0..draws {
        let z = (layer.with_draw(23, index, |layer| layer.weight.val()) - mean.clone()) / 0.7;
        sum += scalar(z.clone().sum());
        squares += scalar(z.square().sum());
    }
    assert!((sum / n).abs() < 4.0 / n.sqrt(), "mean {}", sum / n);
    assert!(
        (squares / n - 1.0).abs() < 4.0 * (2.0 / n).sqrt(),
        "variance {}",
        squares / n
    );
}

/// Adds to the mean of the weight. (`Param::map` would drop the posterior.)
struct Shift(Tensor<2>);

impl ModuleMapper for Shift {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D != 2 {
            return param;
        }
        let shift = self.0.clone().reshape(param.shape());
        param.map(|mean| Tensor::from_inner(mean.without_autodiff() + shift).require_grad())
    }
}

/// A loss that is not linear in the weights.
fn loss(layer: &burn::nn::Linear, x: &Tensor<2>) -> Tensor<1> {
    layer.forward(x.clone()).tanh().square().sum()
}

#[test]
fn the_gradient_of_s_samples_is_the_mean_of_s_separate_gradients() {
    let device = Device::flex().autodiff();
    let layer = layer(0.5, &device);
    let x = Tensor::<2>::ones([4, 30], &device) * 0.3;
    let samples = 3u64;
    let of_draw = |index| layer.with_draw(5, index, |layer| loss(layer, &x));

    let together = (0..samples).map(of_draw).reduce(|a, b| a + b).unwrap() / samples as f64;
    let together = together.backward();
    let separate: Vec<_> = (0..samples)
        .map(|index| of_draw(index).backward())
        .collect();
    let mean = |gradients: Vec<Vec<f32>>| -> Vec<f64> {
        (0..600)
            .map(|i| gradients.iter().map(|g| f64::from(g[i])).sum::<f64>() / samples as f64)
            .collect()
    };
    let mu = mean(
        separate
            .iter()
            .map(|g| values(layer.weight.base().grad(g).unwrap()))
            .collect(),
    );
    let d_rho = mean(
        separate
            .iter()
            .map(|g| values(rho(&layer).grad(g).unwrap()))
            .collect(),
    );
    let together_mu = values(layer.weight.base().grad(&together).unwrap());
    let together_rho = values(rho(&layer).grad(&together).unwrap());
    for (expected, got) in [(mu, together_mu), (d_rho, together_rho)] {
        for (a, b) in expected.iter().zip(&got) {
            // Equal but for the order of three additions in f32.
            assert!(
                (a - f64::from(*b)).abs() <= 3e-6 * a.abs().max(0.1),
                "{a} and {b}"
            );
        }
        assert!(expected.iter().any(|g| g.abs() > 1e-3));
    }
}

#[test]
fn the_gradient_agrees_with_finite_differences_at_fixed_noise() {
    let device = Device::flex().autodiff();
    let layer = layer(0.5, &device);
    let x = Tensor::<2>::ones([2, 30], &device) * 0.1;
    let grads = layer.with_draw(5, 0, |layer| loss(layer, &x)).backward();
    let d_rho = values(rho(&layer).grad(&grads).unwrap());
    let d_mu = values(layer.weight.base().grad(&grads).unwrap());
    // One step along the gradient changes the loss by the gradient's squared norm; the noise depends on the key alone.
    let step = 1e-3;
    let moved = |sign: f64| {
        let shift = layer.weight.base().grad(&grads).unwrap() * (sign * step);
        let moved = layer.clone().map(&mut Shift(shift));
        scalar(moved.with_draw(5, 0, |layer| loss(layer, &x)))
    };
    let slope = (moved(1.0) - moved(-1.0)) / (2.0 * step);
    let norm: f64 = d_mu.iter().map(|g| f64::from(g * g)).sum();
    assert!((slope - norm).abs() < 2e-3 * norm, "{slope} {norm}");
    // d w / d rho = eps · d sigma / d rho, so the two gradients are tied element by element.
    let sigmoid = 1.0 - (-0.5f64).exp();
    for i in 0..600 {
        let eps = f64::from(NoiseKey::new(5, 0, 0).standard_normal_at(i as u64));
        let expected = f64::from(d_mu[i]) * eps * sigmoid;
        assert!((f64::from(d_rho[i]) - expected).abs() < 1e-6 + 1e-5 * expected.abs());
    }
}

#[test]
fn as_the_deviation_vanishes_the_output_becomes_the_deterministic_layers() {
    let device = Device::flex();
    let plain = linear(30, 20, true, 0.2, &device);
    let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(1e-9));
    let layer = plain.clone().bayesianize(&config);
    let x = Tensor::<2>::ones([4, 30], &device);
    let difference = (layer.forward(x.clone()) - plain.forward(x)).abs().max();
    assert!(difference.into_scalar::<f32>() < 1e-5);
}

#[test]
fn noise_of_some_rows_is_that_of_the_table_in_every_request() {
    use burn::tensor::Int;

    let device = Device::flex();
    let rows = [17usize, 0, 299];
    let positions = Tensor::<1, Int>::from_ints([17, 0, 299], &device);
    // Rows that begin anywhere in a block of noise.
    for length in [1, 3, 4, 7] {
        let table = Tensor::<2>::zeros([300, length], &device);
        let some = Tensor::<2>::zeros([3, length], &device);
        let key = NoiseKey::new(3, 1, 4);
        let mut all = Noise::new(key);
        let mut own = Noise::new(key).of_rows(&rows, 300);
        for _ in 0..2 {
            let want = all.standard_normal(&table).select(0, positions.clone());
            assert_eq!(values(own.standard_normal(&some)), values(want));
        }
        assert_eq!(own.position(), all.position());
    }
}

#[test]
#[should_panic(expected = "row 30 of a weight of 30 rows")]
fn rows_that_a_weight_does_not_have_are_refused() {
    let layer = layer(0.7, &Device::flex());
    blitz_core::weight_rows(&layer.weight, &[0, 30]);
}

#[test]
fn rows_of_a_matrix_that_is_saved_in_columns_are_those_of_the_layer() {
    let layer = LinearConfig::new(3, 2).with_layout(LinearLayout::Col);
    // Not initialized yet, it has the shape of its record.
    let layer = layer.init(&Device::flex());
    let rows = blitz_core::weight_rows(&layer.weight, &[2]);
    let [_, _, last] = [0, 1, 2].map(|row| layer.weight.val().slice([row..row + 1, 0..2]));
    assert_eq!(values(rows), values(last));
}
