//! The weights of all gates side by side, so that a step needs one product instead of one for each gate.

use blitz_core::{WeightReading, at_least_f32, in_type_of, type_of_numbers};
use burn::module::Param;
use burn::nn::{GateController, Linear};
use burn::tensor::module::linear;
use burn::tensor::{DType, Tensor, s};

use crate::estimator::Estimator;

/// An affine map into all gates at once, with the weights of the open draw: `x W + b`, or in flipout
/// `x M + ((x ∘ r) ΔW) ∘ s + b` with a row's own signs r and s, which stay the same through the sequence.
pub(crate) struct Affine {
    /// `[features, gates * d_hidden]`.
    weight: Repeated,
    /// Each row's own part of the weight, in flipout.
    flips: Option<Flips>,
    /// `[1 or batch_size, gates * d_hidden]`, the same at each step.
    bias: Option<Repeated>,
}

struct Flips {
    delta: Repeated,
    input_signs: Tensor<2>,
    output_signs: Tensor<2>,
}

/// What each step reads, kept in `f32` at least: the gradients of many steps would lose their digits if they were
/// added up in 16 bits.
pub(crate) struct Repeated {
    wide: Tensor<2>,
    dtype: DType,
}

impl Repeated {
    pub fn new(value: Tensor<2>) -> Self {
        let dtype = type_of_numbers(&value);
        Self {
            wide: at_least_f32(value),
            dtype,
        }
    }

    /// As it was, in its own type.
    pub fn read(&self) -> Tensor<2> {
        self.wide.clone().cast(self.dtype)
    }
}

impl Affine {
    /// The map of the input into `gates`, for the rows of the sequence `input`.
    pub fn of_input<'a>(
        gates: impl IntoIterator<Item = &'a GateController>,
        estimator: Estimator,
        input: &Tensor<3>,
    ) -> Self {
        let gates = gates.into_iter().map(|gate| &gate.input_transform);
        Self::new(gates.collect(), estimator, input)
    }

    /// The map of the hidden state into `gates`, for the rows of the sequence `input`.
    pub fn of_hidden<'a>(
        gates: impl IntoIterator<Item = &'a GateController>,
        estimator: Estimator,
        input: &Tensor<3>,
    ) -> Self {
        let gates = gates.into_iter().map(|gate| &gate.hidden_transform);
        Self::new(gates.collect(), estimator, input)
    }

    fn new(gates: Vec<&Linear>, estimator: Estimator, input: &Tensor<3>) -> Self {
        let biases: Vec<_> = gates
            .iter()
            .filter_map(|gate| gate.bias.as_ref())
            .map(|bias| vector(bias, estimator, input))
            .collect();
        let (weight, flips) = match estimator {
            Estimator::Flipout => flipped(&gates, input),
            _ => {
                let weights = gates.iter().map(|gate| dense(gate.weight.val(), input));
                (Tensor::cat(weights.collect(), 1), None)
            }
        };
        Self {
            weight: Repeated::new(weight),
            flips,
            bias: (!biases.is_empty()).then(|| Repeated::new(Tensor::cat(biases, 1))),
        }
    }

    /// The weight, if all rows have the same and nothing else is added.
    pub fn shared_weight(&self) -> Option<Tensor<2>> {
        (self.flips.is_none() && self.bias.is_none()).then(|| self.weight.read())
    }

    /// Adds the biases of `other`, which maps into the same gates, to these and takes them from it.
    pub fn take_bias(&mut self, other: &mut Self) {
        self.bias = match (self.bias.take(), other.bias.take()) {
            (Some(a), Some(b)) => Some(Repeated::new(a.read() + b.read())),
            (a, b) => a.or(b),
        };
    }

    /// Maps one step `[batch_size, features]` or a sequence `[seq_length, batch_size, features]`.
    pub fn apply<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let product = self.product(input);
        match &self.bias {
            Some(bias) => product + bias.read().unsqueeze(),
            None => product,
        }
    }

    fn product<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let weight = self.weight.read();
        let Some(flips) = &self.flips else {
            return all_rows(input, weight);
        };
        let flipped = input.clone() * flips.input_signs.clone().unsqueeze();
        let perturbation =
            all_rows(flipped, flips.delta.read()) * flips.output_signs.clone().unsqueeze();
        all_rows(input, weight) + perturbation
    }
}

/// The product of a step or a sequence with a weight, as one of all rows: else each step would be a product of its own,
/// with a gradient of the weight of its own.
fn all_rows<const D: usize>(input: Tensor<D>, weight: Tensor<2>) -> Tensor<D> {
    let mut dims = input.dims();
    let [features, width] = weight.dims();
    let rows = dims[..D - 1].iter().product();
    dims[D - 1] = width;
    linear::<2>(input.reshape([rows, features]), weight, None).reshape(dims)
}

/// The means of the gates' weights, and what is each row's own.
fn flipped(gates: &[&Linear], input: &Tensor<3>) -> (Tensor<2>, Option<Flips>) {
    let [_, rows, _] = input.dims();
    let weights: Vec<_> = gates
        .iter()
        .map(|gate| WeightReading::with_perturbation(&gate.weight))
        .collect();
    let signs = weights.iter().find_map(|weight| match weight {
        WeightReading::Split(weight) => {
            let [features, d_hidden] = weight.mean.dims();
            let shape = [rows, features + d_hidden * gates.len()];
            Some(weight.row_signs(shape, &weight.mean))
        }
        WeightReading::Value(_) => None,
    });
    let (means, deltas): (Vec<_>, Vec<_>) = weights
        .into_iter()
        .map(|weight| match weight {
            WeightReading::Split(weight) => (weight.mean, weight.part),
            WeightReading::Value(value) => {
                let value = dense(value, input);
                (value.clone(), value.zeros_like())
            }
        })
        .unzip();
    let mean = Tensor::cat(means, 1);
    let flips = signs.map(|signs: Tensor<2>| {
        let [features, _] = mean.dims();
        Flips {
            delta: Repeated::new(Tensor::cat(deltas, 1)),
            input_signs: signs.clone().slice(s![.., ..features]),
            output_signs: signs.slice(s![.., features..]),
        }
    });
    (mean, flips)
}

/// A weight as it is, or if it is quantized, the numbers that it stands for in the type of the input.
///
/// Burn puts quantized tensors side by side by quantizing all of them anew, under the scale of the largest: gates of
/// small weights would lose them.
fn dense<const D: usize>(weight: Tensor<D>, input: &Tensor<3>) -> Tensor<D> {
    match weight.dtype() {
        DType::QFloat(_) => in_type_of(weight, input),
        _ => weight,
    }
}

/// A weight that multiplies elementwise, or a bias, as `[1, d_hidden]`, or in flipout as each row's own
/// `[batch_size, d_hidden]`: `m + δ ∘ s`.
pub(crate) fn vector(
    param: &Param<Tensor<1>>,
    estimator: Estimator,
    input: &Tensor<3>,
) -> Tensor<2> {
    if estimator != Estimator::Flipout {
        return dense(param.val(), input).unsqueeze();
    }
    let [_, rows, _] = input.dims();
    match WeightReading::with_perturbation(param) {
        WeightReading::Value(value) => {
            let [d_hidden] = value.dims();
            dense(value, input)
                .unsqueeze::<2>()
                .expand([rows, d_hidden])
        }
        WeightReading::Split(weight) => {
            let [d_hidden] = weight.mean.dims();
            let signs: Tensor<2> = weight.row_signs([rows, d_hidden], &weight.mean);
            weight.mean.unsqueeze() + weight.part.unsqueeze() * signs
        }
    }
}

/// The part `[batch_size, d_hidden]` of one step's pre-activations that belongs to the gate at `index`.
pub(crate) fn gate(pre_activations: &Tensor<2>, index: usize, d_hidden: usize) -> Tensor<2> {
    pre_activations
        .clone()
        .slice(s![.., index * d_hidden..(index + 1) * d_hidden])
}

/// The steps of `[seq_length, batch_size, features]`.
///
/// Cut in halves again and again: the backward pass of one cut writes a gradient as large as what it is cut from, so
/// that cutting each step out of the whole sequence would cost the square of its length.
pub(crate) fn steps(sequence: Tensor<3>) -> Vec<Tensor<2>> {
    let [length, ..] = sequence.dims();
    if length == 1 {
        return vec![sequence.squeeze_dim(0)];
    }
    let middle = length / 2;
    let mut halves = steps(sequence.clone().slice(s![..middle]));
    halves.extend(steps(sequence.slice(s![middle..])));
    halves
}

/// Runs `step` over the steps of sequences, in the order of time or against it, and puts its outputs in the order of
/// time.
pub(crate) fn scan<const N: usize>(
    sequences: [Tensor<3>; N],
    reverse: bool,
    mut step: impl FnMut([Tensor<2>; N]) -> Tensor<2>,
) -> Tensor<3> {
    let [length, ..] = sequences[0].dims();
    let mut inputs = sequences.map(|sequence| {
        let mut steps = steps(sequence);
        if reverse {
            steps.reverse();
        }
        steps.into_iter()
    });
    let next = |steps: &mut std::vec::IntoIter<_>| steps.next().expect("one for each step");
    let mut outputs: Vec<_> = (0..length)
        .map(|_| step(inputs.each_mut().map(next)))
        .collect();
    if reverse {
        outputs.reverse();
    }
    Tensor::stack(outputs, 0)
}
