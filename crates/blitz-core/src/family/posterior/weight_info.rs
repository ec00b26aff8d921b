//! What there is to know of the weight that a posterior is made for.

use burn::module::ParamId;
use burn::tensor::{Device, Shape};

/// What a new posterior can know of the weight that it is attached to.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct WeightInfo<'a> {
    /// The parameter's path in the module, e.g. `"encoder.linear1.weight"`; the first one of a weight that is tied.
    pub path: &'a str,
    /// The id of the parameter.
    pub id: ParamId,
    /// The types of the modules that contain it, outermost first: the last one, e.g. `"Linear"`, owns it.
    pub modules: &'a [String],
    /// Whether it belongs to the [last layer](crate::WeightFilter::last_layer).
    pub in_last_layer: bool,
    /// The shape of the weight as the layer holds it.
    pub shape: &'a Shape,
    /// The device of the weight, with its autodiff context.
    pub device: &'a Device,
}
