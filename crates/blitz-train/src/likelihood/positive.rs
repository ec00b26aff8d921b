//! A positive parameter of a likelihood for each target column, by its logarithm.

use burn::module::Param;
use burn::tensor::{Device, Tensor};

use super::NoiseLevel;

/// # Panics
///
/// Panics if the value is not positive and finite, or without target columns.
pub(super) fn log_param(
    what: &str,
    level: NoiseLevel,
    targets: usize,
    device: &Device,
) -> Param<Tensor<1>> {
    assert!(targets > 0, "a likelihood needs target columns, got 0");
    let (value, learned) = match level {
        NoiseLevel::Fixed(value) => (value, false),
        NoiseLevel::Learned(value) => (value, true),
    };
    assert!(
        value.is_finite() && value > 0.0,
        "a likelihood's {what} must be positive and finite, got {value}"
    );
    let log = Tensor::full([targets], value.ln(), device);
    Param::from_tensor(log).set_require_grad(learned)
}
