//! The fused operations on every CubeCL device, from one kernel source.

mod elementwise;
mod kernels;
mod launch;
mod noise;
mod real;
#[cfg(all(test, feature = "wgpu"))]
mod tests;

use burn::backend::cubecl::dtype_to_storage_type;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::kernel::cast;
use burn_cubecl::tensor::CubeTensor;

use self::elementwise::{
    Coefficients, Draw, DrawBackward, DrawOutput, DrawOutputBackward, MixtureTerms, NormalTerms,
    StdDev, StdDevBackward, Variance, VarianceBackward,
};
use self::launch::{Side, gradients, map, partial_sums, precision};
use super::backend::FusedKernels;
use super::formula::{NoiseSpan, NormalSum, ScaleMixture, Spread};
use blitz_noise::NoiseKey;

/// For a kernel that is told a span but has no noise.
const NO_NOISE: NoiseSpan = NoiseSpan {
    key: NoiseKey::new(0, 0, 0),
    first_block: 0,
};

impl FusedKernels for CubeBackend {
    fn standard_normal(like: CubeTensor, noise: NoiseSpan) -> CubeTensor {
        launch::standard_normal(like, noise.into())
    }

    fn draw(mu: CubeTensor, rho: CubeTensor, noise: NoiseSpan) -> CubeTensor {
        map::<Draw>(mu, rho, Side::Left, noise.into())
    }

    fn draw_backward(grad: CubeTensor, rho: CubeTensor, noise: NoiseSpan) -> CubeTensor {
        map::<DrawBackward>(grad, rho, Side::Right, noise.into())
    }

    fn normal_sum(mu: CubeTensor, rho: CubeTensor, form: NormalSum) -> CubeTensor {
        let dtype = mu.dtype;
        let coefficients = Coefficients::of_normals(form, real(dtype));
        let sums = partial_sums::<NormalTerms>(mu, rho, NO_NOISE.into(), coefficients);
        sum(sums, dtype)
    }

    fn normal_sum_backward(
        grad: CubeTensor,
        mu: CubeTensor,
        rho: CubeTensor,
        form: NormalSum,
    ) -> (CubeTensor, CubeTensor) {
        let coefficients = Coefficients::of_normals(form, real(mu.dtype));
        gradients::<NormalTerms>(grad, mu, rho, NO_NOISE.into(), coefficients)
    }

    fn mixture_kl(
        mu: CubeTensor,
        rho: CubeTensor,
        noise: NoiseSpan,
        prior: ScaleMixture,
    ) -> CubeTensor {
        let dtype = mu.dtype;
        let coefficients = Coefficients::of_mixture(prior, real(dtype));
        let sums = partial_sums::<MixtureTerms>(mu, rho, noise.into(), coefficients);
        sum(sums, dtype)
    }

    fn mixture_kl_backward(
        grad: CubeTensor,
        mu: CubeTensor,
        rho: CubeTensor,
        noise: NoiseSpan,
        prior: ScaleMixture,
    ) -> (CubeTensor, CubeTensor) {
        let coefficients = Coefficients::of_mixture(prior, real(mu.dtype));
        gradients::<MixtureTerms>(grad, mu, rho, noise.into(), coefficients)
    }

    fn spread(rho: CubeTensor, spread: Spread) -> CubeTensor {
        let launch = match spread {
            Spread::StdDev => map::<StdDev>,
            Spread::Variance => map::<Variance>,
        };
        launch(rho.clone(), rho, Side::Left, NO_NOISE.into())
    }

    fn spread_backward(grad: CubeTensor, rho: CubeTensor, spread: Spread) -> CubeTensor {
        let launch = match spread {
            Spread::StdDev => map::<StdDevBackward>,
            Spread::Variance => map::<VarianceBackward>,
        };
        launch(grad, rho, Side::Right, NO_NOISE.into())
    }

    fn draw_output(mean: CubeTensor, variance: CubeTensor, noise: NoiseSpan) -> CubeTensor {
        map::<DrawOutput>(mean, variance, Side::Left, noise.into())
    }

    fn draw_output_backward(
        grad: CubeTensor,
        variance: CubeTensor,
        noise: NoiseSpan,
    ) -> CubeTensor {
        map::<DrawOutputBackward>(grad, variance, Side::Right, noise.into())
    }
}

/// What coefficients are given in.
fn real(dtype: DType) -> ElemType {
    dtype_to_storage_type(precision(dtype))
}

/// The sum as a tensor of shape `[1]`, rounded to its type at the end.
fn sum(terms: CubeTensor, dtype: DType) -> CubeTensor {
    cast(CubeBackend::float_sum(terms), dtype)
}
