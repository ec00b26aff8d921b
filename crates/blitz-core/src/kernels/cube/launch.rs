//! How the kernels are launched on tensors.

use burn::backend::TensorMetadata;
use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl::calculate_cube_count_elemwise;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::untile;
use burn_cubecl::ops::numeric::{empty_device_dtype, zeros};
use burn_cubecl::tensor::CubeTensor;

use super::elementwise::{CoefficientsLaunch, Map, Terms};
use super::kernels::{BLOCK, gradients_kernel, map_kernel, normals_kernel, sum_kernel};
use super::noise::NoiseLaunch;

/// The most units that a sum is divided among; each leaves one number, which Burn adds up.
const SUM_UNITS: usize = 1 << 14;

/// Calls a function with `f64` for its type parameter `R` if that is what tensors of this type are computed in, or else `f32`.
macro_rules! in_precision_of {
    ($dtype:expr, $function:ident::<R $(, $generics:ty)*>($($argument:expr),* $(,)?)) => {
        match $dtype {
            burn::tensor::DType::F64 => $function::launch_unchecked::<f64 $(, $generics)*>($($argument),*),
            _ => $function::launch_unchecked::<f32 $(, $generics)*>($($argument),*),
        }
    };
}

/// What tensors of this type are computed in.
pub(super) fn precision(dtype: DType) -> DType {
    match dtype {
        DType::F64 => DType::F64,
        _ => DType::F32,
    }
}

/// How to go through tensors that have the same number of elements.
struct Walk {
    /// Elements of a vector: a block where all tensors lie in order and end with a block.
    lanes: usize,
    /// Elements of a tensor.
    len: usize,
    address: AddressType,
}

impl Walk {
    fn over(tensors: &[&CubeTensor]) -> Self {
        let len = tensors[0].meta.num_elements();
        let same_len = |tensor: &&CubeTensor| tensor.meta.num_elements() == len;
        assert!(
            tensors.iter().all(same_len),
            "a fused operation needs tensors with equally many elements"
        );
        let has_blocks = len.is_multiple_of(BLOCK)
            && tensors.iter().all(|tensor| {
                tensor.is_contiguous()
                    && tensor
                        .client
                        .io_optimized_vector_sizes(tensor.dtype.size())
                        .any(|lanes| lanes == BLOCK)
            });
        let addresses = tensors.iter().map(|tensor| tensor.required_address_type());
        Self {
            lanes: if has_blocks { BLOCK } else { 1 },
            len,
            // An expanded tensor has more elements than memory.
            address: addresses.fold(AddressType::from_len(len), Ord::max),
        }
    }

    fn blocks(&self) -> usize {
        self.len.div_ceil(BLOCK)
    }
}

fn empty_like(tensor: &CubeTensor) -> CubeTensor {
    empty_device_dtype(
        tensor.client.clone(),
        tensor.device.clone(),
        tensor.shape(),
        tensor.dtype,
    )
}

/// As many cubes as give every one of `units` a unit.
fn cubes(client: &Client, units: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new(client, units);
    (calculate_cube_count_elemwise(client, units, dim), dim)
}

pub(super) fn standard_normal(like: CubeTensor, noise: NoiseLaunch) -> CubeTensor {
    let output = empty_like(&like);
    let walk = Walk::over(&[&output]);
    if walk.len == 0 {
        return output;
    }
    let (count, dim) = cubes(&output.client, walk.blocks());
    // SAFETY: A unit writes within the output's bounds alone.
    unsafe {
        normals_kernel::launch_unchecked(
            &output.client,
            count,
            dim,
            walk.address,
            walk.lanes,
            output.clone().into_linear_view(),
            noise,
            dtype_to_storage_type(output.dtype),
        );
    }
    output
}

/// Of two tensors with the same number of elements, shaped like the one that `shape_of` picks.
pub(super) fn map<M: Map>(
    left: CubeTensor,
    right: CubeTensor,
    shape_of: Side,
    noise: NoiseLaunch,
) -> CubeTensor {
    let (left, right) = (untile(left), untile(right));
    let output = empty_like(match shape_of {
        Side::Left => &left,
        Side::Right => &right,
    });
    let walk = Walk::over(&[&left, &right, &output]);
    if walk.len == 0 {
        return output;
    }
    let client = output.client.clone();
    let (count, dim) = cubes(&client, walk.blocks());
    // SAFETY: A unit stays within the output's bounds, which are those of the inputs.
    unsafe {
        in_precision_of!(
            output.dtype,
            map_kernel::<R, M>(
                &client,
                count,
                dim,
                walk.address,
                walk.lanes,
                left.into_linear_view(),
                right.into_linear_view(),
                output.clone().into_linear_view(),
                noise,
                dtype_to_storage_type(output.dtype),
            )
        );
    }
    output
}

/// One of two inputs.
pub(super) enum Side {
    Left,
    Right,
}

/// Numbers whose sum is that of the terms, in the precision that these are computed in.
pub(super) fn partial_sums<T: Terms>(
    mu: CubeTensor,
    rho: CubeTensor,
    noise: NoiseLaunch,
    coefficients: CoefficientsLaunch,
) -> CubeTensor {
    let (mu, rho) = (untile(mu), untile(rho));
    let walk = Walk::over(&[&mu, &rho]);
    let (client, device) = (mu.client.clone(), mu.device.clone());
    let real = precision(mu.dtype);
    if walk.len == 0 {
        return zeros(device, Shape::new([1]), real);
    }
    let units = walk.blocks().min(SUM_UNITS);
    let output = empty_device_dtype(client.clone(), device, Shape::new([units]), real);
    let (count, dim) = cubes(&client, units);
    let dtype = dtype_to_storage_type(mu.dtype);
    // SAFETY: A unit reads up to the inputs' last vector and writes within the output's bounds.
    unsafe {
        in_precision_of!(
            real,
            sum_kernel::<R, T>(
                &client,
                count,
                dim,
                walk.address,
                walk.lanes,
                mu.into_linear_view(),
                rho.into_linear_view(),
                output.clone().into_linear_view(),
                noise,
                coefficients,
                walk.len / walk.lanes,
                dtype,
            )
        );
    }
    output
}

/// The gradients in μ and ρ of a sum whose own gradient is the one number in `grad`.
pub(super) fn gradients<T: Terms>(
    grad: CubeTensor,
    mu: CubeTensor,
    rho: CubeTensor,
    noise: NoiseLaunch,
    coefficients: CoefficientsLaunch,
) -> (CubeTensor, CubeTensor) {
    let (mu, rho) = (untile(mu), untile(rho));
    let (mu_grad, rho_grad) = (empty_like(&mu), empty_like(&rho));
    let walk = Walk::over(&[&mu, &rho, &mu_grad, &rho_grad]);
    if walk.len == 0 {
        return (mu_grad, rho_grad);
    }
    let client = mu.client.clone();
    let (count, dim) = cubes(&client, walk.blocks());
    let dtype = dtype_to_storage_type(mu.dtype);
    // SAFETY: A unit stays within the bounds of the gradient in μ, which are those of the others.
    unsafe {
        in_precision_of!(
            mu.dtype,
            gradients_kernel::<R, T>(
                &client,
                count,
                dim,
                walk.address,
                walk.lanes,
                grad.into_linear_view(),
                mu.into_linear_view(),
                rho.into_linear_view(),
                mu_grad.clone().into_linear_view(),
                rho_grad.clone().into_linear_view(),
                noise,
                coefficients,
                dtype,
            )
        );
    }
    (mu_grad, rho_grad)
}
