//! The fused operations on every CubeCL device, from one kernel source.

mod adam;
// Once for each of the two, which give its names their meaning.
#[allow(clippy::duplicate_mod)]
#[path = "../elementwise.rs"]
mod elementwise;
mod ivon;
mod kernels;
mod launch;
mod linked;
mod lstm;
mod noise;
mod random;
mod real;
mod rounding;
#[cfg(test)]
mod tests;
// As above.
#[allow(clippy::duplicate_mod)]
#[path = "../update.rs"]
mod update;

use burn::backend::ops::FloatTensorOps;
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use self::elementwise::{with_map, with_sum};
use self::launch::{Pass, gradients, partial_sums};
use super::backend::FusedKernels;
use super::formula::{AdamStep, IvonStep, Map, Sum};
use super::random::Random;

impl FusedKernels for CubeBackend {
    fn map(location: CubeTensor, scale: CubeTensor, op: Map) -> CubeTensor {
        with_map!(op, |arithmetic| {
            let (noise, coefficients) = (op.noise(), op.coefficients());
            launch::map(
                arithmetic,
                Pass::Forward,
                location,
                scale,
                noise,
                coefficients,
            )
        })
    }

    fn map_backward(grad: CubeTensor, scale: CubeTensor, op: Map) -> CubeTensor {
        with_map!(op, |arithmetic| {
            let (noise, coefficients) = (op.noise(), op.coefficients());
            launch::map(arithmetic, Pass::Backward, grad, scale, noise, coefficients)
        })
    }

    fn sum(mu: CubeTensor, rho: CubeTensor, op: Sum) -> CubeTensor {
        let sums = with_sum!(op, |arithmetic| {
            partial_sums(arithmetic, mu, rho, op.noise(), op.coefficients())
        });
        Self::float_sum(sums)
    }

    fn sum_backward(
        grad: CubeTensor,
        mu: CubeTensor,
        rho: CubeTensor,
        op: Sum,
    ) -> (CubeTensor, CubeTensor) {
        with_sum!(op, |arithmetic| {
            gradients(arithmetic, grad, mu, rho, op.noise(), op.coefficients())
        })
    }

    fn random(memory: CubeTensor, op: Random) -> CubeTensor {
        random::random(memory, op)
    }

    fn adam_step(
        weight: CubeTensor,
        grad: CubeTensor,
        moment_1: CubeTensor,
        moment_2: CubeTensor,
        step: AdamStep,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        adam::adam_step(weight, grad, [moment_1, moment_2], step)
    }

    fn ivon_step(
        inputs: [CubeTensor; 5],
        momentum_weight: CubeTensor,
        step: IvonStep,
    ) -> [CubeTensor; 3] {
        ivon::ivon_step(inputs, momentum_weight, step)
    }

    fn lstm_cell(gates: CubeTensor, cell: CubeTensor) -> (CubeTensor, CubeTensor, CubeTensor) {
        lstm::cell(gates, cell)
    }

    fn lstm_cell_backward(
        gates: CubeTensor,
        cells: [CubeTensor; 2],
        hidden_grad: CubeTensor,
        cell_grad: CubeTensor,
    ) -> (CubeTensor, CubeTensor) {
        lstm::cell_backward(gates, cells, hidden_grad, cell_grad)
    }
}
