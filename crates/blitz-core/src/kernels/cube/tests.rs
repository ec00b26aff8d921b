//! The kernels on every CubeCL device of the build against the same operations on Flex.

mod named;

use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_cubecl::CubeDevice;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use self::named::named;
use super::rounding::nearest_root;
use crate::device;
use crate::kernels::formula::{NoiseSpan, NormalSum, ScaleMixture, Spread, wide_type};
use crate::kernels::linked::{KlLink, add_linked, draw_and_sum};
use crate::kernels::{
    AdamStep, IvonStep, Precision, adam_step, draw, draw_output, draw_precise, draw_scaled,
    ivon_step, mixture_kl, normal_sum, precise_sum, spread, square_sum, standard_normal,
};
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
        log_wide: pi.ln() - crate::math::HALF_LOG_TWO_PI,
        wide_precision: 1.0,
        log_ratio: (1.0 - pi).ln() - pi.ln() - narrow.ln(),
        curvature: 0.5 - 0.5 / narrow.powi(2),
    }
}

/// All that the build has, or those named by `BLITZ_TEST_DEVICES`.
fn devices() -> Vec<Device> {
    named(is_of_cubecl)
}

/// Without the CPU, on whose few units matrix products take minutes.
fn devices_with_products() -> Vec<Device> {
    named(|name| is_of_cubecl(name) && name != "cpu")
}

fn is_of_cubecl(name: &str) -> bool {
    !["flex", "ndarray", "tch", "remote"].contains(&name)
}

/// Whether it is the device of that name.
fn is(device: &Device, name: &str) -> bool {
    device::choose(Some(name)).is_ok_and(|named| named == *device)
}

/// For kernels that no operation of a tensor launches.
fn cube_device(device: Device) -> CubeDevice {
    match () {
        () if is(&device, "cpu") => CubeDevice::Cpu(Default::default()),
        () if is(&device, "cuda") => CubeDevice::Cuda(Default::default()),
        () => CubeDevice::Wgpu(Default::default()),
    }
}

/// Whether the device computes in the type. CubeCL's CPU says so of `bf16`, and then lacks a conversion unless the
/// processor has it.
fn has(device: &Device, dtype: DType) -> bool {
    #[cfg(feature = "cpu")]
    if dtype == DType::BF16 && *device == Device::cpu() {
        return false;
    }
    device.supports_dtype(dtype)
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

const PRECISION: Precision = Precision {
    scale: 300.0,
    shift: 0.125,
};

/// A Hessian: positive, whatever ρ.
fn hessian(rho: &Tensor<1>) -> Tensor<1> {
    rho.clone().square().add_scalar(1.0)
}

fn operations<const D: usize>() -> [Operation<D>; 7] {
    [
        ("standard normals", |m, _| standard_normal(m, NOISE)),
        ("draw", |m, r| draw(m, r, NOISE)),
        ("draw by deviations", |m, r| {
            draw_scaled(m, &r.clone().square(), NOISE)
        }),
        ("draw of a precision", |m, r| {
            draw_precise(m, &hessian(r), PRECISION, NOISE)
        }),
        ("deviation", |m, _| spread(m, Spread::StdDev)),
        ("variance", |m, _| spread(m, Spread::Variance)),
        ("output", |m, r| {
            // A variance, some of it zero.
            let variance = r.clone().reshape(m.shape()).add_scalar(8.0).clamp_min(0.0);
            draw_output(m, &variance, NOISE)
        }),
    ]
}

fn sums<const D: usize>() -> [Sum<D>; 6] {
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
        (
            "kl of precisions",
            |m, r| precise_sum(m, &hessian(r), PRECISION, NormalSum::kl(0.3)),
            1e-6,
        ),
        ("squares", |m, _| square_sum(m), 1e-6),
        // The score's own slope, 1/σ₂² = 100, multiplies the rounding of a weight.
        ("mixture", |m, r| mixture_kl(m, r, NOISE, mixture()), 1e-4),
    ]
}

/// Panics with the number of elements whose bits differ, and the first few.
fn assert_same_bits(got: &[f32], expected: &[f32], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let pairs = got.iter().zip(expected).enumerate();
    let differ: Vec<_> = pairs
        .filter(|(_, (got, expected))| got.to_bits() != expected.to_bits())
        .collect();
    let (count, of, first) = (differ.len(), got.len(), &differ[..differ.len().min(5)]);
    assert!(count == 0, "{what}: {count} of {of} differ: {first:?}");
}

#[test]
fn ten_million_normals_have_the_cpus_bits() {
    const LEN: usize = 10_000_000;
    let mut expected = vec![0.0; LEN];
    let start = 4 * u64::from(NOISE.first_block);
    NOISE.key.fill_standard_normal(start, &mut expected);
    for device in devices() {
        let like = Tensor::<1>::zeros([LEN], &device);
        let got = standard_normal(&like, NOISE).unwrap().into_data();
        let what = format!("{device:?}");
        assert_same_bits(got.as_slice::<f32>().unwrap(), &expected, &what);
    }
}

#[test]
fn a_million_weights_and_deviations_have_flexs_bits_in_every_type_of_at_most_32_bits() {
    const LEN: usize = 1_000_003;
    // Irregular, with deviations from 2e-35 to 20.
    let mean = |i: usize| (i as f64 * 0.7).sin();
    let rho = |i: usize| (i as f64 * 0.618_034).fract() * 100.0 - 80.0;
    let (means, rhos): (Vec<_>, Vec<_>) = (0..LEN).map(|i| (mean(i), rho(i))).unzip();
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        let on = |device: &Device| {
            let (mean, rho) = (tensor(&means, device, dtype), tensor(&rhos, device, dtype));
            let drawn = draw(&mean, &rho, NOISE).unwrap();
            let deviations = spread(&rho, Spread::StdDev).unwrap();
            [("weights", drawn), ("deviations", deviations)].map(|(name, tensor)| {
                let values: Vec<f32> = tensor.into_data().iter::<f32>().collect();
                // What is below the normal numbers, a device may flush.
                let smallest = if dtype == DType::F16 { 6.2e-5 } else { 1.2e-38 };
                let flushed = |x: f32| if x.abs() < smallest { 0.0 } else { x };
                (name, values.into_iter().map(flushed).collect::<Vec<_>>())
            })
        };
        let expected = on(&Device::flex());
        for device in devices() {
            if !has(&device, dtype) {
                println!("no {dtype:?} on {device:?}");
                continue;
            }
            for ((name, got), (_, expected)) in on(&device).iter().zip(&expected) {
                assert_same_bits(got, expected, &format!("{name} in {dtype:?} on {device:?}"));
            }
        }
    }
}

/// A device's root that is some units in the last place off, put right.
#[cube(launch_unchecked)]
fn corrected_roots(x: &[f32], off: &[i32], roots: &mut [f32]) {
    if ABSOLUTE_POS < roots.len() {
        let x = x[ABSOLUTE_POS];
        let guess = i32::reinterpret(x.sqrt()) + off[ABSOLUTE_POS];
        roots[ABSOLUTE_POS] = nearest_root(x, f32::reinterpret(guess));
    }
}

#[test]
fn a_square_root_is_the_nearest_number_however_a_device_guesses_it() {
    // Every number that a normal's radius can come from is between these, and roots beside powers of two are the
    // hardest.
    let beside =
        |power: i32| (-40..40).map(move |i| f32::from_bits((((power + 127) << 23) + i) as u32));
    let spread = (0..60_000).map(|i| f32::from_bits(0x3380_0000 + i * 4001));
    let near = (-24..8).flat_map(beside).chain([0.0, -0.0]);
    let numbers: Vec<f32> = spread.filter(|x| *x < 64.0).chain(near).collect();
    let offsets = [0i32, 1, -1, 2, -3, 5, -8, 20];
    let x: Vec<f32> = offsets
        .iter()
        .flat_map(|_| numbers.iter().copied())
        .collect();
    let off: Vec<i32> = offsets
        .iter()
        .flat_map(|off| numbers.iter().map(|x| if *x == 0.0 { 0 } else { *off }))
        .collect();
    let expected: Vec<f32> = x.iter().map(|x| x.sqrt()).collect();

    let devices = named(|name| ["cpu", "cuda", "wgpu"].contains(&name));
    for device in devices.into_iter().map(cube_device) {
        let client = device.client();
        let inputs =
            [f32::as_bytes(&x), i32::as_bytes(&off)].map(|bytes| client.create_from_slice(bytes));
        let roots = client.empty(size_of_val(x.as_slice()));
        let [x, off] = inputs;
        let len = expected.len();
        let dim = CubeDim::new(&client, len);
        // SAFETY: A unit stays within the output's length, which is that of the inputs.
        unsafe {
            corrected_roots::launch_unchecked(
                &client,
                cubecl::calculate_cube_count_elemwise(&client, len, dim),
                dim,
                BufferArg::from_raw_parts(x, len),
                BufferArg::from_raw_parts(off, len),
                BufferArg::from_raw_parts(roots.clone(), len),
            );
        }
        let bytes = client.read_one(roots).unwrap();
        assert_same_bits(f32::from_bytes(&bytes), &expected, &format!("{device:?}"));
    }
}

#[test]
fn noise_starts_where_it_is_told_and_ends_with_its_stream() {
    let key = NoiseKey::new(u64::MAX, 1 << 40, u32::MAX);
    for device in devices() {
        for start in [0, 4, 1 << 20, (1 << 34) - 16] {
            let like = Tensor::<1>::zeros([15], &device);
            let got = values(standard_normal(&like, NoiseSpan::new(key, start, 15)).unwrap());
            let expected: Vec<f64> = (start..start + 15)
                .map(|element| f64::from(key.standard_normal_at(element)))
                .collect();
            assert_eq!(got, expected, "from {start} on {device:?}");
        }
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
        let expected = on(&Device::flex());
        for device in devices() {
            for ((name, got, tolerance), (_, expected, _)) in on(&device).iter().zip(&expected) {
                let what = format!("{name} of {len} on {device:?}");
                assert_close(got, expected, *tolerance, 1.0, &what);
            }
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
        for device in devices() {
            let got = on(device.clone());
            for ((name, got, tolerance), (_, expected, _)) in got.iter().zip(&expected) {
                for (part, (got, expected)) in ["mu", "rho"].iter().zip(got.iter().zip(expected)) {
                    let what = format!("{name} of {len} on {device:?}, gradient in {part}");
                    assert_close(got, expected, *tolerance, 1.0, &what);
                }
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
    let expected = on(Device::flex());
    for device in devices() {
        for ((what, got), (_, expected)) in on(device.clone()).iter().zip(&expected) {
            assert_close(got, expected, 2e-5, 1.0, &format!("{what} on {device:?}"));
        }
    }
}

#[test]
fn an_lstm_is_that_of_its_steps() {
    for device in devices_with_products() {
        let device = device.autodiff();
        let holds = crate::kernels::tests::lstm::is_that_of_its_steps;
        // Burn's products of `f32` are in TF32 on NVIDIA's GPUs, and not the same for each number of rows. Elsewhere
        // `f64` is left out: Vulkan's functions, of which Burn makes the steps, are of `f32` alone.
        if is(&device, "cuda") {
            holds(&device, DType::F32, 2e-3);
            holds(&device, DType::F64, 1e-12);
        } else {
            holds(&device, DType::F32, 5e-6);
        }
    }
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
        let expected = on(Device::flex());
        for device in devices() {
            for ((name, got), (_, expected)) in on(device.clone()).iter().zip(&expected) {
                let what = format!("{name} at {r} on {device:?}");
                assert!(got.iter().all(|x| x.is_finite()), "{what}: {got:?}");
                // A device may flush what is below the normal numbers.
                assert_close(got, expected, 2e-5, 1e-30, &what);
            }
        }
    }
}

#[test]
fn a_nan_is_not_hidden() {
    for device in devices() {
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
                let values = values(result.unwrap());
                assert!(values.iter().all(|x| x.is_nan()), "{name} on {device:?}");
            }
        }
        for of in [Spread::StdDev, Spread::Variance] {
            assert!(values(spread(&nan, of).unwrap()).iter().all(|x| x.is_nan()));
        }
        let inputs = [&one, &nan, &one, &one, &one].map(Clone::clone);
        let weight = tensor(&[0.1], &device, DType::F32);
        let [mean, ..] = ivon_step(inputs, weight, ivon(Some(0.1))).unwrap();
        assert!(values(mean).iter().all(|x| x.is_nan()), "{device:?}");
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
                    assert_eq!(sum.dtype(), wide_type(dtype));
                    results.push((name, values(sum)));
                    results.extend(gradients(m, r, f).map(|grad| (name, grad)));
                }
                results
            };
            let expected = on(Device::flex());
            let devices = devices().into_iter();
            for device in devices.filter(|device| has(device, dtype)) {
                for ((name, got), (_, expected)) in on(device.clone()).iter().zip(&expected) {
                    let what = format!("{name} of {len} in {dtype:?} on {device:?}");
                    let without_noise = [
                        "deviation",
                        "variance",
                        "kl",
                        "second moments",
                        "log deviations",
                    ];
                    let is_exact = without_noise.contains(name);
                    let tolerance = if is_exact { exact } else { noisy };
                    assert_close(got, expected, tolerance, 1.0, &what);
                }
            }
        }
    }
}

#[test]
fn a_step_of_adam_is_flexs() {
    let step = AdamStep {
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
        time: 3,
        learning_rate: 1e-2,
    };
    for (dtype, tolerance) in [(DType::F32, 1e-6), (DType::F16, 1e-3), (DType::F64, 1e-14)] {
        for len in SIZES {
            let on = |device: &Device| {
                let grad: Vec<f64> = means(len).iter().map(|x| x * 0.1).collect();
                let squares: Vec<f64> = means(len).iter().map(|x| x * x + 0.01).collect();
                let [weight, grad, moment_1, moment_2] = [means(len), grad, rhos(len), squares]
                    .map(|values| tensor(&values, device, dtype));
                let (weight, [moment_1, moment_2]) =
                    adam_step(weight, grad, [moment_1, moment_2], step);
                [weight, moment_1, moment_2].map(|tensor| {
                    assert_eq!(tensor.dtype(), dtype);
                    values(tensor)
                })
            };
            let expected = on(&Device::flex());
            let devices = devices().into_iter();
            for device in devices.filter(|device| has(device, dtype)) {
                for (got, expected) in on(&device).iter().zip(&expected) {
                    let what = format!("{len} of {dtype:?} on {device:?}");
                    assert_close(got, expected, tolerance, 1.0, &what);
                }
            }
        }
    }
}

fn ivon(clip_radius: Option<f64>) -> IvonStep {
    IvonStep {
        precision: Precision {
            scale: 50.0,
            shift: 0.02,
        },
        beta_1: 0.9,
        beta_2: 0.99,
        clip_radius,
        learning_rate: 1e-2,
    }
}

#[test]
fn a_step_of_ivon_is_flexs() {
    for (dtype, tolerance) in [(DType::F32, 1e-6), (DType::F16, 1e-3), (DType::F64, 1e-14)] {
        for (len, clip) in SIZES
            .into_iter()
            .flat_map(|len| [(len, None), (len, Some(0.1))])
        {
            let on = |device: &Device| {
                let grads =
                    [0.1, 0.003].map(|scale| means(len).iter().map(|x| x * scale).collect());
                let [grad, grad_hess]: [Vec<f64>; 2] = grads;
                let hess: Vec<f64> = means(len).iter().map(|x| x * x + 0.5).collect();
                let momentum = rhos(len).iter().map(|x| x * 0.01).collect();
                let inputs = [means(len), grad, grad_hess, hess, momentum]
                    .map(|values| tensor(&values, device, dtype));
                let weight = tensor(&[0.271], device, dtype);
                let outputs = ivon_step(inputs, weight, ivon(clip)).unwrap();
                outputs.map(|tensor| {
                    assert_eq!(tensor.dtype(), dtype);
                    values(tensor)
                })
            };
            let expected = on(&Device::flex());
            let devices = devices().into_iter();
            for device in devices.filter(|device| has(device, dtype)) {
                for (got, expected) in on(&device).iter().zip(&expected) {
                    let what = format!("{len} of {dtype:?} on {device:?}, clipped at {clip:?}");
                    assert_close(got, expected, tolerance, 1.0, &what);
                }
            }
        }
    }
}

/// A draw and its KL in a loss, and the gradients in μ and ρ; and without the link.
#[test]
fn a_linked_draw_and_kl_are_flexs_and_their_gradients() {
    for dtype in [DType::F32, DType::F16, DType::F64] {
        let tolerance = if dtype == DType::F16 { 4e-3 } else { 2e-6 };
        for len in [1, 3, 64, 100_003] {
            let on = |device: Device| {
                let device = device.autodiff();
                let mu = tensor(&means(len), &device, dtype).require_grad();
                let rho = tensor(&rhos(len), &device, dtype).require_grad();
                let link = KlLink::default();
                let form = NormalSum::kl(0.3);
                let (weight, kl) = draw_and_sum(&mu, &rho, NOISE, form, link.clone()).unwrap();
                let loss = (weight.clone() * weight.clone()).sum().cast(kl.dtype());
                let loss = add_linked(loss, kl.clone(), 0.01, link);
                let grads = loss.backward();
                [
                    values(weight),
                    values(kl),
                    values(mu.grad(&grads).unwrap()),
                    values(rho.grad(&grads).unwrap()),
                ]
            };
            let expected = on(Device::flex());
            let devices = devices().into_iter();
            for device in devices.filter(|device| has(device, dtype)) {
                for (part, (got, expected)) in ["weight", "kl", "mu", "rho"]
                    .iter()
                    .zip(on(device.clone()).iter().zip(&expected))
                {
                    let what = format!("{part} of {len} in {dtype:?} on {device:?}");
                    assert_close(got, expected, tolerance, 1.0, &what);
                }
            }
        }
    }
}

#[test]
fn a_linked_kl_has_the_gradient_of_one_that_is_not() {
    for device in devices() {
        crate::kernels::linked::tests::whatever_the_loss_does_with_the_kl(&device.autodiff());
    }
}
