//! The fused operations on every CubeCL device, from one kernel source.

// Once for each of the two, which give its names their meaning.
#[allow(clippy::duplicate_mod)]
#[path = "../elementwise.rs"]
mod elementwise;
mod kernels;
mod launch;
mod noise;
mod real;
#[cfg(all(test, feature = "wgpu"))]
mod tests;

use burn::backend::ops::FloatTensorOps;
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use self::elementwise::{with_map, with_sum};
use self::launch::{Pass, gradients, partial_sums};
use super::backend::FusedKernels;
use super::formula::{Map, Sum};

impl FusedKernels for CubeBackend {
    fn map(op: Map, location: CubeTensor, scale: CubeTensor) -> CubeTensor {
        with_map!(op, |arithmetic| {
            launch::map(arithmetic, Pass::Forward, location, scale, op.noise())
        })
    }

    fn map_backward(op: Map, grad: CubeTensor, scale: CubeTensor) -> CubeTensor {
        with_map!(op, |arithmetic| {
            launch::map(arithmetic, Pass::Backward, grad, scale, op.noise())
        })
    }

    fn sum(op: Sum, mu: CubeTensor, rho: CubeTensor) -> CubeTensor {
        let sums = with_sum!(op, |arithmetic| {
            partial_sums(arithmetic, mu, rho, op.noise(), op.coefficients())
        });
        Self::float_sum(sums)
    }

    fn sum_backward(
        op: Sum,
        grad: CubeTensor,
        mu: CubeTensor,
        rho: CubeTensor,
    ) -> (CubeTensor, CubeTensor) {
        with_sum!(op, |arithmetic| {
            gradients(arithmetic, grad, mu, rho, op.noise(), op.coefficients())
        })
    }
}
