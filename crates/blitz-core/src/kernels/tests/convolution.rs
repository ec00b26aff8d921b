//! The library's convolution and pooling against Burn's, with the gradients of both.

use super::*;
use crate::kernels::convolution::{Window, convolve};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};

/// Sizes of the input and the weight, and the options.
type Case = ([usize; 4], [usize; 4], ConvOptions<2>);

fn options(padding: [(usize, usize); 2], dilation: [usize; 2]) -> ConvOptions<2> {
    ConvOptions::new_with_padding([1, 1], padding, dilation, 1)
}

fn cases() -> Vec<Case> {
    let valid = [(0, 0); 2];
    let mut cases = vec![
        // LeNet's two, of a smaller batch.
        ([3, 1, 28, 28], [6, 1, 5, 5], options([(2, 2); 2], [1, 1])),
        ([5, 6, 14, 14], [16, 6, 5, 5], options(valid, [1, 1])),
        // A VGG's.
        ([2, 16, 8, 8], [24, 16, 3, 3], options([(1, 1); 2], [1, 1])),
        ([1, 1, 1, 1], [1, 1, 1, 1], options(valid, [1, 1])),
        ([2, 3, 5, 7], [4, 3, 5, 7], options(valid, [1, 1])),
        (
            [2, 3, 6, 9],
            [5, 3, 2, 4],
            options([(0, 1), (3, 2)], [1, 1]),
        ),
        (
            [17, 2, 7, 33],
            [33, 2, 3, 3],
            options([(2, 1), (1, 2)], [2, 1]),
        ),
        ([1, 2, 9, 70], [3, 2, 3, 3], options([(3, 3); 2], [3, 3])),
    ];
    // Sizes without a plan.
    let mut state = 7u32;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % limit
    };
    for _ in 0..20 {
        let kernel = [1 + below(4), 1 + below(4)];
        let dilation = [1 + below(2), 1 + below(2)];
        let reach = [0, 1].map(|axis| dilation[axis] * (kernel[axis] - 1));
        let padding = reach.map(|reach| (below(reach + 1), below(reach + 1)));
        let size = reach.map(|reach| reach + 1 + below(9));
        let (channels_in, channels_out) = (1 + below(7), 1 + below(20));
        cases.push((
            [1 + below(5), channels_in, size[0], size[1]],
            [channels_out, channels_in, kernel[0], kernel[1]],
            options(padding, dilation),
        ));
    }
    cases
}

fn waves<const D: usize>(shape: [usize; D], step: f64, device: &Device, dtype: DType) -> Tensor<D> {
    let len = shape.iter().product::<usize>();
    let values: Vec<f64> = (0..len).map(|i| (step * i as f64 + 0.2).sin()).collect();
    tensor(&values, device, dtype).reshape(shape)
}

/// A way to convolve.
type Convolution = fn(Tensor<4>, Tensor<4>, Option<Tensor<1>>, &ConvOptions<2>) -> Tensor<4>;

/// By the library's kernel, also where Burn's would be faster.
fn ours(x: Tensor<4>, w: Tensor<4>, b: Option<Tensor<1>>, options: &ConvOptions<2>) -> Tensor<4> {
    convolve(x, w, b, Window::of(options).unwrap())
}

fn burns(x: Tensor<4>, w: Tensor<4>, b: Option<Tensor<1>>, options: &ConvOptions<2>) -> Tensor<4> {
    burn::tensor::module::conv2d(x, w, b, options.clone())
}

/// The output, and the gradients of a weighted sum of it in input, weight and bias. Input and weight lie in another
/// order than they are read in.
fn results(conv: Convolution, case: &Case, device: &Device, dtype: DType) -> Vec<Vec<f64>> {
    let (input, weight, options) = case;
    let swapped = |[a, b, c, d]: [usize; 4]| [b, a, d, c];
    let x = waves(swapped(*input), 0.7, device, dtype).require_grad();
    let w = waves(swapped(*weight), 1.3, device, dtype).require_grad();
    let b = waves([weight[0]], 0.9, device, dtype).require_grad();
    let turn = |tensor: &Tensor<4>| tensor.clone().swap_dims(0, 1).swap_dims(2, 3);
    let output = conv(turn(&x), turn(&w), Some(b.clone()), options);
    let weights = waves(output.dims(), 2.1, device, dtype);
    let grads = (output.clone() * weights).sum().backward();
    vec![
        values(output),
        values(x.grad(&grads).unwrap()),
        values(w.grad(&grads).unwrap()),
        values(b.grad(&grads).unwrap()),
    ]
}

/// Holds the results of two ways to compute a case to each other. Sums of `n` terms around 1 grow like `√n`, and each
/// of `n` additions rounds them: errors of `√n` times their size, which is `n ε`.
fn assert_alike(case: &Case, dtype: DType, got: &[Vec<f64>], expected: &[Vec<f64>], what: &str) {
    let (input, weight, _) = case;
    let epsilon = match dtype {
        DType::F64 => f64::EPSILON,
        _ => f64::from(f32::EPSILON),
    };
    // Those of an output and of the gradient of an element, and of the gradients of a weight and of a bias.
    let most = weight[1].max(weight[0]) * weight[2] * weight[3];
    let terms = most.max(expected[0].len() / weight[0]);
    let tolerance = epsilon * terms as f64;
    assert_eq!(got.len(), expected.len());
    for (part, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert_eq!(got.len(), expected.len());
        for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
            let is_alike = (got.is_nan() && expected.is_nan())
                || got == expected
                || (got - expected).abs() <= tolerance * expected.abs().max(1.0);
            assert!(
                is_alike,
                "result {part} of {input:?} and {weight:?}, {what}, element {i}: {got} for {expected}"
            );
        }
    }
}

#[test]
fn a_convolution_and_its_gradients_are_those_of_burn() {
    // All on Flex; elsewhere fewer, since Burn's NdArray takes seconds for each where it is not optimised.
    for (device, step) in autodiff_devices().into_iter().zip([1, 5, 5, 5]) {
        for dtype in [DType::F32, DType::F64] {
            for case in cases().into_iter().step_by(step) {
                let got = results(ours, &case, &device, dtype);
                let expected = results(burns, &case, &device, dtype);
                let what = format!("{:?} in {dtype:?} on {device:?}", case.2);
                assert_alike(&case, dtype, &got, &expected, &what);
            }
        }
    }
}

#[test]
fn a_gradient_is_that_of_a_difference() {
    const STEP: f64 = 1e-4;
    let device = Device::flex().autodiff();
    let case = (
        [2, 2, 5, 6],
        [3, 2, 3, 2],
        options([(1, 2), (0, 1)], [1, 1]),
    );
    let (input, weight, options) = &case;
    let parts: Vec<Vec<f64>> = [
        values(waves(*input, 0.7, &device, DType::F64)),
        values(waves(*weight, 1.3, &device, DType::F64)),
        values(waves([3], 0.9, &device, DType::F64)),
    ]
    .into();
    let tensors = |parts: &[Vec<f64>]| {
        let of = |part: usize| tensor(&parts[part], &device, DType::F64).require_grad();
        (of(0), of(1), of(2))
    };
    // Cubed, so that the gradient of the output is not constant.
    let loss = |(x, w, b): &(Tensor<1>, Tensor<1>, Tensor<1>)| {
        let (x, w) = (x.clone().reshape(*input), w.clone().reshape(*weight));
        ours(x, w, Some(b.clone()), options).powi_scalar(3).sum()
    };
    let at = tensors(&parts);
    let grads = loss(&at).backward();
    let grads = [&at.0, &at.1, &at.2].map(|x| values(x.grad(&grads).unwrap()));
    for (part, grads) in grads.iter().enumerate() {
        for (i, grad) in grads.iter().enumerate() {
            let shifted = |step: f64| {
                let mut parts = parts.clone();
                parts[part][i] += step;
                loss(&tensors(&parts)).into_scalar::<f64>()
            };
            let difference = (shifted(STEP) - shifted(-STEP)) / (2.0 * STEP);
            let error = (grad - difference).abs();
            assert!(
                error < 1e-5 * grad.abs().max(1.0),
                "part {part}, element {i}: {grad} for {difference}"
            );
        }
    }
}

#[test]
fn only_what_is_tracked_has_a_gradient() {
    let device = Device::flex().autodiff();
    let case = &cases()[1];
    let (input, weight, options) = case;
    for tracked in 0..8 {
        let is_tracked = |bit: usize| tracked >> bit & 1 == 1;
        let run = |conv: Convolution| {
            let mut x = waves(*input, 0.7, &device, DType::F32);
            let mut w = waves(*weight, 1.3, &device, DType::F32);
            let mut b = waves([weight[0]], 0.9, &device, DType::F32);
            x = x.set_require_grad(is_tracked(0));
            w = w.set_require_grad(is_tracked(1));
            b = b.set_require_grad(is_tracked(2));
            let output = conv(x.clone(), w.clone(), Some(b.clone()), options);
            let outputs = values(output.clone());
            if tracked == 0 {
                return vec![outputs];
            }
            let weights = waves(output.dims(), 2.1, &device, DType::F32);
            let grads = (output * weights).sum().backward();
            let grads = [
                x.grad(&grads).map(values),
                w.grad(&grads).map(values),
                b.grad(&grads).map(values),
            ];
            let has_grads = grads.each_ref().map(Option::is_some);
            assert_eq!(has_grads, [0, 1, 2].map(is_tracked));
            [outputs]
                .into_iter()
                .chain(grads.into_iter().flatten())
                .collect()
        };
        let what = format!("tracked {tracked:03b}");
        assert_alike(case, DType::F32, &run(ours), &run(burns), &what);
    }
}

#[test]
fn a_number_that_is_not_finite_goes_where_it_goes_in_burn() {
    for (number, of_grad) in [(f64::NAN, false), (f64::INFINITY, false), (f64::NAN, true)] {
        for case in &cases()[..3] {
            let device = Device::flex().autodiff();
            let (input, weight, options) = case;
            let run = |conv: Convolution| {
                // In a corner, and in the middle of another image.
                let spoil = |tensor: Tensor<4>| {
                    let shape = tensor.dims();
                    let mut values = values(tensor);
                    let len = values.len();
                    values[0] = number;
                    values[len / 2] = number;
                    super::tensor(&values, &device, DType::F32).reshape(shape)
                };
                let plain = waves(*input, 0.7, &device, DType::F32);
                let x = if of_grad { plain } else { spoil(plain) };
                let x = x.require_grad();
                let w = waves(*weight, 1.3, &device, DType::F32).require_grad();
                let output = conv(x.clone(), w.clone(), None, options);
                let weights = waves(output.dims(), 2.1, &device, DType::F32);
                let weights = if of_grad { spoil(weights) } else { weights };
                let grads = (output.clone() * weights).sum().backward();
                vec![
                    values(output),
                    values(x.grad(&grads).unwrap()),
                    values(w.grad(&grads).unwrap()),
                ]
            };
            let what = format!("with {number}, in the gradient: {of_grad}");
            assert_alike(case, DType::F32, &run(ours), &run(burns), &what);
        }
    }
}

#[test]
fn the_faster_of_two_convolutions_runs() {
    let device = Device::flex();
    let bits = |conv: Convolution, input, weight, options: &ConvOptions<2>, dtype| {
        let x = waves(input, 0.7, &device, DType::F32).cast(dtype);
        let w = waves(weight, 1.3, &device, DType::F32).cast(dtype);
        let output = conv(x, w, None, options);
        (output.dims(), values(output))
    };
    let chosen: Convolution = |x, w, b, options| conv2d(x, w, b, options.clone());
    for (input, weight, options) in &cases()[..3] {
        let of = |conv| bits(conv, *input, *weight, options, DType::F32);
        assert_eq!(of(chosen), of(ours));
        assert_ne!(of(chosen), of(burns));
    }
    let (input, weight) = ([8, 16, 9, 9], [6, 16, 3, 3]);
    let one = || ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
    for (input, weight, options, dtype) in [
        (
            input,
            weight,
            ConvOptions::new([2, 1], [1, 1], [1, 1], 1),
            DType::F32,
        ),
        (
            input,
            [6, 8, 3, 3],
            ConvOptions::new([1, 1], [1, 1], [1, 1], 2),
            DType::F32,
        ),
        // More zeros than the kernel reaches over.
        (
            input,
            weight,
            ConvOptions::new([1, 1], [3, 3], [1, 1], 1),
            DType::F32,
        ),
        (input, weight, one(), DType::F16),
        // Few positions, few products and none.
        ([64, 16, 6, 6], weight, one(), DType::F32),
        ([1, 1, 9, 9], [6, 1, 3, 3], one(), DType::F32),
        ([0, 16, 9, 9], weight, one(), DType::F32),
    ] {
        let of = |conv| bits(conv, input, weight, &options, dtype);
        assert_eq!(
            of(chosen),
            of(burns),
            "{input:?} {weight:?} {options:?} {dtype:?}"
        );
    }
}

/// The largest elements of windows, and the gradients of a weighted sum of them; to the bit.
fn pooled(image: &[f64], shape: [usize; 4], device: &Device, dtype: DType) -> Vec<Vec<u64>> {
    let x = tensor(image, device, dtype).reshape(shape).require_grad();
    let output = max_pool2d(x.clone(), MaxPoolOptions::new([2, 2]));
    let weights = waves(output.dims(), 2.1, device, dtype);
    let grads = (output.clone() * weights).sum().backward();
    let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect();
    vec![bits(values(output)), bits(values(x.grad(&grads).unwrap()))]
}

/// Few values, so that many windows have several that are equal; some are not numbers or infinite.
fn image(len: usize, with_nan: bool) -> Vec<f64> {
    let value = |i: usize| match (i * 7919) % 23 {
        0 if with_nan => f64::NAN,
        1 | 2 => f64::NEG_INFINITY,
        3 => f64::INFINITY,
        4 => -0.0,
        step => (step / 5) as f64 - 2.0,
    };
    (0..len).map(value).collect()
}

const IMAGES: [[usize; 4]; 6] = [
    [3, 6, 28, 28],
    [5, 16, 10, 10],
    [1, 1, 2, 2],
    [2, 3, 5, 7],
    [1, 2, 3, 67],
    [1, 1, 64, 64],
];

#[test]
fn a_pooling_and_its_gradient_are_those_of_burn_to_the_bit() {
    let flex = [
        Device::flex().autodiff(),
        Device::flex().autodiff().gradient_checkpointing(),
    ];
    for device in flex {
        for dtype in [DType::F32, DType::F64] {
            for shape in IMAGES {
                let image = image(shape.iter().product(), true);
                let got = pooled(&image, shape, &device, dtype);
                let expected = without_fused(|| pooled(&image, shape, &device, dtype));
                assert_eq!(got, expected, "{shape:?} in {dtype:?} on {device:?}");
            }
        }
    }
}

#[test]
#[allow(deprecated)] // ndarray stays supported here.
fn a_pooling_on_ndarray_is_that_of_flex() {
    for shape in IMAGES {
        for with_nan in [false, true] {
            let image = image(shape.iter().product(), with_nan);
            let of = |device: Device| pooled(&image, shape, &device.autodiff(), DType::F32);
            assert_eq!(of(Device::ndarray()), of(Device::flex()), "{shape:?}");
        }
    }
}

#[test]
fn poolings_without_a_kernel_are_burns() {
    let device = Device::flex();
    let two = || MaxPoolOptions::new([2, 2]);
    for (shape, options) in [
        ([2, 3, 5, 6], MaxPoolOptions::new([3, 3])),
        ([2, 3, 5, 6], two().with_stride([1, 1])),
        ([2, 3, 5, 6], two().with_padding([1, 1])),
        ([2, 3, 5, 6], two().with_ceil_mode(true)),
        ([2, 3, 5, 6], two().with_dilation([2, 1])),
        ([2, 3, 1, 6], two()),
        ([0, 3, 4, 4], two()),
    ] {
        let run = || {
            let pooled = max_pool2d(waves(shape, 0.7, &device, DType::F32), options.clone());
            (pooled.dims(), values(pooled))
        };
        assert_eq!(run(), without_fused(run), "{shape:?} {options:?}");
    }
}
