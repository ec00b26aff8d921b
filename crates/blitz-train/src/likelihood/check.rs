//! Targets and outputs that don't fit.

#[cfg(feature = "train")]
use burn::tensor::Device;
use burn::tensor::{Int, Tensor, TensorData};

#[cfg(feature = "train")]
use crate::batch::LabeledBatch;
#[cfg(feature = "train")]
use crate::error::CheckError;
use crate::error::{PredictError, TargetError};
#[cfg(feature = "train")]
use crate::likelihood::Likelihood;

/// Reads every target of a data loader once and says which one the likelihood has no meaning for, if any.
///
/// For data of users, before a training on it, in which such a target would only show as a loss that is NaN. The
/// batches are made on the device of the likelihood, and on the CPU for one without parameters.
///
/// # Errors
///
/// Returns an error that names the first such target, or if the loader fails.
#[cfg(feature = "train")]
pub fn check_targets<I, L: Likelihood>(
    likelihood: &L,
    loader: &dyn burn::data::dataloader::DataLoader<LabeledBatch<I, L::Target>>,
) -> Result<(), CheckError> {
    // Its own device may be Burn's default, which the machine need not have.
    let device = likelihood.devices().into_iter().next();
    let loader = loader.to_device(&device.map_or_else(Device::flex, Device::without_autodiff));
    let mut batches = loader.iter();
    let mut before = 0;
    while let Some(batch) = batches.next() {
        likelihood
            .check_target(&batch?.targets)
            .map_err(|error| TargetError {
                example: error.example + before,
                ..error
            })?;
        before = batches.progress().items_processed;
    }
    Ok(())
}

/// The first of `[batch, targets]` values that is not as it must be.
pub(super) fn check_values(
    target: &Tensor<2>,
    needs: &str,
    good: impl Fn(f64) -> bool,
) -> Result<(), TargetError> {
    check_data(target.to_data(), target.dims()[1], needs, good)
}

/// The first of `[batch, targets]` labels that is not as it must be.
pub(super) fn check_labels<const D: usize>(
    target: &Tensor<D, Int>,
    columns: usize,
    needs: &str,
    good: impl Fn(f64) -> bool,
) -> Result<(), TargetError> {
    check_data(target.to_data(), columns, needs, good)
}

fn check_data(
    data: TensorData,
    columns: usize,
    needs: &str,
    good: impl Fn(f64) -> bool,
) -> Result<(), TargetError> {
    match data.iter::<f64>().enumerate().find(|(_, y)| !good(*y)) {
        None => Ok(()),
        Some((i, value)) => Err(TargetError {
            example: i / columns,
            column: i % columns,
            value,
            needs: needs.to_string(),
        }),
    }
}

/// Refuses outputs of draws that have not the shape `[batch, outputs]`: numbers of one example would be read as
/// another's.
pub(super) fn check_outputs(
    likelihood: &'static str,
    outputs: usize,
    draws: &[Tensor<2>],
) -> Result<(), PredictError> {
    let mut shapes = draws.iter().map(Tensor::dims);
    match shapes.find(|[_, width]| *width != outputs) {
        None => Ok(()),
        Some(got) => Err(PredictError::Shape {
            likelihood,
            outputs,
            got,
        }),
    }
}

/// # Panics
///
/// Panics unless outputs have the shape `[batch, outputs]` and targets the shape `[batch, targets]`: broadcasting would
/// silently compare every output with every target.
#[track_caller]
pub(super) fn check_shapes(
    name: &str,
    outputs: usize,
    targets: usize,
    output: [usize; 2],
    target: [usize; 2],
) {
    assert!(
        output == [target[0], outputs] && target[1] == targets,
        "a {name} likelihood of {targets} target columns needs outputs of shape [batch, {outputs}] and targets of shape \
         [batch, {targets}], got {output:?} and {target:?}"
    );
}
