//! Expected losses over normal outputs: sums over a fine grid, and where numbers run out.

use blitz_train::blitz_layers::moments::Moments;
use blitz_train::prelude::*;
use blitz_train::{
    ExpectedNll, HeteroscedasticLikelihoodConfig, LaplaceLikelihoodConfig, PoissonLikelihoodConfig,
};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::{scalar, values};

/// Places of a standard normal, the mass of each, and none beyond nine deviations.
fn normal_grid(step: f64) -> Vec<(f64, f64)> {
    let half = (9.0 / step) as i64;
    let density = |z: f64| (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
    let places = (-half..=half).map(|i| i as f64 * step);
    places.map(|z| (z, step * density(z))).collect()
}

fn column(values: Vec<f64>, columns: usize) -> Tensor<2> {
    let rows = values.len() / columns;
    let data = TensorData::new(values, [rows, columns]);
    Tensor::from_data(data, (&Device::flex(), DType::F64))
}

/// The expected loss of one example with as many outputs as `mean` has, by the sum over a grid.
fn by_grid<L>(likelihood: &L, mean: &[f64], std: &[f64], target: &L::Target, step: f64) -> f64
where
    L: Likelihood<Output = Tensor<2>>,
    L::Target: Repeated,
{
    let mut places = vec![(Vec::new(), 1.0)];
    for (mean, std) in mean.iter().zip(std) {
        let grid = normal_grid(step);
        let next = places.iter().flat_map(|(place, mass)| {
            grid.iter().map(move |(z, of_place)| {
                let mut place = place.clone();
                place.push(mean + std * z);
                (place, mass * of_place)
            })
        });
        places = next.collect();
    }
    let outputs = places.iter().flat_map(|(place, _)| place.clone()).collect();
    let losses = likelihood.nll(column(outputs, mean.len()), target.repeated(places.len()));
    let masses = places.iter().map(|(_, mass)| mass);
    values(losses)
        .iter()
        .zip(masses)
        .map(|(loss, mass)| loss * mass)
        .sum()
}

/// A target of one example, for several.
trait Repeated {
    fn repeated(&self, times: usize) -> Self;
}

impl Repeated for Tensor<2> {
    fn repeated(&self, times: usize) -> Self {
        self.clone().repeat_dim(0, times)
    }
}

impl Repeated for Tensor<2, Int> {
    fn repeated(&self, times: usize) -> Self {
        self.clone().repeat_dim(0, times)
    }
}

impl Repeated for Tensor<1, Int> {
    fn repeated(&self, times: usize) -> Self {
        self.clone().repeat_dim(0, times)
    }
}

fn expected<L>(likelihood: &L, mean: &[f64], std: &[f64], target: L::Target) -> f64
where
    L: ExpectedNll<Output = Tensor<2>>,
{
    let variance = std.iter().map(|std| std * std).collect();
    let moments = Moments::new(
        column(mean.to_vec(), mean.len()),
        column(variance, std.len()),
    );
    values(likelihood.expected_nll(moments, target))[0]
}

/// Asserts that the expected loss is that of the grid, and without variance the loss itself.
fn check<L>(likelihood: &L, mean: &[f64], std: &[f64], target: L::Target, tolerance: f64)
where
    L: ExpectedNll<Output = Tensor<2>>,
    L::Target: Repeated,
{
    let step = if mean.len() == 1 { 0.002 } else { 0.05 };
    let got = expected(likelihood, mean, std, target.clone());
    let exact = by_grid(likelihood, mean, std, &target, step);
    assert!(
        (got - exact).abs() < tolerance,
        "{likelihood:?} at {mean:?}: {got} for {exact}"
    );
    let certain = expected(likelihood, mean, &vec![0.0; std.len()], target.clone());
    let loss = values(likelihood.nll(column(mean.to_vec(), mean.len()), target))[0];
    assert!(
        (certain - loss).abs() < 1e-9,
        "{likelihood:?}: {certain} for {loss}"
    );
}

#[test]
fn expected_losses_are_those_of_normal_outputs() {
    let device = Device::flex();
    let real = |value: f64| column(vec![value], 1);
    let gaussian = GaussianLikelihoodConfig::new()
        .with_noise(LikelihoodParam::Fixed(0.4))
        .init(&device);
    let laplace = LaplaceLikelihoodConfig::new()
        .with_scale(LikelihoodParam::Fixed(0.4))
        .init(&device);
    let poisson = PoissonLikelihoodConfig::new().init();
    let bernoulli = BernoulliLikelihoodConfig::new()
        .with_positive_weights(Some(vec![2.5]))
        .init();
    for (mean, std) in [(0.3, 0.2), (-1.0, 1.5), (2.0, 0.7)] {
        // The parameters are in `f32`.
        check(&gaussian, &[mean], &[std], real(0.5), 1e-5);
        check(&laplace, &[mean], &[std], real(0.5), 1e-5);
        for count in [0.0, 3.0] {
            check(&poisson, &[mean], &[std], real(count), 1e-6);
        }
        for answer in [0, 1] {
            let answer = Tensor::<2, Int>::from_ints([[answer]], &device);
            check(&bernoulli, &[mean], &[std], answer, 1e-4);
        }
        let heteroscedastic = HeteroscedasticLikelihoodConfig::new().init();
        check(
            &heteroscedastic,
            &[mean, -0.5],
            &[std, 0.3],
            real(0.5),
            1e-6,
        );
    }
}

#[test]
fn the_expected_loss_of_an_answer_is_as_near_as_documented_however_unsure_its_logit() {
    let likelihood = BernoulliLikelihoodConfig::new().init();
    let device = Device::flex().autodiff();
    let leaf = |value: f64, dtype: DType| {
        let data = TensorData::new(vec![value], [1, 1]);
        Tensor::<2>::from_data(data, (&device, dtype)).require_grad()
    };
    let answer = |answer: i32| Tensor::<2, Int>::from_ints([[answer]], &Device::flex());
    // On both sides of the deviation up to which it is a quadrature.
    for std in [0.5, 2.0, 2.999, 3.001, 4.0, 8.0, 16.0, 100.0] {
        for place in [-3.0, -1.1, -0.3, 0.0, 0.2, 0.7, 2.0] {
            let mean = place * std;
            for target in [0, 1] {
                check(&likelihood, &[mean], &[std], answer(target), 3e-4);
            }
            let [m, v] = [mean, std * std].map(|value| leaf(value, DType::F64));
            let target = answer(1).to_device(&device);
            let loss = likelihood.expected_nll(Moments::new(m.clone(), v.clone()), target);
            let grads = loss.backward();
            let by_mean = values(m.grad(&grads).unwrap())[0];
            let by_std = 2.0 * std * values(v.grad(&grads).unwrap())[0];
            let exact = |mean, std| by_grid(&likelihood, &[mean], &[std], &answer(1), 0.002);
            let step = 1e-3 * std;
            let slope_of_mean = (exact(mean + step, std) - exact(mean - step, std)) / (2.0 * step);
            let slope_of_std = (exact(mean, std + step) - exact(mean, std - step)) / (2.0 * step);
            assert!(
                (by_mean - slope_of_mean).abs() < 7e-4,
                "{mean} {std}: {by_mean} {slope_of_mean}"
            );
            assert!(
                (by_std - slope_of_std).abs() < 7e-4,
                "{mean} {std}: {by_std} {slope_of_std}"
            );
        }
    }
    // Of logits beyond all reason.
    for (mean, variance) in [(1e20, 1.0), (-1e20, 1e30), (3.0, 1e36)] {
        let [m, v] = [mean, variance].map(|value| leaf(value, DType::F32));
        let target = answer(0).to_device(&device);
        let loss = likelihood.expected_nll(Moments::new(m.clone(), v.clone()), target);
        let grads = loss.clone().sum().backward();
        assert!(scalar(loss).is_finite(), "{mean} {variance}");
        for leaf in [m, v] {
            let grad = values(leaf.grad(&grads).unwrap())[0];
            assert!(grad.is_finite(), "{mean} {variance}: {grad}");
        }
    }
}

#[test]
fn the_expected_loss_of_counts_is_finite_in_single_precision() {
    let device = Device::flex().autodiff();
    let likelihood = PoissonLikelihoodConfig::new().init();
    let at = |value: f64| {
        let data = TensorData::new(vec![value], [1, 1]);
        Tensor::<2>::from_data(data, (&device, DType::F32)).require_grad()
    };
    // `e^x`, along its tangent above 40, and its slope.
    let rate = |x: f64| x.min(40.0).exp() * (1.0 + (x - 40.0).max(0.0));
    let slope = |x: f64| x.min(40.0).exp();
    let cases = [
        // A rate that vanishes, times what overflows.
        (-150.0, 200.0),
        (-50.0, 180.0),
        (0.0, 178.0),
        (50.0, 3.0),
        (39.5, 4.0),
        (0.3, 0.5),
        (3.0, 1e-6),
        (0.3, 0.0),
    ];
    for (m, v) in cases {
        let (mean, variance) = (at(m), at(v));
        let moments = Moments::new(mean.clone(), variance.clone());
        let loss = likelihood.expected_nll(moments, at(0.0));
        let grads = loss.backward();
        let close = |got: f64, exact: f64| {
            assert!(
                (got - exact).abs() <= 2e-6 * exact.abs(),
                "{m}, {v}: {got} for {exact}"
            );
        };
        let top = m + v / 2.0;
        // Exponents of 40 and more have an error of 4e-6 in `f32`.
        if top.max(m) < 30.0 {
            close(scalar(loss), rate(top));
        } else {
            assert!((scalar(loss) / rate(top) - 1.0).abs() < 1e-5, "{m}, {v}");
        }
        let by_mean = values(mean.grad(&grads).unwrap())[0];
        let by_variance = values(variance.grad(&grads).unwrap())[0];
        assert!(
            (by_mean / slope(top) - 1.0).abs() < 1e-5,
            "{m}, {v}: {by_mean}"
        );
        assert!(
            (2.0 * by_variance / slope(top) - 1.0).abs() < 1e-5,
            "{m}, {v}: {by_variance}"
        );
    }
}

#[test]
fn the_expected_loss_of_an_unsure_deviation_keeps_its_digits_at_scales_whose_squares_overflow() {
    let device = Device::flex().autodiff();
    let at = |scale: f64, z: f64| {
        let row = |values: [f64; 2]| {
            let data = TensorData::new(values.to_vec(), [1, 2]);
            Tensor::<2>::from_data(data, (&device, DType::F32)).require_grad()
        };
        let likelihood = HeteroscedasticLikelihoodConfig::new()
            .with_min_std(1e-3 * scale)
            .init();
        // `f32` has no number for a variance of such a mean.
        let (mean, variance) = (row([0.0, scale.ln() + 0.2]), row([0.0, 0.09]));
        let target = row([z * scale, 0.0]).narrow(1, 0, 1);
        let moments = Moments::new(mean.clone(), variance.clone());
        let loss = likelihood.expected_nll(moments, target);
        let grads = loss.backward();
        let by_mean = values(mean.grad(&grads).unwrap());
        let by_variance = values(variance.grad(&grads).unwrap());
        [scalar(loss), by_mean[0], by_mean[1], by_variance[1]]
    };
    for scale in [1e20_f64, 1e-25] {
        for z in [0.5, 2.0, -3.0] {
            let unit = at(1.0, z);
            // A change of units moves the loss by its logarithm, and nothing else.
            let expected = [unit[0] + scale.ln(), unit[1] / scale, unit[2], unit[3]];
            for (got, expected) in at(scale, z).into_iter().zip(expected) {
                assert!(
                    (got - expected).abs() < 1e-4 * expected.abs(),
                    "{got} for {expected} at a scale of {scale}, {z} scales off"
                );
            }
        }
    }
}

#[test]
fn the_expected_loss_of_classes_is_a_bound_that_is_tight_without_variance() {
    let device = Device::flex();
    for config in [
        CategoricalLikelihoodConfig::new(2),
        CategoricalLikelihoodConfig::new(2)
            .with_label_smoothing(0.1)
            .with_class_weights(Some(vec![0.5, 2.0])),
    ] {
        let likelihood = config.init();
        let label = || Tensor::<1, Int>::from_ints([1], &device);
        let mean = [0.4, -0.8];
        let mut last = f64::INFINITY;
        for std in [1.0, 0.3, 0.1] {
            let got = expected(&likelihood, &mean, &[std, std], label());
            let exact = by_grid(&likelihood, &mean, &[std, std], &label(), 0.05);
            // Half the variance times Σ p², by the second order of both sides.
            let gap = got - exact;
            assert!(gap > 0.0 && gap < 2.0 * std * std, "{gap} at σ = {std}");
            assert!(gap < last);
            last = gap;
        }
        let certain = expected(&likelihood, &mean, &[0.0; 2], label());
        let loss = values(likelihood.nll(column(mean.to_vec(), 2), label()))[0];
        assert!((certain - loss).abs() < 1e-9);
    }
}

#[test]
#[should_panic(expected = "the β-NLL has no expectation over outputs, got β = 0.5")]
fn the_beta_nll_is_refused() {
    let likelihood = HeteroscedasticLikelihoodConfig::new().with_beta(0.5).init();
    expected(&likelihood, &[0.0, 0.0], &[1.0, 1.0], column(vec![0.5], 1));
}
