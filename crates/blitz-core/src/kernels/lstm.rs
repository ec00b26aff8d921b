//! An LSTM over a whole sequence as one operation, with the backward pass written by hand.
//!
//! As tensor operations, each step records some fifteen of them for the backward pass, and most of the time goes into
//! that. Here a step is one product and one pass over the gates, and the gradient of the recurrent weights is one
//! product over all steps.

use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::tensor::s;

use super::backend::FusedKernels;

/// What the backward pass needs of the forward one.
#[derive(Clone)]
pub(crate) struct LstmSteps<B: FusedKernels> {
    /// `[batch, 4 · hidden]` of each step: the gates after their activations.
    pub gates: Vec<FloatTensor<B>>,
    /// `[batch, hidden]`: the initial cell state and that of each step.
    pub cells: Vec<FloatTensor<B>>,
    /// `[batch, hidden]`: the initial hidden state and that of each step.
    pub hiddens: Vec<FloatTensor<B>>,
}

impl<B: FusedKernels> std::fmt::Debug for LstmSteps<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LstmSteps")
            .field("steps", &self.gates.len())
            .finish_non_exhaustive()
    }
}

impl<B: FusedKernels> LstmSteps<B> {
    /// Runs over the pre-activations `[steps, batch, 4 · hidden]` that come from the input.
    pub fn run(
        pre_activations: FloatTensor<B>,
        weight: &FloatTensor<B>,
        hidden: FloatTensor<B>,
        cell: FloatTensor<B>,
    ) -> Self {
        let [steps, batch, width] = pre_activations.shape().dims();
        let mut this = Self {
            gates: Vec::with_capacity(steps),
            cells: vec![cell],
            hiddens: vec![hidden],
        };
        for step in 0..steps {
            let from_input = step_of::<B>(pre_activations.clone(), step, [batch, width]);
            let [cell, hidden] = [&this.cells, &this.hiddens].map(|states| states[step].clone());
            let from_hidden = B::float_matmul(hidden, weight.clone());
            let gates = B::float_add(from_input, from_hidden);
            let (gates, cell, hidden) = B::lstm_cell(gates, cell);
            this.gates.push(gates);
            this.cells.push(cell);
            this.hiddens.push(hidden);
        }
        this
    }

    /// The hidden state of each step, and after them the last cell state: `[steps + 1, batch, hidden]`.
    pub fn output(&self) -> FloatTensor<B> {
        let steps = self.gates.len();
        let states = self.hiddens[1..].iter().chain(&self.cells[steps..]);
        stack::<B>(states.cloned())
    }

    /// The gradients of the pre-activations, the weight and the initial hidden and cell states.
    pub fn backward(self, grad: FloatTensor<B>, weight: FloatTensor<B>) -> [FloatTensor<B>; 4] {
        let steps = self.gates.len();
        let [_, batch, size] = grad.shape().dims();
        // Laid out anew, once: a product with the transposed view rearranges its memory at every step.
        let transposed = laid_out::<B>(B::float_transpose(weight));
        let mut hidden_grad = None;
        let mut cell_grad = step_of::<B>(grad.clone(), steps, [batch, size]);
        let mut gate_grads = Vec::with_capacity(steps);
        let mut gates = self.gates;
        while let Some(gates) = gates.pop() {
            let step = steps - 1 - gate_grads.len();
            let of_output = step_of::<B>(grad.clone(), step, [batch, size]);
            let of_hidden = match hidden_grad {
                Some(later) => B::float_add(of_output, later),
                None => of_output,
            };
            let [before, after] = [step, step + 1].map(|step| self.cells[step].clone());
            let (gates, cell) = B::lstm_cell_backward(gates, [before, after], of_hidden, cell_grad);
            cell_grad = cell;
            hidden_grad = Some(B::float_matmul(gates.clone(), transposed.clone()));
            gate_grads.push(gates);
        }
        gate_grads.reverse();
        let pre_activations = stack::<B>(gate_grads.into_iter());
        let weight = weight_grad::<B>(self.hiddens, pre_activations.clone());
        let hidden = hidden_grad.unwrap_or_else(|| unreachable!("a sequence has steps"));
        [pre_activations, weight, hidden, cell_grad]
    }
}

/// The gradient of the weight, of the initial hidden state and that of each step, and of the gradients of the
/// pre-activations: one product over all steps.
pub(super) fn weight_grad<B: FusedKernels>(
    hiddens: Vec<FloatTensor<B>>,
    pre_activations: FloatTensor<B>,
) -> FloatTensor<B> {
    let [steps, batch, width] = pre_activations.shape().dims();
    let rows = steps * batch;
    let hiddens = stack::<B>(hiddens.into_iter().take(steps));
    let hiddens = B::float_reshape(hiddens, [rows, width / 4].into());
    let gates = B::float_reshape(pre_activations, [rows, width].into());
    B::float_matmul(B::float_transpose(hiddens), gates)
}

/// One step of a sequence.
fn step_of<B: FusedKernels>(
    sequence: FloatTensor<B>,
    step: usize,
    shape: [usize; 2],
) -> FloatTensor<B> {
    let one = B::float_slice(sequence, &s![step..step + 1, .., ..]);
    B::float_reshape(one, shape.into())
}

/// The matrix in row-major order.
pub(super) fn laid_out<B: FusedKernels>(matrix: FloatTensor<B>) -> FloatTensor<B> {
    let shape = matrix.shape();
    let flat = B::float_reshape(matrix, [shape.num_elements()].into());
    B::float_reshape(flat, shape)
}

/// Steps as a sequence.
fn stack<B: FusedKernels>(steps: impl Iterator<Item = FloatTensor<B>>) -> FloatTensor<B> {
    let steps = steps.map(|step| {
        let [batch, size] = step.shape().dims();
        B::float_reshape(step, [1, batch, size].into())
    });
    B::float_cat(steps.collect(), 0)
}
