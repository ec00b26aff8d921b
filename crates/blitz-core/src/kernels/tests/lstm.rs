//! An LSTM in one operation against the same step by step, with the gradients that Burn derives.

use super::*;
use crate::kernels::backend::FusedKernels;
use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Slice, s};

/// Steps, rows and hidden units. The last two are shared by the cores, and have a weight too large for a core's cache.
const SHAPES: [[usize; 3]; 8] = [
    [1, 1, 1],
    [5, 3, 2],
    [3, 2, 63],
    [4, 3, 64],
    [2, 5, 65],
    [7, 2, 130],
    [5, 7, 130],
    [2, 3, 300],
];

type Lstm = fn(Tensor<3>, Tensor<2>, Tensor<2>, Tensor<2>) -> Option<(Tensor<3>, Tensor<2>)>;

/// The formula of [`lstm`], as tensor operations.
fn step_by_step(
    pre_activations: Tensor<3>,
    weight: Tensor<2>,
    mut hidden: Tensor<2>,
    mut cell: Tensor<2>,
) -> Option<(Tensor<3>, Tensor<2>)> {
    use burn::tensor::activation::tanh;

    // Burn's own is computed in `f32` on NdArray and on CUDA, whatever the type.
    let sigmoid = |x: Tensor<2>| x.neg().exp().add_scalar(1.0).recip();
    let size = hidden.dims()[1];
    let steps = pre_activations.dims()[0];
    let outputs: Vec<_> = (0..steps)
        .map(|step| {
            let from_input = pre_activations.clone().slice(s![step..step + 1]);
            let gates = from_input.squeeze_dim(0) + hidden.clone().matmul(weight.clone());
            let gate = |index: usize| {
                gates
                    .clone()
                    .slice(s![.., index * size..(index + 1) * size])
            };
            cell = sigmoid(gate(1)) * cell.clone() + sigmoid(gate(0)) * tanh(gate(3));
            hidden = sigmoid(gate(2)) * tanh(cell.clone());
            hidden.clone()
        })
        .collect();
    Some((Tensor::stack(outputs, 0), cell))
}

fn waves<const D: usize>(shape: [usize; D], step: f64, device: &Device, dtype: DType) -> Tensor<D> {
    let len = shape.iter().product::<usize>();
    let values: Vec<f64> = (0..len).map(|i| 1.5 * (step * i as f64).sin()).collect();
    tensor(&values, device, dtype).reshape(shape)
}

/// The outputs and the last cell state, and the gradients of a weighted sum of both in all that went in.
fn results(
    lstm: Lstm,
    [steps, rows, size]: [usize; 3],
    device: &Device,
    dtype: DType,
) -> Vec<Vec<f64>> {
    let inputs = waves([steps, rows, 4 * size], 0.7, device, dtype).require_grad();
    // Read in another order than it lies in.
    let weight = waves([4 * size, size], 1.3, device, dtype) / (size as f64).sqrt();
    let weight = weight.detach().require_grad();
    let hidden = waves([rows, size], 0.4, device, dtype).require_grad();
    let cell = waves([rows, size], 0.9, device, dtype).require_grad();
    let (output, last) = lstm(
        inputs.clone(),
        weight.clone().transpose(),
        hidden.clone(),
        cell.clone(),
    )
    .unwrap();
    let weights = waves([steps, rows, size], 2.1, device, dtype);
    let last_weights = waves([rows, size], 1.7, device, dtype);
    let loss = (output.clone() * weights).sum() + (last.clone() * last_weights).sum();
    let grads = loss.backward();
    vec![
        values(output),
        values(last),
        values(inputs.grad(&grads).unwrap()),
        values(weight.grad(&grads).unwrap()),
        values(hidden.grad(&grads).unwrap()),
        values(cell.grad(&grads).unwrap()),
    ]
}

/// Holds the operation on one device to the steps on the same.
pub(in crate::kernels) fn is_that_of_its_steps(device: &Device, dtype: DType, tolerance: f64) {
    for shape in SHAPES {
        let got = results(lstm, shape, device, dtype);
        let expected = results(step_by_step, shape, device, dtype);
        for (part, (got, expected)) in got.iter().zip(&expected).enumerate() {
            let size = expected.iter().fold(1f64, |size, x| size.max(x.abs()));
            assert_eq!(got.len(), expected.len());
            for (got, expected) in got.iter().zip(expected) {
                assert!(
                    (got - expected).abs() <= tolerance * size,
                    "result {part} of {shape:?} in {dtype:?} on {device:?}: {got} for {expected}"
                );
            }
        }
    }
}

#[test]
fn an_lstm_in_one_operation_is_that_of_its_steps() {
    for device in autodiff_devices() {
        is_that_of_its_steps(&device, DType::F32, 2e-6);
        is_that_of_its_steps(&device, DType::F64, 1e-13);
    }
}

#[test]
fn an_lstm_over_no_rows_has_no_outputs() {
    // Burn's own product of no rows panics on NdArray.
    let device = Device::flex();
    let of = |shape| Tensor::<2>::zeros(shape, &device);
    let inputs = Tensor::<3>::zeros([3, 0, 20], &device);
    let (output, cell) = lstm(inputs, of([5, 20]), of([0, 5]), of([0, 5])).unwrap();
    assert_eq!((output.dims(), cell.dims()), ([3, 0, 5], [0, 5]));
}

#[test]
fn an_lstm_without_autodiff_and_in_half_precision_is_rounded_and_no_more() {
    // NdArray has no half precision.
    let device = Device::flex();
    let run = |dtype| {
        let of = |shape, step| waves::<2>(shape, step, &device, DType::F32).cast(dtype);
        let inputs = waves::<3>([3, 2, 20], 0.7, &device, DType::F32).cast(dtype);
        let states = [of([2, 5], 0.4), of([2, 5], 0.9)];
        let [hidden, cell] = states;
        let (output, _) = lstm(inputs, of([5, 20], 1.3), hidden, cell).unwrap();
        assert_eq!(output.dtype(), dtype);
        values(output)
    };
    for (got, expected) in run(DType::F16).iter().zip(run(DType::F32)) {
        assert!((got - expected).abs() < 4e-3, "{got} for {expected}");
    }
}

/// The gate at `index` of four that lie side by side.
fn gate<B: FusedKernels>(gates: &FloatTensor<B>, index: usize) -> FloatTensor<B> {
    let [_, width] = gates.shape().dims();
    let size = width / 4;
    let part: [Slice; 2] = s![.., index * size..(index + 1) * size];
    B::float_slice(gates.clone(), &part)
}

/// [`FusedKernels::lstm_cell`] by tensor operations.
fn cell_by_operations<B: FusedKernels>(
    gates: FloatTensor<B>,
    cell: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let [input, forget, output] = [0, 1, 2].map(|index| B::sigmoid(gate::<B>(&gates, index)));
    let candidate = B::float_tanh(gate::<B>(&gates, 3));
    let kept = B::float_mul(forget.clone(), cell);
    let cell = B::float_add(kept, B::float_mul(input.clone(), candidate.clone()));
    let hidden = B::float_mul(output.clone(), B::float_tanh(cell.clone()));
    let gates = B::float_cat(vec![input, forget, output, candidate], 1);
    (gates, cell, hidden)
}

/// [`FusedKernels::lstm_cell_backward`] by tensor operations.
fn cell_backward_by_operations<B: FusedKernels>(
    gates: FloatTensor<B>,
    [before, after]: [FloatTensor<B>; 2],
    hidden_grad: FloatTensor<B>,
    cell_grad: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>) {
    // x (1 − x), the derivative of the logistic function at its value x.
    let logistic = |x: FloatTensor<B>| B::float_sub(x.clone(), B::float_mul(x.clone(), x));
    // 1 − x².
    let tanh = |x: FloatTensor<B>| {
        let negative = B::float_neg(B::float_mul(x.clone(), x));
        B::float_add_scalar(negative, 1.0.into())
    };
    let [input, forget, output, candidate] = [0, 1, 2, 3].map(|index| gate::<B>(&gates, index));
    let squashed = B::float_tanh(after);
    let output_grad = B::float_mul(hidden_grad.clone(), squashed.clone());
    let through = B::float_mul(B::float_mul(hidden_grad, output.clone()), tanh(squashed));
    let cell_grad = B::float_add(cell_grad, through);
    let grads = [
        (
            B::float_mul(cell_grad.clone(), candidate.clone()),
            logistic(input.clone()),
        ),
        (
            B::float_mul(cell_grad.clone(), before),
            logistic(forget.clone()),
        ),
        (output_grad, logistic(output)),
        (B::float_mul(cell_grad.clone(), input), tanh(candidate)),
    ];
    let grads = grads.map(|(grad, slope)| B::float_mul(grad, slope));
    (
        B::float_cat(grads.into(), 1),
        B::float_mul(cell_grad, forget),
    )
}

#[test]
fn tensor_operations_of_a_cell_are_those_of_its_one_pass() {
    type Flex = burn::backend::Flex;
    use burn::backend::flex::FlexTensor;
    use burn::tensor::TensorData;

    let wave = |shape: [usize; 2], step: f64| {
        let values: Vec<f32> = (0..shape[0] * shape[1])
            .map(|i| (step * i as f64).sin() as f32)
            .collect();
        FlexTensor::from_data(TensorData::new(values, shape))
    };
    let numbers = |tensors: &[FlexTensor]| -> Vec<f32> {
        let slices = tensors.iter().map(|tensor| tensor.to_contiguous());
        slices
            .flat_map(|tensor| tensor.storage::<f32>().to_vec())
            .collect()
    };
    let (gates, cell) = (wave([3, 4 * 70], 0.7), wave([3, 70], 0.3));
    let (a, b, c) = cell_by_operations::<Flex>(gates.clone(), cell.clone());
    let (d, e, f) = Flex::lstm_cell(gates, cell.clone());
    let [plain, fused] = [numbers(&[a, b, c]), numbers(&[d.clone(), e.clone(), f])];
    let grads = || (wave([3, 70], 1.1), wave([3, 70], 0.2));
    let (h, k) = grads();
    let cells = || [cell.clone(), e.clone()];
    let (a, b) = cell_backward_by_operations::<Flex>(d.clone(), cells(), h, k);
    let (h, k) = grads();
    let (f, g) = Flex::lstm_cell_backward(d, cells(), h, k);
    for (plain, fused) in [(plain, fused), (numbers(&[a, b]), numbers(&[f, g]))] {
        assert_eq!(plain.len(), fused.len());
        for (plain, fused) in plain.iter().zip(&fused) {
            assert!((plain - fused).abs() < 1e-6, "{plain} {fused}");
        }
    }
}

#[test]
#[should_panic(expected = "got [3, 2, 8], [3, 8], [2, 3] and [2, 3]")]
fn an_lstm_of_shapes_that_do_not_fit_is_refused() {
    let device = Device::flex();
    let _ = lstm(
        Tensor::zeros([3, 2, 8], &device),
        Tensor::zeros([3, 8], &device),
        Tensor::zeros([2, 3], &device),
        Tensor::zeros([2, 3], &device),
    );
}
