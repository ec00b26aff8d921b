//! An LSTM's cell in one pass, and its sequence row by row: the rows of a batch do not meet, so each core has some of
//! them to itself.

use std::borrow::Cow;

use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, TensorData};
use rayon::prelude::*;

use super::elementwise::Gates;
use super::group::{load, overwrite};
use super::lanes::{Float, Registers};
use super::product::add_product;
use super::real::{Element, Real};
use super::{Elements, ElementsMut, Memory, tensor, with_elements_mut};
use crate::kernels::backend::FusedKernels;
use crate::kernels::lstm::{LstmSteps, laid_out, weight_grad};
use blitz_noise::fill::GROUP;
use blitz_noise::simd::{Body, InstructionSet};

/// The largest weight that stays in a core's own cache, in bytes.
const LARGEST_WEIGHT: usize = 1 << 20;

/// Products of a sequence that are worth a second core.
const WORTH_SHARING: usize = 1 << 20;

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

/// Whether rows are worth computing apart, with a recurrent weight of this size and type. A sequence may have none.
fn runs_by_rows<T: Memory>(weight: &T, sequence: &T) -> bool {
    let (dtype, elements) = (weight.dtype(), weight.shape().num_elements());
    matches!(dtype, DType::F32 | DType::F64)
        && elements * dtype.size() <= LARGEST_WEIGHT
        && sequence.shape().num_elements() > 0
        && !Registers::available().is_empty()
}

/// [`LstmSteps::run`], row by row where that is worth it.
pub(super) fn steps<B>(
    pre_activations: FloatTensor<B>,
    weight: FloatTensor<B>,
    hidden: FloatTensor<B>,
    cell: FloatTensor<B>,
) -> LstmSteps<B>
where
    B: FusedKernels,
    FloatTensor<B>: Memory,
{
    if !runs_by_rows(&weight, &pre_activations) {
        return LstmSteps::run(pre_activations, &weight, hidden, cell);
    }
    let shape = Shape::of(pre_activations.shape().dims());
    macro_rules! run {
        ($pre_activations:expr, $weight:expr, $hidden:expr, $cell:expr) => {{
            let [gates, cells, hiddens] = shape.steps($pre_activations, $weight, [$hidden, $cell]);
            let tensors = |steps: Vec<Vec<_>>, columns: usize| {
                steps.into_iter().map(move |values| {
                    FloatTensor::<B>::from_data(TensorData::new(values, [shape.rows, columns]))
                })
            };
            LstmSteps {
                gates: tensors(gates, 4 * shape.size).collect(),
                cells: [cell.clone()]
                    .into_iter()
                    .chain(tensors(cells, shape.size))
                    .collect(),
                hiddens: [hidden.clone()]
                    .into_iter()
                    .chain(tensors(hiddens, shape.size))
                    .collect(),
            }
        }};
    }
    match (
        pre_activations.elements(),
        weight.elements(),
        hidden.elements(),
        cell.elements(),
    ) {
        (Elements::F32(p), Elements::F32(w), Elements::F32(h), Elements::F32(c)) => {
            run!(&p, &w, &h, &c)
        }
        (Elements::F64(p), Elements::F64(w), Elements::F64(h), Elements::F64(c)) => {
            run!(&p, &w, &h, &c)
        }
        _ => panic!(
            "an LSTM needs tensors of one type, got a weight of {:?}",
            weight.dtype()
        ),
    }
}

/// [`LstmSteps::backward`], row by row where the steps were.
pub(super) fn backward<B>(
    steps: LstmSteps<B>,
    grad: FloatTensor<B>,
    weight: FloatTensor<B>,
) -> [FloatTensor<B>; 4]
where
    B: FusedKernels,
    FloatTensor<B>: Memory,
{
    if !runs_by_rows(&weight, &grad) {
        return steps.backward(grad, weight);
    }
    let LstmSteps {
        gates,
        cells,
        hiddens,
    } = steps;
    let [rows, width] = gates[0].shape().dims();
    let shape = Shape::of([gates.len(), rows, width]);
    let transposed = laid_out::<B>(B::float_transpose(weight));
    macro_rules! run {
        ($element:ident, $grad:expr, $transposed:expr) => {{
            let of_step = |elements| match elements {
                Elements::$element(values) => values,
                _ => panic!("an LSTM's steps are of one type"),
            };
            let [gates, cells] = [&gates, &cells].map(|steps| -> Vec<Cow<'_, [_]>> {
                steps.iter().map(Memory::elements).map(of_step).collect()
            });
            let [gates, hidden, cell] = shape.backward(&gates, &cells, $grad, $transposed);
            let tensor = |values: Vec<_>, shape: &[usize]| {
                FloatTensor::<B>::from_data(TensorData::new(values, shape))
            };
            [
                tensor(gates, &[shape.steps, rows, width]),
                tensor(hidden, &[rows, shape.size]),
                tensor(cell, &[rows, shape.size]),
            ]
        }};
    }
    let [pre_activations, hidden, cell] = match (grad.elements(), transposed.elements()) {
        (Elements::F32(g), Elements::F32(t)) => run!(F32, &g, &t),
        (Elements::F64(g), Elements::F64(t)) => run!(F64, &g, &t),
        _ => panic!("an LSTM needs a gradient of its weight's type"),
    };
    let weight = weight_grad::<B>(hiddens, pre_activations.clone());
    [pre_activations, weight, hidden, cell]
}

/// Of a sequence.
#[derive(Clone, Copy)]
struct Shape {
    steps: usize,
    rows: usize,
    /// Hidden units.
    size: usize,
}

impl Shape {
    fn of([steps, rows, width]: [usize; 3]) -> Self {
        Self {
            steps,
            rows,
            size: width / 4,
        }
    }

    /// Rows for each core.
    fn rows_of_a_task(self) -> usize {
        let products = 4 * self.size * self.size * self.steps * self.rows;
        match products < WORTH_SHARING {
            true => self.rows,
            false => self.rows.div_ceil(rayon::current_num_threads()),
        }
        .max(1)
    }

    /// Gates, cell states and hidden states of each step.
    fn steps<E: Float>(
        self,
        pre_activations: &[E],
        weight: &[E],
        [hidden, cell]: [&[E]; 2],
    ) -> [Vec<Vec<E>>; 3] {
        let (registers, size) = (Registers::widest(), self.size);
        let states = || vec![vec![E::ZERO; self.rows * size]; self.steps];
        let gates = pre_activations.chunks_exact(self.rows * 4 * size);
        let mut gates: Vec<Vec<E>> = gates.map(<[E]>::to_vec).collect();
        let (mut cells, mut hiddens) = (states(), states());
        let of_task = self.rows_of_a_task() * size;
        by_rows(&mut gates, 4 * of_task)
            .into_par_iter()
            .zip(by_rows(&mut cells, of_task))
            .zip(by_rows(&mut hiddens, of_task))
            .zip(hidden.par_chunks(of_task).zip(cell.par_chunks(of_task)))
            .for_each(|(((mut gates, mut cells), mut hiddens), (hidden, cell))| {
                for (step, gates) in gates.iter_mut().enumerate() {
                    let (cells, new_cell) = cells.split_at_mut(step);
                    let (hiddens, new_hidden) = hiddens.split_at_mut(step);
                    let cell = cells.last().map_or(cell, |cell| cell);
                    let hidden = hiddens.last().map_or(hidden, |hidden| hidden);
                    add_product(registers, hidden, weight, gates, [size, 4 * size]);
                    InstructionSet::widest().run(Cell {
                        size,
                        gates,
                        cell,
                        new_cell: new_cell[0],
                        hidden: new_hidden[0],
                    });
                }
            });
        [gates, cells, hiddens]
    }

    /// The gradients of the pre-activations and of the initial hidden and cell states, from that of the hidden states
    /// and the last cell state.
    fn backward<E: Float>(
        self,
        gates: &[Cow<'_, [E]>],
        cells: &[Cow<'_, [E]>],
        grad: &[E],
        transposed: &[E],
    ) -> [Vec<E>; 3] {
        let (registers, size) = (Registers::widest(), self.size);
        let state = self.rows * size;
        let of_task = self.rows_of_a_task() * size;
        let mut grads = gates.concat();
        let mut hidden_grad = vec![E::ZERO; state];
        let mut cell_grad = grad[self.steps * state..].to_vec();
        let mut of_steps: Vec<&mut [E]> = grads.chunks_exact_mut(4 * state).collect();
        by_rows(&mut of_steps, 4 * of_task)
            .into_par_iter()
            .zip(hidden_grad.par_chunks_mut(of_task))
            .zip(cell_grad.par_chunks_mut(of_task))
            .enumerate()
            .for_each(|(task, ((mut gates, hidden_grad), cell_grad))| {
                let own = task * of_task..task * of_task + cell_grad.len();
                let mut before_grad = cell_grad.to_vec();
                for (step, gates) in gates.iter_mut().enumerate().rev() {
                    let of_output = &grad[step * state..][own.clone()];
                    for (sum, grad) in hidden_grad.iter_mut().zip(of_output) {
                        *sum = *sum + *grad;
                    }
                    InstructionSet::widest().run(CellBackward {
                        size,
                        gates,
                        before: &cells[step][own.clone()],
                        after: &cells[step + 1][own.clone()],
                        hidden_grad,
                        cell_grad,
                        before_grad: &mut before_grad,
                    });
                    cell_grad.copy_from_slice(&before_grad);
                    hidden_grad.fill(E::ZERO);
                    add_product(registers, gates, transposed, hidden_grad, [4 * size, size]);
                }
            });
        [grads, hidden_grad, cell_grad]
    }
}

/// For each task its part of every step, `len` numbers or what is left.
fn by_rows<'a, E, S>(steps: &'a mut [S], len: usize) -> Vec<Vec<&'a mut [E]>>
where
    E: 'a,
    S: AsMut<[E]>,
{
    let mut parts: Vec<_> = steps
        .iter_mut()
        .map(|step| step.as_mut().chunks_mut(len))
        .collect();
    let tasks = parts.first().map_or(0, ExactSizeIterator::len);
    (0..tasks)
        .map(|_| parts.iter_mut().filter_map(Iterator::next).collect())
        .collect()
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
