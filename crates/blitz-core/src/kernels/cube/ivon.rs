//! A step of IVON in one pass.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::std::tensor::layout::linear::{LinearView, LinearViewMut};
use burn_cubecl::kernel::{cast, untile};
use burn_cubecl::tensor::CubeTensor;

use super::launch::{Walk, cubes, elem_type, empty_like, in_precision_of};
use super::real::Real;
use super::update::{IvonNumbers, ivon};
use crate::kernels::formula::{IvonStep, wide_type};

/// The numbers of a step, at run time.
#[derive(CubeType, CubeLaunch)]
struct IvonScalars {
    beta_1: InputScalar,
    rest_1: InputScalar,
    rate: InputScalar,
    half_rate: InputScalar,
    curvature: InputScalar,
    decay: InputScalar,
    clip_radius: InputScalar,
    learning_rate: InputScalar,
}

impl IvonScalars {
    fn of(step: IvonStep, real: ElemType) -> IvonScalarsLaunch {
        let [
            beta_1,
            rest_1,
            rate,
            half_rate,
            curvature,
            decay,
            clip_radius,
            learning_rate,
        ] = step.numbers().map(|number| InputScalar::new(number, real));
        IvonScalarsLaunch::new(
            beta_1,
            rest_1,
            rate,
            half_rate,
            curvature,
            decay,
            clip_radius,
            learning_rate,
        )
    }
}

/// The weight of the momentum is read on the device: to know it, the host would have to wait.
#[cube(launch_unchecked, address_type = "dynamic")]
fn ivon_kernel<E: Float, N: Size, R: Real>(
    mean: LinearView<'_, Vector<E, N>>,
    grad: LinearView<'_, Vector<E, N>>,
    grad_hess: LinearView<'_, Vector<E, N>>,
    hess: LinearView<'_, Vector<E, N>>,
    momentum: LinearView<'_, Vector<E, N>>,
    momentum_weight: LinearView<'_, R>,
    mut new_mean: LinearViewMut<'_, Vector<E, N>>,
    mut new_hess: LinearViewMut<'_, Vector<E, N>>,
    mut new_momentum: LinearViewMut<'_, Vector<E, N>>,
    scalars: IvonScalars,
    #[define(E)] _dtype: ElemType,
) {
    if !new_mean.is_in_bounds(ABSOLUTE_POS) {
        terminate!();
    }
    let numbers = IvonNumbers::<R> {
        beta_1: scalars.beta_1.get::<R>(),
        rest_1: scalars.rest_1.get::<R>(),
        rate: scalars.rate.get::<R>(),
        half_rate: scalars.half_rate.get::<R>(),
        curvature: scalars.curvature.get::<R>(),
        decay: scalars.decay.get::<R>(),
        clip_radius: scalars.clip_radius.get::<R>(),
        learning_rate: scalars.learning_rate.get::<R>(),
    };
    let momentum_weight = momentum_weight.read(0);
    let mean = mean.read(ABSOLUTE_POS);
    let grad = grad.read(ABSOLUTE_POS);
    let grad_hess = grad_hess.read(ABSOLUTE_POS);
    let hess = hess.read(ABSOLUTE_POS);
    let momentum = momentum.read(ABSOLUTE_POS);
    let mut means = Vector::<E, N>::empty();
    let mut hessians = Vector::<E, N>::empty();
    let mut momenta = Vector::<E, N>::empty();
    #[unroll]
    for lane in 0..N::value() {
        let (mean, hess, momentum) = ivon::<R>(
            R::cast_from(mean.extract(lane)),
            R::cast_from(grad.extract(lane)),
            R::cast_from(grad_hess.extract(lane)),
            R::cast_from(hess.extract(lane)),
            R::cast_from(momentum.extract(lane)),
            momentum_weight,
            &numbers,
        );
        means.insert(lane, E::cast_from(mean));
        hessians.insert(lane, E::cast_from(hess));
        momenta.insert(lane, E::cast_from(momentum));
    }
    new_mean.write(ABSOLUTE_POS, means);
    new_hess.write(ABSOLUTE_POS, hessians);
    new_momentum.write(ABSOLUTE_POS, momenta);
}

/// Of mean, gradient, the gradient in h, h and momentum, of one type: the new mean, h and momentum.
pub(super) fn ivon_step(
    inputs: [CubeTensor; 5],
    momentum_weight: CubeTensor,
    step: IvonStep,
) -> [CubeTensor; 3] {
    let [mean, grad, grad_hess, hess, momentum] = inputs.map(untile);
    let real = wide_type(mean.dtype);
    let momentum_weight = cast(momentum_weight, real);
    let [new_mean, new_hess, new_momentum] = [&mean, &hess, &momentum].map(empty_like);
    let walk = Walk::over(&[
        &mean,
        &grad,
        &grad_hess,
        &hess,
        &momentum,
        &new_mean,
        &new_hess,
        &new_momentum,
    ]);
    if walk.len == 0 {
        return [new_mean, new_hess, new_momentum];
    }
    let client = mean.client.clone();
    let (count, dim) = cubes(&client, walk.len.div_ceil(walk.lanes));
    let dtype = elem_type(&mean);
    // SAFETY: A unit stays within the new mean's bounds, which are those of the others.
    unsafe {
        in_precision_of!(
            real,
            ivon_kernel::<R>(
                &client,
                count,
                dim,
                walk.address,
                walk.lanes,
                mean.into_linear_view(),
                grad.into_linear_view(),
                grad_hess.into_linear_view(),
                hess.into_linear_view(),
                momentum.into_linear_view(),
                momentum_weight.into_linear_view(),
                new_mean.clone().into_linear_view(),
                new_hess.clone().into_linear_view(),
                new_momentum.clone().into_linear_view(),
                IvonScalars::of(step, burn::backend::cubecl::dtype_to_storage_type(real)),
                dtype,
            )
        );
    }
    [new_mean, new_hess, new_momentum]
}
