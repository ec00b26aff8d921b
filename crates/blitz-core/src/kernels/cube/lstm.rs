//! One step of an LSTM's cell in one pass, one unit for each number of a state.

use burn::backend::TensorMetadata;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::std::tensor::layout::linear::{LinearView, LinearViewMut};
use burn_cubecl::kernel::untile;
use burn_cubecl::tensor::CubeTensor;

use super::elementwise::Gates;
use super::launch::{Walk, cubes, elem_type, empty_like, in_precision_of};
use super::real::Real;

/// The gates of the number at `position` of a state, where a row has `size` of each.
#[cube]
fn read_gates<E: Float, R: Real>(
    gates: &LinearView<'_, E>,
    position: usize,
    size: usize,
) -> Gates<R> {
    let first = position + 3 * size * (position / size);
    Gates::<R> {
        input: R::cast_from(gates.read(first)),
        forget: R::cast_from(gates.read(first + size)),
        output: R::cast_from(gates.read(first + 2 * size)),
        candidate: R::cast_from(gates.read(first + 3 * size)),
    }
}

#[cube]
fn write_gates<E: Float, R: Real>(
    to: &mut LinearViewMut<'_, E>,
    gates: &Gates<R>,
    position: usize,
    size: usize,
) {
    let first = position + 3 * size * (position / size);
    to.write(first, E::cast_from(gates.input));
    to.write(first + size, E::cast_from(gates.forget));
    to.write(first + 2 * size, E::cast_from(gates.output));
    to.write(first + 3 * size, E::cast_from(gates.candidate));
}

#[cube(launch_unchecked, address_type = "dynamic")]
fn cell_kernel<E: Float, R: Real>(
    gates: LinearView<'_, E>,
    cell: LinearView<'_, E>,
    mut new_gates: LinearViewMut<'_, E>,
    mut new_cell: LinearViewMut<'_, E>,
    mut hidden: LinearViewMut<'_, E>,
    size: usize,
    #[define(E)] _dtype: ElemType,
) {
    if !hidden.is_in_bounds(ABSOLUTE_POS) {
        terminate!();
    }
    let gates = read_gates::<E, R>(&gates, ABSOLUTE_POS, size).activated();
    let (after, out) = gates.states(R::cast_from(cell.read(ABSOLUTE_POS)));
    write_gates::<E, R>(&mut new_gates, &gates, ABSOLUTE_POS, size);
    new_cell.write(ABSOLUTE_POS, E::cast_from(after));
    hidden.write(ABSOLUTE_POS, E::cast_from(out));
}

#[cube(launch_unchecked, address_type = "dynamic")]
fn cell_backward_kernel<E: Float, R: Real>(
    gates: LinearView<'_, E>,
    before: LinearView<'_, E>,
    after: LinearView<'_, E>,
    hidden_grad: LinearView<'_, E>,
    cell_grad: LinearView<'_, E>,
    mut gate_grads: LinearViewMut<'_, E>,
    mut before_grad: LinearViewMut<'_, E>,
    size: usize,
    #[define(E)] _dtype: ElemType,
) {
    if !before_grad.is_in_bounds(ABSOLUTE_POS) {
        terminate!();
    }
    let gates = read_gates::<E, R>(&gates, ABSOLUTE_POS, size);
    let (grads, of_cell) = gates.gradients(
        R::cast_from(before.read(ABSOLUTE_POS)),
        R::cast_from(after.read(ABSOLUTE_POS)),
        R::cast_from(hidden_grad.read(ABSOLUTE_POS)),
        R::cast_from(cell_grad.read(ABSOLUTE_POS)),
    );
    write_gates::<E, R>(&mut gate_grads, &grads, ABSOLUTE_POS, size);
    before_grad.write(ABSOLUTE_POS, E::cast_from(of_cell));
}

/// The activated gates, the cell state and the hidden state.
pub(super) fn cell(gates: CubeTensor, cell: CubeTensor) -> (CubeTensor, CubeTensor, CubeTensor) {
    let (gates, cell) = (untile(gates), untile(cell));
    let outputs = (empty_like(&gates), empty_like(&cell), empty_like(&cell));
    let [_, size] = cell.shape().dims();
    let walk = Walk::over(&[&cell]);
    if walk.len == 0 {
        return outputs;
    }
    let client = cell.client.clone();
    let (count, dim) = cubes(&client, walk.len);
    let dtype = elem_type(&cell);
    // SAFETY: A unit stays within the states' bounds, and its gates within theirs.
    unsafe {
        in_precision_of!(
            cell.dtype,
            cell_kernel::<R>(
                &client,
                count,
                dim,
                gates.required_address_type(),
                gates.into_linear_view(),
                cell.into_linear_view(),
                outputs.0.clone().into_linear_view(),
                outputs.1.clone().into_linear_view(),
                outputs.2.clone().into_linear_view(),
                size,
                dtype,
            )
        );
    }
    outputs
}

/// The gradients of the gates before their activations, and of the cell state before.
pub(super) fn cell_backward(
    gates: CubeTensor,
    [before, after]: [CubeTensor; 2],
    hidden_grad: CubeTensor,
    cell_grad: CubeTensor,
) -> (CubeTensor, CubeTensor) {
    let [gates, before, after] = [gates, before, after].map(untile);
    let [hidden_grad, cell_grad] = [hidden_grad, cell_grad].map(untile);
    let outputs = (empty_like(&gates), empty_like(&before));
    let [_, size] = before.shape().dims();
    let walk = Walk::over(&[&before, &after, &hidden_grad, &cell_grad]);
    if walk.len == 0 {
        return outputs;
    }
    let client = before.client.clone();
    let (count, dim) = cubes(&client, walk.len);
    let dtype = elem_type(&before);
    // SAFETY: A unit stays within the states' bounds, and its gates within theirs.
    unsafe {
        in_precision_of!(
            before.dtype,
            cell_backward_kernel::<R>(
                &client,
                count,
                dim,
                gates.required_address_type(),
                gates.into_linear_view(),
                before.into_linear_view(),
                after.into_linear_view(),
                hidden_grad.into_linear_view(),
                cell_grad.into_linear_view(),
                outputs.0.clone().into_linear_view(),
                outputs.1.clone().into_linear_view(),
                size,
                dtype,
            )
        );
    }
    outputs
}
