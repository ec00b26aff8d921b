//! The kernels on the default wgpu device against the same operations on Flex.

use std::fmt::Write;

use burn::tensor::{DType, Device, DeviceKind, Tensor, TensorData};

use crate::kernels::formula::{NoiseSpan, NormalSum, ScaleMixture, Spread, sum_dtype};
use crate::kernels::{draw, draw_output, mixture_kl, normal_sum, spread, standard_normal};
use blitz_noise::NoiseKey;

const NOISE: NoiseSpan = NoiseSpan {
    key: NoiseKey::new(0x9876_5432_1abc_def0, 0x1_0000_0003, 5),
    first_block: 7,
};

/// Blocks, vectors and units end at these sizes, or one beside them; the last is more than a launch of units for a sum.
const SIZES: [usize; 7] = [0, 1, 3, 63, 64, 65, 1_000_003];

/// π = 1/4, σ₁ = 1, σ₂ = 1/10.
fn mixture() -> ScaleMixture {
    let (pi, narrow) = (0.25f64, 0.1f64);
    ScaleMixture {
        log_wide: pi.ln() - crate::math::half_log_two_pi(),
        wide_precision: 1.0,
        log_ratio: (1.0 - pi).ln() - pi.ln() - narrow.ln(),
        curvature: 0.5 - 0.5 / narrow.powi(2),
    }
}

fn wgpu() -> Device {
    Device::wgpu(DeviceKind::DefaultDevice)
}

fn tensor(values: &[f64], device: &Device, dtype: DType) -> Tensor<1> {
    Tensor::from_data(
        TensorData::new(values.to_vec(), [values.len()]),
        (device, dtype),
    )
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn means(len: usize) -> Vec<f64> {
    (0..len)
        .map(|i| ((i * 37) % 65) as f64 / 32.0 - 1.0)
        .collect()
}

fn rhos(len: usize) -> Vec<f64> {
    (0..len)
        .map(|i| ((i * 11) % 49) as f64 / 4.0 - 9.0)
        .collect()
}

/// A tolerance relative to the larger of the number and `scale`.
fn assert_close(got: &[f64], expected: &[f64], tolerance: f64, scale: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(
            (got - expected).abs() <= tolerance * expected.abs().max(scale),
            "{what}, element {i}: {got} for {expected}"
        );
    }
}

/// An operation by name, of two tensors, the second one flat.
type Operation<const D: usize> = (
    &'static str,
    fn(&Tensor<D>, &Tensor<1>) -> Option<Tensor<D>>,
);
/// A sum by name, with its tolerance.
type Sum<const D: usize> = (
    &'static str,
    fn(&Tensor<D>, &Tensor<1>) -> Option<Tensor<1>>,
    f64,
);

fn operations<const D: usize>() -> [Operation<D>; 5] {
    [
        ("standard normals", |m, _| standard_normal(m, NOISE)),
        ("draw", |m, r| draw(m, r, NOISE)),
        ("deviation", |m, _| spread(m, Spread::StdDev)),
        ("variance", |m, _| spread(m, Spread::Variance)),
        ("output", |m, r| {
            // A variance, some of it zero.
            let variance = r.clone().reshape(m.shape()).add_scalar(8.0).clamp_min(0.0);
            draw_output(m, &variance, NOISE)
        }),
    ]
}

fn sums<const D: usize>() -> [Sum<D>; 4] {
    [
        ("kl", |m, r| normal_sum(m, r, NormalSum::kl(0.3)), 1e-6),
        (
            "second moments",
            |m, r| normal_sum(m, r, NormalSum::SECOND_MOMENT),
            1e-6,
        ),
        (
            "log deviations",
            |m, r| normal_sum(m, r, NormalSum::LOG_STD),
            1e-6,
        ),
        // The score's own slope, 1/σ₂² = 100, multiplies the rounding of a weight.
        ("mixture", |m, r| mixture_kl(m, r, NOISE, mixture()), 1e-4),
    ]
}

/// The integers that order the numbers, for a difference in units of the last place.
fn rank(x: f32) -> i64 {
    let bits = i64::from(x.to_bits() & 0x7FFF_FFFF);
    if x.is_sign_negative() { -bits } else { bits }
}

#[test]
fn ten_million_normals_are_the_cpus_within_two_ulp() {
    const LEN: usize = 10_000_000;
    let like = Tensor::<1>::zeros([LEN], &wgpu());
    let got = standard_normal(&like, NOISE).unwrap().into_data();
    let got = got.as_slice::<f32>().unwrap();
    let mut expected = vec![0.0; LEN];
    let start = 4 * u64::from(NOISE.first_block);
    NOISE.key.fill_standard_normal(start, &mut expected);

    let mut counts = [0usize; 4];
    let mut largest = 0;
    for (got, expected) in got.iter().zip(&expected) {
        let ulps = (rank(*got) - rank(*expected)).unsigned_abs() as usize;
        largest = largest.max(ulps);
        counts[ulps.min(3)] += 1;
    }
    let mut report = format!("largest difference {largest} ulp;");
    for (ulps, count) in counts.iter().enumerate() {
        write!(report, " {count} of {ulps}").unwrap();
    }
    println!("{report} (or more)");
    assert!(largest <= 2, "{report}");
}

#[test]
fn noise_starts_where_it_is_told_and_ends_with_its_stream() {
    let key = NoiseKey::new(u64::MAX, 1 << 40, u32::MAX);
    for start in [0, 4, 1 << 20, (1 << 34) - 16] {
        let like = Tensor::<1>::zeros([15], &wgpu());
        let got = values(standard_normal(&like, NoiseSpan::new(key, start, 15)).unwrap());
        let expected: Vec<f64> = (start..start + 15)
            .map(|element| f64::from(key.standard_normal_at(element)))
            .collect();
        assert_close(&got, &expected, 2e-7, 0.0, &format!("from {start}"));
    }
}

#[test]
fn every_operation_is_flexs_at_every_size() {
    for len in SIZES {
        let (m, r) = (means(len), rhos(len));
        let on = |device: &Device| {
            let (m, r) = (
                tensor(&m, device, DType::F32),
                tensor(&r, device, DType::F32),
            );
            let maps = operations::<1>().map(|(name, f)| (name, values(f(&m, &r).unwrap()), 1e-6));
            let sums = sums::<1>().map(|(name, f, tolerance)| {
                let sum = f(&m, &r).unwrap();
                assert_eq!((sum.dims(), sum.dtype()), ([1], DType::F32), "{name}");
                (name, values(sum), tolerance)
            });
            maps.into_iter().chain(sums).collect::<Vec<_>>()
        };
        for ((name, got, tolerance), (_, expected, _)) in
            on(&wgpu()).iter().zip(on(&Device::flex()))
        {
            let what = format!("{name} of {len}");
            assert_close(got, &expected, *tolerance, 1.0, &what);
        }
    }
}

/// The gradients of an operation's output, weighted, or of a sum times −3/2.
fn gradients<const D: usize, const O: usize>(
    mu: Tensor<D>,
    rho: Tensor<1>,
    f: impl Fn(&Tensor<D>, &Tensor<1>) -> Option<Tensor<O>>,
) -> [Vec<f64>; 2] {
    let (mu, rho) = (mu.require_grad(), rho.require_grad());
    let output = f(&mu, &rho).unwrap();
    let len = output.shape().num_elements();
    let weights: Vec<f64> = (0..len).map(|i| ((i * 5) % 9) as f64 / 4.0 - 1.5).collect();
    let weights = tensor(&weights, &mu.device(), output.dtype()).reshape(output.shape());
    let grads = (output * weights).sum().backward();
    let grad_of = |grad: Option<Vec<f64>>| grad.unwrap_or_default();
    [
        grad_of(mu.grad(&grads).map(values)),
        grad_of(rho.grad(&grads).map(values)),
    ]
}

#[test]
fn every_gradient_is_flexs_at_every_size() {
    for len in SIZES {
        let (m, r) = (means(len), rhos(len));
        let on = |device: Device| {
            let device = device.autodiff();
            let inputs = || {
                (
                    tensor(&m, &device, DType::F32),
                    tensor(&r, &device, DType::F32),
                )
            };
            let maps = operations::<1>().into_iter().skip(1).map(|(name, f)| {
                let (m, r) = inputs();
                (name, gradients(m, r, f), 1e-6)
            });
            let sums = sums::<1>().into_iter().map(|(name, f, tolerance)| {
                let (m, r) = inputs();
                (name, gradients(m, r, f), tolerance)
            });
            maps.chain(sums).collect::<Vec<_>>()
        };
        let expected = on(Device::flex());
        for ((name, got, tolerance), (_, expected, _)) in on(wgpu()).into_iter().zip(expected) {
            for (part, (got, expected)) in ["mu", "rho"].iter().zip(got.iter().zip(&expected)) {
                let what = format!("{name} of {len}, gradient in {part}");
                assert_close(got, expected, tolerance, 1.0, &what);
            }
        }
    }
}

#[test]
fn other_strides_are_read_in_logical_order() {
    let on = |device: Device| {
        let device = device.autodiff();
        let whole = tensor(&means(24 * 32), &device, DType::F32).reshape([24, 32]);
        let views = [
            ("transposed", whole.clone().transpose()),
            ("sliced", whole.clone().slice([3..17, 2..9])),
            ("rows", whole.clone().slice([8..16, 0..32])),
            ("expanded", whole.slice([0..1, 0..32]).expand([9, 32])),
        ];
        let mut results = Vec::new();
        for (view_name, view) in views {
            let len = view.shape().num_elements();
            // Every second element of a longer one.
            let rho = tensor(&rhos(len), &device, DType::F32).reshape([-1, 1]);
            let rho: Tensor<1> = Tensor::cat(vec![rho; 2], 1).slice([0..len, 1..2]).squeeze();
            let (view, rho) = (view.detach(), rho.detach());
            for (name, f) in operations::<2>() {
                let what = format!("{name} {view_name}");
                results.push((what.clone(), values(f(&view, &rho).unwrap())));
                if name != "standard normals" {
                    // The gradient comes back transposed.
                    let turned =
                        |m: &Tensor<2>, r: &Tensor<1>| f(m, r).map(|output| output.transpose());
                    results.extend(
                        gradients(view.clone(), rho.clone(), turned)
                            .map(|grad| (what.clone(), grad)),
                    );
                }
            }
            for (name, f, _) in sums::<2>() {
                let what = format!("{name} {view_name}");
                results.push((what.clone(), values(f(&view, &rho).unwrap())));
                results.extend(
                    gradients(view.clone(), rho.clone(), f).map(|grad| (what.clone(), grad)),
                );
            }
        }
        results
    };
    for ((what, got), (_, expected)) in on(wgpu()).into_iter().zip(on(Device::flex())) {
        assert_close(&got, &expected, 2e-5, 1.0, &what);
    }
}

#[test]
fn an_lstm_is_that_of_its_steps() {
    let device = wgpu().autodiff();
    crate::kernels::tests::lstm::is_that_of_its_steps(&device, DType::F32, 5e-6);
}

#[test]
fn extreme_deviations_are_flexs_and_finite_forward_and_backward() {
    let rho = [-100.0, -20.0, -15.0, -14.9, -1.0, 0.0, 1.0, 20.0, 100.0];
    for r in rho {
        let on = |device: Device| {
            let device = device.autodiff();
            let inputs = || {
                (
                    tensor(&[0.5], &device, DType::F32),
                    tensor(&[r], &device, DType::F32),
                )
            };
            let mut results = Vec::new();
            for (name, f) in operations::<1>() {
                // As ρ for these too, which take the first.
                let (m, r) = inputs();
                let m = if ["deviation", "variance"].contains(&name) {
                    r.clone()
                } else {
                    m
                };
                results.push((name, values(f(&m, &r).unwrap())));
                if name != "standard normals" {
                    results.extend(gradients(m, r, f).map(|grad| (name, grad)));
                }
            }
            for (name, f, _) in sums::<1>() {
                let (m, r) = inputs();
                results.push((name, values(f(&m, &r).unwrap())));
                results.extend(gradients(m, r, f).map(|grad| (name, grad)));
            }
            results
        };
        for ((name, got), (_, expected)) in on(wgpu()).into_iter().zip(on(Device::flex())) {
            let what = format!("{name} at {r}");
            assert!(got.iter().all(|x| x.is_finite()), "{what}: {got:?}");
            // A device may flush what is below the normal numbers.
            assert_close(&got, &expected, 2e-5, 1e-30, &what);
        }
    }
}

#[test]
fn a_nan_is_not_hidden() {
    let device = wgpu();
    let nan = tensor(&[f64::NAN; 5], &device, DType::F32);
    let one = tensor(&[1.0; 5], &device, DType::F32);
    for (m, r) in [(&nan, &one), (&one, &nan)] {
        let results = [
            ("draw", draw(m, r, NOISE)),
            ("output", draw_output(m, r, NOISE)),
            ("kl", normal_sum(m, r, NormalSum::kl(1.0))),
            ("mixture", mixture_kl(m, r, NOISE, mixture())),
        ];
        for (name, result) in results {
            assert!(values(result.unwrap()).iter().all(|x| x.is_nan()), "{name}");
        }
    }
    for of in [Spread::StdDev, Spread::Variance] {
        assert!(values(spread(&nan, of).unwrap()).iter().all(|x| x.is_nan()));
    }
}

#[test]
fn other_element_types_are_flexs_where_the_device_has_them() {
    // With noise, which is in `f32`, and without.
    for (dtype, noisy, exact) in [
        (DType::F16, 1e-3, 1e-3),
        (DType::BF16, 8e-3, 8e-3),
        (DType::F64, 1e-6, 1e-13),
    ] {
        if !wgpu().supports_dtype(dtype) {
            println!("no {dtype:?} on this device");
            continue;
        }
        for len in [3, 64, 1001] {
            let on = |device: Device| {
                let device = device.autodiff();
                let inputs = || {
                    (
                        tensor(&means(len), &device, dtype),
                        tensor(&rhos(len), &device, dtype),
                    )
                };
                let mut results = Vec::new();
                for (name, f) in operations::<1>() {
                    let (m, r) = inputs();
                    let output = f(&m, &r).unwrap();
                    assert_eq!(output.dtype(), dtype);
                    results.push((name, values(output)));
                    if name != "standard normals" {
                        results.extend(gradients(m, r, f).map(|grad| (name, grad)));
                    }
                }
                for (name, f, _) in sums::<1>() {
                    let (m, r) = inputs();
                    let sum = f(&m, &r).unwrap();
                    assert_eq!(sum.dtype(), sum_dtype(dtype));
                    results.push((name, values(sum)));
                    results.extend(gradients(m, r, f).map(|grad| (name, grad)));
                }
                results
            };
            for ((name, got), (_, expected)) in on(wgpu()).into_iter().zip(on(Device::flex())) {
                let what = format!("{name} of {len} in {dtype:?}");
                let without_noise = [
                    "deviation",
                    "variance",
                    "kl",
                    "second moments",
                    "log deviations",
                ];
                let is_exact = without_noise.contains(&name);
                let tolerance = if is_exact { exact } else { noisy };
                assert_close(&got, &expected, tolerance, 1.0, &what);
            }
        }
    }
}
