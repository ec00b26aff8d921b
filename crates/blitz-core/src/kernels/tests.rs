//! The fused operations against their formulas in `f64`, for every size, layout, element type and device of the build.

mod convolution;
pub(super) mod lstm;

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::formula::{NoiseSpan, NormalSum, SMALLEST_VARIANCE, ScaleMixture, Spread};
use super::*;
use blitz_noise::NoiseKey;

pub(super) const NOISE: NoiseSpan = NoiseSpan {
    key: NoiseKey::new(0x1234_5678_9abc, 3, 5),
    first_block: 7,
};

/// π = 1/4, σ₁ = 1, σ₂ = e^−6.
fn mixture() -> ScaleMixture {
    mixture_with((-6f64).exp())
}

fn mixture_with(narrow: f64) -> ScaleMixture {
    let pi = 0.25f64;
    ScaleMixture {
        log_wide: pi.ln() - crate::math::HALF_LOG_TWO_PI,
        wide_precision: 1.0,
        log_ratio: (1.0 - pi).ln() - pi.ln() - narrow.ln(),
        curvature: 0.5 - 0.5 / narrow.powi(2),
    }
}

/// Blocks, chunks and threads begin and end at these sizes, or one beside them.
const SIZES: [usize; 8] = [0, 1, 3, 63, 64, 65, 16 * 1024 + 1, 1_000_001];

#[allow(deprecated)] // ndarray stays supported here.
pub(super) fn devices() -> Vec<Device> {
    vec![Device::flex(), Device::ndarray()]
}

/// Each device with autodiff, without gradient checkpointing and with it.
fn autodiff_devices() -> Vec<Device> {
    let plain = devices().into_iter().map(Device::autodiff);
    let checkpointing = devices()
        .into_iter()
        .map(|device| device.autodiff().gradient_checkpointing());
    plain.chain(checkpointing).collect()
}

fn softplus(rho: f64) -> f64 {
    rho.max(0.0) + (-rho.abs()).exp().ln_1p()
}

/// The number of the noise, its size in `f64`.
fn epsilon(i: usize) -> f64 {
    let element = 4 * u64::from(NOISE.first_block) + i as u64;
    f64::from(NOISE.key.standard_normal_at(element))
}

fn mixture_log_density(w: f64) -> f64 {
    let prior = mixture();
    let square = w * w;
    prior.log_wide - 0.5 * prior.wide_precision * square
        + softplus(prior.log_ratio + prior.curvature * square)
}

/// A fused operation of two tensors.
type Operation<'a> = &'a dyn Fn(&Tensor<1>, &Tensor<1>) -> Option<Tensor<1>>;

/// An operation of two tensors, element by element, in `f64`: its value for element i.
type Formula = fn(f64, f64, usize) -> f64;

fn drawn(mu: f64, rho: f64, i: usize) -> f64 {
    mu + softplus(rho) * epsilon(i)
}

fn normal_term(mu: f64, rho: f64, _: usize) -> f64 {
    let NormalSum {
        constant,
        log_std,
        second_moment,
    } = NormalSum::kl(0.3);
    let sigma = softplus(rho);
    constant + log_std * sigma.ln() + second_moment * (mu * mu + sigma * sigma)
}

const PRECISION: Precision = Precision {
    scale: 300.0,
    shift: 0.125,
};

fn drawn_precisely(mu: f64, h: f64, i: usize) -> f64 {
    mu + epsilon(i) / (PRECISION.scale * (h + PRECISION.shift)).sqrt()
}

fn precise_term(mu: f64, h: f64, _: usize) -> f64 {
    let NormalSum {
        constant,
        log_std,
        second_moment,
    } = NormalSum::kl(0.3);
    let variance = 1.0 / (PRECISION.scale * (h + PRECISION.shift));
    constant + 0.5 * log_std * variance.ln() + second_moment * (mu * mu + variance)
}

fn mixture_term(mu: f64, rho: f64, i: usize) -> f64 {
    let log_q = -softplus(rho).ln() - 0.5 * epsilon(i).powi(2) - crate::math::HALF_LOG_TWO_PI;
    log_q - mixture_log_density(drawn(mu, rho, i))
}

fn output(mean: f64, variance: f64, i: usize) -> f64 {
    mean + variance.max(SMALLEST_VARIANCE).sqrt() * epsilon(i)
}

/// Means around zero and ρ from −9 to 3, the same for each element type: with few binary digits.
pub(super) fn inputs(len: usize) -> (Vec<f64>, Vec<f64>) {
    let mu = (0..len).map(|i| ((i * 37) % 65) as f64 / 32.0 - 1.0);
    let rho = (0..len).map(|i| ((i * 11) % 49) as f64 / 4.0 - 9.0);
    (mu.collect(), rho.collect())
}

pub(super) fn tensor(values: &[f64], device: &Device, dtype: DType) -> Tensor<1> {
    Tensor::from_data(
        TensorData::new(values.to_vec(), [values.len()]),
        (device, dtype),
    )
}

pub(super) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

pub(super) fn assert_close(got: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(
            (got - expected).abs() <= tolerance * expected.abs().max(1.0),
            "{what}, element {i}: {got} for {expected}"
        );
    }
}

/// With the power of the deviation that each is.
const SPREADS: [(Spread, i32); 2] = [(Spread::StdDev, 1), (Spread::Variance, 2)];

fn map2(f: Formula, (a, b): &(Vec<f64>, Vec<f64>)) -> Vec<f64> {
    let pairs = a.iter().zip(b).enumerate();
    pairs.map(|(i, (a, b))| f(*a, *b, i)).collect()
}

/// The derivatives of a formula, by differences over a step whose error is far below `f32`'s.
fn derivatives(f: Formula, (a, b): &(Vec<f64>, Vec<f64>)) -> (Vec<f64>, Vec<f64>) {
    const STEP: f64 = 1e-6;
    let pairs = || a.iter().zip(b).enumerate();
    let in_a = pairs().map(|(i, (a, b))| (f(a + STEP, *b, i) - f(a - STEP, *b, i)) / (2.0 * STEP));
    let in_b = pairs().map(|(i, (a, b))| (f(*a, b + STEP, i) - f(*a, b - STEP, i)) / (2.0 * STEP));
    (in_a.collect(), in_b.collect())
}

/// In parts: added one after the other, a million equal errors of rounding would add up.
fn total(terms: Vec<f64>) -> f64 {
    terms
        .chunks(1000)
        .map(|part| part.iter().sum::<f64>())
        .sum()
}

#[test]
fn every_operation_follows_its_formula_at_every_size() {
    for device in devices() {
        for (dtype, tolerance) in [(DType::F32, 1e-6), (DType::F64, 1e-14)] {
            for len in SIZES {
                let what = |name: &str| format!("{name}, {len} of {dtype:?} on {device:?}");
                let (mu, rho) = inputs(len);
                let (m, r) = (tensor(&mu, &device, dtype), tensor(&rho, &device, dtype));
                let variance: Vec<f64> = mu.iter().map(|m| m * m).collect();
                let v = tensor(&variance, &device, dtype);
                let pair = (mu, rho);

                let got = draw(&m, &r, NOISE).unwrap();
                assert_eq!(got.dtype(), dtype);
                assert_close(
                    &values(got.clone()),
                    &map2(drawn, &pair),
                    tolerance,
                    &what("draw"),
                );

                // The deviations apart leave the draw its bits.
                let std = spread(&r, Spread::StdDev).unwrap();
                let scaled = draw_scaled(&m, &std, NOISE).unwrap();
                assert_eq!(scaled.into_data(), got.into_data(), "{}", what("draw by σ"));

                let normals: Vec<f64> = (0..len).map(epsilon).collect();
                let got = values(standard_normal(&m, NOISE).unwrap());
                assert_close(&got, &normals, 0.0, &what("standard normals"));

                for (of, power) in SPREADS {
                    let got = values(spread(&r, of).unwrap());
                    let expected = pair.1.iter().map(|r| softplus(*r).powi(power));
                    let expected: Vec<f64> = expected.collect();
                    assert_close(&got, &expected, tolerance, &what(&format!("{of:?}")));
                }

                let expected = map2(output, &(pair.0.clone(), variance.clone()));
                let got = values(draw_output(&m, &v, NOISE).unwrap());
                assert_close(&got, &expected, tolerance, &what("output"));

                let by_h = (pair.0.clone(), variance.clone());
                let got = values(draw_precise(&m, &v, PRECISION, NOISE).unwrap());
                let expected = map2(drawn_precisely, &by_h);
                assert_close(&got, &expected, tolerance, &what("draw of a precision"));

                // A million additions, in another order, each rounded.
                let tolerance = if dtype == DType::F64 {
                    1e-12
                } else {
                    tolerance
                };
                let expected = total(map2(normal_term, &pair));
                let got = values(normal_sum(&m, &r, NormalSum::kl(0.3)).unwrap());
                assert_close(&got, &[expected], tolerance, &what("sum over normals"));

                let expected = total(map2(precise_term, &by_h));
                let got = values(precise_sum(&m, &v, PRECISION, NormalSum::kl(0.3)).unwrap());
                assert_close(&got, &[expected], tolerance, &what("sum by precisions"));

                let expected = total(pair.0.iter().map(|mu| mu * mu).collect());
                let got = values(square_sum(&m).unwrap());
                assert_close(&got, &[expected], tolerance, &what("sum of squares"));

                let expected = total(map2(mixture_term, &pair));
                let got = values(mixture_kl(&m, &r, NOISE, mixture()).unwrap());
                assert_close(&got, &[expected], 2.0 * tolerance, &what("mixture"));
            }
        }
    }
}

/// The gradients of `Σ weightᵢ f(aᵢ, bᵢ)` as autodiff has them.
fn gradients(
    (a, b): &(Vec<f64>, Vec<f64>),
    weights: &[f64],
    device: &Device,
    dtype: DType,
    operation: impl Fn(&Tensor<1>, &Tensor<1>) -> Option<Tensor<1>>,
) -> (Vec<f64>, Vec<f64>) {
    let a = tensor(a, device, dtype).require_grad();
    let b = tensor(b, device, dtype).require_grad();
    let output = operation(&a, &b).unwrap();
    let loss = match output.dims()[0] == weights.len() {
        true => (output * tensor(weights, device, dtype)).sum(),
        false => output.sum(),
    };
    let grads = loss.backward();
    let grad = |of: &Tensor<1>| of.grad(&grads).map_or_else(Vec::new, values);
    (grad(&a), grad(&b))
}

#[test]
fn every_gradient_is_the_derivative_of_its_formula() {
    for device in autodiff_devices() {
        for len in [1, 63, 64, 65, 40_000] {
            let (mu, rho) = inputs(len);
            // No variance near zero, where its root has no derivative.
            let variance: Vec<f64> = mu.iter().map(|m| 0.25 + m * m).collect();
            let pair = (mu, rho);
            let outputs = (pair.0.clone(), variance);
            let weights: Vec<f64> = (0..len).map(|i| ((i * 5) % 9) as f64 / 4.0 - 1.0).collect();
            let weighted = |f: Formula, at: &(Vec<f64>, Vec<f64>)| {
                let (in_a, in_b) = derivatives(f, at);
                let times = |d: Vec<f64>| d.iter().zip(&weights).map(|(d, w)| d * w).collect();
                (times(in_a), times(in_b))
            };
            let check = |got: (Vec<f64>, Vec<f64>), expected: (Vec<f64>, Vec<f64>), name| {
                let what = format!("{name}, {len} on {device:?}");
                // The differences are good to 1e-8 or so, `f32` to 1e-6; the narrow component's slope is 1e5 steep.
                assert_close(&got.0, &expected.0, 3e-6, &format!("{what}, first"));
                assert_close(&got.1, &expected.1, 3e-6, &format!("{what}, second"));
            };
            let f32_gradients = |at: &(Vec<f64>, Vec<f64>), operation: Operation<'_>| {
                gradients(at, &weights, &device, DType::F32, operation)
            };

            let got = f32_gradients(&pair, &|m, r| draw(m, r, NOISE));
            check(got, weighted(drawn, &pair), "draw");
            let got = f32_gradients(&pair, &|m, std| draw_scaled(m, std, NOISE));
            check(
                got,
                weighted(|m, s, i| m + s * epsilon(i), &pair),
                "draw by σ",
            );
            let got = f32_gradients(&outputs, &|m, v| draw_output(m, v, NOISE));
            check(got, weighted(output, &outputs), "output");
            let got = f32_gradients(&outputs, &|m, h| draw_precise(m, h, PRECISION, NOISE));
            check(
                got,
                weighted(drawn_precisely, &outputs),
                "draw of a precision",
            );
            let got = f32_gradients(&pair, &|_, r| spread(r, Spread::StdDev));
            let (_, expected) = weighted(|_, r, _| softplus(r), &pair);
            check((vec![], got.1), (vec![], expected), "deviation");
            let got = f32_gradients(&pair, &|_, r| spread(r, Spread::Variance));
            let (_, expected) = weighted(|_, r, _| softplus(r).powi(2), &pair);
            check((vec![], got.1), (vec![], expected), "variance");
            if len == 1 {
                // Of a sum with one term the weight would be applied as well.
                continue;
            }
            let got = f32_gradients(&pair, &|m, r| normal_sum(m, r, NormalSum::kl(0.3)));
            check(got, derivatives(normal_term, &pair), "sum over normals");
            let got = f32_gradients(&outputs, &|m, h| {
                precise_sum(m, h, PRECISION, NormalSum::kl(0.3))
            });
            check(
                got,
                derivatives(precise_term, &outputs),
                "sum by precisions",
            );
            let got = f32_gradients(&pair, &|m, _| square_sum(m));
            let (expected, _) = derivatives(|mu, _, _| mu * mu, &pair);
            check((got.0, vec![]), (expected, vec![]), "sum of squares");

            let got = gradients(&pair, &weights, &device, DType::F64, |m, r| {
                mixture_kl(m, r, NOISE, mixture())
            });
            let expected = derivatives(mixture_term, &pair);
            // Relative to the steepness of the narrow component, up to 1e5, and of its differences.
            let what = format!("mixture, {len} on {device:?}");
            assert_close(&got.0, &expected.0, 1e-4, &what);
            assert_close(&got.1, &expected.1, 1e-4, &what);
        }
    }
}

#[test]
fn a_mixture_has_the_gradient_of_f64_in_f32() {
    let device = Device::flex().autodiff();
    let pair = inputs(1000);
    // The score's own slope, 1/σ₂² = 100, multiplies the rounding of a weight near 1, half of 1.2e-7, and that of σ ε.
    let of = |dtype| {
        gradients(&pair, &[], &device, dtype, |m, r| {
            mixture_kl(m, r, NOISE, mixture_with(0.1))
        })
    };
    let (expected, got) = (of(DType::F64), of(DType::F32));
    assert_close(&got.0, &expected.0, 2e-5, "mu");
    assert_close(&got.1, &expected.1, 2e-5, "rho");
}

#[test]
fn other_strides_make_no_difference() {
    for device in autodiff_devices() {
        let values_of = |len: usize, by: usize| -> Vec<f64> {
            (0..len)
                .map(|i| ((i * by) % 31) as f64 / 16.0 - 1.0)
                .collect()
        };
        let whole = tensor(&values_of(21 * 14, 7), &device, DType::F32).reshape([21, 14]);
        let views: [(&str, Tensor<2>); 3] = [
            ("transposed", whole.clone().transpose()),
            ("sliced", whole.clone().slice([3..17, 2..9])),
            ("expanded", whole.slice([0..1, 0..14]).expand([9, 14])),
        ];
        for (name, view) in views {
            let shape = view.shape();
            let copy = Tensor::<2>::from_data(
                TensorData::new(values(view.clone()), shape.clone()),
                (&device, DType::F32),
            );
            let rho = tensor(&values_of(shape.num_elements(), 3), &device, DType::F32);
            // ρ in other strides too: every second element of a longer one.
            let rho_view = Tensor::cat(vec![rho.clone().reshape([-1, 1]); 2], 1)
                .slice([0..shape.num_elements(), 1..2])
                .flatten::<1>(0, 1);

            let run = |mu: &Tensor<2>, rho: &Tensor<1>| {
                let mu = mu.clone().detach().require_grad();
                let rho = rho.clone().detach().require_grad();
                let draw = draw(&mu, &rho, NOISE).unwrap();
                let variance = mu.clone().square();
                let outputs = draw_output(&draw, &variance, NOISE).unwrap();
                let sums = normal_sum(&mu, &rho, NormalSum::kl(0.3)).unwrap()
                    + mixture_kl(&mu, &rho, NOISE, mixture()).unwrap();
                // The gradient comes back transposed.
                let weights = copy.clone().transpose().reshape([-1, 1]).cos();
                let outputs = outputs.transpose().reshape([-1, 1]) * weights;
                let loss = outputs.sum() + sums;
                let grads = loss.clone().backward();
                (
                    values(loss),
                    values(mu.grad(&grads).unwrap()),
                    values(rho.grad(&grads).unwrap()),
                )
            };
            assert_eq!(
                run(&view, &rho_view),
                run(&copy, &rho),
                "{name} on {device:?}"
            );
        }
    }
}

#[test]
fn half_precision_is_rounded_once() {
    let device = Device::flex();
    let pair = inputs(1000);
    for dtype in [DType::F16, DType::BF16] {
        let half = |values: &[f64]| tensor(values, &device, dtype);
        let single = |values: &[f64]| half(values).cast(DType::F32);
        let rounded = |values: Tensor<1>| values.cast(dtype).into_data();

        let got = draw(&half(&pair.0), &half(&pair.1), NOISE).unwrap();
        let expected = draw(&single(&pair.0), &single(&pair.1), NOISE).unwrap();
        assert_eq!(got.into_data(), rounded(expected), "{dtype:?}");
        for (of, _) in SPREADS {
            let got = spread(&half(&pair.1), of).unwrap();
            let expected = spread(&single(&pair.1), of).unwrap();
            assert_eq!(got.into_data(), rounded(expected), "{dtype:?}");
        }
        let got = normal_sum(&half(&pair.0), &half(&pair.1), NormalSum::kl(1.0)).unwrap();
        let expected = normal_sum(&single(&pair.0), &single(&pair.1), NormalSum::kl(1.0)).unwrap();
        assert_eq!(got.into_data(), expected.into_data(), "{dtype:?}");
    }
}

#[test]
fn extreme_deviations_are_finite_forward_and_backward() {
    for device in autodiff_devices() {
        let rho = vec![-100.0, -30.0, -15.0, -14.9, 0.0, 30.0, 100.0];
        let pair = (vec![0.5; rho.len()], rho);
        let checks: [(&str, Operation<'_>); 5] = [
            ("draw", &|m, r| draw(m, r, NOISE)),
            ("sum", &|m, r| normal_sum(m, r, NormalSum::kl(1.0))),
            ("mixture", &|m, r| mixture_kl(m, r, NOISE, mixture())),
            ("deviation", &|_, r| spread(r, Spread::StdDev)),
            ("variance", &|_, r| spread(r, Spread::Variance)),
        ];
        for (name, operation) in checks {
            let plain = tensor(&pair.0, &device, DType::F32);
            let forward = values(operation(&plain, &tensor(&pair.1, &device, DType::F32)).unwrap());
            let (mu, rho) = gradients(&pair, &[], &device, DType::F32, operation);
            let all = [forward, mu, rho].concat();
            assert!(all.iter().all(|x| x.is_finite()), "{name}: {all:?}");
        }
        for (of, _) in SPREADS {
            let sigma = values(spread(&tensor(&[-40.0], &device, DType::F32), of).unwrap());
            assert!(sigma[0] > 0.0);
        }
    }
}

#[test]
fn a_nan_is_not_hidden() {
    for device in devices() {
        let nan = tensor(&[f64::NAN], &device, DType::F32);
        let one = tensor(&[1.0], &device, DType::F32);
        for (mu, rho) in [(&nan, &one), (&one, &nan)] {
            let results = [
                draw(mu, rho, NOISE),
                draw_output(mu, rho, NOISE),
                normal_sum(mu, rho, NormalSum::kl(1.0)),
                mixture_kl(mu, rho, NOISE, mixture()),
                draw_precise(mu, rho, PRECISION, NOISE),
                precise_sum(mu, rho, PRECISION, NormalSum::kl(1.0)),
            ];
            for (i, result) in results.into_iter().enumerate() {
                assert!(values(result.unwrap())[0].is_nan(), "{i} on {device:?}");
            }
        }
        for (of, _) in SPREADS {
            assert!(values(spread(&nan, of).unwrap())[0].is_nan());
        }
    }
}

#[test]
fn an_output_without_variance_has_no_gradient_in_it() {
    for device in autodiff_devices() {
        let pair = (vec![1.0, 2.0], vec![0.0, 1e-30]);
        let (mean, variance) = gradients(&pair, &[], &device, DType::F32, |m, v| {
            draw_output(m, v, NOISE)
        });
        assert_eq!((mean, variance), (vec![1.0, 1.0], vec![0.0, 0.0]));
    }
}

#[test]
fn tensors_of_different_types_are_left_to_burn() {
    let device = Device::flex();
    let single = tensor(&[1.0], &device, DType::F32);
    let double = tensor(&[1.0], &device, DType::F64);
    assert!(draw(&single, &double, NOISE).is_none());
    assert!(without_fused(|| draw(&single, &single, NOISE)).is_none());
    assert!(draw(&single, &single, NOISE).is_some());
}

#[test]
#[should_panic(expected = "beyond the stream's 2^34 elements")]
fn noise_does_not_wrap_around_at_the_end_of_its_stream() {
    NoiseSpan::new(NoiseKey::new(1, 2, 3), (1 << 34) - 4, 5);
}

/// The types of elements, with the size of the steps between their numbers.
const TYPES: [(DType, f64); 4] = [
    (DType::F64, 1e-12),
    (DType::F32, 1e-6),
    (DType::F16, 1e-3),
    (DType::BF16, 8e-3),
];

#[test]
fn a_sum_beyond_half_precision_is_that_of_f64_and_so_are_its_gradients() {
    let device = Device::flex().autodiff();
    // μ and ρ are numbers of every type, so that nothing is rounded before.
    let len = 60_000;
    let pair = inputs(len);
    let sums: [(&str, Operation<'_>, Formula); 2] = [
        (
            "normals",
            &|m, r| normal_sum(m, r, NormalSum::kl(0.3)),
            normal_term,
        ),
        (
            "mixture",
            &|m, r| mixture_kl(m, r, NOISE, mixture_with(0.1)),
            |m, r, i| {
                let w = drawn(m, r, i);
                let log_q = -softplus(r).ln() - 0.5 * epsilon(i).powi(2);
                let prior = mixture_with(0.1);
                let exponent = prior.log_ratio + prior.curvature * w * w;
                let log_p =
                    prior.log_wide - 0.5 * prior.wide_precision * w * w + softplus(exponent);
                log_q - crate::math::HALF_LOG_TWO_PI - log_p
            },
        ),
    ];
    for (name, sum, formula) in sums {
        let expected: f64 = map2(formula, &pair).iter().sum();
        assert!(expected > 65_504.0, "{name}: {expected}");
        let slopes = derivatives(formula, &pair);
        for (dtype, step) in TYPES {
            let what = format!("{name} in {dtype:?}");
            let mu = tensor(&pair.0, &device, dtype).require_grad();
            let rho = tensor(&pair.1, &device, dtype).require_grad();
            let got = sum(&mu, &rho).unwrap();
            let is_double = dtype == DType::F64;
            let sum_type = if is_double { DType::F64 } else { DType::F32 };
            assert_eq!((got.dtype(), got.dims()), (sum_type, [1]), "{what}");
            assert_close(&values(got.clone()), &[expected], 1e-6, &what);

            let grads = got.backward();
            for (of, slopes) in [(&mu, &slopes.0), (&rho, &slopes.1)] {
                let grad = of.grad(&grads).unwrap();
                assert_eq!(grad.dtype(), dtype, "{what}");
                // That of the formula is a difference, and the slope of the mixture multiplies the rounding of a
                // weight.
                assert_close(&values(grad), slopes, step.max(2e-5), &what);
            }
        }
    }
}

#[test]
fn draws_are_finite_in_every_type_for_every_deviation() {
    let device = Device::flex().autodiff();
    let rho: Vec<f64> = (0..4020).map(|i| f64::from(i - 2010) / 20.0).collect();
    let mu = vec![0.5; rho.len()];
    let variance: Vec<f64> = rho.iter().map(|r| softplus(*r).powi(2)).collect();
    for (dtype, step) in TYPES {
        for (name, formula, second) in [
            ("draw", drawn as Formula, &rho),
            ("output", output as Formula, &variance),
        ] {
            let what = format!("{name} in {dtype:?}");
            let m = tensor(&mu, &device, dtype).require_grad();
            let s = tensor(second, &device, dtype).require_grad();
            let drawn = match name {
                "draw" => draw(&m, &s, NOISE),
                _ => draw_output(&m, &s, NOISE),
            };
            let drawn = drawn.unwrap();
            assert_eq!(drawn.dtype(), dtype);
            let rounded = (values(m.clone()), values(s.clone()));
            let got = values(drawn.clone());
            assert_close(&got, &map2(formula, &rounded), step, &what);
            let grads = drawn.sum().backward();
            for of in [&m, &s] {
                let grad = of.grad(&grads).unwrap();
                assert_eq!(grad.dtype(), dtype);
                assert!(values(grad).iter().all(|x| x.is_finite()), "{what}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "equally many elements, got [3, 0]")]
fn a_parameter_without_elements_is_not_taken_for_one_that_is_not_read() {
    let device = Device::flex();
    let _ = draw(
        &tensor(&[1.0; 3], &device, DType::F32),
        &tensor(&[], &device, DType::F32),
        NOISE,
    );
}
