//! Whose fault a prediction is that is not finite: the input's, if that is not.

use std::any::Any;

use blitz_predict::MixtureError;
use burn::tensor::{Int, Tensor};

use crate::error::PredictError;
use crate::likelihood::Exposed;

/// The error of a prediction from `inputs`: that of the inputs, if the example that it names is not finite there.
///
/// Looks only after something has gone wrong, so that a prediction that succeeds reads nothing back. An input may be of
/// any type; tensors are looked at, and exposures of tensors.
pub(crate) fn blame<I: 'static>(error: PredictError, inputs: &I) -> PredictError {
    let PredictError::Mixture(MixtureError::NonFinite { example, .. }) = &error else {
        return error;
    };
    non_finite(inputs, *example).unwrap_or(error)
}

fn non_finite(inputs: &dyn Any, example: usize) -> Option<PredictError> {
    of_rank::<1>(inputs, example)
        .or_else(|| of_rank::<2>(inputs, example))
        .or_else(|| of_rank::<3>(inputs, example))
        .or_else(|| of_rank::<4>(inputs, example))
        .or_else(|| of_rank::<5>(inputs, example))
}

fn of_rank<const D: usize>(inputs: &dyn Any, example: usize) -> Option<PredictError> {
    let exposed = inputs.downcast_ref::<Exposed<Tensor<D>>>();
    let tensor = inputs
        .downcast_ref::<Tensor<D>>()
        .or(exposed.map(|exposed| &exposed.inputs));
    let of_numbers = exposed.map(|exposed| &exposed.log_exposure);
    let of_ids = || {
        Some(
            &inputs
                .downcast_ref::<Exposed<Tensor<D, Int>>>()?
                .log_exposure,
        )
    };
    tensor
        .and_then(|tensor| first_non_finite(tensor, example))
        .or_else(|| of_exposure(of_numbers.or_else(of_ids)?, example))
}

/// The error of an exposure, which has no place in the example's input.
fn of_exposure(log_exposure: &Tensor<2>, example: usize) -> Option<PredictError> {
    match first_non_finite(log_exposure, example)? {
        PredictError::Input { example, value, .. } => Some(PredictError::Input {
            example,
            index: Vec::new(),
            value,
        }),
        other => Some(other),
    }
}

/// The error of the first value of an example that is not finite.
fn first_non_finite<const D: usize>(tensor: &Tensor<D>, example: usize) -> Option<PredictError> {
    let dims = tensor.dims();
    if example >= dims[0] {
        return None;
    }
    let row = tensor.clone().narrow(0, example, 1).into_data();
    let mut values = row.iter::<f64>().enumerate();
    let (mut flat, value) = values.find(|(_, value)| !value.is_finite())?;
    let mut index = [0; D];
    for (index, length) in index.iter_mut().zip(dims).skip(1).rev() {
        *index = flat % length;
        flat /= length;
    }
    Some(PredictError::Input {
        example,
        index: index[1..].to_vec(),
        value,
    })
}
