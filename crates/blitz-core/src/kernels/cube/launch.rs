//! How the kernels are launched on tensors.

use burn::backend::TensorMetadata;
use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::Shape;
use burn_cubecl::cubecl::calculate_cube_count_elemwise;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::{cast, untile};
use burn_cubecl::ops::numeric::{empty_device_dtype, zeros};
use burn_cubecl::tensor::CubeTensor;

use super::elementwise::{Map, Terms};
use super::kernels::{BLOCK, CoefficientScalars, gradients_kernel, map_kernel, sum_kernel};
use super::noise::NoiseLaunch;
use crate::kernels::formula::{NoiseSpan, wide_type};
use blitz_noise::NoiseKey;

/// The most units that a sum is divided among; each leaves one number, which Burn adds up.
pub(super) const SUM_UNITS: usize = 1 << 14;

/// Calls a function with `f64` for its type parameter `R` if that is what tensors of this type are computed in, or else
/// `f32`.
macro_rules! in_precision_of {
    ($dtype:expr, $function:ident::<R $(, $generics:ty)*>($($argument:expr),* $(,)?)) => {
        match $dtype {
            burn::tensor::DType::F64 => $function::launch_unchecked::<f64 $(, $generics)*>($($argument),*),
            _ => $function::launch_unchecked::<f32 $(, $generics)*>($($argument),*),
        }
    };
}

pub(super) use in_precision_of;

/// The type of a tensor's elements, as a kernel is told it.
pub(super) fn elem_type(tensor: &CubeTensor) -> ElemType {
    dtype_to_storage_type(tensor.dtype)
}

/// For a kernel that is told a span but has no noise.
const NO_NOISE: NoiseSpan = NoiseSpan {
    key: NoiseKey::new(0, 0, 0),
    first_block: 0,
};

fn noise_of(noise: Option<NoiseSpan>) -> NoiseLaunch {
    noise.unwrap_or(NO_NOISE).into()
}

/// How to go through tensors that have the same number of elements.
pub(super) struct Walk {
    /// Elements of a vector: a block where all tensors lie in order and end with a block.
    pub lanes: usize,
    /// Elements of a tensor.
    pub len: usize,
    pub address: AddressType,
}

impl Walk {
    pub fn over(tensors: &[&CubeTensor]) -> Self {
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

    pub fn blocks(&self) -> usize {
        self.len.div_ceil(BLOCK)
    }
}

pub(super) fn empty_like(tensor: &CubeTensor) -> CubeTensor {
    empty_device_dtype(
        tensor.client.clone(),
        tensor.device.clone(),
        tensor.shape(),
        tensor.dtype,
    )
}

/// As many cubes as give every one of `units` a unit.
pub(super) fn cubes(client: &Client, units: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new(client, units);
    (calculate_cube_count_elemwise(client, units, dim), dim)
}

/// Which way a map is computed.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Pass {
    /// The value, shaped like the location.
    Forward,
    /// The gradient in the scale, shaped like it.
    Backward,
}

/// Of a location, or of the value's gradient, and of a scale.
pub(super) fn map<M: Map>(
    _of: M,
    pass: Pass,
    left: CubeTensor,
    scale: CubeTensor,
    noise: Option<NoiseSpan>,
    coefficients: [f64; 5],
) -> CubeTensor {
    let (left, right) = (untile(left), untile(scale));
    let output = empty_like(match pass {
        Pass::Forward => &left,
        Pass::Backward => &right,
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
                noise_of(noise),
                CoefficientScalars::of(
                    coefficients,
                    dtype_to_storage_type(wide_type(output.dtype))
                ),
                noise.is_some(),
                pass == Pass::Backward,
                elem_type(&output),
            )
        );
    }
    output
}

/// Numbers whose sum is that of the terms, in the precision that these are computed in.
pub(super) fn partial_sums<T: Terms>(
    _of: T,
    mu: CubeTensor,
    rho: CubeTensor,
    noise: Option<NoiseSpan>,
    coefficients: [f64; 5],
) -> CubeTensor {
    let (mu, rho) = (untile(mu), untile(rho));
    let walk = Walk::over(&[&mu, &rho]);
    let (client, device) = (mu.client.clone(), mu.device.clone());
    let real = wide_type(mu.dtype);
    if walk.len == 0 {
        return zeros(device, Shape::new([1]), real);
    }
    let units = walk.blocks().min(SUM_UNITS);
    let output = empty_device_dtype(client.clone(), device, Shape::new([units]), real);
    let (count, dim) = cubes(&client, units);
    let dtype = elem_type(&mu);
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
                noise_of(noise),
                CoefficientScalars::of(coefficients, dtype_to_storage_type(real)),
                walk.len / walk.lanes,
                noise.is_some(),
                dtype,
            )
        );
    }
    output
}

/// The gradients in μ and ρ of a sum whose own gradient is the one number in `grad`, in the sum's type.
pub(super) fn gradients<T: Terms>(
    _of: T,
    grad: CubeTensor,
    mu: CubeTensor,
    rho: CubeTensor,
    noise: Option<NoiseSpan>,
    coefficients: [f64; 5],
) -> (CubeTensor, CubeTensor) {
    let (mu, rho) = (untile(mu), untile(rho));
    let grad = cast(grad, wide_type(mu.dtype));
    let (mu_grad, rho_grad) = (empty_like(&mu), empty_like(&rho));
    let walk = Walk::over(&[&mu, &rho, &mu_grad, &rho_grad]);
    if walk.len == 0 {
        return (mu_grad, rho_grad);
    }
    let client = mu.client.clone();
    let (count, dim) = cubes(&client, walk.blocks());
    let dtype = elem_type(&mu);
    let real = wide_type(mu.dtype);
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
                noise_of(noise),
                CoefficientScalars::of(coefficients, dtype_to_storage_type(real)),
                noise.is_some(),
                dtype,
            )
        );
    }
    (mu_grad, rho_grad)
}
