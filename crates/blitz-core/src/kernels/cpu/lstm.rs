//! One step of an LSTM's cell, in one pass.

use super::elementwise::Gates;
use super::group::{load, overwrite};
use super::real::{Element, Real};
use super::{Elements, ElementsMut, Memory, tensor, with_elements_mut};
use blitz_noise::fill::GROUP;
use blitz_noise::simd::{Body, InstructionSet};

/// The gates, the cell state and the hidden state of each row after a step.
struct Cell<'a, E> {
    size: usize,
    /// Before their activations, and after them.
    gates: &'a mut [E],
    cell: &'a [E],
    new_cell: &'a mut [E],
    hidden: &'a mut [E],
}

impl<E: Element> Body for Cell<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let size = self.size;
        for row in 0..self.cell.len() / size {
            for start in (0..size).step_by(GROUP) {
                let part = |gate: usize| {
                    let row = 4 * row + gate;
                    row * size + start..(row + 1) * size
                };
                let own = row * size + start..(row + 1) * size;
                let [mut input, mut forget, mut output, mut candidate] =
                    [0, 1, 2, 3].map(|gate| load(&self.gates[part(gate)]));
                let mut cell = load(&self.cell[own.clone()]);
                let mut hidden = [E::Real::ZERO; GROUP];
                for i in 0..GROUP {
                    let gates = Gates {
                        input: input[i],
                        forget: forget[i],
                        output: output[i],
                        candidate: candidate[i],
                    }
                    .activated();
                    (cell[i], hidden[i]) = gates.states(cell[i]);
                    (input[i], forget[i]) = (gates.input, gates.forget);
                    (output[i], candidate[i]) = (gates.output, gates.candidate);
                }
                for (gate, values) in [input, forget, output, candidate].iter().enumerate() {
                    overwrite(&mut self.gates[part(gate)], values);
                }
                overwrite(&mut self.new_cell[own.clone()], &cell);
                overwrite(&mut self.hidden[own], &hidden);
            }
        }
    }
}

/// The gradients of a step's pre-activations and of the cell state before it.
struct CellBackward<'a, E> {
    size: usize,
    /// The gates, and then the gradients of their pre-activations.
    gates: &'a mut [E],
    before: &'a [E],
    after: &'a [E],
    hidden_grad: &'a [E],
    cell_grad: &'a [E],
    before_grad: &'a mut [E],
}

impl<E: Element> Body for CellBackward<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let size = self.size;
        for row in 0..self.before.len() / size {
            for start in (0..size).step_by(GROUP) {
                let part = |gate: usize| {
                    let row = 4 * row + gate;
                    row * size + start..(row + 1) * size
                };
                let own = row * size + start..(row + 1) * size;
                let [mut input, mut forget, mut output, mut candidate] =
                    [0, 1, 2, 3].map(|gate| load(&self.gates[part(gate)]));
                let [before, after, hidden_grad, mut cell_grad] =
                    [self.before, self.after, self.hidden_grad, self.cell_grad]
                        .map(|values| load(&values[own.clone()]));
                for i in 0..GROUP {
                    let gates = Gates {
                        input: input[i],
                        forget: forget[i],
                        output: output[i],
                        candidate: candidate[i],
                    };
                    let (grads, before_grad) =
                        gates.gradients(before[i], after[i], hidden_grad[i], cell_grad[i]);
                    cell_grad[i] = before_grad;
                    (input[i], forget[i]) = (grads.input, grads.forget);
                    (output[i], candidate[i]) = (grads.output, grads.candidate);
                }
                for (gate, values) in [input, forget, output, candidate].iter().enumerate() {
                    overwrite(&mut self.gates[part(gate)], values);
                }
                overwrite(&mut self.before_grad[own], &cell_grad);
            }
        }
    }
}

/// The gates lie where their pre-activations lay.
pub(super) fn lstm_cell<T: Memory>(mut gates: T, cell: T) -> (T, T, T) {
    let [_, size] = cell.shape().dims();
    let (new_cell, hidden) = with_elements_mut!(gates, [cell], |g, c| {
        let mut new_cell = c.to_vec();
        let mut hidden = c.to_vec();
        InstructionSet::widest().run(Cell {
            size,
            gates: g,
            cell: &c,
            new_cell: &mut new_cell,
            hidden: &mut hidden,
        });
        (tensor(new_cell, &cell), tensor(hidden, &cell))
    });
    (gates, new_cell, hidden)
}

/// The gradients lie where the gates lay.
pub(super) fn lstm_cell_backward<T: Memory>(
    mut gates: T,
    [before, after]: [T; 2],
    hidden_grad: T,
    cell_grad: T,
) -> (T, T) {
    let [_, size] = before.shape().dims();
    let before_grad = with_elements_mut!(
        gates,
        [before, after, hidden_grad, cell_grad],
        |g, b, a, h, c| {
            let mut before_grad = b.to_vec();
            InstructionSet::widest().run(CellBackward {
                size,
                gates: g,
                before: &b,
                after: &a,
                hidden_grad: &h,
                cell_grad: &c,
                before_grad: &mut before_grad,
            });
            tensor(before_grad, &before)
        }
    );
    (gates, before_grad)
}
