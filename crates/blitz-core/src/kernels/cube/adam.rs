//! A step of Adam in one pass.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::std::tensor::layout::linear::{LinearView, LinearViewMut};
use burn_cubecl::kernel::untile;
use burn_cubecl::tensor::CubeTensor;

use super::launch::{Walk, cubes, elem_type, empty_like, in_precision_of};
use super::real::Real;
use super::update::{AdamNumbers, adam};
use crate::kernels::formula::{AdamStep, wide_type};

/// The numbers of a step, at run time: they differ from step to step.
#[derive(CubeType, CubeLaunch)]
struct AdamScalars {
    beta_1: InputScalar,
    rest_1: InputScalar,
    beta_2: InputScalar,
    rest_2: InputScalar,
    correction: InputScalar,
    epsilon: InputScalar,
    learning_rate: InputScalar,
}

impl AdamScalars {
    fn of(step: AdamStep, real: ElemType) -> AdamScalarsLaunch {
        let scalar = |value: f64| InputScalar::new(value, real);
        AdamScalarsLaunch::new(
            scalar(step.beta_1.into()),
            scalar((1.0 - step.beta_1).into()),
            scalar(step.beta_2.into()),
            scalar((1.0 - step.beta_2).into()),
            scalar(step.combined_correction().into()),
            scalar((step.epsilon * step.root_correction()).into()),
            scalar(step.learning_rate),
        )
    }
}

#[cube(launch_unchecked, address_type = "dynamic")]
fn adam_kernel<E: Float, N: Size, R: Real>(
    weight: LinearView<'_, Vector<E, N>>,
    grad: LinearView<'_, Vector<E, N>>,
    moment_1: LinearView<'_, Vector<E, N>>,
    moment_2: LinearView<'_, Vector<E, N>>,
    mut new_weight: LinearViewMut<'_, Vector<E, N>>,
    mut new_moment_1: LinearViewMut<'_, Vector<E, N>>,
    mut new_moment_2: LinearViewMut<'_, Vector<E, N>>,
    scalars: AdamScalars,
    #[define(E)] _dtype: ElemType,
) {
    if !new_weight.is_in_bounds(ABSOLUTE_POS) {
        terminate!();
    }
    let numbers = AdamNumbers::<R> {
        beta_1: scalars.beta_1.get::<R>(),
        rest_1: scalars.rest_1.get::<R>(),
        beta_2: scalars.beta_2.get::<R>(),
        rest_2: scalars.rest_2.get::<R>(),
        correction: scalars.correction.get::<R>(),
        epsilon: scalars.epsilon.get::<R>(),
        learning_rate: scalars.learning_rate.get::<R>(),
    };
    let weight = weight.read(ABSOLUTE_POS);
    let grad = grad.read(ABSOLUTE_POS);
    let moment_1 = moment_1.read(ABSOLUTE_POS);
    let moment_2 = moment_2.read(ABSOLUTE_POS);
    let mut weights = Vector::<E, N>::empty();
    let mut moments_1 = Vector::<E, N>::empty();
    let mut moments_2 = Vector::<E, N>::empty();
    #[unroll]
    for lane in 0..N::value() {
        let (weight, moment_1, moment_2) = adam::<R>(
            R::cast_from(weight.extract(lane)),
            R::cast_from(grad.extract(lane)),
            R::cast_from(moment_1.extract(lane)),
            R::cast_from(moment_2.extract(lane)),
            &numbers,
        );
        weights.insert(lane, E::cast_from(weight));
        moments_1.insert(lane, E::cast_from(moment_1));
        moments_2.insert(lane, E::cast_from(moment_2));
    }
    new_weight.write(ABSOLUTE_POS, weights);
    new_moment_1.write(ABSOLUTE_POS, moments_1);
    new_moment_2.write(ABSOLUTE_POS, moments_2);
}

/// The weight and the moments after the step. Of one type and shape.
pub(super) fn adam_step(
    weight: CubeTensor,
    grad: CubeTensor,
    moments: [CubeTensor; 2],
    step: AdamStep,
) -> (CubeTensor, CubeTensor, CubeTensor) {
    let [weight, grad] = [weight, grad].map(untile);
    let [moment_1, moment_2] = moments.map(untile);
    let outputs = [&weight, &moment_1, &moment_2].map(empty_like);
    let [new_weight, new_moment_1, new_moment_2] = outputs;
    let walk = Walk::over(&[
        &weight,
        &grad,
        &moment_1,
        &moment_2,
        &new_weight,
        &new_moment_1,
        &new_moment_2,
    ]);
    if walk.len == 0 {
        return (new_weight, new_moment_1, new_moment_2);
    }
    let client = weight.client.clone();
    let (count, dim) = cubes(&client, walk.len.div_ceil(walk.lanes));
    let real = wide_type(weight.dtype);
    let dtype = elem_type(&weight);
    // SAFETY: A unit stays within the new weight's bounds, which are those of the others.
    unsafe {
        in_precision_of!(
            real,
            adam_kernel::<R>(
                &client,
                count,
                dim,
                walk.address,
                walk.lanes,
                weight.into_linear_view(),
                grad.into_linear_view(),
                moment_1.into_linear_view(),
                moment_2.into_linear_view(),
                new_weight.clone().into_linear_view(),
                new_moment_1.clone().into_linear_view(),
                new_moment_2.clone().into_linear_view(),
                AdamScalars::of(step, burn::backend::cubecl::dtype_to_storage_type(real)),
                dtype,
            )
        );
    }
    (new_weight, new_moment_1, new_moment_2)
}
