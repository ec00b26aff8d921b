//! A network as a training and a prediction see it.

use burn::module::{Module, ModuleDisplay};

/// What the training needs to know of a network: how to run it.
///
/// ```
/// use blitz_train::prelude::*;
/// use burn::module::Module;
/// use burn::tensor::Tensor;
///
/// #[derive(Module, Debug)]
/// struct Net {
///     layer: BayesianLinear,
/// }
///
/// impl Network for Net {
///     type Input = Tensor<2>;
///     type Output = Tensor<2>;
///
///     fn forward(&self, input: Tensor<2>) -> Tensor<2> {
///         self.layer.forward(input)
///     }
/// }
/// ```
pub trait Network: Module + ModuleDisplay + 'static {
    /// A batch of inputs.
    type Input: Clone + Send + 'static;
    /// What the likelihood takes.
    type Output: Clone + Send + 'static;

    /// The output for a batch. Inside a [draw](blitz_layers::blitz_core::Draw) it is that of the draw's weights, else
    /// each call samples weights of its own.
    fn forward(&self, input: Self::Input) -> Self::Output;

    /// Whether the output is that of a draw's weights. Of one that has all draws in it, as a
    /// [`MomentsNetwork`](crate::MomentsNetwork)'s moments, predictions take one pass, whatever the number of draws.
    fn is_drawn(&self) -> bool {
        true
    }
}
