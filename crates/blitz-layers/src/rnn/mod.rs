//! Recurrent layers: stacks of LSTM or GRU layers, in one direction or both.
//!
//! What a step computes is the cell's ([`BayesianLstmCell`], [`BayesianGruCell`]); what is common to all recurrent
//! layers is here: the axes, the order of time, the layers' chain, and the draw that all steps share.

mod gates;
mod gru;
mod lstm;
mod module;
mod padding;

pub use gru::{BayesianGru, BayesianGruCell, BayesianGruConfig};
pub use lstm::{BayesianLstm, BayesianLstmCell, BayesianLstmConfig, Peephole};

use blitz_core::Draw;
use burn::module::Module;
use burn::nn::GateController;
use burn::tensor::{Bool, Tensor};

use crate::estimator::Estimator;
use padding::Padding;

/// One layer in one direction of time.
pub trait RecurrentCell: Module {
    /// What a step hands to the next, for a batch.
    type State: Clone;

    /// The name that the whole layer prints under.
    const LAYER: &'static str;

    /// A gate, which has the cell's sizes.
    fn gate(&self) -> &GateController;

    /// The size of the input features.
    fn d_input(&self) -> usize {
        self.gate().input_transform.weight.lazy_shape()[0]
    }

    /// The size of the hidden state.
    fn d_hidden(&self) -> usize {
        self.gate().input_transform.weight.lazy_shape()[1]
    }

    /// The state before the first step, with the device and the element type of a sequence `[seq_length, batch_size,
    /// d_input]`.
    fn initial_state(&self, input: &Tensor<3>) -> Self::State;

    /// Runs over a sequence from `state`, in the order of time or against it, with the weights of the open draw. A step
    /// that is padding in a row leaves that row's state as it is.
    ///
    /// # Shapes
    ///
    /// - input: `[seq_length, batch_size, d_input]`
    /// - padding: `[seq_length, batch_size, 1]`, true for padding
    /// - output: `[seq_length, batch_size, d_hidden]`
    fn run(
        &self,
        input: Tensor<3>,
        padding: Option<Tensor<3, Bool>>,
        state: Self::State,
        reverse: bool,
        estimator: Estimator,
    ) -> (Tensor<3>, Self::State);
}

/// A stack of recurrent layers: [`BayesianLstm`] and [`BayesianGru`].
#[derive(Clone, Debug)]
pub struct Recurrent<C> {
    /// The layers, the one next to the input first. The parameters of the first have the paths of Burn's layer
    /// (`input_gate.…`, or `forward.input_gate.…` in two directions), those above are in `layers.1.…` and so on.
    pub layers: Vec<RecurrentLayer<C>>,
    /// If true, input is `[batch_size, seq_length, d_input]`, else `[seq_length, batch_size, d_input]`.
    pub batch_first: bool,
    /// If true, the sequence is run through from its end. In one direction only.
    pub reverse: bool,
    /// How the pre-activations are sampled.
    pub estimator: Estimator,
}

/// One layer of a stack, in one direction or both.
#[derive(Clone, Debug)]
pub struct RecurrentLayer<C> {
    /// The direction of time.
    pub forward: C,
    /// The direction against it, of a bidirectional layer.
    pub reverse: Option<C>,
}

impl<C: RecurrentCell> RecurrentLayer<C> {
    fn cells(&self) -> impl Iterator<Item = &C> {
        std::iter::once(&self.forward).chain(&self.reverse)
    }
}

/// Makes the layers of a stack out of cells for a number of input features.
fn stack<C>(
    [mut d_input, d_hidden]: [usize; 2],
    num_layers: usize,
    bidirectional: bool,
    cell: impl Fn(usize) -> C,
) -> Vec<RecurrentLayer<C>> {
    assert!(
        d_input > 0 && d_hidden > 0,
        "a recurrent layer needs at least one input and one hidden feature, got {d_input} and {d_hidden}"
    );
    assert!(
        num_layers > 0,
        "a recurrent layer needs a num_layers of at least 1, got 0"
    );
    let layers = (0..num_layers).map(|_| {
        let layer = RecurrentLayer {
            forward: cell(d_input),
            reverse: bidirectional.then(|| cell(d_input)),
        };
        d_input = d_hidden * (1 + usize::from(bidirectional));
        layer
    });
    layers.collect()
}

impl<C: RecurrentCell> Recurrent<C> {
    /// The number of layers stacked.
    pub fn num_layers(&self) -> usize {
        self.layers.len()
    }

    /// Whether each layer runs in both directions.
    pub fn is_bidirectional(&self) -> bool {
        self.layers[0].reverse.is_some()
    }

    /// The stack, unless its settings contradict each other.
    fn checked(self, clip: Option<f64>) -> Self {
        assert!(
            !(self.is_bidirectional() && self.reverse),
            "a bidirectional recurrent layer runs in both directions already: leave out `reverse`"
        );
        assert!(
            self.estimator != Estimator::LocalReparameterization,
            "a recurrent layer has no local reparameterization: it would sample other weights at each time step, while \
             the layer's weights are one sample for the whole sequence; use Estimator::Flipout, whose rows have weights \
             of their own, or Estimator::SharedWeights"
        );
        if let Some(clip) = clip {
            assert!(clip > 0.0, "clip must be positive, got {clip}");
        }
        self
    }

    fn num_states(&self) -> usize {
        self.layers.iter().map(|layer| layer.cells().count()).sum()
    }

    /// The output and a state of a batch of no sequences, if the input is one. Burn reads a zero in a shape as the axis
    /// that there is, in the middle of a step too.
    ///
    /// # Panics
    ///
    /// Panics as [`run`](Self::run).
    fn of_no_sequences(
        &self,
        input: &Tensor<3>,
        padding: Option<&Padding>,
    ) -> Option<[Tensor<3>; 2]> {
        let steps = self.time_first(input.clone());
        let [_, batch_size, _] = steps.dims();
        if batch_size > 0 {
            return None;
        }
        if let Some(padding) = padding {
            padding.check(&steps);
        }
        let d_hidden = self.layers[0].forward.d_hidden();
        let mut output = input.dims();
        output[2] = d_hidden * (1 + usize::from(self.is_bidirectional()));
        let state = [self.num_states(), 0, d_hidden];
        let options = (&input.device(), input.dtype());
        Some([output, state].map(|dims| Tensor::zeros(dims, options)))
    }

    /// Runs all layers over the input, from one state for each layer and direction.
    fn run(
        &self,
        input: Tensor<3>,
        padding: Option<Padding>,
        states: Option<Vec<C::State>>,
    ) -> (Tensor<3>, Vec<C::State>) {
        // All steps and layers share one sample of the weights, also where the caller opened no draw.
        let _draw = Draw::fresh_if_none();
        let mut steps = self.time_first(input);
        let padding = padding.map(|padding| padding.of(&steps));
        // Whatever stands in the padding, not a number for instance, would get into gradients.
        if let Some(padding) = &padding {
            steps = padding::zeroed(steps, padding);
        }

        let mut initial = states.map(Vec::into_iter);
        let mut finals = Vec::with_capacity(self.num_states());
        for layer in &self.layers {
            let mut outputs = Vec::with_capacity(2);
            for (direction, cell) in layer.cells().enumerate() {
                let state = match initial.as_mut().and_then(Iterator::next) {
                    Some(state) => state,
                    None => cell.initial_state(&steps),
                };
                let reverse = self.reverse || direction == 1;
                let (output, state) = cell.run(
                    steps.clone(),
                    padding.clone(),
                    state,
                    reverse,
                    self.estimator,
                );
                outputs.push(match &padding {
                    Some(padding) => padding::zeroed(output, padding),
                    None => output,
                });
                finals.push(state);
            }
            steps = match outputs.len() {
                1 => outputs.remove(0),
                _ => Tensor::cat(outputs, 2),
            };
        }
        let output = if self.batch_first {
            steps.swap_dims(0, 1)
        } else {
            steps
        };
        (output, finals)
    }

    /// The input as `[seq_length, batch_size, d_input]`.
    fn time_first(&self, input: Tensor<3>) -> Tensor<3> {
        let dims = input.dims();
        let d_input = self.layers[0].forward.d_input();
        assert!(
            dims[2] == d_input,
            "the layer takes {d_input} input features on the last axis, got an input of shape {dims:?}"
        );
        let steps = if self.batch_first {
            input.swap_dims(0, 1)
        } else {
            input
        };
        assert!(
            steps.dims()[0] > 0,
            "a recurrent layer needs a sequence of at least one step, got an input of shape {dims:?}"
        );
        steps
    }

    /// Panics unless a state tensor has one row of states for each layer and direction.
    fn assert_state(&self, name: &str, state: &Tensor<3>, input: &Tensor<3>) {
        let batch_size = input.dims()[usize::from(!self.batch_first)];
        let expected = [
            self.num_states(),
            batch_size,
            self.layers[0].forward.d_hidden(),
        ];
        assert!(
            state.dims() == expected,
            "the {name} must have the shape [num_layers * directions, batch_size, d_hidden] = {expected:?}, got {:?}",
            state.dims()
        );
    }
}

/// The state tensors of each layer and direction.
fn unstack(state: Tensor<3>) -> Vec<Tensor<2>> {
    state.iter_dim(0).map(|part| part.squeeze_dim(0)).collect()
}
