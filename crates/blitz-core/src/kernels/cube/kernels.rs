//! The kernels, in which one unit works on the four elements of one block of noise at a time.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::std::tensor::layout::linear::{LinearView, LinearViewMut};

use super::elementwise::{Map, Scale, Terms};
use super::noise::{Noise, normals};
use super::real::{Coefficients, Real};

/// Elements of a block.
pub(super) const BLOCK: usize = 4;

/// The normals of a block, or zeros for an operation without noise.
#[cube]
pub(super) fn block_noise(noise: &Noise, block: usize, #[comptime] noisy: bool) -> Sequence<f32> {
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

/// The numbers of a map or a sum, at run time: a prior may be trained or tried out.
#[derive(CubeType, CubeLaunch)]
pub(super) struct CoefficientScalars {
    a: InputScalar,
    b: InputScalar,
    c: InputScalar,
    d: InputScalar,
    e: InputScalar,
}

impl CoefficientScalars {
    pub fn of(coefficients: [f64; 5], real: ElemType) -> CoefficientScalarsLaunch {
        let [a, b, c, d, e] = coefficients.map(|value| InputScalar::new(value, real));
        CoefficientScalarsLaunch::new(a, b, c, d, e)
    }
}

#[cube]
pub(super) fn in_precision<R: Real>(scalars: &CoefficientScalars) -> Coefficients<R> {
    Coefficients::<R> {
        a: scalars.a.get::<R>(),
        b: scalars.b.get::<R>(),
        c: scalars.c.get::<R>(),
        d: scalars.d.get::<R>(),
        e: scalars.e.get::<R>(),
    }
}

#[cube]
fn scale<R: Real>(parameter: R, #[comptime] is_rho: bool) -> Scale<R> {
    match comptime!(is_rho) {
        true => Scale::<R>::of(parameter),
        false => Scale::<R>::plain(parameter),
    }
}

/// The value of a map, or its gradient in the scale's parameter, of the gradient and the parameter.
#[cube(launch_unchecked, address_type = "dynamic")]
pub(super) fn map_kernel<E: Float, N: Size, R: Real, M: Map>(
    left: LinearView<'_, Vector<E, N>>,
    right: LinearView<'_, Vector<E, N>>,
    mut output: LinearViewMut<'_, Vector<E, N>>,
    noise: Noise,
    coefficients: CoefficientScalars,
    #[comptime] noisy: bool,
    #[comptime] is_backward: bool,
    #[define(E)] _dtype: ElemType,
) {
    let lanes = N::value();
    let per_block = comptime!(BLOCK / lanes);
    let first = ABSOLUTE_POS * per_block;
    if !output.is_in_bounds(first) {
        terminate!();
    }
    let coefficients = in_precision::<R>(&coefficients);
    let epsilons = block_noise(&noise, ABSOLUTE_POS, noisy);
    #[unroll]
    for i in 0..per_block {
        if output.is_in_bounds(first + i) {
            let left = left.read(first + i);
            let right = right.read(first + i);
            let mut values = Vector::<E, N>::empty();
            #[unroll]
            for lane in 0..lanes {
                let left = R::cast_from(left.extract(lane));
                let right = scale::<R>(R::cast_from(right.extract(lane)), M::IS_RHO);
                let epsilon = R::cast_from(epsilons[comptime!(i * lanes + lane)]);
                let value = match comptime!(is_backward) {
                    true => M::gradient::<R>(left, &right, epsilon, &coefficients),
                    false => M::value::<R>(left, &right, epsilon, &coefficients),
                };
                values.insert(lane, E::cast_from(value));
            }
            output.write(first + i, values);
        }
    }
}

/// A sum with a term more, and what its rounding lost, of a sum that has lost some before (Kahan, 1965): a unit may
/// have many terms.
#[cube]
pub(super) fn with_term<R: Real>(sum: R, lost: R, term: R) -> (R, R) {
    let term = term - lost;
    let next = sum + term;
    (next, (next - sum) - term)
}

/// Each unit adds up the terms of one block in so many.
#[cube(launch_unchecked, address_type = "dynamic")]
pub(super) fn sum_kernel<E: Float, N: Size, R: Real, T: Terms>(
    mu: LinearView<'_, Vector<E, N>>,
    rho: LinearView<'_, Vector<E, N>>,
    mut partial_sums: LinearViewMut<'_, R>,
    noise: Noise,
    coefficients: CoefficientScalars,
    vectors: usize,
    #[comptime] noisy: bool,
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
        let epsilons = block_noise(&noise, block, noisy);
        #[unroll]
        for i in 0..per_block {
            let position = block * per_block + i;
            if position < vectors {
                let mu = mu.read(position);
                let rho = rho.read(position);
                #[unroll]
                for lane in 0..lanes {
                    let scale = scale::<R>(R::cast_from(rho.extract(lane)), T::IS_RHO);
                    let term = T::term::<R>(
                        R::cast_from(mu.extract(lane)),
                        &scale,
                        R::cast_from(epsilons[comptime!(i * lanes + lane)]),
                        &coefficients,
                    );
                    let (next, left) = with_term::<R>(sum, lost, term);
                    sum = next;
                    lost = left;
                }
            }
        }
    }
    partial_sums.write(ABSOLUTE_POS, sum);
}

#[cube(launch_unchecked, address_type = "dynamic")]
pub(super) fn gradients_kernel<E: Float, N: Size, R: Real, T: Terms>(
    grad: LinearView<'_, R>,
    mu: LinearView<'_, Vector<E, N>>,
    rho: LinearView<'_, Vector<E, N>>,
    mut mu_grad: LinearViewMut<'_, Vector<E, N>>,
    mut rho_grad: LinearViewMut<'_, Vector<E, N>>,
    noise: Noise,
    coefficients: CoefficientScalars,
    #[comptime] noisy: bool,
    #[define(E)] _dtype: ElemType,
) {
    let lanes = N::value();
    let per_block = comptime!(BLOCK / lanes);
    let first = ABSOLUTE_POS * per_block;
    if !mu_grad.is_in_bounds(first) {
        terminate!();
    }
    let grad = grad.read(0);
    let coefficients = in_precision::<R>(&coefficients);
    let epsilons = block_noise(&noise, ABSOLUTE_POS, noisy);
    #[unroll]
    for i in 0..per_block {
        if mu_grad.is_in_bounds(first + i) {
            let mu = mu.read(first + i);
            let rho = rho.read(first + i);
            let mut mu_values = Vector::<E, N>::empty();
            let mut rho_values = Vector::<E, N>::empty();
            #[unroll]
            for lane in 0..lanes {
                let scale = scale::<R>(R::cast_from(rho.extract(lane)), T::IS_RHO);
                let (mu_value, rho_value) = T::gradients::<R>(
                    R::cast_from(mu.extract(lane)),
                    &scale,
                    R::cast_from(epsilons[comptime!(i * lanes + lane)]),
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
