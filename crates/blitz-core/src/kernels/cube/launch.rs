//! The kernels, in which one unit works on the four elements of one block of noise at a time, and how they are launched.

use burn::backend::TensorMetadata;
use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::calculate_cube_count_elemwise;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::std::tensor::layout::linear::{LinearView, LinearViewMut};
use burn_cubecl::kernel::untile;
use burn_cubecl::ops::numeric::{empty_device_dtype, zeros};
use burn_cubecl::tensor::CubeTensor;

use super::elementwise::{Coefficients, CoefficientsLaunch, Map, Terms};
use super::noise::{Noise, NoiseLaunch, normals};
use super::real::Real;

/// Elements of a block.
const BLOCK: usize = 4;

/// The most units that a sum is divided among; each leaves one number, which Burn adds up.
const SUM_UNITS: usize = 1 << 14;

/// The normals of a block, or zeros for an operation without noise.
#[cube]
fn block_noise(noise: &Noise, block: usize, #[comptime] noisy: bool) -> Sequence<f32> {
    match comptime!(noisy) {
        true => normals(noise, u32::cast_from(block)),
        false => {
            let mut epsilons = Sequence::new();
            #[unroll]
            for _ in 0..BLOCK {
                epsilons.push(0.0f32);
            }
            epsilons
        }
    }
}

#[cube(launch_unchecked, address_type = "dynamic")]
fn normals_kernel<E: Float, N: Size>(
    mut output: LinearViewMut<'_, Vector<E, N>>,
    noise: Noise,
    #[define(E)] _dtype: ElemType,
) {
    let per_block = comptime!(BLOCK / N::value());
    let first = ABSOLUTE_POS * per_block;
    if !output.is_in_bounds(first) {
        terminate!();
    }
    let epsilons = normals(&noise, u32::cast_from(ABSOLUTE_POS));
    #[unroll]
    for i in 0..per_block {
        let mut values = Vector::<E, N>::empty();
        #[unroll]
        for lane in 0..N::value() {
            values.insert(lane, E::cast_from(epsilons[i * N::value() + lane]));
        }
        output.write_checked(first + i, values);
    }
}

#[cube(launch_unchecked, address_type = "dynamic")]
fn map_kernel<E: Float, N: Size, R: Real, M: Map>(
    left: LinearView<'_, Vector<E, N>>,
    right: LinearView<'_, Vector<E, N>>,
    mut output: LinearViewMut<'_, Vector<E, N>>,
    noise: Noise,
    #[define(E)] _dtype: ElemType,
) {
    let per_block = comptime!(BLOCK / N::value());
    let first = ABSOLUTE_POS * per_block;
    if !output.is_in_bounds(first) {
        terminate!();
    }
    let epsilons = block_noise(&noise, ABSOLUTE_POS, comptime!(M::NOISY));
    #[unroll]
    for i in 0..per_block {
        if output.is_in_bounds(first + i) {
            let left = left.read(first + i);
            let right = right.read(first + i);
            let mut values = Vector::<E, N>::empty();
            #[unroll]
            for lane in 0..N::value() {
                let value = M::value::<R>(
                    R::cast_from(left.extract(lane)),
                    R::cast_from(right.extract(lane)),
                    R::cast_from(epsilons[i * N::value() + lane]),
                );
                values.insert(lane, E::cast_from(value));
            }
            output.write(first + i, values);
        }
    }
}

/// Each unit adds up the terms of every so-manieth block. The sum is compensated (Kahan, 1965), since a unit may have many.
#[cube(launch_unchecked, address_type = "dynamic")]
fn sum_kernel<E: Float, N: Size, R: Real, T: Terms>(
    mu: LinearView<'_, Vector<E, N>>,
    rho: LinearView<'_, Vector<E, N>>,
    mut partial_sums: LinearViewMut<'_, R>,
    noise: Noise,
    coefficients: Coefficients,
    vectors: usize,
    #[define(E)] _dtype: ElemType,
) {
    if !partial_sums.is_in_bounds(ABSOLUTE_POS) {
        terminate!();
    }
    let per_block = comptime!(BLOCK / N::value());
    let blocks = vectors.div_ceil(per_block);
    let mut sum = R::new(0.0f32);
    let mut lost = R::new(0.0f32);
    for block in range_stepped(ABSOLUTE_POS, blocks, partial_sums.shape()) {
        let epsilons = block_noise(&noise, block, comptime!(T::NOISY));
        #[unroll]
        for i in 0..per_block {
            let position = block * per_block + i;
            if position < vectors {
                let mu = mu.read(position);
                let rho = rho.read(position);
                #[unroll]
                for lane in 0..N::value() {
                    let term = T::term::<R>(
                        R::cast_from(mu.extract(lane)),
                        R::cast_from(rho.extract(lane)),
                        R::cast_from(epsilons[i * N::value() + lane]),
                        &coefficients,
                    );
                    let term = term - lost;
                    let next = sum + term;
                    lost = (next - sum) - term;
                    sum = next;
                }
            }
        }
    }
    partial_sums.write(ABSOLUTE_POS, sum);
}

#[cube(launch_unchecked, address_type = "dynamic")]
fn gradients_kernel<E: Float, N: Size, R: Real, T: Terms>(
    grad: LinearView<'_, E>,
    mu: LinearView<'_, Vector<E, N>>,
    rho: LinearView<'_, Vector<E, N>>,
    mut mu_grad: LinearViewMut<'_, Vector<E, N>>,
    mut rho_grad: LinearViewMut<'_, Vector<E, N>>,
    noise: Noise,
    coefficients: Coefficients,
    #[define(E)] _dtype: ElemType,
) {
    let per_block = comptime!(BLOCK / N::value());
    let first = ABSOLUTE_POS * per_block;
    if !mu_grad.is_in_bounds(first) {
        terminate!();
    }
    let grad = R::cast_from(grad.read(0));
    let epsilons = block_noise(&noise, ABSOLUTE_POS, comptime!(T::NOISY));
    #[unroll]
    for i in 0..per_block {
        if mu_grad.is_in_bounds(first + i) {
            let mu = mu.read(first + i);
            let rho = rho.read(first + i);
            let mut mu_values = Vector::<E, N>::empty();
            let mut rho_values = Vector::<E, N>::empty();
            #[unroll]
            for lane in 0..N::value() {
                let (mu_value, rho_value) = T::gradients::<R>(
                    R::cast_from(mu.extract(lane)),
                    R::cast_from(rho.extract(lane)),
                    R::cast_from(epsilons[i * N::value() + lane]),
                    grad,
                    &coefficients,
                );
                mu_values.insert(lane, E::cast_from(mu_value));
                rho_values.insert(lane, E::cast_from(rho_value));
            }
            mu_grad.write(first + i, mu_values);
            rho_grad.write(first + i, rho_values);
        }
    }
}

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
        debug_assert!(
            tensors
                .iter()
                .all(|tensor| tensor.meta.num_elements() == len)
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
