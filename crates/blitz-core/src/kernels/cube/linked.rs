//! A draw and its KL, and the gradients of both, in one pass.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::std::tensor::layout::linear::{LinearView, LinearViewMut};
use burn_cubecl::kernel::{cast, untile};
use burn_cubecl::ops::numeric::{empty_device_dtype, zeros};
use burn_cubecl::tensor::CubeTensor;

use super::elementwise::{Draw, Map as _, Normal, Scale, Terms as _, draw_and_term_gradients};
use super::kernels::{BLOCK, CoefficientScalars, block_noise, in_precision, with_term};
use super::launch::{SUM_UNITS, Walk, cubes, elem_type, empty_like, in_precision_of};
use super::noise::Noise;
use super::real::{Coefficients, Real};
use crate::kernels::formula::{NoiseSpan, NormalSum, Sum, wide_type};
use crate::kernels::linked::LinkedKernels;

/// Each unit draws every so-many-th block of weights, and adds up its terms.
#[cube(launch_unchecked, address_type = "dynamic")]
fn draw_and_sum_kernel<E: Float, N: Size, R: Real>(
    mu: LinearView<'_, Vector<E, N>>,
    rho: LinearView<'_, Vector<E, N>>,
    mut weights: LinearViewMut<'_, Vector<E, N>>,
    mut partial_sums: LinearViewMut<'_, R>,
    noise: Noise,
    coefficients: CoefficientScalars,
    vectors: usize,
    #[define(E)] _dtype: ElemType,
) {
    if !partial_sums.is_in_bounds(ABSOLUTE_POS) {
        terminate!();
    }
    let lanes = N::value();
    let per_block = comptime!(BLOCK / lanes);
    let blocks = vectors.div_ceil(per_block);
    let coefficients = in_precision::<R>(&coefficients);
    let mut sum = R::new(0.0f32);
    let mut lost = R::new(0.0f32);
    for block in range_stepped(ABSOLUTE_POS, blocks, partial_sums.shape()) {
        let epsilons = block_noise(&noise, block, true);
        #[unroll]
        for i in 0..per_block {
            let position = block * per_block + i;
            if position < vectors {
                let mu = mu.read(position);
                let rho = rho.read(position);
                let mut drawn = Vector::<E, N>::empty();
                #[unroll]
                for lane in 0..lanes {
                    let mu = R::cast_from(mu.extract(lane));
                    let scale = Scale::<R>::of(R::cast_from(rho.extract(lane)));
                    let epsilon = R::cast_from(epsilons[comptime!(i * lanes + lane)]);
                    drawn.insert(
                        lane,
                        E::cast_from(Draw::value::<R>(mu, &scale, epsilon, &coefficients)),
                    );
                    let term = Normal::term::<R>(mu, &scale, epsilon, &coefficients);
                    let (next, left) = with_term::<R>(sum, lost, term);
                    sum = next;
                    lost = left;
                }
                weights.write(position, drawn);
            }
        }
    }
    partial_sums.write(ABSOLUTE_POS, sum);
}

#[cube(launch_unchecked, address_type = "dynamic")]
fn draw_and_sum_gradients_kernel<E: Float, N: Size, R: Real>(
    grad: LinearView<'_, Vector<E, N>>,
    sum_grad: LinearView<'_, R>,
    mu: LinearView<'_, Vector<E, N>>,
    rho: LinearView<'_, Vector<E, N>>,
    mut mu_grad: LinearViewMut<'_, Vector<E, N>>,
    mut rho_grad: LinearViewMut<'_, Vector<E, N>>,
    noise: Noise,
    coefficients: CoefficientScalars,
    #[define(E)] _dtype: ElemType,
) {
    let lanes = N::value();
    let per_block = comptime!(BLOCK / lanes);
    let first = ABSOLUTE_POS * per_block;
    if !mu_grad.is_in_bounds(first) {
        terminate!();
    }
    let sum_grad = sum_grad.read(0);
    let numbers = in_precision::<R>(&coefficients);
    let coefficients = Coefficients::<R> {
        a: numbers.a * sum_grad,
        b: numbers.b * sum_grad,
        c: numbers.c,
        d: numbers.d,
        e: numbers.e,
    };
    let epsilons = block_noise(&noise, ABSOLUTE_POS, true);
    #[unroll]
    for i in 0..per_block {
        if mu_grad.is_in_bounds(first + i) {
            let grad = grad.read(first + i);
            let mu = mu.read(first + i);
            let rho = rho.read(first + i);
            let mut mu_values = Vector::<E, N>::empty();
            let mut rho_values = Vector::<E, N>::empty();
            #[unroll]
            for lane in 0..lanes {
                let scale = Scale::<R>::of(R::cast_from(rho.extract(lane)));
                let (mu_value, rho_value) = draw_and_term_gradients::<R>(
                    R::cast_from(grad.extract(lane)),
                    R::cast_from(mu.extract(lane)),
                    &scale,
                    R::cast_from(epsilons[comptime!(i * lanes + lane)]),
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

/// The weights, and numbers whose sum is that of the terms.
fn draw_and_partial_sums(
    mu: CubeTensor,
    rho: CubeTensor,
    noise: NoiseSpan,
    form: NormalSum,
) -> (CubeTensor, CubeTensor) {
    let (mu, rho) = (untile(mu), untile(rho));
    let weights = empty_like(&mu);
    let walk = Walk::over(&[&mu, &rho, &weights]);
    let (client, device) = (mu.client.clone(), mu.device.clone());
    let real = wide_type(mu.dtype);
    if walk.len == 0 {
        return (weights, zeros(device, Shape::new([1]), real));
    }
    let units = walk.blocks().min(SUM_UNITS);
    let sums = empty_device_dtype(client.clone(), device, Shape::new([units]), real);
    let (count, dim) = cubes(&client, units);
    let dtype = elem_type(&mu);
    // SAFETY: A unit stays within the inputs' last vector and within the bounds of the sums.
    unsafe {
        in_precision_of!(
            real,
            draw_and_sum_kernel::<R>(
                &client,
                count,
                dim,
                walk.address,
                walk.lanes,
                mu.into_linear_view(),
                rho.into_linear_view(),
                weights.clone().into_linear_view(),
                sums.clone().into_linear_view(),
                noise.into(),
                CoefficientScalars::of(
                    Sum::Normal(form).coefficients(),
                    dtype_to_storage_type(real)
                ),
                walk.len / walk.lanes,
                dtype,
            )
        );
    }
    (weights, sums)
}

impl LinkedKernels for CubeBackend {
    fn draw_and_sum(
        mu: FloatTensor<Self>,
        rho: FloatTensor<Self>,
        noise: NoiseSpan,
        form: NormalSum,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (weights, sums) = draw_and_partial_sums(mu, rho, noise, form);
        (weights, Self::float_sum(sums))
    }

    fn draw_and_sum_backward(
        grad: FloatTensor<Self>,
        sum_grad: FloatTensor<Self>,
        mu: FloatTensor<Self>,
        rho: FloatTensor<Self>,
        noise: NoiseSpan,
        form: NormalSum,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [grad, mu, rho] = [grad, mu, rho].map(untile);
        let (mu_grad, rho_grad) = (empty_like(&mu), empty_like(&rho));
        let walk = Walk::over(&[&grad, &mu, &rho, &mu_grad, &rho_grad]);
        if walk.len == 0 {
            return (mu_grad, rho_grad);
        }
        let client = mu.client.clone();
        let (count, dim) = cubes(&client, walk.blocks());
        let dtype = elem_type(&mu);
        let real = wide_type(mu.dtype);
        let sum_grad = cast(sum_grad, real);
        // SAFETY: A unit stays within the bounds of the gradient in μ, which are those of the others.
        unsafe {
            in_precision_of!(
                real,
                draw_and_sum_gradients_kernel::<R>(
                    &client,
                    count,
                    dim,
                    walk.address,
                    walk.lanes,
                    grad.into_linear_view(),
                    sum_grad.into_linear_view(),
                    mu.into_linear_view(),
                    rho.into_linear_view(),
                    mu_grad.clone().into_linear_view(),
                    rho_grad.clone().into_linear_view(),
                    noise.into(),
                    CoefficientScalars::of(
                        Sum::Normal(form).coefficients(),
                        dtype_to_storage_type(real)
                    ),
                    dtype,
                )
            );
        }
        (mu_grad, rho_grad)
    }

    fn is_known_zero(grad: &FloatTensor<Self>, zero: Option<&FloatTensor<Self>>) -> bool {
        // The same memory, which is not written over while both hold it.
        zero.is_some_and(|zero| {
            let [grad, zero] = [grad, zero].map(|tensor| &tensor.handle);
            std::ptr::eq(grad.memory.descriptor(), zero.memory.descriptor())
                && (grad.offset_start, grad.offset_end) == (zero.offset_start, zero.offset_end)
        })
    }
}
