//! The Bayesian counterpart of Burn's [`Lstm`](burn::nn::Lstm) and [`BiLstm`](burn::nn::BiLstm), stacked and with
//! peepholes.

use blitz_core::kernels;
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::activation::{Activation, ActivationConfig};
use burn::nn::{GateController, LstmConfig, LstmState};
use burn::tensor::{Bool, Device, Tensor, s};

use super::gates::{Affine, Repeated, gate, scan, vector};
use super::padding::{Held, Padding, held};
use super::{Recurrent, RecurrentCell, stack, unstack};
use crate::estimator::Estimator;
use crate::weights::{WeightsConfig, configures_weights};

/// Configuration to create a [`BayesianLstm`] layer using the [init function](BayesianLstmConfig::init).
///
/// | field | default | meaning |
/// |---|---|---|
/// | `d_input`, `d_hidden` | | the sizes, as in Burn's `LstmConfig` |
/// | `bias` | | whether biases are added; they are Bayesian as well |
/// | `num_layers` | 1 | layers stacked, each on the outputs of the one below |
/// | `bidirectional` | false | a second set of weights runs from the end of the sequence |
/// | `peephole` | false | the gates see the cell state (Gers & Schmidhuber 2000) |
/// | `batch_first`, `reverse`, `clip`, `input_forget`, `*_activation` | Burn's | as in Burn's `LstmConfig` |
/// | `weights` | [`WeightsConfig`]'s | posterior, prior and initial means of every weight |
/// | `estimator` | shared weights | shared weights or flipout |
///
/// Parameters of an activation, such as PReLU's, are Burn's own and get no posterior.
#[derive(Config, Debug)]
pub struct BayesianLstmConfig {
    /// The size of the input features.
    pub d_input: usize,
    /// The size of the hidden state.
    pub d_hidden: usize,
    /// If biases should be added.
    pub bias: bool,
    /// The number of layers stacked.
    #[config(default = 1)]
    pub num_layers: usize,
    /// If each layer runs in both directions.
    #[config(default = false)]
    pub bidirectional: bool,
    /// If the gates see the cell state.
    #[config(default = false)]
    pub peephole: bool,
    /// If true, the input is `[batch_size, seq_length, d_input]`, else `[seq_length, batch_size, d_input]`.
    #[config(default = true)]
    pub batch_first: bool,
    /// If true, the sequence is run through from its end.
    #[config(default = false)]
    pub reverse: bool,
    /// Clips the cell state to `[-clip, clip]` after each step.
    pub clip: Option<f64>,
    /// If true, the forget gate is `1 - i`, with no weights of its own.
    #[config(default = false)]
    pub input_forget: bool,
    /// The activation of the input, forget and output gates.
    #[config(default = "ActivationConfig::Sigmoid")]
    pub gate_activation: ActivationConfig,
    /// The activation of the candidate cell state.
    #[config(default = "ActivationConfig::Tanh")]
    pub cell_activation: ActivationConfig,
    /// The activation of the cell state on its way to the hidden state.
    #[config(default = "ActivationConfig::Tanh")]
    pub hidden_activation: ActivationConfig,
    /// The posterior, the prior and the initial means of every weight.
    #[config(default = "WeightsConfig::new()")]
    pub weights: WeightsConfig,
    /// How the pre-activations are sampled.
    #[config(default = "Estimator::SharedWeights")]
    pub estimator: Estimator,
}

/// A long short-term memory with weights drawn from their posterior, once for a whole sequence.
///
/// Should be created with [`BayesianLstmConfig`]. Each step computes, with the gates' activation σ,
///
/// ```text
/// i = σ(x W_i + h U_i + b_i [+ p_i ∘ c])
/// f = σ(x W_f + h U_f + b_f [+ p_f ∘ c])       or 1 − i, with input_forget
/// c' = f ∘ c + i ∘ tanh(x W_c + h U_c + b_c)
/// o = σ(x W_o + h U_o + b_o [+ p_o ∘ c'])
/// h' = o ∘ tanh(c')
/// ```
///
/// where the terms in brackets are the peepholes of Gers & Schmidhuber, *Recurrent nets that time and count* (2000):
/// the input and forget gates see the cell state before the step, the output gate the one after it, each cell its own.
///
/// One sample of the weights serves all steps, inside a [draw](blitz_core::Draw) or without one. With
/// [flipout](Estimator::Flipout) each row of the batch has weights of its own, which it keeps from step to step and
/// from call to call of one draw. [Local reparameterization](Estimator::LocalReparameterization) is refused: what it
/// samples at each step is no joint sample of the weights through time.
///
/// A record of Burn's `Lstm` or `BiLstm` loads into the means of a layer of the same options
/// (with [`allow_partial`](burn::store::ModuleRecord::allow_partial)).
///
/// ```
/// use blitz_layers::prelude::*;
/// use burn::tensor::{Device, Tensor, s};
///
/// let device = Device::flex();
/// let lstm = BayesianLstmConfig::new(3, 8, true).with_num_layers(2).with_bidirectional(true).init(&device);
/// let x = Tensor::<3>::ones([4, 10, 3], &device);
/// let (output, state) = lstm.forward(x, None);
/// assert_eq!(output.dims(), [4, 10, 16]);
/// assert_eq!(state.hidden.dims(), [4, 4, 8]); // two layers in two directions
/// ```
pub type BayesianLstm = Recurrent<BayesianLstmCell>;

/// One layer of a [`BayesianLstm`] in one direction: the gates, named as in Burn's `Lstm`.
#[derive(Module, Debug)]
pub struct BayesianLstmCell {
    /// The input gate.
    pub input_gate: GateController,
    /// The forget gate; absent with `input_forget`.
    pub forget_gate: Option<GateController>,
    /// The output gate.
    pub output_gate: GateController,
    /// The candidate cell state.
    pub cell_gate: GateController,
    /// The gates' view of the cell state.
    pub peephole: Option<Peephole>,
    /// Clips the cell state.
    #[module(skip)]
    pub clip: Option<f64>,
    /// The activation of the input, forget and output gates.
    pub gate_activation: Activation,
    /// The activation of the candidate cell state.
    pub cell_activation: Activation,
    /// The activation of the cell state on its way to the hidden state.
    pub hidden_activation: Activation,
}

/// The weights from each cell's state to its own gates, vectors of size `d_hidden`.
#[derive(Module, Debug)]
pub struct Peephole {
    /// To the input gate.
    pub input: Param<Tensor<1>>,
    /// To the forget gate; absent with `input_forget`.
    pub forget: Option<Param<Tensor<1>>>,
    /// To the output gate.
    pub output: Param<Tensor<1>>,
}

configures_weights! {
    BayesianLstmConfig => BayesianLstm, ;
    /// Panics if a size or `num_layers` is zero, if a bidirectional layer shall be `reverse`, if the estimator is local
    /// reparameterization or doesn't allow a posterior, or if `clip` is not positive.
}

impl BayesianLstmConfig {
    /// The means alone.
    fn deterministic(&self, device: &Device) -> BayesianLstm {
        let sizes = [self.d_input, self.d_hidden];
        let cell = |d_input| self.cell(d_input, device);
        Recurrent {
            layers: stack(sizes, self.num_layers, self.bidirectional, cell),
            batch_first: self.batch_first,
            reverse: self.reverse,
            estimator: self.estimator,
        }
        .checked(self.clip)
    }

    fn cell(&self, d_input: usize, device: &Device) -> BayesianLstmCell {
        let size = self.d_hidden;
        let burn = LstmConfig::new(d_input, size, self.bias);
        let initializer = self.weights.initializer_or(burn.initializer);
        let gate = || GateController::new(d_input, size, self.bias, initializer.clone(), device);
        let peephole = || {
            let vector = || initializer.init_with([size], Some(size), Some(size), device);
            Peephole {
                input: vector(),
                forget: (!self.input_forget).then(vector),
                output: vector(),
            }
        };
        BayesianLstmCell {
            input_gate: gate(),
            forget_gate: (!self.input_forget).then(gate),
            output_gate: gate(),
            cell_gate: gate(),
            peephole: self.peephole.then(peephole),
            clip: self.clip,
            gate_activation: self.gate_activation.init(device),
            cell_activation: self.cell_activation.init(device),
            hidden_activation: self.hidden_activation.init(device),
        }
    }
}

impl RecurrentCell for BayesianLstmCell {
    type State = LstmState<2>;

    const LAYER: &'static str = "BayesianLstm";

    fn gate(&self) -> &GateController {
        &self.input_gate
    }

    fn initial_state(&self, input: &Tensor<3>) -> LstmState<2> {
        let [_, batch_size, _] = input.dims();
        let options = (&input.device(), input.dtype());
        let zeros = Tensor::zeros([batch_size, self.d_hidden()], options);
        LstmState::new(zeros.clone(), zeros)
    }

    fn run(
        &self,
        input: Tensor<3>,
        padding: Option<Tensor<3, Bool>>,
        state: LstmState<2>,
        reverse: bool,
        estimator: Estimator,
    ) -> (Tensor<3>, LstmState<2>) {
        let size = self.d_hidden();
        let mut from_input = Affine::of_input(self.gates(), estimator, &input);
        let mut from_hidden = Affine::of_hidden(self.gates(), estimator, &input);
        // Added once to the whole sequence.
        from_input.take_bias(&mut from_hidden);
        let from_input = from_input.apply(input.clone());
        let in_one_step = self.is_plain() && padding.is_none();
        let weight = from_hidden.shared_weight().filter(|_| in_one_step);
        let fused = weight.and_then(|weight| in_one(&from_input, &weight, &state, reverse));
        if let Some(result) = fused {
            return result;
        }

        let [to_input, to_forget, to_output] = self.peepholes(estimator, &input);
        let (mut cell, mut hidden) = state.unpack();
        let see = |gate: Tensor<2>, cell: &Tensor<2>, peephole: &Option<Repeated>| match peephole {
            Some(weight) => gate + cell.clone() * weight.read(),
            None => gate,
        };
        let mut steps = Held::new(padding, reverse);
        let output = scan([from_input], reverse, |[step]| {
            let padded = steps.next(|| (cell.clone(), hidden.clone()));
            let gates = step + from_hidden.apply(hidden.clone());
            let mut gates = (0..).map(|index| gate(&gates, index, size));
            let mut next = || gates.next().expect("an endless iterator");

            let input_values = self.gate_activation.forward(see(next(), &cell, &to_input));
            let forget_values = match self.forget_gate {
                Some(_) => self.gate_activation.forward(see(next(), &cell, &to_forget)),
                None => input_values.clone().neg().add_scalar(1.0),
            };
            let output_gate = next();
            let candidate = self.cell_activation.forward(next());
            cell = forget_values * cell.clone() + input_values * candidate;
            if let Some(clip) = self.clip {
                cell = cell.clone().clamp(-clip, clip);
            }
            let output_values = self
                .gate_activation
                .forward(see(output_gate, &cell, &to_output));
            hidden = output_values * self.hidden_activation.forward(cell.clone());
            if let Some((mask, (cell_before, hidden_before))) = padded {
                cell = held(cell.clone(), cell_before, &mask);
                hidden = held(hidden.clone(), hidden_before, &mask);
            }
            hidden.clone()
        });
        (output, LstmState::new(cell, hidden))
    }
}

/// A whole sequence as one operation of the device, if it has that.
fn in_one(
    from_input: &Tensor<3>,
    weight: &Tensor<2>,
    state: &LstmState<2>,
    reverse: bool,
) -> Option<(Tensor<3>, LstmState<2>)> {
    let in_order = |sequence: Tensor<3>| match reverse {
        true => sequence.flip([0]),
        false => sequence,
    };
    let LstmState { cell, hidden } = state.clone();
    let (output, cell) = kernels::lstm(in_order(from_input.clone()), weight.clone(), hidden, cell)?;
    let [steps, ..] = output.dims();
    let hidden = output.clone().slice(s![steps - 1..]).squeeze_dim(0);
    Some((in_order(output), LstmState::new(cell, hidden)))
}

impl BayesianLstmCell {
    /// Whether the step is that of [`kernels::lstm`]: three gates of their own with the usual activations, nothing
    /// clipped.
    fn is_plain(&self) -> bool {
        self.forget_gate.is_some()
            && self.peephole.is_none()
            && self.clip.is_none()
            && matches!(self.gate_activation, Activation::Sigmoid(_))
            && matches!(self.cell_activation, Activation::Tanh(_))
            && matches!(self.hidden_activation, Activation::Tanh(_))
    }

    /// The gates in the order in which a step takes them apart.
    fn gates(&self) -> impl Iterator<Item = &GateController> {
        std::iter::once(&self.input_gate)
            .chain(&self.forget_gate)
            .chain([&self.output_gate, &self.cell_gate])
    }

    fn peepholes(&self, estimator: Estimator, input: &Tensor<3>) -> [Option<Repeated>; 3] {
        let Some(peephole) = &self.peephole else {
            return [None, None, None];
        };
        [
            Some(&peephole.input),
            peephole.forget.as_ref(),
            Some(&peephole.output),
        ]
        .map(|weight| weight.map(|weight| Repeated::new(vector(weight, estimator, input))))
    }
}

impl BayesianLstm {
    /// Applies the forward pass on a batch of sequences.
    ///
    /// # Shapes
    ///
    /// With `directions` 2 for a bidirectional layer and 1 otherwise:
    ///
    /// - input: `[batch_size, seq_length, d_input]`, or `[seq_length, batch_size, d_input]` if not `batch_first`
    /// - output: the same with `d_hidden * directions` features: the hidden states of the last layer at each step
    /// - state, in and out, both `cell` and `hidden`: `[num_layers * directions, batch_size, d_hidden]`, the directions
    ///   of the first layer first. That is the state of Burn's `BiLstm`, and the one of its `Lstm` with an axis in
    ///   front. Zeros if none is given.
    ///
    /// # Randomness
    ///
    /// Under an open [draw](blitz_core::Draw), its joint sample of the weights; otherwise a fresh sample each call. All
    /// steps share it.
    ///
    /// # Panics
    ///
    /// Panics if the last axis of the input is not `d_input`, if the sequence has no steps, or if the state has another
    /// shape.
    pub fn forward(
        &self,
        input: Tensor<3>,
        state: Option<LstmState<3>>,
    ) -> (Tensor<3>, LstmState<3>) {
        self.forward_with(input, None, state)
    }

    /// [`forward`](Self::forward) over sequences of different lengths, each padded at its end: `lengths` are theirs, one for each row of the batch.
    ///
    /// As PyTorch does with a packed sequence: each row's state is that after its own last step, the direction against
    /// time begins there, and outputs in the padding are zero. What stands in the padding has no effect.
    ///
    /// ```
    /// use blitz_layers::prelude::*;
    /// use burn::tensor::{Device, Tensor, s};
    ///
    /// let device = Device::flex();
    /// let lstm = BayesianLstmConfig::new(1, 2, true).with_bidirectional(true).init(&device);
    /// let x = Tensor::<3>::from_floats([[[1.0], [2.0], [9.0]], [[3.0], [4.0], [5.0]]], &device);
    /// let (padded, short) = lstm.with_draw(1, 0, |lstm| {
    ///     let first = x.clone().slice(s![..1, ..2, ..]);
    ///     (lstm.forward_padded(x.clone(), &[2, 3], None).0, lstm.forward(first, None).0)
    /// });
    /// assert_eq!(padded.clone().slice(s![..1, ..2, ..]).dims(), short.dims());
    /// let difference: f32 = (padded.slice(s![..1, ..2, ..]) - short).abs().max().into_scalar();
    /// assert!(difference < 1e-6);
    /// ```
    ///
    /// # Panics
    ///
    /// As `forward`, and unless there is a length between 1 and `seq_length` for each row.
    pub fn forward_padded(
        &self,
        input: Tensor<3>,
        lengths: &[usize],
        state: Option<LstmState<3>>,
    ) -> (Tensor<3>, LstmState<3>) {
        self.forward_with(input, Some(Padding::Lengths(lengths.to_vec())), state)
    }

    /// [`forward`](Self::forward) with padding anywhere: `mask_pad` is `[batch_size, seq_length]`, true for padding, as of Burn's attention.
    ///
    /// A step that is padding leaves the row's state as it is, and its output is zero.
    ///
    /// # Panics
    ///
    /// As `forward`, and if the mask has another shape.
    pub fn forward_masked(
        &self,
        input: Tensor<3>,
        mask_pad: Tensor<2, Bool>,
        state: Option<LstmState<3>>,
    ) -> (Tensor<3>, LstmState<3>) {
        self.forward_with(input, Some(Padding::Mask(mask_pad)), state)
    }

    fn forward_with(
        &self,
        input: Tensor<3>,
        padding: Option<Padding>,
        state: Option<LstmState<3>>,
    ) -> (Tensor<3>, LstmState<3>) {
        if let Some(LstmState { cell, hidden }) = &state {
            self.assert_state("cell state", cell, &input);
            self.assert_state("hidden state", hidden, &input);
        }
        if let Some([output, state]) = self.of_no_sequences(&input, padding.as_ref()) {
            return (output, LstmState::new(state.clone(), state));
        }
        let states = state.map(|LstmState { cell, hidden }| {
            let states = unstack(cell).into_iter().zip(unstack(hidden));
            states
                .map(|(cell, hidden)| LstmState::new(cell, hidden))
                .collect()
        });
        let (output, states) = self.run(input, padding, states);
        (output, LstmState::stack(states, 0))
    }
}
