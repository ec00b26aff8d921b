//! The sums of a convolution with every kind of registers, against their formula.

use super::*;

/// Sizes of input, weight and output, zeros on each side, and steps between a kernel's elements.
const CASES: [([usize; 4], [usize; 4], Window); 6] = [
    (
        [2, 1, 9, 11],
        [6, 1, 5, 5],
        window([(2, 2), (2, 2)], [1, 1]),
    ),
    ([3, 6, 14, 14], [16, 6, 5, 5], window([(0, 0); 2], [1, 1])),
    ([1, 3, 4, 5], [7, 3, 1, 1], window([(0, 0); 2], [1, 1])),
    (
        [17, 2, 5, 40],
        [9, 2, 3, 2],
        window([(1, 0), (0, 1)], [1, 1]),
    ),
    (
        [2, 5, 1, 8],
        [17, 5, 1, 3],
        window([(0, 0), (4, 1)], [1, 2]),
    ),
    ([1, 2, 6, 1], [1, 2, 2, 1], window([(3, 2), (0, 0)], [3, 1])),
];

const fn window(padding: [(usize, usize); 2], dilation: [usize; 2]) -> Window {
    Window { padding, dilation }
}

/// The terms of a convolution: the places of an output, an element and a weight.
fn terms(geometry: &Geometry) -> Vec<[usize; 3]> {
    let [kernel_height, kernel_width] = geometry.kernel;
    let [height, width] = geometry.input;
    let [height_out, width_out] = geometry.output();
    let inside = |axis: usize, output: usize, element: usize, size: usize| {
        let at = output + element * geometry.window.dilation[axis];
        let at = at.checked_sub(geometry.window.padding[axis].0)?;
        (at < size).then_some(at)
    };
    let mut terms = Vec::new();
    for n in 0..geometry.images {
        for o in 0..geometry.channels_out {
            for (y, x) in (0..height_out).flat_map(|y| (0..width_out).map(move |x| (y, x))) {
                for c in 0..geometry.channels_in {
                    for i in 0..kernel_height {
                        for j in 0..kernel_width {
                            if let (Some(row), Some(column)) =
                                (inside(0, y, i, height), inside(1, x, j, width))
                            {
                                let output = ((n * geometry.channels_out + o) * height_out + y)
                                    * width_out
                                    + x;
                                let element = ((n * geometry.channels_in + c) * height + row)
                                    * width
                                    + column;
                                let weight = ((o * geometry.channels_in + c) * kernel_height + i)
                                    * kernel_width
                                    + j;
                                terms.push([output, element, weight]);
                            }
                        }
                    }
                }
            }
        }
    }
    terms
}

fn waves<E: Float>(len: usize, step: f64) -> Vec<E> {
    (0..len)
        .map(|i| E::from_f64((step * i as f64 + 0.3).sin()))
        .collect()
}

fn assert_close<E: Float>(got: &[E], expected: &[f64], what: &str) {
    // Of up to two hundred terms around 1.
    let tolerance = if size_of::<E>() == 4 { 3e-5 } else { 1e-13 };
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let got = got.to_f64();
        let error = (got - expected).abs();
        assert!(
            error <= tolerance * expected.abs().max(1.0),
            "{what}, element {i}: {got} for {expected}"
        );
    }
}

fn follows_its_formula<E: Float>() {
    for registers in Registers::available() {
        for (input_shape, weight_shape, window) in CASES {
            let geometry = Geometry::of(input_shape, weight_shape, window);
            let outputs_len = geometry.images * geometry.channels_out * geometry.output_area();
            let input = waves::<E>(input_shape.iter().product(), 0.7);
            let weight = waves::<E>(weight_shape.iter().product(), 1.1);
            let bias = waves::<E>(geometry.channels_out, 2.3);
            let grad = waves::<E>(outputs_len, 0.4);

            let of_bias = |i: usize| i / geometry.output_area() % geometry.channels_out;
            let mut output: Vec<_> = (0..outputs_len)
                .map(|i| bias[of_bias(i)].to_f64())
                .collect();
            let mut input_grads = vec![0.0; input.len()];
            let mut weight_grads = vec![0.0; weight.len()];
            let mut bias_grads = vec![0.0; bias.len()];
            for [o, x, w] in terms(&geometry) {
                output[o] += input[x].to_f64() * weight[w].to_f64();
                input_grads[x] += grad[o].to_f64() * weight[w].to_f64();
                weight_grads[w] += grad[o].to_f64() * input[x].to_f64();
            }
            for (i, grad) in grad.iter().enumerate() {
                bias_grads[of_bias(i)] += grad.to_f64();
            }

            let what = |part: &str| format!("{part} of {geometry:?} with {registers:?}");
            let got = outputs(*registers, &geometry, &input, &weight, &bias);
            assert_close(&got, &output, &what("output"));
            let got = input_grad(*registers, &geometry, &weight, &grad);
            assert_close(&got, &input_grads, &what("gradient of the input"));
            let (of_weight, of_bias) = weight_grad(*registers, &geometry, &input, &grad);
            assert_close(&of_weight, &weight_grads, &what("gradient of the weight"));
            assert_close(&of_bias, &bias_grads, &what("gradient of the bias"));
        }
    }
}

#[test]
fn a_convolution_and_its_gradients_follow_their_formula_with_all_registers() {
    follows_its_formula::<f32>();
    follows_its_formula::<f64>();
}

/// The output and the gradients of input, weight and bias.
fn results(
    registers: Registers,
    (input_shape, weight_shape, window): ([usize; 4], [usize; 4], Window),
) -> [Vec<f32>; 4] {
    let geometry = Geometry::of(input_shape, weight_shape, window);
    let outputs_len = geometry.images * geometry.channels_out * geometry.output_area();
    let input = waves(input_shape.iter().product(), 0.7);
    let weight = waves(weight_shape.iter().product(), 1.1);
    let bias = waves(geometry.channels_out, 2.3);
    let grad = waves(outputs_len, 0.4);
    let (of_weight, of_bias) = weight_grad(registers, &geometry, &input, &grad);
    [
        outputs(registers, &geometry, &input, &weight, &bias),
        input_grad(registers, &geometry, &weight, &grad),
        of_weight,
        of_bias,
    ]
}

#[test]
fn a_convolution_has_the_same_bits_with_all_registers_and_any_number_of_threads() {
    for case in CASES {
        let expected = results(Registers::widest(), case);
        for registers in Registers::available() {
            for threads in [1, 2, 3, 7] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                let got = pool.unwrap().install(|| results(*registers, case));
                assert_eq!(got, expected, "{case:?} {registers:?}, {threads} threads");
            }
        }
    }
}
