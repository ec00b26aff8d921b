//! The fused operations on backends whose tensors are memory that a CPU reads.

mod adam;
mod convolution;
// Once for each of the two, which give its names their meaning.
#[allow(clippy::duplicate_mod)]
#[path = "../elementwise.rs"]
pub(super) mod elementwise;
#[cfg(feature = "flex")]
mod flex;
pub(super) mod group;
mod ivon;
pub(super) mod lanes;
mod lstm;
pub(super) mod moments;
#[cfg(feature = "ndarray")]
mod ndarray;
mod pooling;
mod product;
pub(super) mod real;
// As above.
#[allow(clippy::duplicate_mod)]
#[path = "../update.rs"]
mod update;

use std::borrow::Cow;

use burn::backend::TensorMetadata;
use burn::tensor::{TensorData, bf16, f16};

use self::elementwise::{Map as Arithmetic, Scale, Terms, with_map, with_sum};
use self::group::{Kernel, Made};
use self::real::{Coefficients, Element, Real};
use super::formula::{Map, Sum, wide_type};

/// A backend's tensor, in memory.
pub(super) trait Memory: TensorMetadata {
    /// Its elements in row-major order: where they lie, if they lie in that order.
    fn elements(&self) -> Elements<'_>;

    /// Its elements in row-major order, to write over. They are copied first if they lie in another order, or if
    /// another tensor holds them as well.
    fn elements_mut(&mut self) -> ElementsMut<'_>;

    fn from_data(data: TensorData) -> Self;
}

/// The elements of a tensor, of whichever type they are.
pub(super) enum Elements<'a> {
    F32(Cow<'a, [f32]>),
    F64(Cow<'a, [f64]>),
    F16(Cow<'a, [f16]>),
    Bf16(Cow<'a, [bf16]>),
}

impl Elements<'_> {
    /// Of a tensor that is known to be in `f32`.
    fn f32(&self) -> &[f32] {
        match self {
            Self::F32(elements) => elements,
            _ => panic!("a moment of rectified normals needs tensors in f32"),
        }
    }
}

/// The elements of a tensor, to write over.
pub(super) enum ElementsMut<'a> {
    F32(&'a mut [f32]),
    F64(&'a mut [f64]),
    F16(&'a mut [f16]),
    Bf16(&'a mut [bf16]),
}

/// Evaluates an expression with slices of the elements of some tensors, whatever their type. Type and length have to be
/// the same.
macro_rules! with_elements {
    ([$($tensor:ident),*], |$($slice:ident),*| $result:expr) => {
        match [$($tensor.elements()),*] {
            [$(Elements::F32($slice)),*] => {
                $crate::kernels::cpu::assert_same_len([$($slice.len()),*]);
                $result
            }
            [$(Elements::F64($slice)),*] => {
                $crate::kernels::cpu::assert_same_len([$($slice.len()),*]);
                $result
            }
            [$(Elements::F16($slice)),*] => {
                $crate::kernels::cpu::assert_same_len([$($slice.len()),*]);
                $result
            }
            [$(Elements::Bf16($slice)),*] => {
                $crate::kernels::cpu::assert_same_len([$($slice.len()),*]);
                $result
            }
            #[allow(unreachable_patterns)] // Of a single tensor.
            _ => panic!(
                "a fused operation needs tensors of one element type, got {:?}",
                [$($tensor.dtype()),*]
            ),
        }
    };
}
pub(super) use with_elements;

/// The same, with the first tensor to write over.
macro_rules! with_elements_mut {
    ($target:ident, [$($tensor:ident),*], |$slice_mut:ident, $($slice:ident),*| $result:expr) => {{
        let dtype = $target.dtype();
        match ($target.elements_mut(), [$($tensor.elements()),*]) {
            (ElementsMut::F32($slice_mut), [$(Elements::F32($slice)),*]) => $result,
            (ElementsMut::F64($slice_mut), [$(Elements::F64($slice)),*]) => $result,
            (ElementsMut::F16($slice_mut), [$(Elements::F16($slice)),*]) => $result,
            (ElementsMut::Bf16($slice_mut), [$(Elements::Bf16($slice)),*]) => $result,
            _ => panic!(
                "a fused operation needs tensors of one element type, got {:?}",
                [dtype, $($tensor.dtype()),*]
            ),
        }
    }};
}
use with_elements_mut;

pub(super) fn tensor<T: Memory, E: burn::tensor::Element>(values: Vec<E>, like: &T) -> T {
    T::from_data(TensorData::new(values, like.shape()))
}

/// A sum over such tensors.
pub(super) fn scalar<T: Memory>(value: f64, over: &T) -> T {
    let dtype = wide_type(over.dtype());
    T::from_data(TensorData::new(vec![value], [1]).convert_dtype(dtype))
}

pub(super) fn number<T: Memory>(tensor: &T) -> f64 {
    with_elements!([tensor], |values| values[0].load().to_f64())
}

pub(super) fn assert_same_len<const N: usize>(lens: [usize; N]) {
    assert!(
        lens.iter().all(|len| *len == lens[0]),
        "a fused operation needs tensors with equally many elements, got {lens:?}"
    );
}

/// Of a location and a parameter, which is a ρ: the second.
const fn rho(is_rho: bool) -> Option<usize> {
    if is_rho { Some(1) } else { None }
}

#[inline(always)]
fn scale<R: Real>(is_rho: bool, parameter: R, made: Made<R>) -> Scale<R> {
    if is_rho {
        made.scale
    } else {
        Scale::plain(parameter)
    }
}

/// The value of a [`Map`].
#[derive(Clone, Copy)]
struct Value<M, R> {
    /// Whose arithmetic it is.
    _of: M,
    coefficients: Coefficients<R>,
}

impl<R: Real, M: Arithmetic> Kernel<R, 2, 1> for Value<M, R> {
    const RHO: Option<usize> = rho(M::IS_RHO);

    #[inline(always)]
    fn element(self, [location, parameter]: [R; 2], made: Made<R>) -> [R; 1] {
        let scale = scale(M::IS_RHO, parameter, made);
        [M::value(location, &scale, made.epsilon, &self.coefficients)]
    }
}

/// The gradient of a [`Map`] in its scale.
#[derive(Clone, Copy)]
struct Gradient<M, R> {
    /// Whose arithmetic it is.
    _of: M,
    coefficients: Coefficients<R>,
}

impl<R: Real, M: Arithmetic> Kernel<R, 2, 1> for Gradient<M, R> {
    const RHO: Option<usize> = rho(M::IS_RHO);

    #[inline(always)]
    fn element(self, [grad, parameter]: [R; 2], made: Made<R>) -> [R; 1] {
        let scale = scale(M::IS_RHO, parameter, made);
        [M::gradient(grad, &scale, made.epsilon, &self.coefficients)]
    }
}

/// A term of a [`Sum`].
#[derive(Clone, Copy)]
struct Term<S, R> {
    /// Whose arithmetic it is.
    _of: S,
    coefficients: Coefficients<R>,
}

impl<R: Real, S: Terms> Kernel<R, 2, 1> for Term<S, R> {
    const RHO: Option<usize> = rho(S::IS_RHO);

    #[inline(always)]
    fn element(self, [mu, parameter]: [R; 2], made: Made<R>) -> [R; 1] {
        let scale = scale(S::IS_RHO, parameter, made);
        [S::term(mu, &scale, made.epsilon, &self.coefficients)]
    }
}

/// The gradients of a [`Sum`].
#[derive(Clone, Copy)]
struct Gradients<S, R> {
    /// Whose arithmetic it is.
    _of: S,
    coefficients: Coefficients<R>,
    grad: R,
}

impl<R: Real, S: Terms> Kernel<R, 2, 2> for Gradients<S, R> {
    const RHO: Option<usize> = rho(S::IS_RHO);

    #[inline(always)]
    fn element(self, [mu, parameter]: [R; 2], made: Made<R>) -> [R; 2] {
        let scale = scale(S::IS_RHO, parameter, made);
        S::gradients(mu, &scale, made.epsilon, self.grad, &self.coefficients).into()
    }
}

fn map<T: Memory>(location: T, scale: T, op: Map) -> T {
    let [reads_location, reads_scale] = op.reads();
    with_elements!([location, scale], |l, s| {
        let inputs = [
            if reads_location { &l[..] } else { &[] },
            if reads_scale { &s[..] } else { &[] },
        ];
        let [out] = with_map!(op, |arithmetic| {
            let kernel = Value {
                _of: arithmetic,
                coefficients: Coefficients::new(op.coefficients()),
            };
            group::map(kernel, op.noise(), inputs, l.len())
        });
        tensor(out, &location)
    })
}

fn map_backward<T: Memory>(grad: T, scale: T, op: Map) -> T {
    with_elements!([grad, scale], |g, s| {
        let [out] = with_map!(op, |arithmetic| {
            let kernel = Gradient {
                _of: arithmetic,
                coefficients: Coefficients::new(op.coefficients()),
            };
            group::map(kernel, op.noise(), [&g, &s], s.len())
        });
        tensor(out, &scale)
    })
}

fn sum<T: Memory>(mu: T, rho: T, op: Sum) -> T {
    with_elements!([mu, rho], |m, r| {
        let sum = with_sum!(op, |arithmetic| {
            let kernel = Term {
                _of: arithmetic,
                coefficients: Coefficients::new(op.coefficients()),
            };
            group::sum(kernel, op.noise(), [&m, &r], m.len())
        });
        scalar(sum, &mu)
    })
}

fn sum_backward<T: Memory>(grad: T, mu: T, rho: T, op: Sum) -> (T, T) {
    // In `f64`, where numbers are multiplied once for all elements.
    let (op, grad) = op.times(number(&grad));
    with_elements!([mu, rho], |m, r| {
        let [mu_grad, rho_grad] = with_sum!(op, |arithmetic| {
            let kernel = Gradients {
                _of: arithmetic,
                coefficients: Coefficients::new(op.coefficients()),
                grad: Real::from_f64(grad),
            };
            group::map(kernel, op.noise(), [&m, &r], m.len())
        });
        (tensor(mu_grad, &mu), tensor(rho_grad, &rho))
    })
}

/// Implements the fused operations for a backend whose tensors are [`Memory`].
macro_rules! kernels_in_memory {
    ($backend:ty) => {
        impl crate::kernels::backend::FusedKernels for $backend {
            fn map(
                location: FloatTensor<Self>,
                scale: FloatTensor<Self>,
                op: Map,
            ) -> FloatTensor<Self> {
                super::map(location, scale, op)
            }

            fn map_backward(
                grad: FloatTensor<Self>,
                scale: FloatTensor<Self>,
                op: Map,
            ) -> FloatTensor<Self> {
                super::map_backward(grad, scale, op)
            }

            fn sum(mu: FloatTensor<Self>, rho: FloatTensor<Self>, op: Sum) -> FloatTensor<Self> {
                super::sum(mu, rho, op)
            }

            fn sum_backward(
                grad: FloatTensor<Self>,
                mu: FloatTensor<Self>,
                rho: FloatTensor<Self>,
                op: Sum,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                super::sum_backward(grad, mu, rho, op)
            }

            fn adam_step(
                weight: FloatTensor<Self>,
                grad: FloatTensor<Self>,
                moment_1: FloatTensor<Self>,
                moment_2: FloatTensor<Self>,
                step: AdamStep,
            ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
                super::adam::adam_step(weight, grad, moment_1, moment_2, step)
            }

            fn ivon_step(
                inputs: [FloatTensor<Self>; 5],
                momentum_weight: FloatTensor<Self>,
                step: IvonStep,
            ) -> [FloatTensor<Self>; 3] {
                super::ivon::ivon_step(inputs, &momentum_weight, step)
            }

            fn lstm_steps(
                pre_activations: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                hidden: FloatTensor<Self>,
                cell: FloatTensor<Self>,
            ) -> LstmSteps<Self> {
                super::lstm::steps(pre_activations, weight, hidden, cell)
            }

            fn lstm_backward(
                steps: LstmSteps<Self>,
                grad: FloatTensor<Self>,
                weight: FloatTensor<Self>,
            ) -> [FloatTensor<Self>; 4] {
                super::lstm::backward(steps, grad, weight)
            }

            fn lstm_cell(
                gates: FloatTensor<Self>,
                cell: FloatTensor<Self>,
            ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
                super::lstm::lstm_cell(gates, cell)
            }

            fn lstm_cell_backward(
                gates: FloatTensor<Self>,
                cells: [FloatTensor<Self>; 2],
                hidden_grad: FloatTensor<Self>,
                cell_grad: FloatTensor<Self>,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                super::lstm::lstm_cell_backward(gates, cells, hidden_grad, cell_grad)
            }

            fn convolve(
                input: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                bias: FloatTensor<Self>,
                window: Window,
            ) -> FloatTensor<Self> {
                super::convolution::convolve(input, weight, bias, window)
            }

            fn convolve_backward(
                input: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                grad: FloatTensor<Self>,
                window: Window,
                wanted: [bool; 3],
            ) -> [Option<FloatTensor<Self>>; 3] {
                super::convolution::convolve_backward(input, weight, grad, window, wanted)
            }

            fn rectify(
                mean: FloatTensor<Self>,
                variance: FloatTensor<Self>,
                op: Rectified,
            ) -> FloatTensor<Self> {
                super::moments::rectify(&mean, &variance, op)
            }

            fn rectify_backward(
                grad: FloatTensor<Self>,
                mean: FloatTensor<Self>,
                variance: FloatTensor<Self>,
                op: Rectified,
            ) -> [FloatTensor<Self>; 2] {
                super::moments::rectify_backward(&grad, &mean, &variance, op)
            }

            fn pool(input: FloatTensor<Self>) -> FloatTensor<Self> {
                super::pooling::pool(input)
            }

            fn pool_backward(
                input: FloatTensor<Self>,
                grad: FloatTensor<Self>,
            ) -> FloatTensor<Self> {
                super::pooling::pool_backward(input, grad)
            }
        }
    };
}
use kernels_in_memory;
