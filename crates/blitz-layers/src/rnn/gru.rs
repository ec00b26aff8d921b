//! The Bayesian counterpart of Burn's [`Gru`](burn::nn::Gru) and [`BiGru`](burn::nn::BiGru), stacked.

use burn::config::Config;
use burn::module::Module;
use burn::nn::activation::{Activation, ActivationConfig};
use burn::nn::{GateController, GruConfig};
use burn::tensor::{Bool, Device, Tensor, s};

use super::gates::{Affine, gate, scan};
use super::padding::{Held, Padding, held};
use super::{Recurrent, RecurrentCell, stack, unstack};
use crate::estimator::Estimator;
use crate::weights::{WeightsConfig, configures_weights};

/// Configuration to create a [`BayesianGru`] layer using the [init function](BayesianGruConfig::init).
///
/// | field | default | meaning |
/// |---|---|---|
/// | `d_input`, `d_hidden` | | the sizes, as in Burn's `GruConfig` |
/// | `bias` | | whether biases are added; they are Bayesian as well |
/// | `num_layers` | 1 | layers stacked, each on the outputs of the one below |
/// | `bidirectional` | false | a second set of weights runs from the end of the sequence |
/// | `reset_after` | true | whether the reset gate applies after the product with the weights, as in PyTorch |
/// | `batch_first`, `clip`, `*_activation` | Burn's | as in Burn's `GruConfig` and `BiGruConfig` |
/// | `reverse` | false | whether the sequence is run through from its end |
/// | `weights` | [`WeightsConfig`]'s | posterior, prior and initial means of every weight |
/// | `estimator` | shared weights | shared weights or flipout |
///
/// Parameters of an activation, such as PReLU's, are Burn's own and get no posterior.
#[derive(Config, Debug)]
pub struct BayesianGruConfig {
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
    /// If the reset gate applies after the product with the weights.
    #[config(default = true)]
    pub reset_after: bool,
    /// If true, the input is `[batch_size, seq_length, d_input]`, else `[seq_length, batch_size, d_input]`.
    #[config(default = true)]
    pub batch_first: bool,
    /// If true, the sequence is run through from its end.
    #[config(default = false)]
    pub reverse: bool,
    /// Clips the hidden state to `[-clip, clip]` after each step.
    pub clip: Option<f64>,
    /// The activation of the update and reset gates.
    #[config(default = "ActivationConfig::Sigmoid")]
    pub gate_activation: ActivationConfig,
    /// The activation of the candidate state.
    #[config(default = "ActivationConfig::Tanh")]
    pub hidden_activation: ActivationConfig,
    /// The posterior, the prior and the initial means of every weight.
    #[config(default = "WeightsConfig::new()")]
    pub weights: WeightsConfig,
    /// How the pre-activations are sampled.
    #[config(default = "Estimator::SharedWeights")]
    pub estimator: Estimator,
}

/// A gated recurrent unit with weights drawn from their posterior, once for a whole sequence.
///
/// Should be created with [`BayesianGruConfig`]. Each step computes, with the gates' activation σ,
///
/// ```text
/// z = σ(x W_z + b_z + h U_z + d_z)
/// r = σ(x W_r + b_r + h U_r + d_r)
/// n = tanh(x W_n + b_n + r ∘ (h U_n + d_n))       with reset_after
/// n = tanh(x W_n + b_n + (r ∘ h) U_n + d_n)       without
/// h' = (1 − z) ∘ n + z ∘ h
/// ```
///
/// One sample of the weights serves all steps, inside a [draw](blitz_core::Draw) or without one. With
/// [flipout](Estimator::Flipout) each row of the batch has weights of its own, which it keeps from step to step and
/// from call to call of one draw. [Local reparameterization](Estimator::LocalReparameterization) is refused: what it
/// samples at each step is no joint sample of the weights through time.
///
/// A record of Burn's `Gru` or `BiGru` loads into the means of a layer of the same options
/// (with [`allow_partial`](burn::store::ModuleRecord::allow_partial)).
///
/// ```
/// use blitz_layers::prelude::*;
/// use burn::tensor::{Device, Tensor, s};
///
/// let device = Device::flex();
/// let gru = BayesianGruConfig::new(3, 8, true).init(&device);
/// let x = Tensor::<3>::ones([4, 10, 3], &device);
/// let (output, state) = gru.forward(x, None);
/// assert_eq!(output.dims(), [4, 10, 8]);
/// assert_eq!(state.dims(), [1, 4, 8]);
/// ```
pub type BayesianGru = Recurrent<BayesianGruCell>;

/// One layer of a [`BayesianGru`] in one direction: the gates, named as in Burn's `Gru`.
#[derive(Module, Debug)]
pub struct BayesianGruCell {
    /// The update gate z.
    pub update_gate: GateController,
    /// The reset gate r.
    pub reset_gate: GateController,
    /// The candidate state n.
    pub new_gate: GateController,
    /// If the reset gate applies after the product with the weights.
    pub reset_after: bool,
    /// The activation of the update and reset gates.
    pub gate_activation: Activation,
    /// The activation of the candidate state.
    pub hidden_activation: Activation,
    /// Clips the hidden state.
    #[module(skip)]
    pub clip: Option<f64>,
}

configures_weights! {
    BayesianGruConfig => BayesianGru, ;
    /// Panics if a size or `num_layers` is zero, if a bidirectional layer shall be `reverse`, if the estimator is local
    /// reparameterization or doesn't allow a posterior, or if `clip` is not positive.
}

impl BayesianGruConfig {
    /// The means alone.
    fn deterministic(&self, device: &Device) -> BayesianGru {
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

    fn cell(&self, d_input: usize, device: &Device) -> BayesianGruCell {
        let burn = GruConfig::new(d_input, self.d_hidden, self.bias);
        let initializer = self.weights.initializer_or(burn.initializer);
        let gate = || {
            let initializer = initializer.clone();
            GateController::new(d_input, self.d_hidden, self.bias, initializer, device)
        };
        BayesianGruCell {
            update_gate: gate(),
            reset_gate: gate(),
            new_gate: gate(),
            reset_after: self.reset_after,
            gate_activation: self.gate_activation.init(device),
            hidden_activation: self.hidden_activation.init(device),
            clip: self.clip,
        }
    }
}

impl RecurrentCell for BayesianGruCell {
    type State = Tensor<2>;

    const LAYER: &'static str = "BayesianGru";

    fn gate(&self) -> &GateController {
        &self.update_gate
    }

    fn initial_state(&self, input: &Tensor<3>) -> Tensor<2> {
        let [_, batch_size, _] = input.dims();
        let options = (&input.device(), input.dtype());
        Tensor::zeros([batch_size, self.d_hidden()], options)
    }

    fn run(
        &self,
        input: Tensor<3>,
        padding: Option<Tensor<3, Bool>>,
        mut hidden: Tensor<2>,
        reverse: bool,
        estimator: Estimator,
    ) -> (Tensor<3>, Tensor<2>) {
        let size = self.d_hidden();
        let gates = [&self.update_gate, &self.reset_gate];
        let to_gates = Affine::of_input(gates, estimator, &input).apply(input.clone());
        let to_new = Affine::of_input([&self.new_gate], estimator, &input).apply(input.clone());
        let from_hidden = HiddenMaps::new(self, estimator, &input);

        let activate = |pre_activation| self.gate_activation.forward(pre_activation);
        let mut steps = Held::new(padding, reverse);
        let output = scan([to_gates, to_new], reverse, |[to_gates, to_new]| {
            let padded = steps.next(|| hidden.clone());
            let (update, to_new) = match &from_hidden {
                HiddenMaps::ResetAfter(map) => {
                    let of_hidden = map.apply(hidden.clone());
                    let gates = to_gates + of_hidden.clone().slice(s![.., ..2 * size]);
                    let reset = activate(gate(&gates, 1, size));
                    let of_hidden = gate(&of_hidden, 2, size);
                    (gate(&gates, 0, size), to_new + reset * of_hidden)
                }
                HiddenMaps::ResetBefore { gates, new } => {
                    let gates = to_gates + gates.apply(hidden.clone());
                    let reset = activate(gate(&gates, 1, size));
                    let of_hidden = new.apply(reset * hidden.clone());
                    (gate(&gates, 0, size), to_new + of_hidden)
                }
            };
            let update = activate(update);
            let new = self.hidden_activation.forward(to_new);
            hidden = new * update.clone().neg().add_scalar(1.0) + update * hidden.clone();
            if let Some(clip) = self.clip {
                hidden = hidden.clone().clamp(-clip, clip);
            }
            if let Some((mask, before)) = padded {
                hidden = held(hidden.clone(), before, &mask);
            }
            hidden.clone()
        });
        (output, hidden)
    }
}

/// The maps of the hidden state into the gates, in the two ways to reset it.
#[expect(
    clippy::large_enum_variant,
    reason = "one for a whole sequence; a box would buy nothing"
)]
enum HiddenMaps {
    ResetAfter(Affine),
    ResetBefore { gates: Affine, new: Affine },
}

impl HiddenMaps {
    fn new(cell: &BayesianGruCell, estimator: Estimator, input: &Tensor<3>) -> Self {
        let gates = [&cell.update_gate, &cell.reset_gate];
        if cell.reset_after {
            let all = gates.into_iter().chain([&cell.new_gate]);
            return Self::ResetAfter(Affine::of_hidden(all, estimator, input));
        }
        Self::ResetBefore {
            gates: Affine::of_hidden(gates, estimator, input),
            new: Affine::of_hidden([&cell.new_gate], estimator, input),
        }
    }
}

impl BayesianGru {
    /// Applies the forward pass on a batch of sequences.
    ///
    /// # Shapes
    ///
    /// With `directions` 2 for a bidirectional layer and 1 otherwise:
    ///
    /// - input: `[batch_size, seq_length, d_input]`, or `[seq_length, batch_size, d_input]` if not `batch_first`
    /// - output: the same with `d_hidden * directions` features: the hidden states of the last layer at each step
    /// - state, in and out: `[num_layers * directions, batch_size, d_hidden]`, the directions of the first layer first.
    ///   That is the state of Burn's `BiGru`, and the one of its `Gru` with an axis in front. Zeros if none is given.
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
    pub fn forward(&self, input: Tensor<3>, state: Option<Tensor<3>>) -> (Tensor<3>, Tensor<3>) {
        self.forward_with(input, None, state)
    }

    /// [`forward`](Self::forward) over sequences of different lengths, each padded at its end: `lengths` are theirs, one for each row of the batch.
    ///
    /// As PyTorch does with a packed sequence: each row's state is that after its own last step, the direction against
    /// time begins there, and outputs in the padding are zero. What stands in the padding has no effect.
    ///
    /// # Panics
    ///
    /// As `forward`, and unless there is a length between 1 and `seq_length` for each row.
    pub fn forward_padded(
        &self,
        input: Tensor<3>,
        lengths: &[usize],
        state: Option<Tensor<3>>,
    ) -> (Tensor<3>, Tensor<3>) {
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
        state: Option<Tensor<3>>,
    ) -> (Tensor<3>, Tensor<3>) {
        self.forward_with(input, Some(Padding::Mask(mask_pad)), state)
    }

    fn forward_with(
        &self,
        input: Tensor<3>,
        padding: Option<Padding>,
        state: Option<Tensor<3>>,
    ) -> (Tensor<3>, Tensor<3>) {
        if let Some(state) = &state {
            self.assert_state("state", state, &input);
        }
        if let Some([output, state]) = self.of_no_sequences(&input, padding.as_ref()) {
            return (output, state);
        }
        let states = state.map(unstack);
        let (output, states) = self.run(input, padding, states);
        (output, Tensor::stack(states, 0))
    }
}
