//! Which type of number something is computed in.
//!
//! Weights may be of 16 bits. What is summed over them may not: 65,504 is the largest number of `f16`, and a KL of a
//! few hundred weights exceeds it; in `bf16` a sum stops to grow at 256 times its terms. Densities, moments and sums
//! are computed in `f32` at least, and in `f64` for weights of `f64`; what is drawn goes back to the type of the
//! weight.
//!
//! Nor may what says how wide a distribution is. In `bf16` the neighbours of a ρ of −4 are 1/64 away, and a smaller
//! step of an optimizer rounds to nothing.
//!
//! What is quantized is computed with as the numbers that it stands for.

use burn::tensor::{DType, Device, Tensor};

use crate::kernels::formula::wide_type;

/// The type of a distribution's own parameters, such as ρ, on a device: the device's, `f32` at least.
pub(crate) fn scale_type(device: &Device) -> DType {
    wide_type(device.settings().float_dtype.into())
}

/// `tensor` in `f32`, or in `f64` if it is of that: what densities, moments and sums over weights of 16 bits are
/// computed in, by a family of one's own too.
pub fn at_least_f32<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    let dtype = wide_type(tensor.dtype());
    cast(tensor, dtype)
}

/// `tensor` in the type of `like`, such as a draw that was computed in [`at_least_f32`] in that of the weight. Beside
/// what is quantized, in the type of its device: a number that is drawn is none of its few.
pub fn in_type_of<const D: usize, const R: usize>(
    tensor: Tensor<D>,
    like: &Tensor<R>,
) -> Tensor<D> {
    cast(tensor, type_of_numbers(like))
}

/// The numbers that `tensor` stands for, in the type of its device, if it is quantized; else itself.
pub(crate) fn unpacked<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    let dtype = type_of_numbers(&tensor);
    cast(tensor, dtype)
}

/// The type of a tensor's numbers: of one that is quantized that of its device.
pub fn type_of_numbers<const D: usize>(tensor: &Tensor<D>) -> DType {
    match tensor.dtype() {
        DType::QFloat(_) => tensor.device().settings().float_dtype.into(),
        dtype => dtype,
    }
}

/// A location and a scale in one type, as they are computed with: as they are if they have one, else both in that of
/// the location, `f32` at least. The scale keeps its digits then, and what is drawn is rounded once.
pub(crate) fn in_one_type<const D: usize, const R: usize>(
    location: &Tensor<D>,
    scale: &Tensor<R>,
) -> (Tensor<D>, Tensor<R>) {
    let is_quantized = matches!(location.dtype(), DType::QFloat(_));
    if location.dtype() == scale.dtype() && !is_quantized {
        return (location.clone(), scale.clone());
    }
    let location = at_least_f32(location.clone());
    let scale = in_type_of(scale.clone(), &location);
    (location, scale)
}

/// Both in the wider type of the two, `f32` at least.
pub(crate) fn widest<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> (Tensor<D>, Tensor<D>) {
    let dtype = match (wide_type(a.dtype()), wide_type(b.dtype())) {
        (DType::F32, DType::F32) => DType::F32,
        _ => DType::F64,
    };
    (cast(a, dtype), cast(b, dtype))
}

fn cast<const D: usize>(tensor: Tensor<D>, dtype: DType) -> Tensor<D> {
    if tensor.dtype() == dtype {
        return tensor;
    }
    match tensor.dtype() {
        // Burn does not cast it, and dequantizes it to the type of the other term.
        DType::QFloat(_) => Tensor::zeros([1; D], (&tensor.device(), dtype)) + tensor,
        _ => tensor.cast(dtype),
    }
}
